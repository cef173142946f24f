"""Where the mouse points in the views."""

import slicer
from slicer.util import VTKObservationMixin

from ..live.signal import Signal


class Crosshair(VTKObservationMixin):
    """Tells of the mouse in slice and 3D views, while it is wanted.

    Attributes:
        moved: signal without arguments.
    """

    def __init__(self):
        VTKObservationMixin.__init__(self)
        self.moved = Signal()

    def follow(self, isWanted):
        """Begin or stop telling."""
        node = self._node()
        event = slicer.vtkMRMLCrosshairNode.CursorPositionModifiedEvent
        if isWanted and node is not None and not self.hasObserver(node, event, self._onMoved):
            self.addObserver(node, event, self._onMoved)
        elif not isWanted:
            self.removeObservers()

    def positionRasMm(self):
        """(3,) where the mouse is, or None if it is in no view."""
        node, position = self._node(), [0.0, 0.0, 0.0]
        return position if node is not None and node.GetCursorPositionRAS(position) else None

    def _node(self):
        return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")

    def _onMoved(self, caller, event):
        self.moved.emit()
