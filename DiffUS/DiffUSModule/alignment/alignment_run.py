"""One alignment of the scene's ultrasound, from the button to Accept or Revert."""

import time
from enum import Enum

import numpy as np
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from DiffUSLib import DiffUSError

from ..live.background import BackgroundTask
from ..live.messages import explain
from ..live.signal import Signal
from ..scene.volume_source import copyVolume, placeOf
from .alignment_job import AlignmentJob
from .alignment_view import AlignmentView
from .correction_node import Correction
from .score_plot import ScorePlot
from .transform_chain import anchorOf, chainOf
from .ultrasound_source import imageNodeOf, placesOf


class State(Enum):
    """Where a run stands."""

    IDLE = "idle"
    WAITING = "waiting"  # for the volume's acoustic maps
    RUNNING = "running"
    DONE = "done"  # the user has not decided yet
    ACCEPTED = "accepted"


class AlignmentRun(VTKObservationMixin):
    """The run as a state machine. At most one thread works: a new run begins when a cancelled one has ended.

    Attributes:
        changed: signal without arguments.
        failed: signal with the sentence of what went wrong.
        state: State.
        stage: DiffUSLib's name of the stage, or "".
        iteration: within the stage.
        outcome: the Outcome of the last run until it is reverted or another one begins, or None.
        watched: nodes that the last run works on.
        view: AlignmentView.
        plot: ScorePlot.
    """

    def __init__(self, session):
        VTKObservationMixin.__init__(self)
        self.changed, self.failed = Signal(), Signal()
        self.state, self.stage, self.iteration, self.outcome = State.IDLE, "", 0, None
        self.view, self.plot = AlignmentView(), ScorePlot()
        self.watched = []
        self.overlayStyle, self.share = "checkerboard", 0.5
        self._session = session
        self._task = self._correction = self._snapshot = self._rendered = self._makeJob = None
        self._began = self._seconds = 0.0
        session.patient.changed.connect(self._onPatientChanged)

    # --- what the user does ------------------------------------------------------------------------------------------

    def start(self, ultrasoundNode, patientNode, makeSlices, numbers, settings, appearance=None):
        """Align; a result that the user has not decided on is dropped.

        Args:
            ultrasoundNode: volume node or sequence browser, already read.
            patientNode: MRI or CT.
            makeSlices: function for the thread, see AlignmentJob.
            numbers: of all frames that were read.
            settings: keyword arguments of DiffUSLib's RegistrationSettings.
            appearance: see AlignmentJob.

        Raises:
            DiffUSError: if the volume cannot be used.
        """
        self.stop()
        if not patientNode.IsA("vtkMRMLVolumeNode") or patientNode.IsA("vtkMRMLLabelMapVolumeNode"):
            text = _("{name} holds labels; ultrasound is aligned to an MRI or CT, choose one as the volume.")
            raise DiffUSError(text.format(name=patientNode.GetName()))
        self._ultrasound, self._patient, self._numbers = ultrasoundNode, patientNode, numbers
        self._image = imageNodeOf(ultrasoundNode)
        self._anchor = anchorOf(self._image, patientNode)
        self._places = self._placesNow()
        volume = copyVolume(patientNode)
        self.watched = [ultrasoundNode, self._image, patientNode, *chainOf(self._image)]
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.NodeRemovedEvent, self._onNodeRemoved)
        self._began = time.perf_counter()
        self._setState(State.WAITING)
        self._makeJob = lambda maps: AlignmentJob(makeSlices, volume, maps, settings, appearance)
        self._session.errands.withMaps(self._onPatientChanged)
        self._onPatientChanged()  # a volume that failed before tells nothing more

    def stop(self):
        """End a run, or drop a result that was not accepted: the scene is as it was."""
        if self.state is State.ACCEPTED:
            self._correction = None
        if self._task is not None:
            self._task.cancel()
        self.removeObservers()
        correction, self._correction = self._correction, None
        if correction is not None:
            correction.remove()
        self._makeJob = self._snapshot = self._rendered = self.outcome = None
        self.stage, self.iteration = "", 0
        self._showImageAgain()
        self._setState(State.IDLE)

    def accept(self):
        """Keep the correction in the hierarchy."""
        self.setApplied(True)
        self._correction.accept()
        self.removeObservers()
        self._setState(State.ACCEPTED)

    def revert(self):
        """Take the correction out again, also after it was accepted."""
        if self.state is State.ACCEPTED:
            self._setState(State.DONE)
        self.stop()

    def setApplied(self, isApplied):
        """Show the ultrasound after the correction, or before it."""
        self._correction.apply(isApplied)
        self._showOutcome()
        self.changed.emit()

    @property
    def isApplied(self):
        return self._correction is not None and self._correction.isApplied

    @property
    def seconds(self):
        """Since the start; stands still when the run has ended."""
        return time.perf_counter() - self._began if self.isBusy else self._seconds

    @property
    def correctionNode(self):
        """The transform node of the running or undecided alignment, or None."""
        return self._correction.node if self._correction is not None else None

    @property
    def patientNode(self):
        """The MRI or CT of the last run."""
        return self._patient

    @property
    def hasMoved(self):
        """True if volume or tracking stand elsewhere than the outcome's correction has them."""
        expected = self._places.copy()
        if self.isApplied:
            expected[:-1] = self.outcome.correction @ expected[:-1]
        return not np.allclose(self._placesNow(), expected, atol=1e-4)

    @property
    def isBusy(self):
        """True while it waits or works."""
        return self.state in (State.WAITING, State.RUNNING)

    @property
    def isPending(self):
        """True until the user has decided."""
        return self.isBusy or self.state is State.DONE

    @property
    def isWaitingForAnother(self):
        """True if a cancelled run has not ended yet, so that this one has not begun."""
        return self.state is State.RUNNING and self._snapshot is None and self._task.isQueued

    def setOverlay(self, style, share):
        """Choose how both images are shown in one."""
        if (style, share) != (self.overlayStyle, self.share):
            self.overlayStyle, self.share = style, share
            self.draw()

    # --- the run -----------------------------------------------------------------------------------------------------

    def _run(self, job):
        previous = self._task if self._task is not None and self._task.isRunning else None
        self._task = BackgroundTask(job.steps, self._onOutcome, self._onError, self._onSnapshot, previous)
        self._setState(State.RUNNING)

    def _onSnapshot(self, snapshot):
        if self._correction is None:
            # Not before: bad input is known by now, and leaves no trace.
            self._correction = Correction.create(self._anchor, self._ultrasound.GetName())
            self.plot.clear()
            self.view.showScore(self.plot.chart())
        self._snapshot = snapshot
        self.stage, self.iteration = snapshot.stage, snapshot.iteration
        self.plot.add(snapshot.stage, snapshot.score)
        if snapshot.rendered is not None:
            self._correction.setMatrix(snapshot.correction)
            self._rendered = (snapshot.comparison, snapshot.rendered, snapshot.correction)
            self.draw()
        self.changed.emit()

    def _onOutcome(self, outcome):
        self._correction.apply(False)
        try:
            isMoved = not np.allclose(self._placesNow(), self._places, atol=1e-6)
        except Exception as error:
            self._onError(error)
            return
        if isMoved:
            self._fail(_("Volume or tracking moved during the alignment; align again."))
            return
        self.outcome, self._seconds = outcome, time.perf_counter() - self._began
        self._correction.setMatrix(outcome.correction)
        self._correction.apply(outcome.result.verdict != "reject")
        self._setState(State.DONE)
        self._showOutcome()
        self.changed.emit()

    def _onError(self, error):
        self._fail(explain(error))

    def _fail(self, sentence):
        self.stop()
        self.failed.emit(sentence)

    def _onPatientChanged(self):
        patient = self._session.patient
        if self.state is not State.WAITING:
            return
        if patient.maps is not None:  # the session remembers the last wish only, which may be another one
            makeJob, self._makeJob = self._makeJob, None  # with the volume that it holds
            self._run(makeJob(patient.maps))
        elif not patient.isBusy:  # failed, or given up
            self.stop()

    def _onNodeRemoved(self, caller, event):
        gone = [node for node in self.watched if not slicer.mrmlScene.IsNodePresent(node)]
        if gone and not slicer.mrmlScene.IsClosing():
            self._fail(_("{name} was deleted; the alignment ended.").format(name=gone[0].GetName()))
        elif self._correction is not None and not self._correction.isInScene:
            self.stop()

    def _setState(self, state):
        self.state = state
        self.changed.emit()

    def _placesNow(self):
        """What must not move meanwhile, as one array."""
        return np.concatenate([placesOf(self._ultrasound, self._numbers), placeOf(self._patient)[None]])

    # --- pictures ----------------------------------------------------------------------------------------------------

    def _showImageAgain(self):
        if self.view.overlay() is not None:
            self.view.removeOverlay()
            if slicer.mrmlScene.IsNodePresent(self._image) and not slicer.mrmlScene.IsClosing():
                self.view.showImage(self._image, self._patient)

    def _showOutcome(self):
        isApplied = self.isApplied
        correction = self.outcome.correction if isApplied else np.eye(4)
        self._rendered = (self.outcome.comparison, self.outcome.rendered[int(isApplied)], correction)
        self.draw()

    def draw(self):
        """Show both images in one, if there are both."""
        if self._rendered is None:
            return
        from DiffUSLib import overlay

        comparison, rendered, correction = self._rendered
        image = overlay(comparison.ultrasound, rendered, comparison.mask, self.overlayStyle, self.share)
        inside = np.tile(comparison.mask, (1, image.shape[1] // rendered.shape[1]))
        pixels = (np.round(image * 254 + 1) * inside).astype(np.uint8)
        place = correction @ comparison.transducer_to_ras.numpy() @ comparison.image_to_transducer
        self.view.showOverlay(pixels, place, self._image, self._patient)
