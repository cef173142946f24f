"""Renders the newest pose, one image at a time."""

import time
import warnings

import numpy as np
import qt

from .signal import Signal

RATE_WINDOW = 20
"""Frames that the shown rate is averaged over."""


class LiveRenderer:
    """Renders when asked to, never more than once per turn of the event loop; the newest pose wins.

    Attributes:
        rendered: signal with (pixels, imageToTransducer) as (H, W) uint8 and (4, 4) arrays.
        failed: signal with the exception.
        coverage: share of the last fan that lay in the volume, 0 to 1.
        warning: what DiffUSLib warned of since the settings changed (for instance that the GPU ran out of memory).

    Args:
        pose: function that returns the pose of this moment, (4, 4).
    """

    def __init__(self, pose):
        self.rendered, self.failed = Signal(), Signal()
        self.coverage, self.warning = 1.0, ""
        self._pose = pose
        self._maps = self._probe = self._settings = self._renderer = None
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
        self._maps, self._renderer = maps, None

    def setProbe(self, probe):
        self._probe, self._renderer = probe, None

    def setSettings(self, settings):
        self._settings, self._renderer = settings, None

    def request(self):
        """Render soon. Any number of requests before that are one."""
        if self.isReady and not self._timer.active:
            self._timer.start()

    def stop(self):
        """Nothing will be rendered until the next request; memory of the device is let go."""
        self._timer.stop()
        self._renderer = None
        self._times.clear()

    def framesPerSecond(self):
        """Rate of the last frames; 0 if there were too few in the last second."""
        recent = [moment for moment in self._times if moment > time.perf_counter() - 1.0]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0

    def _render(self):
        if not self.isReady:
            return
        try:
            pixels, imageToTransducer = self.renderPose(self._pose())
        except Exception as error:
            self.failed.emit(error)
            return
        self._times = [*self._times[-RATE_WINDOW:], time.perf_counter()]
        self.rendered.emit(pixels, imageToTransducer)

    def renderPose(self, transducerToRas):
        """(pixels, imageToTransducer) of one pose, now; gray 1 to 255 in the fan, 0 outside of it."""
        import torch

        from DiffUSLib import DiffUSWarning, Renderer, one_core_left_free

        with one_core_left_free(), torch.inference_mode(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DiffUSWarning)
            if self._renderer is None:
                self.warning = ""
                self._renderer = Renderer(self._maps, self._probe, self._settings)
            pose = torch.from_numpy(np.array(transducerToRas, dtype=np.float64))
            self.coverage = float(self._renderer.coverage(pose)[0])
            result = self._renderer(pose)
            for item in caught:
                if issubclass(item.category, DiffUSWarning):
                    self.warning = str(item.message)
            gray = (result.image[0] * 254.0 + 1.0) * result.mask
            return gray.round().to(torch.uint8).cpu().numpy(), result.grid.image_to_transducer().numpy()
