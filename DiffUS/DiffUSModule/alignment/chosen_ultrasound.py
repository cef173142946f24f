"""The ultrasound that the user chose: what it is, its chain of transforms, its fan."""

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..live.background import BackgroundTask
from ..live.messages import explain
from ..live.signal import Signal
from . import alignment_job, fan_shape
from .correction_node import Correction
from .fan_outline import FanOutline
from .transform_chain import checkChain, describeChain
from .ultrasound_source import imageNodeOf, isThreeDimensional, readUltrasound


class ChosenUltrasound(VTKObservationMixin):
    """One node at a time; its fan is looked for in the background, and drawn over the image.

    Attributes:
        changed: signal without arguments: fan or problem are new.
        moved: signal without arguments: the image stands elsewhere, perhaps under other transforms.
        node: sequence browser, image or 3D ultrasound volume, or None.
        found: FoundFan, or None.
        problem: why the ultrasound cannot be read, as a sentence, or "".
        wasRead: True if the fan was looked for, or is.
    """

    def __init__(self):
        VTKObservationMixin.__init__(self)
        self.changed, self.moved = Signal(), Signal()
        self.node = self.found = None
        self.problem, self.wasRead, self._leftOut = "", False, ()
        self._outline, self._task, self._drawnFan = FanOutline(), None, None

    @property
    def isVolume(self):
        """True for a 3D ultrasound volume, False for images."""
        return not self.node.IsA("vtkMRMLSequenceBrowserNode") and isThreeDimensional(self.node)

    @property
    def isLooking(self):
        """True while the fan is looked for."""
        return self._task is not None

    def choose(self, node):
        """Take another one, or None; nothing is read yet."""
        self.node, self.found, self.problem, self.wasRead = node, None, "", False
        self.removeObservers()
        self._endTask()
        self._hideFan()
        try:
            image = imageNodeOf(node) if node is not None else None
        except ValueError as error:
            image, self.problem = None, explain(error)
        if image is not None:
            self.addObserver(image, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._onTransform)

    def imageNode(self):
        """The volume node that shows it, or None, which `problem` then explains."""
        try:
            return imageNodeOf(self.node)
        except ValueError as error:
            self.problem = explain(error)
            return None

    def chainText(self, volume, pending):
        """The way of the image to the patient in words, or what is wrong with it.

        Args:
            volume: the patient's node, or None.
            pending: a correction that does not count, or None.
        """
        if self.node is None:
            return _("Choose the ultrasound to be aligned to the volume above.")
        try:
            imageNode = imageNodeOf(self.node)
            checkChain(imageNode)
            return describeChain(imageNode, volume, pending)
        except Exception as error:
            return explain(error)

    def acceptedCorrection(self):
        """The Correction in the chain, also one of an earlier day, or None."""
        try:
            return Correction.above(imageNodeOf(self.node)) if self.node is not None else None
        except ValueError:
            return None

    # --- the fan -----------------------------------------------------------------------------------------------------

    def lookForFan(self):
        """Read the ultrasound and find its fan in the background; `changed` tells the end."""
        self.found, self.problem, self.wasRead = None, "", True
        if self.isVolume:
            return
        try:
            frames = readUltrasound(self.node, None)
        except Exception as error:
            self.problem = explain(error)
            return
        self._leftOut = frames.leftOut
        self._task = BackgroundTask(lambda: alignment_job.findFan(frames), self._onFan, self._onFanError)

    def _onFan(self, found):
        self._task, self.found = None, found
        self.changed.emit()

    def _onFanError(self, error):
        self._task, self.problem = None, explain(error)
        self.changed.emit()

    def _endTask(self):
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def fan(self, parameters):
        """The FanGeometry to use, as found or as the user set it; None if there is none."""
        if self.found is None or not parameters.fanByHand:
            return None if self.found is None else self.found.fan
        base = self.found.fan or fan_shape.wholeImage(self.found.images.shape[1:])
        return fan_shape.readFan(parameters.fan, base, self.pixelMm)

    @property
    def pixelMm(self):
        """Size of the square pixels that the fan was found in."""
        return fan_shape.pixelSize(self.found.imageToRas)

    def fanText(self, isByHand):
        """What is known of the fan, for the panel."""
        if self.found is None:
            return _("Looking for the fan...") if self.isLooking else self.problem
        if isByHand:
            return _("Set by hand")
        if self.found.fan is None:
            return explain(self.found.problem)
        text = fan_shape.describeFan(self.found.fan, self.pixelMm)
        return f"{text} {_('Left out:')} {'; '.join(self._leftOut)}." if self._leftOut else text

    def drawFan(self, fan, viewIDs):
        """Draw a FanGeometry over the image; None takes it away."""
        if fan == self._drawnFan:
            return
        if fan is None:
            self._hideFan()
        else:
            self._drawnFan = fan
            self._outline.show(imageNodeOf(self.node), fan, self.found.pixelShare, viewIDs)

    def _hideFan(self):
        self._drawnFan = None
        self._outline.hide()

    def _onTransform(self, caller, event):
        self._outline.follow(caller)
        self.moved.emit()

    def close(self):
        """The panel is left: nothing runs; what could not be read is tried again at the next opening."""
        self._endTask()
        if self.found is None:
            self.wasRead = False
        self._hideFan()
