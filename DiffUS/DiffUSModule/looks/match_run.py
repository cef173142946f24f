"""One fit of a look to ultrasound of the scene, from the button to the Match."""

from slicer.i18n import tr as _

from ..live.background import BackgroundTask
from ..live.messages import explain
from ..live.signal import Signal
from .match_job import MatchJob


class MatchRun:
    """At most one fit at a time; one that was cancelled leaves nothing behind.

    Attributes:
        changed: signal without arguments.
        failed: signal with the sentence of what went wrong.
        match: the Match of the last fit, or None.
        progress: (step, steps) of the fit that runs, (0, 0) before its first step.
        stage: DiffUSLib's name of the stage, or "".
    """

    def __init__(self, session):
        self.changed, self.failed = Signal(), Signal()
        self.match, self.progress, self.stage = None, (0, 0), ""
        self._session, self._task, self._makeJob = session, None, None
        session.patient.changed.connect(self._onPatientChanged)

    @property
    def isBusy(self):
        """True while it waits for the volume's acoustic maps, or works."""
        return self._task is not None or self._makeJob is not None

    def start(self, makeSlices, withVolume, startLook, name):
        """Fit; the match of before is dropped.

        Args:
            makeSlices: function for the thread, see MatchJob.
            withVolume: the session's patient is behind the ultrasound.
            startLook: DiffUSLib's Appearance.
            name: of the look.
        """
        self.cancel()
        self.match = None
        if withVolume:
            self._makeJob = lambda maps: MatchJob(makeSlices, maps, startLook, name)
            self._session.errands.withMaps(self._onPatientChanged)
            self._onPatientChanged()  # a volume that failed before tells nothing more
        else:
            self._run(MatchJob(makeSlices, None, startLook, name))
        self.changed.emit()

    def cancel(self):
        """End the fit that runs, if one does."""
        if self._task is not None:
            self._task.cancel()
        self._task = self._makeJob = None
        self.progress, self.stage = (0, 0), ""
        self.changed.emit()

    def stateText(self):
        """What it does, for the panel."""
        if self._makeJob is not None:
            return _("Preparing the volume...")
        step, steps = self.progress
        if not steps:
            return _("Reading the frames...")
        stage = _("Checking on parts kept back") if self.stage == "check" else _("Fitting")
        return _("{stage}: step {step} of {steps}").format(stage=stage, step=step, steps=steps)

    def _run(self, job):
        self._task = BackgroundTask(job.steps, self._onMatch, self._onError, self._onProgress)

    def _onProgress(self, progress):
        self.progress, self.stage = (progress.step, progress.steps), progress.stage
        self.changed.emit()

    def _onMatch(self, match):
        self._task, self.match = None, match
        self.cancel()

    def _onError(self, error):
        self._task = None
        self.cancel()
        self.failed.emit(explain(error))

    def _onPatientChanged(self):
        patient = self._session.patient
        if self._makeJob is None:
            return
        if patient.maps is not None:
            makeJob, self._makeJob = self._makeJob, None
            self._run(makeJob(patient.maps))
            self.changed.emit()
        elif not patient.isBusy:  # failed, or given up
            self.cancel()
