"""Has the newest pose rendered, one image at a time, without holding up the panel."""

import threading
import time

import qt

from . import torch_status
from .frame_maker import FrameMaker, Wish, previewSettings
from .signal import Signal
from .worker import Worker

RATE_WINDOW = 20
"""Frames that the shown rate is averaged over."""


class LiveRenderer:
    """Renders in a thread when asked to; of the poses that come meanwhile the newest one is next.

    Where a full image is slow, previews take its place while the transducer moves. A preview is followed by its full
    image, which a new pose cuts short.

    Attributes:
        rendered: signal with a Frame.
        failed: signal with the exception.
        allowsPreviews: False for full images alone.

    Args:
        pose: function that returns the pose of this moment, (4, 4).
        needle: function that returns the PlacedNeedle of this moment, or None.
    """

    WAIT_S = 0.01
    """Longest time that the main thread gives to the other one before it handles events again."""

    PREVIEW_ABOVE_S = 0.03
    """A full image that takes longer is slow."""

    def __init__(self, pose, needle):
        self.rendered, self.failed = Signal(), Signal()
        self.allowsPreviews = True
        self._pose, self._needle = pose, needle
        self._maps = self._probe = self._settings = None
        self._worker, self._maker, self._job = Worker(), FrameMaker(), None
        self._isWanted = self._isSharpWanted = self._isSlow = False
        self._isFollowUp, self._newer = False, threading.Event()
        self._times = []
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self._goOn)

    @property
    def isReady(self):
        return None not in (self._maps, self._probe, self._settings)

    @property
    def isIdle(self):
        """True if no image is under way or due."""
        return self._job is None and not self._isWanted and not self._isSharpWanted

    def setMaps(self, maps):
        """The patient; None stops rendering."""
        if maps is None or self._maps is None or not maps.has_voxels_of(self._maps):
            self._forget()
        self._maps = maps

    def setProbe(self, probe):
        self._probe = probe

    def setSettings(self, settings):
        self._settings, self._isSlow = settings, False

    def request(self):
        """Render soon. Any number of requests before that are one."""
        if self.isReady:
            self._isWanted = True
            self._newer.set()
            if self._job is None:
                self._timer.start(0)

    def stop(self):
        """Nothing will be rendered until the next request; memory of the device is let go."""
        self._forget()
        self._times.clear()

    def framesPerSecond(self):
        """Rate of the last frames; 0 if there were too few in the last second."""
        recent = [moment for moment in self._times if moment > time.perf_counter() - 1.0]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0

    def _forget(self):
        """Drop renderers, and the image under way; its thread ends the image and lets go of memory by itself."""
        self._timer.stop()
        if self._job is not None:
            self._worker.submit(torch_status.releaseMemory)
        self._job, self._maker = None, FrameMaker()
        self._isWanted = self._isSharpWanted = False

    def _goOn(self):
        if self._job is not None:
            if not self._job.wait(self.WAIT_S):
                self._timer.start(0)
                return
            job, self._job = self._job, None
            self._finish(job)
        if self._job is None and self.isReady:
            self._startNext()

    def _finish(self, job):
        if self._isFollowUp and self._isWanted:  # cut short, or done too late: its preview was shown
            return
        if job.error is not None:
            self._isSharpWanted = False
            self.failed.emit(job.error)
            return
        frame = job.result
        self._isSharpWanted = frame.wish.isPreview
        if not frame.wish.isPreview and frame.wish.settings is self._settings:
            self._isSlow = frame.seconds > self.PREVIEW_ABOVE_S
        self._times = [*self._times[-RATE_WINDOW:], time.perf_counter()]
        self.rendered.emit(frame)

    def _startNext(self):
        if self._isWanted:
            isQuicker = previewSettings(self._settings) != self._settings
            self._start(self.allowsPreviews and self._isSlow and isQuicker)
        elif self._isSharpWanted:
            self._start(False, isFollowUp=True)

    def _start(self, isPreview, isFollowUp=False):
        self._isWanted = self._isSharpWanted = False
        self._isFollowUp = isFollowUp
        self._newer.clear()
        try:
            wish = Wish(self._maps, self._probe, self._settings, self._pose(), isPreview, self._needle())
        except Exception as error:
            self.failed.emit(error)
            return
        maker, newer = self._maker, self._newer

        def goOn():
            if newer.is_set():
                raise _CutShort

        self._job = self._worker.submit(lambda: maker.make(wish, goOn if isFollowUp else None))
        self._timer.start(0)


class _CutShort(Exception):
    """A newer pose came before the full image of the last preview was done."""
