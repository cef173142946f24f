"""What of an ultrasound screen differs from its background, at several thresholds and at a reduced size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import ndimage

_WORK_SIZE = 240
"""Longer side in pixels of the maps in which fans are looked for."""
_MOST_FRAMES = 48
_STARTS = (1, 2, 3, 5, 8, 13, 22, 40)
_FACTOR, _MOST_MAPS = 2.2, 5
_DARK_SHARE = 0.04
"""Share of an image that must be background at a threshold for the threshold to mean anything."""


@dataclass(frozen=True)
class Evidence:
    """Where an image differs from its background.

    Args:
        deviation: (H, W) float32, gray levels away from the background.
        thresholds: gray levels from which on a pixel is lit, the first one just above the noise of the background.
        factor: size in pixels of the blocks of `maps`.
        maps: (T, h, w) float32, share of lit pixels in each block.
    """

    deviation: np.ndarray
    thresholds: tuple[float, ...]
    factor: int
    maps: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return self.deviation.shape

    def turned(self, quarters: int) -> Evidence:
        """The same after np.rot90 by so many quarters."""
        # Blocks start at the upper left; what a turn shifts by less than a block is cut from the far sides first.
        rows, columns = (count * self.factor for count in self.maps.shape[1:])
        return replace(
            self,
            deviation=np.rot90(self.deviation[:rows, :columns], quarters),
            maps=np.rot90(self.maps, quarters, (1, 2)),
        )

    @cached_property
    def smooth(self) -> np.ndarray:
        """(T, H, W) share of lit pixels in a 3 x 3 neighborhood."""
        return np.stack([ndimage.uniform_filter((self.deviation >= t).astype(np.float32), 3) for t in self.thresholds])


def gather_evidence(frames: np.ndarray) -> list[Evidence]:
    """The evidence of (F, H, W) frames: with several, first what changes between them, then their maximum.

    A text or bar is the same in all frames and vanishes from what changes.
    """
    frames = frames[np.linspace(0, len(frames) - 1, min(len(frames), _MOST_FRAMES)).round().astype(int)]
    brightest = frames.max(axis=0).astype(np.float32)
    found = []
    if len(frames) > 1:
        changes = brightest - frames.min(axis=0)
        if changes.any():
            found.append(_evidence(changes))
    found.append(_evidence(np.abs(brightest - background_level(brightest))))
    return [evidence for evidence in found if evidence is not None]


def background_level(gray: np.ndarray) -> float:
    """The lowest of the common gray levels of smooth places, by blocks."""
    size = max(2, round(max(gray.shape) / _WORK_SIZE))
    blocks = _blocks(gray, size)
    low, high = blocks.min(axis=(1, 3)), blocks.max(axis=(1, 3))
    spread = high - low
    contrast = float(np.quantile(gray, 0.99) - gray.min())
    levels = blocks.mean(axis=(1, 3))
    smooth = (spread <= max(0.02 * contrast, np.quantile(spread, 0.1))) & (levels <= gray.min() + 0.5 * contrast)
    if not smooth.any():
        return float(gray.min())
    width = max(contrast / 128, 1e-12)
    bins = np.round((levels[smooth] - gray.min()) / width).astype(int)
    counts = np.bincount(bins)
    # Bars and panels can be larger than what is left of the background, but are brighter.
    lowest = int(np.argmax(counts >= 0.35 * counts.max()))
    return float(np.median(levels[smooth][bins == lowest]))


def _blocks(image: np.ndarray, size: int) -> np.ndarray:
    """(h, size, w, size) blocks of an image; what is left over at the far sides is cut off."""
    rows, columns = (length // size for length in image.shape)
    return image[: rows * size, : columns * size].reshape(rows, size, columns, size)


def _evidence(deviation: np.ndarray) -> Evidence | None:
    """Evidence of a deviation, or None where no threshold leaves any background."""
    factor = max(1, round(max(deviation.shape) / _WORK_SIZE))
    # Gray levels are 1 apart in common images; others are brought to about 255 of them.
    unit = 1.0 if 32 < deviation.max() <= 255 else float(deviation.max()) / 255
    thresholds: list[float] = []
    maps: list[np.ndarray] = []
    starts = iter(_STARTS)
    while len(maps) < _MOST_MAPS:
        # The first is the lowest that leaves some background; the others show what is clearly brighter.
        threshold = thresholds[-1] * _FACTOR if thresholds else next(starts, 0) * unit * 0.999
        if threshold <= 0:
            break
        share = _blocks((deviation >= threshold).astype(np.float32), factor).mean(axis=(1, 3))
        if not maps and (ndimage.uniform_filter(share, 3) < 0.04).mean() < _DARK_SHARE:
            continue
        if share.mean() < 0.005:
            break
        thresholds.append(threshold)
        maps.append(share)
    if not maps:
        return None
    return Evidence(deviation.astype(np.float32), tuple(thresholds), factor, np.stack(maps))
