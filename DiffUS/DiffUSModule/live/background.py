"""Work of seconds without blocking the panel."""

import queue
import threading

import qt

from .worker import endWorkers

_running = set()
"""Tasks whose thread has not ended: their timers must live so long, and leaving Slicer waits for them."""


class BackgroundTask:
    """Runs a function of NumPy and torch in a thread; the result comes back in the GUI thread.

    A timer watches the thread. Each time it waits a little for the thread's end: while Slicer's event loop is idle the
    main thread keeps the interpreter, and Python threads run in such waits alone.

    Args:
        function: touches neither MRML nor Qt. With `onProgress` it returns a generator, whose return value is the
            result.
        onResult: called with the function's result.
        onError: called with the exception that it raised.
        onProgress: called with what the generator yields, in its order.
        after: a task that must have ended before this one starts, or None.
    """

    PERIOD_MS = 5
    WAIT_S = 0.01

    def __init__(self, function, onResult, onError, onProgress=None, after=None):
        self._function, self._onResult, self._onError = function, onResult, onError
        self._onProgress, self._after = onProgress, after
        self._result = self._error = None
        self._isCancelled = False
        self._progress = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._timer = qt.QTimer()
        self._timer.setInterval(self.PERIOD_MS)
        self._timer.connect("timeout()", self._check)
        _running.add(self)
        self._thread.start()
        self._timer.start()

    @property
    def isRunning(self):
        """True until the thread has ended; a cancelled one ends with its current step."""
        return self._thread.is_alive()

    @property
    def isQueued(self):
        """True while the task before this one has not ended."""
        after = self._after
        return after is not None and after.isRunning

    def _run(self):
        try:
            if self._after is not None:
                self._after._thread.join()
            self._result = self._function() if self._onProgress is None else self._iterate()
        except Exception as error:
            self._error = error
        finally:
            self._function = self._after = None  # with all that they hold

    def _iterate(self):
        steps = self._function()
        while not self._isCancelled:
            try:
                self._progress.put(next(steps))
            except StopIteration as stop:
                return stop.value
        steps.close()
        return None

    def _check(self):
        self._thread.join(self.WAIT_S)
        isRunning = self._thread.is_alive()
        while not self._isCancelled and not self._progress.empty():
            self._onProgress(self._progress.get())  # if it raises, the next check goes on from there
        if isRunning:
            return
        self._timer.stop()
        _running.discard(self)
        result, self._result = self._result, None
        if self._isCancelled:
            return
        if self._error is not None:
            self._onError(self._error)
        else:
            self._onResult(result)

    def cancel(self):
        """Forget result and progress; the thread ends by itself."""
        self._isCancelled = True


def endAll(timeoutSeconds):
    """Cancel all tasks and wait for their threads and for workers: none may be in torch when Python ends."""
    for task in list(_running):
        task.cancel()
    for task in list(_running):
        task._thread.join(timeoutSeconds)
        if not task._thread.is_alive():
            task._timer.stop()
            _running.discard(task)
    endWorkers(timeoutSeconds)
