"""What surrounds a brain: nothing, where it was stripped, or the dark shell of its skull and the scalp around it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_DIRECTIONS = 300
_STEP_MM = 1.0
_LONGEST_MM = 260.0
_SHELL_MM = (3, 26)  # below the surface: where the skull is dark, from an infant's scalp to an adult's
_DARK = 0.35  # of the brain: cortical bone with partial volume
_TISSUE = 0.5  # of the brain: what lies below the shell


def skull_share(signal: np.ndarray, mask: np.ndarray, middle: np.ndarray, spacing_mm: tuple[float, ...]) -> float:
    """The share of directions in which a dark shell with tissue outside and inside of it surrounds the middle.

    Directions that leave the grid before they leave the head say nothing: slabs and half heads are judged by the rest.

    Args:
        signal: (K, J, I) intensities above no signal.
        mask: (K, J, I) bool, the head without holes.
        middle: (3,) index (K, J, I) of the middle of the brain.
        spacing_mm: along I, J, K.
    """
    along = np.arange(0.0, _LONGEST_MM, _STEP_MM)
    steps = _directions(flat=1 in mask.shape, flat_axis=int(np.argmin(mask.shape))) / np.array(spacing_mm[::-1])
    places = middle[:, None, None] + steps.T[:, :, None] * along
    last_index = np.array(mask.shape)[:, None, None] - 1
    in_grid = ((places >= 0) & (places <= last_index)).all(axis=0)
    inside = ndimage.map_coordinates(mask.astype(np.uint8), places, order=0) > 0
    values = ndimage.map_coordinates(signal, places, order=1)
    level = float(np.median(values[:, :40][in_grid[:, :40]])) or 1.0  # within 4 cm of the middle, not ventricles alone
    found = []
    for ray_inside, ray_in_grid, ray in zip(inside & in_grid, in_grid, values, strict=True):
        last = np.flatnonzero(ray_inside)[-1:]
        left = np.flatnonzero(~ray_in_grid)[:1]
        if last.size and not (left.size and last[0] >= left[0] - 4):
            found.append(_has_shell(ray[max(0, last[0] - 34) : last[0] + 1][::-1] / level))
    return float(np.mean(found)) if found else 0.0


def _has_shell(inward: np.ndarray) -> bool:
    """Whether intensities from the surface inward, in parts of the brain's, show tissue, a dark gap, and tissue."""
    first, last = _SHELL_MM
    brightest = np.maximum.accumulate(inward)
    deeper = np.maximum.accumulate(inward[::-1])[::-1]
    gap = slice(first, min(last, len(inward) - 3))
    dark = (inward[gap] < _DARK) & (inward[gap] < 0.5 * brightest[gap])
    return bool((dark & (brightest[gap] > _DARK) & (deeper[gap] > _TISSUE)).any())


def _directions(flat: bool, flat_axis: int) -> np.ndarray:
    """(N, 3) unit vectors, evenly over the sphere, or over a circle in the plane of a single slice."""
    index = np.arange(_DIRECTIONS) + 0.5
    along = np.zeros_like(index) if flat else 1 - 2 * index / _DIRECTIONS
    turn = 2 * np.pi * index / _DIRECTIONS if flat else np.pi * (1 + 5**0.5) * index
    across = np.sqrt(1 - along**2)
    vectors = np.stack([along, across * np.cos(turn), across * np.sin(turn)], axis=1)
    return np.roll(vectors, flat_axis, axis=1) if flat else vectors
