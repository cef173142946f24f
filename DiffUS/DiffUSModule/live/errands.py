"""What waits for the patient's acoustic maps, and the one piece of work in the background."""

from .background import BackgroundTask
from .messages import explain
from .signal import Signal


class Errands:
    """At most one action waits for maps, and at most one function runs; a new one takes the place of the old one.

    Attributes:
        changed: signal without arguments.
        activity: what runs in the background, as a sentence for the user, or "".

    Args:
        patient: see patient.Patient.
        say: function that shows a sentence to the user.
        onWanted: called without arguments when maps are wanted.
    """

    def __init__(self, patient, say, onWanted):
        self.changed, self.activity = Signal(), ""
        self._patient, self._say, self._onWanted = patient, say, onWanted
        self._whenReady = self._task = None

    @property
    def needsMaps(self):
        """True while an action waits for maps."""
        return self._whenReady is not None

    def withMaps(self, action):
        """Call `action` when the acoustic maps of the volume are there; compute them first if necessary."""
        self._say("")
        if self._patient.maps is not None:
            self._whenReady = None
            self._attempt(action)
        else:
            self._whenReady = action
            self._onWanted()
            if self._patient.error:
                self._whenReady = None
        self.changed.emit()

    def onPatientChanged(self):
        """Maps may be there now, or may never be."""
        if self._patient.error:
            self._whenReady = None
        if self._patient.maps is not None and self._whenReady is not None:
            action, self._whenReady = self._whenReady, None
            self._attempt(action)

    def inBackground(self, activity, function, onResult):
        """Run a function that touches neither MRML nor Qt; then call `onResult` with what it returned.

        Args:
            activity: sentence for the user while it runs.
        """
        self.endTask()
        self.activity = activity

        def finish(result):
            self.endTask()
            self._attempt(onResult, result)

        def fail(error):
            self.endTask()
            self._say(explain(error))

        self._task = BackgroundTask(function, finish, fail)
        self.changed.emit()

    def endTask(self):
        """Forget what runs in the background."""
        if self._task is not None:
            self._task.cancel()
            self._task, self.activity = None, ""
            self.changed.emit()

    def cancel(self):
        """Nothing waits and nothing runs any more."""
        self._whenReady = None
        self.endTask()

    def _attempt(self, action, *arguments):
        try:
            action(*arguments)
        except Exception as error:
            self._say(explain(error))
