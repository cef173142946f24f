"""Collects what a real Slicer would only print: errors in slots, unknown signals, VTK errors."""

import contextlib
import sys
import traceback

# Slicer itself reports these and goes on: it restores an oblique slice view from a scene file by the name of its
# orientation, which no preset has, and then by its matrix; and its subject hierarchy remembers addresses of nodes
# beyond the closing of a scene, and drops them when a new node has one of them.
_KNOWN_VTK_ERRORS = ("invalid orientation preset name: Reformat", "DataNodeCache inconsistency found")


class Failures:
    """A list of sentences; a test that ends with a sentence in it fails."""

    def __init__(self):
        self.entries = []

    def record(self, text):
        """Keep and print one failure."""
        self.entries.append(text)
        print(f"host failure: {text}", file=sys.stderr)

    def take(self):
        """All failures so far; the list is empty afterwards."""
        entries, self.entries = self.entries, []
        return entries

    @contextlib.contextmanager
    def expected(self):
        """Within this block failures are wanted: yields the list that they go to, and fails if none came."""
        outer, self.entries = self.entries, []
        seen = self.entries
        try:
            yield seen
        finally:
            self.entries = outer
        if not seen:
            raise AssertionError("a failure was expected here, and none was recorded")

    def recordException(self, exceptionType, exception, trace):
        """In the form of sys.excepthook: PySide and VTK call it for exceptions in slots and observers."""
        self.record("".join(traceback.format_exception(exceptionType, exception, trace)))

    def install(self):
        """Route uncaught exceptions and VTK's errors here."""
        import vtk

        sys.excepthook = self.recordException
        sys.unraisablehook = lambda info: self.recordException(info.exc_type, info.exc_value, info.exc_traceback)
        window = vtk.vtkOutputWindow()
        window.SetDisplayModeToNever()
        window.AddObserver("ErrorEvent", self._recordVtkError)
        vtk.vtkOutputWindow.SetInstance(window)
        self._window = window

    def _recordVtkError(self, caller, event, text):
        if any(known in text for known in _KNOWN_VTK_ERRORS):
            return
        self.record(f"VTK: {text.strip()}")

    _recordVtkError.CallDataType = "string0"


failures = Failures()
