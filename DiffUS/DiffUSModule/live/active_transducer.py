"""The transducer that panel, image and handles are about."""

import slicer
import vtk
from slicer.util import VTKObservationMixin

from ..parameters.probe_settings import storedProbe, writeProbeToParameters
from ..scene.transducer import Transducer, isTransducer
from .pose_history import PoseHistory
from .signal import Signal


class ActiveTransducer(VTKObservationMixin):
    """Follows the parameters' choice of a transducer; observes its moves.

    Attributes:
        moved: signal without arguments.
        transducer: Transducer, or None.
        history: PoseHistory of this transducer.

    Args:
        viewsForHandles: function that returns the IDs of the views in which handles may show.
    """

    def __init__(self, viewsForHandles):
        VTKObservationMixin.__init__(self)
        self.moved = Signal()
        self.transducer, self.history = None, PoseHistory()
        self._viewsForHandles = viewsForHandles
        self._handles = self._tracked = None
        self._showHandles = True
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.NodeAddedEvent, self._onNodeAdded)

    def choose(self, parameters):
        """Take the transducer of the parameters (None: no transducer); its stored probe goes to the parameters."""
        transform = parameters.transducer if parameters is not None else None
        current = self.transducer.transform if self.transducer else None
        if transform is current:
            return
        if current is not None:
            self.removeObserver(current, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._onMoved)
        self.transducer = Transducer(transform) if isTransducer(transform) else None
        if self.transducer is None:
            self.history.clear()
            return
        self.addObserver(transform, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._onMoved)
        self.history.clear(slicer.util.arrayFromTransformMatrix(transform))
        self._tracked = transform.GetParentTransformNode()
        parameters.trackedTransform = self._tracked
        stored = storedProbe(transform)
        if stored:
            writeProbeToParameters(parameters, *stored)

    def setProbe(self, preset, probe):
        """Give the transducer this probe, if it has another one."""
        if self.transducer and storedProbe(self.transducer.transform) != (preset, probe):
            self.transducer.setProbe(preset, probe)

    def update(self, parameters):
        """Handles and tracked transform as the parameters want them."""
        if self.transducer is None:
            return
        self._showHandles = parameters.showHandles
        self._updateHandles()
        tracked = parameters.trackedTransform
        # A parent that the user chose elsewhere stays until this choice changes.
        if tracked is not self._tracked and tracked is not self.transducer.transform:
            self._tracked = tracked
            self.transducer.follow(tracked)

    def undo(self):
        """Back to where the transducer stood before the last placement; returns False if there is no such place."""
        if self.transducer is None or not self.history.canUndo:
            return False
        slicer.util.updateTransformMatrixFromArray(self.transducer.transform, self.history.undo())
        return True

    def close(self):
        """Before the module goes away."""
        self.removeObservers()

    def _updateHandles(self):
        handles = (self.transducer.transform, self._showHandles, *self._viewsForHandles())
        if handles != self._handles:
            self._handles = handles
            self.transducer.showHandles(self._showHandles, handles[2:])

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, caller, event, node):
        """A new view gets handles, too."""
        if node.IsA("vtkMRMLAbstractViewNode") and self.transducer is not None and not caller.IsImporting():
            self._updateHandles()

    def _onMoved(self, caller=None, event=None):
        self.history.moved(slicer.util.arrayFromTransformMatrix(self.transducer.transform))
        self.moved.emit()
