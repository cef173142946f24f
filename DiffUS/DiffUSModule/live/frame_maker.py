"""From a pose to pixels, in a thread; touches neither MRML nor Qt."""

import time
from dataclasses import dataclass, replace

import numpy as np

PREVIEW_SAMPLES = 128
"""Samples along a scan line of a preview, if its full image has more."""


@dataclass(frozen=True)
class PlacedNeedle:
    """A needle in the patient.

    Attributes:
        pose: (4, 4) array NeedleToRas; the tip is its origin, the shaft runs along Z.
        length, diameter: in mm.
    """

    pose: np.ndarray
    length: float
    diameter: float


@dataclass(frozen=True)
class Wish:
    """What is to be rendered.

    Attributes:
        maps, probe, settings: DiffUSLib's AcousticMaps, Probe and RenderSettings.
        pose: (4, 4) array TransducerToRas.
        isPreview: quickly, with fewer samples and a single plane.
        needle: PlacedNeedle, or None.
    """

    maps: object
    probe: object
    settings: object
    pose: np.ndarray
    isPreview: bool = False
    needle: PlacedNeedle | None = None


@dataclass(frozen=True)
class Frame:
    """A rendered image.

    Attributes:
        pixels: (H, W) uint8; 1 to 255 in the fan, 0 outside of it.
        imageToTransducer: (4, 4) array.
        wish: what it was made of.
        coverage: share of the fan that lay in the volume, 0 to 1.
        warning: for instance that the GPU ran out of memory, as a sentence; else "".
        seconds: that rendering took, without preparations.
    """

    pixels: np.ndarray
    imageToTransducer: np.ndarray
    wish: Wish
    coverage: float
    warning: str
    seconds: float


def previewSettings(settings):
    """The same look for less work; the settings themselves if there is nothing to save."""
    return replace(settings, samples=min(settings.samples, PREVIEW_SAMPLES), elevation_planes=1)


class FrameMaker:
    """Keeps what does not change from frame to frame: one renderer for full images, one for previews."""

    def __init__(self):
        self._renderers = {}

    def make(self, wish, pause=None):
        """The Frame of a Wish; `pause` is called now and then, and what it raises ends the work."""
        import torch

        from DiffUSLib import one_core_left_free

        with one_core_left_free(), torch.inference_mode():
            renderer = self._renderer(wish)
            started = time.perf_counter()
            pose = torch.from_numpy(np.array(wish.pose, dtype=np.float64))
            coverage = float(renderer.coverage(pose)[0])
            result = renderer.with_needle(_needleOf(wish)).with_pause(pause)(pose)
            gray = (result.image[0] * 254.0 + 1.0) * result.mask
            pixels = gray.round().to(torch.uint8).cpu().numpy()
            place = result.grid.image_to_transducer().numpy()
        return Frame(pixels, place, wish, coverage, renderer.fallback, time.perf_counter() - started)

    def _renderer(self, wish):
        from DiffUSLib import Renderer

        settings = previewSettings(wish.settings) if wish.isPreview else wish.settings
        known = self._renderers.get(wish.isPreview) or self._renderers.get(not wish.isPreview)
        if known is None or not wish.maps.has_voxels_of(known.maps):
            self._renderers.clear()  # the memory of the old ones goes first
            renderer = Renderer(wish.maps, wish.probe, settings)
        elif known.maps is wish.maps and known.probe == wish.probe and known.settings == settings:
            renderer = known
        else:
            renderer = known.changed_to(wish.maps, wish.probe, settings)
        self._renderers[wish.isPreview] = renderer
        return renderer


def _needleOf(wish):
    """DiffUSLib's Needle of a Wish, or None."""
    if wish.needle is None:
        return None
    import torch

    from DiffUSLib import Needle

    pose = torch.from_numpy(np.array(wish.needle.pose, dtype=np.float64))
    return Needle(pose, wish.needle.length, wish.needle.diameter)
