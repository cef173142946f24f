"""Work of seconds without blocking the panel."""

import threading

import qt


class BackgroundTask:
    """Runs a function of NumPy and torch in a thread; the result comes back in the GUI thread.

    A timer watches the thread; without it Python threads barely run while Slicer's event loop is idle.

    Args:
        function: touches neither MRML nor Qt.
        onResult: called with the function's result.
        onError: called with the exception that it raised.
    """

    PERIOD_MS = 10

    def __init__(self, function, onResult, onError):
        self._function, self._onResult, self._onError = function, onResult, onError
        self._result = self._error = None
        self._isCancelled = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._timer = qt.QTimer()
        self._timer.setInterval(self.PERIOD_MS)
        self._timer.connect("timeout()", self._check)
        self._thread.start()
        self._timer.start()

    def _run(self):
        try:
            self._result = self._function()
        except Exception as error:
            self._error = error

    def _check(self):
        if self._thread.is_alive():
            return
        self._timer.stop()
        if self._isCancelled:
            return
        if self._error is not None:
            self._onError(self._error)
        else:
            self._onResult(self._result)

    def cancel(self):
        """Forget the result; the thread ends by itself."""
        self._isCancelled = True
        self._timer.stop()
