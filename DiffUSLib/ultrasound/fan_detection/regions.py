"""Bright things in a map of lit pixels that may be a fan or part of one."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_SMALLEST = 0.012
"""Share of the image that a thing must have."""
_LARGEST = 0.985
"""What is larger is a frame around the image, or an image without any border."""


def regions(density: np.ndarray) -> list[np.ndarray]:
    """(h, w) bool masks of what may be a fan, from the share of lit pixels: the large things, and all of them."""
    found: list[np.ndarray] = []
    for level, opening in ((0.25, 2), (0.5, 4)):
        bright = ndimage.uniform_filter(density, 3) > level
        bright = ndimage.binary_closing(np.pad(bright, 4), iterations=2)[4:-4, 4:-4]
        disc = np.hypot(*np.mgrid[-opening : opening + 1, -opening : opening + 1]) <= opening + 0.3
        bright = ndimage.binary_opening(np.pad(bright, 8, mode="edge"), disc)[8:-8, 8:-8]
        labels, count = ndimage.label(bright)
        sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        large = [index + 1 for index in np.argsort(-sizes)[:4] if sizes[index] >= _SMALLEST * bright.size]
        # Each is filled by itself: a frame around the screen must not swallow what is in it.
        things = [ndimage.binary_fill_holes(labels == index) for index in large]
        things = [thing for thing in things if thing.mean() < _LARGEST]
        if len(things) > 1:
            # Bars reach from one border of the image to the other; the rest may be parts of one fan.
            parts = [thing for thing in things if not _is_bar(thing)]
            if len(parts) > 1:
                things.append(np.any(parts, axis=0))
        found += [thing for thing in things if not any(_alike(thing, other) for other in found)]
    return found


def is_disc(thing: np.ndarray) -> bool:
    """Whether a mask is a large whole disc, as radial transducers draw it."""
    y, x = np.nonzero(thing)
    radius = np.hypot(y - y.mean(), x - x.mean()).max()
    return len(y) > 0.1 * thing.size and len(y) > 0.95 * np.pi * radius**2


def _is_bar(thing: np.ndarray) -> bool:
    rows, columns = np.nonzero(thing.any(1))[0], np.nonzero(thing.any(0))[0]
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    spans = width > 0.9 * thing.shape[1] or height > 0.9 * thing.shape[0]
    return spans and min(height / thing.shape[0], width / thing.shape[1]) < 0.25


def _alike(first: np.ndarray, second: np.ndarray) -> bool:
    return (first & second).sum() > 0.98 * (first | second).sum()
