"""A thread that stays, for one short piece of work after the other."""

import queue
import threading

_workers = set()
"""Workers whose thread runs: leaving Slicer waits for them."""


class Job:
    """A function that a worker runs, and what came of it.

    Attributes:
        result: what the function returned, once it is done.
        error: the exception that it raised, or None.
    """

    def __init__(self, function):
        self.result = self.error = None
        self._function = function
        self._done = threading.Event()

    @property
    def isDone(self):
        return self._done.is_set()

    def wait(self, seconds):
        """Let the thread work for so long at most; True if the job is done.

        While Slicer's event loop is idle the main thread keeps the interpreter: Python threads run in such waits only.
        """
        return self._done.wait(seconds)

    def run(self):
        function, self._function = self._function, None
        try:
            self.result = function()
        except Exception as error:
            self.error = error
        finally:
            self._done.set()


class Worker:
    """Runs functions of NumPy and torch, one after the other, always in the same thread.

    Torch keeps threads of its own for each thread that calls it; a new one for each image would have them made anew.
    """

    def __init__(self):
        self._jobs = queue.SimpleQueue()
        self._thread = None

    def submit(self, function):
        """The Job of a function, which touches neither MRML nor Qt."""
        job = Job(function)
        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
            _workers.add(self)
        return job

    def _run(self):
        while (job := self._jobs.get()) is not None:
            job.run()
            del job  # nothing that it held may live until the next one comes

    def end(self, seconds):
        """End the thread after the jobs that it has; wait for it, but no longer than that."""
        if self._thread is None:
            return
        self._jobs.put(None)
        self._thread.join(seconds)
        if not self._thread.is_alive():
            _workers.discard(self)
        self._thread = None


def endWorkers(seconds):
    """End all workers: none may be in torch when Python ends."""
    for worker in list(_workers):
        worker.end(seconds)
