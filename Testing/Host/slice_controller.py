"""The offset slider in the bar of a slice view: new ones move the slice by themselves."""

import vtk
from PySide6 import QtCore


class SliceController:
    """What qMRMLSliceControllerWidget does to its slice, seen in Slicer 5.13.

    A new slider stands at 0. The range arrives with the first volume; a value that is not in it is clamped, and over a
    queued connection the slider then moves the slice, in a later turn of the event loop: after whoever has aligned it.

    Args:
        sliceLogic: vtkMRMLSliceLogic of the view.
    """

    def __init__(self, sliceLogic):
        self._logic, self._range = sliceLogic, None
        sliceLogic.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onLogicModified)

    def _onLogicModified(self, caller, event):
        offsets, resolution = [0.0, 0.0], vtk.reference(1.0)
        if not self._logic.GetSliceOffsetRangeResolution(offsets, resolution):
            return
        isFirst, self._range = self._range is None, offsets
        clamped = min(max(0.0, offsets[0]), offsets[1])
        if isFirst and clamped != 0.0:
            QtCore.QTimer.singleShot(0, lambda: self._logic.SetSliceOffset(clamped))
