"""The needle in the patient: it follows any linear transform."""

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..scene.needle_model import hideNeedle, showNeedle
from .frame_maker import PlacedNeedle
from .signal import Signal


class ActiveNeedle(VTKObservationMixin):
    """Follows the parameters' choice of a transform; observes its moves.

    Attributes:
        moved: signal without arguments.
    """

    def __init__(self):
        VTKObservationMixin.__init__(self)
        self.moved = Signal()
        self._transform, self._length, self._diameter = None, 0.0, 0.0

    def update(self, parameters):
        """Take the needle of the parameters (None: no needle)."""
        isShown = parameters is not None and parameters.showNeedle
        transform = parameters.needle if isShown else None
        if transform is not self._transform:
            self._observe(transform)
        if transform is None:
            hideNeedle()
            return
        self._length, self._diameter = parameters.needleLength, parameters.needleDiameter
        showNeedle(transform, self._length, self._diameter)

    def placed(self):
        """PlacedNeedle of this moment, or None.

        Raises:
            DiffUSError: if the transform, or one above it, bends, scales or mirrors space.
        """
        if self._transform is None:
            return None
        import torch

        from DiffUSLib import DiffUSError, check_rigid

        name = _("the needle's transform {name}").format(name=self._transform.GetName())
        if not self._transform.IsTransformToWorldLinear():
            raise DiffUSError(_("{name} is under one that bends space; move it out of that.").format(name=name))
        pose = slicer.util.arrayFromTransformMatrix(self._transform, toWorld=True)
        check_rigid(torch.from_numpy(pose), name)
        return PlacedNeedle(pose, self._length, self._diameter)

    def close(self):
        """Before the module goes away."""
        self.removeObservers()

    def _observe(self, transform):
        event = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
        if self._transform is not None:
            self.removeObserver(self._transform, event, self._onMoved)
        self._transform = transform
        if transform is not None:
            self.addObserver(transform, event, self._onMoved)

    def _onMoved(self, caller=None, event=None):
        self.moved.emit()
