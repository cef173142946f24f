"""Renders the newest pose, one image at a time."""

import time

import numpy as np
import qt

from .background import BackgroundTask
from .signal import Signal

RATE_WINDOW = 20
"""Frames that the shown rate is averaged over."""


class LiveRenderer:
    """Renders when asked to, never more than once per turn of the event loop; the newest pose wins.

    Attributes:
        rendered: signal with (pixels, imageToTransducer) as (H, W) uint8 and (4, 4) arrays.
        failed: signal with the exception.
        coverage: share of the last fan that lay in the volume, 0 to 1.
        warning: for instance that the GPU ran out of memory, as a sentence; else "".

    Args:
        pose: function that returns the pose of this moment, (4, 4).
    """

    def __init__(self, pose):
        self.rendered, self.failed = Signal(), Signal()
        self.coverage, self.warning = 1.0, ""
        self._pose = pose
        self._maps = self._probe = self._settings = self._renderer = self._task = None
        self._isOutdated = False
        self._times = []
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._render)

    @property
    def isReady(self):
        return None not in (self._maps, self._probe, self._settings)

    def setMaps(self, maps):
        """The patient; None stops rendering."""
        if maps is None or self._maps is None or not maps.has_voxels_of(self._maps):
            self._forgetRenderer()
        self._maps, self._isOutdated = maps, True

    def setProbe(self, probe):
        self._probe, self._isOutdated = probe, True

    def setSettings(self, settings):
        self._settings, self._isOutdated = settings, True

    def request(self):
        """Render soon. Any number of requests before that are one."""
        if self.isReady and not self._timer.active:
            self._timer.start()

    def stop(self):
        """Nothing will be rendered until the next request; memory of the device is let go."""
        self._timer.stop()
        self._forgetRenderer()
        self._times.clear()

    def framesPerSecond(self):
        """Rate of the last frames; 0 if there were too few in the last second."""
        recent = [moment for moment in self._times if moment > time.perf_counter() - 1.0]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0

    def _forgetRenderer(self):
        self._renderer = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _prepare(self):
        """Make a renderer in the background: a large volume takes a part of a second."""
        from DiffUSLib import Renderer

        if self._task is None:
            maps, probe, settings = self._maps, self._probe, self._settings
            self._task = BackgroundTask(lambda: Renderer(maps, probe, settings), self._onPrepared, self._onFailed)

    def _onPrepared(self, renderer):
        self._task, self._renderer, self._isOutdated = None, renderer, True
        self.request()

    def _onFailed(self, error):
        self._task = None
        self.failed.emit(error)

    def _render(self):
        if not self.isReady:
            return
        if self._renderer is None:
            self._prepare()
            return
        try:
            pixels, imageToTransducer = self._renderPose(self._pose())
        except Exception as error:
            self.failed.emit(error)
            return
        self._times = [*self._times[-RATE_WINDOW:], time.perf_counter()]
        self.rendered.emit(pixels, imageToTransducer)

    def _renderPose(self, transducerToRas):
        """(pixels, imageToTransducer) of one pose, now; gray 1 to 255 in the fan, 0 outside of it."""
        import torch

        from DiffUSLib import one_core_left_free

        with one_core_left_free(), torch.inference_mode():
            if self._isOutdated:
                self._renderer = self._renderer.changed_to(self._maps, self._probe, self._settings)
                self._isOutdated = False
            pose = torch.from_numpy(np.array(transducerToRas, dtype=np.float64))
            self.coverage = float(self._renderer.coverage(pose)[0])
            result = self._renderer(pose)
            self.warning = self._renderer.fallback
            gray = (result.image[0] * 254.0 + 1.0) * result.mask
            return gray.round().to(torch.uint8).cpu().numpy(), result.grid.image_to_transducer().numpy()
