"""A headless host for the DiffUS module: Slicer's real MRML and VTK, and Qt with PythonQt's conventions."""

from .host import Host, start_host

__all__ = ["Host", "start_host"]
