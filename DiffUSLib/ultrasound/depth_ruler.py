"""The size of a pixel from the depth ruler that scanners draw beside the image: a column of ticks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from DiffUSLib.errors import DiffUSError

#: Below this confidence a ruler is not believed.
MINIMUM_CONFIDENCE = 0.8
_BRIGHT = 0.35  # share of the brightest thing that a tick must reach
_LEAST_TICKS, _LEAST_SPACING_PX = 6, 5.0
_ALIGNED_PX = 1.6  # ticks stand on one edge or middle
_DEPTHS_MM = (25.0, 320.0)  # that scanners show
_LEAST_ALIKE = 0.35  # share of neighboring things in a column that are as far apart as ticks
_STARTS = 5
_LENGTH_RATIO = 1.3  # of long to short ticks


@dataclass(frozen=True)
class DepthRuler:
    """Ticks beside an ultrasound image.

    Attributes:
        column: of the ticks.
        first_row, last_row: of the first and the last tick.
        count: number of ticks seen.
        spacing_px: rows between neighboring ticks.
        long_every: every how many ticks a longer one stands; 0 where all are alike.
        tick_mm: what the space between two ticks is worth.
        confidence: 0 to 1 that these are the ticks of a ruler, evenly spread and complete.
    """

    column: int
    first_row: float
    last_row: float
    count: int
    spacing_px: float
    long_every: int
    tick_mm: float
    confidence: float

    @property
    def pixel_mm(self) -> float:
        """Height of a pixel in mm."""
        return self.tick_mm / self.spacing_px


def read_depth_ruler(images: np.ndarray, tick_mm: float | None = None) -> DepthRuler:
    """Find the ticks of a depth ruler, and say what they are worth.

    The numbers beside a ruler are not read. Where long ticks stand among short ones, every tenth means mm and cm,
    every second 5 mm and cm; every fifth may be 1 mm, 2 mm or 1 cm: what shows a possible depth counts, if only one
    does.

    Args:
        images: (N, H, W) gray, all of one recording: what does not change is the screen.
        tick_mm: what the space between two neighboring ticks is worth, if known.

    Raises:
        DiffUSError: if there is no ruler, or it is open what its ticks are worth.
    """
    if tick_mm is not None and not (np.isfinite(tick_mm) and tick_mm > 0):
        raise DiffUSError(f"a tick of {tick_mm:g} mm is none; give what the space between two ticks is worth in mm.")
    screen = np.asarray(images).min(0)
    rulers = list(_rulers(screen))
    sure = [found for found in rulers if found.confidence >= MINIMUM_CONFIDENCE]
    # Long ticks alone, and numbers beside them, are even as well: most ticks are the ruler.
    ruler = max(sure, key=lambda found: found.count, default=None)
    ruler = ruler or max(rulers, key=lambda found: found.confidence, default=None)
    if ruler is None or ruler.confidence < MINIMUM_CONFIDENCE:
        seen = "" if ruler is None else f" (the best guess has the confidence {ruler.confidence:.2f})"
        raise DiffUSError(f"no depth ruler is seen beside the image{seen}; give the size of a pixel (--pixel-mm).")
    if tick_mm is None:
        tick_mm = _worth(ruler, screen.shape[0])
    return DepthRuler(**{**vars(ruler), "tick_mm": float(tick_mm)})


def _worth(ruler: DepthRuler, rows: int) -> float:
    """What a tick is worth in mm.

    Raises:
        DiffUSError: if several values show a possible depth.
    """
    spaces = (ruler.last_row - ruler.first_row) / ruler.spacing_px
    usual = {10: (1.0,), 2: (5.0,), 5: (1.0, 2.0, 10.0), 4: (2.5, 5.0)}.get(ruler.long_every, (5.0, 10.0))
    possible = [worth for worth in usual if _DEPTHS_MM[0] <= spaces * worth <= _DEPTHS_MM[1]]
    if len(possible) == 1:
        return possible[0]
    choices = " or ".join(f"{worth:g} ({spaces * worth:.0f} mm deep)" for worth in possible or usual)
    raise DiffUSError(
        f"a depth ruler with a tick every {ruler.spacing_px:.1f} pixels is seen (column {ruler.column}, {ruler.count} "
        f"ticks), but not what a tick is worth: give --tick-mm {choices}, or --pixel-mm."
    )


def _rulers(screen: np.ndarray):
    """Candidates: small bright things that stand above each other at even distances."""
    height, width = screen.shape
    bright = screen > max(40.0, _BRIGHT * float(screen.max(initial=0)))
    labels, count = ndimage.label(bright, np.ones((3, 3)))
    if count == 0:
        return
    boxes = ndimage.find_objects(labels)
    tall, wide = (np.array([box[axis].stop - box[axis].start for box in boxes]) for axis in (0, 1))
    small = np.flatnonzero((tall <= max(5, 0.012 * height)) & (wide <= max(6, 0.04 * width)))
    if len(small) < _LEAST_TICKS:
        return
    centers = np.array(ndimage.center_of_mass(screen.astype(np.float64), labels, small + 1))
    left = np.array([boxes[index][1].start for index in small], dtype=np.float64)
    right = left + wide[small] - 1
    for edge in (left, right, (left + right) / 2):
        for column in np.unique(np.round(edge)):
            here = np.flatnonzero(np.abs(edge - column) <= _ALIGNED_PX)
            if len(here) >= _LEAST_TICKS:
                found = _lattice(centers[here, 0], wide[small][here])
                if found is not None:
                    first, last, number, spacing, every, confidence = found
                    yield DepthRuler(int(column), first, last, number, spacing, every, 0.0, confidence)


def _lattice(rows: np.ndarray, widths: np.ndarray):
    """Even distances that most rows keep: (first, last, count, spacing, long every, confidence), or None."""
    order = np.argsort(rows)
    rows, widths = rows[order], widths[order]
    steps = np.diff(rows)
    alike = (np.abs(steps[:, None] - steps) <= 1.5).mean(1)
    usual = int(alike.argmax())
    if alike[usual] < _LEAST_ALIKE or steps[usual] < _LEAST_SPACING_PX:
        return None
    spacing = float(np.median(steps[np.abs(steps - steps[usual]) <= 1.5]))
    starts = np.flatnonzero(np.abs(steps - spacing) <= 1.5)[:_STARTS]
    fits = [fit for start in starts if (fit := _fit(rows, rows[start], spacing)) is not None]
    if not fits:
        return None
    best = max(fits, key=lambda fit: fit[0])
    confidence, first, spacing, inliers, places = best
    number = len(np.unique(places))
    every = _long_every(widths[inliers], places)
    return first, first + spacing * float(places.max()), number, spacing, every, confidence


def _fit(rows: np.ndarray, first: float, spacing: float):
    """(confidence, first row, spacing, inliers, their places) of the lattice near a first guess, or None."""
    reach = float(_LEAST_TICKS)  # from a few ticks outward: far ones need a better spacing
    while True:
        places = np.round((rows - first) / spacing)
        inliers = np.abs(rows - first - places * spacing) <= max(0.8, 0.03 * spacing)
        near = inliers & (np.abs(places) <= reach)
        if len(np.unique(places[near])) < 3:
            return None
        spacing, first = np.polyfit(places[near], rows[near], 1)
        if reach > np.abs(places).max():
            break
        reach *= 1.6
    if len(np.unique(places[inliers])) < _LEAST_TICKS:
        return None
    places = places[inliers].astype(int)
    first, places = first + spacing * places.min(), places - places.min()
    filled = len(np.unique(places)) / (places.max() + 1)
    scatter = float(np.std(rows[inliers] - first - spacing * places)) / spacing
    kept = float(inliers.mean())
    enough = np.clip((len(np.unique(places)) - 3) / 4, 0, 1)  # six ticks: 0.75, more than seven: 1
    confidence = filled * np.clip(1.2 - 10 * scatter, 0, 1) * np.clip(0.4 + 0.75 * kept, 0, 1) * enough
    return float(confidence), float(first), float(spacing), inliers, places


def _long_every(widths: np.ndarray, places: np.ndarray) -> int:
    """Every how many ticks a longer one stands; 0 where all are alike."""
    if widths.max() < _LENGTH_RATIO * max(np.median(widths), 1.0) and widths.min() * _LENGTH_RATIO > widths.max():
        return 0
    long = np.unique(places[widths > (widths.min() + widths.max()) / 2])
    short = np.setdiff1d(places, long)
    if len(long) < 2 or len(short) == 0:
        return 0
    steps = np.unique(np.diff(long))
    return int(steps[0]) if len(steps) == 1 and steps[0] > 1 else 0
