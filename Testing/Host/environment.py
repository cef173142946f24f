"""What must be set before Qt and VTK are imported."""

import ctypes
import os
import sys


def prepare(with_window=False):
    """Draw without a display: EGL for VTK, Qt's offscreen platform unless a window is wanted."""
    if not with_window:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    os.environ.setdefault("QT_LOGGING_RULES", "qt.qpa.*=false")
    _keep_none_alive()


def _keep_none_alive():
    """PySide 6.12 takes one reference to None per call that returns nothing.

    Before Python 3.12, where None is immortal, the interpreter ends when the last one is gone, after some ten
    thousand calls. A count that they cannot use up prevents that.
    """
    if sys.version_info < (3, 12) and sys.implementation.name == "cpython":
        ctypes.c_ssize_t.from_address(id(None)).value += 2**40
