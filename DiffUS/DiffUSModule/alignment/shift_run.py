"""One search for brain shift after an alignment, from the button to Accept or Revert."""

import time

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from DiffUSLib import DiffUSError

from ..live.background import BackgroundTask
from ..live.messages import explain
from ..live.signal import Signal
from ..scene import warp_transform
from ..scene.volume_source import copyVolume
from .alignment_run import State
from .shift_job import ShiftJob
from .shift_nodes import ShiftNodes


class ShiftRun(VTKObservationMixin):
    """At most one search at a time; one that was cancelled leaves nothing behind, and neither does a result that the
    user did not accept when the alignment that it is about goes away.

    Attributes:
        changed: signal without arguments.
        failed: signal with the sentence of what went wrong.
        progress: ShiftProgress of the search that runs, or None.
        isDeformed: the deformed volume is shown, not the user's.

    Args:
        session: see session.Session.
        alignment: AlignmentRun.
    """

    def __init__(self, session, alignment):
        VTKObservationMixin.__init__(self)
        self.changed, self.failed = Signal(), Signal()
        self.progress, self.isDeformed = None, True
        self._session, self._alignment = session, alignment
        self._task = self._last = self._makeJob = self._outcome = None
        self._began = 0.0
        alignment.changed.connect(self._onAlignment)
        session.patient.changed.connect(self._onPatientChanged)
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.NodeRemovedEvent, self._onNodeRemoved)

    @property
    def nodes(self):
        """ShiftNodes of the last search in the scene, or None."""
        return ShiftNodes.latest()

    @property
    def isBusy(self):
        """True while it waits for the volume's acoustic maps, or works."""
        return self._task is not None or self._makeJob is not None

    @property
    def isOpen(self):
        """True for a result of the present alignment that the user has not decided on."""
        nodes = self.nodes
        return not self.isBusy and self._outcome is not None and nodes is not None and not nodes.isAccepted

    @property
    def seconds(self):
        """Since the start."""
        return time.perf_counter() - self._began

    # --- what the user does ------------------------------------------------------------------------------------------

    def start(self):
        """Search; a result that was not accepted is dropped.

        Raises:
            DiffUSError: if volume or tracking moved since the alignment, or another volume was chosen.
        """
        self.drop()
        alignment = self._alignment
        if self._session.parameters.volume is not alignment.patientNode:
            text = _("The alignment was with {name}; choose that as the volume, or align again.")
            raise DiffUSError(text.format(name=alignment.patientNode.GetName()))
        self._checkPlaces()
        self._outcome = outcome = alignment.outcome
        volume = copyVolume(alignment.patientNode)
        self._began = time.perf_counter()
        self._makeJob = lambda maps: ShiftJob(outcome.slices, outcome.result, volume, maps)
        self._session.errands.withMaps(self._onPatientChanged)
        self._onPatientChanged()  # a volume that failed before tells nothing more

    def drop(self):
        """End a search, and take a result out of the scene that was not accepted."""
        if self._task is not None:
            self._task.cancel()
        self._task = self._makeJob = self._outcome = self.progress = None
        nodes = self.nodes
        if nodes is not None and not nodes.isAccepted and not slicer.mrmlScene.IsClosing():
            nodes.remove()
        self.changed.emit()

    def accept(self):
        """Keep what was found, and the rigid correction below it.

        Raises:
            DiffUSError: if volume or tracking moved since.
        """
        self._checkPlaces()
        if self._alignment.state is State.DONE:
            self._alignment.accept()
        self.isDeformed = True
        self.nodes.accept()
        self.changed.emit()

    def revert(self):
        """Take the last result out of the scene, also after it was accepted, or on another day."""
        nodes, self._outcome = self.nodes, None
        if nodes is not None:
            nodes.remove()
        self.changed.emit()

    def setDeformed(self, isDeformed):
        """Show the deformed volume, or the user's own."""
        self.isDeformed = isDeformed
        self.changed.emit()

    def setAmount(self, share):
        """Apply a share of the displacement, 0 to 1."""
        warp_transform.setAmount(self.nodes.warp, share)
        self.setDeformed(True)

    def end(self):
        """The panel goes away."""
        self._alignment.changed.disconnect(self._onAlignment)
        self.drop()
        self.removeObservers()

    # --- the search --------------------------------------------------------------------------------------------------

    def _onPatientChanged(self):
        patient = self._session.patient
        if self._makeJob is None:
            return
        if patient.maps is not None:
            makeJob, self._makeJob = self._makeJob, None
            after = self._last if self._last is not None and self._last.isRunning else None
            steps = makeJob(patient.maps).steps
            self._task = self._last = BackgroundTask(steps, self._onShift, self._onError, self._onProgress, after)
            self.changed.emit()
        elif not patient.isBusy:  # failed, or given up
            self.drop()

    def _onProgress(self, progress):
        self.progress = progress
        self.changed.emit()

    def _onShift(self, shift):
        try:
            self._checkPlaces()
            self._task = self.progress = None
            ShiftNodes.add(shift, self._alignment.patientNode)
        except Exception as error:
            self._onError(error)
            return
        self.isDeformed = True
        if self._alignment.state is State.DONE and not self._alignment.isApplied:
            self._alignment.setApplied(True)  # the displacement begins where the correction has the ultrasound
        self.changed.emit()

    def _onError(self, error):
        self.drop()
        self.failed.emit(explain(error))

    def _onAlignment(self):
        if self._outcome is not None and self._alignment.outcome is not self._outcome:
            self.drop()

    def _onNodeRemoved(self, caller, event):
        if slicer.mrmlScene.IsClosing():
            return
        if self.isBusy:
            gone = [node for node in self._alignment.watched if not slicer.mrmlScene.IsNodePresent(node)]
            if gone:
                self.drop()
                text = _("{name} was deleted; the search for brain shift ended.")
                self.failed.emit(text.format(name=gone[0].GetName()))
        elif self._outcome is not None:
            self.changed.emit()

    def _checkPlaces(self):
        if self._alignment.hasMoved:
            raise DiffUSError(_("Volume or tracking moved since the alignment; align again."))
