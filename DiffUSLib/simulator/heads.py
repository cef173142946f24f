"""Other heads than the template: from FreeSurfer labels, from two contrasts of one MRI, and warped ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import ndimage

from DiffUSLib.simulator.anatomy import Anatomy, head

_GRAY = (3, 8, 10, 11, 12, 13, 17, 18, 26, 42, 47, 49, 50, 51, 52, 53, 54, 58)
_WHITE = (2, 7, 16, 28, 41, 46, 60, 77, 85)
_LESION = (25, 57)
_FLUID = (4, 5, 14, 15, 24, 43, 44, 72)
_T1 = {"gray": 130.0, "white": 190.0, "fluid": 45.0}
_OUTER_T1 = {515: 25.0, 516: 120.0, 125: 220.0, 118: 110.0, 57: 210.0, 25: 210.0, 77: 150.0}
_SOFT_T1 = 100.0  # of what else is around the brain


def head_from_labels(labels: np.ndarray, affine: np.ndarray, seed: int = 0) -> Anatomy:
    """A head from FreeSurfer labels (I, J, K): its T1 is drawn from them, with skull and scalp if they are there."""
    rng = np.random.default_rng([seed, 1])
    gray, white, fluid = (np.isin(labels, numbers) for numbers in (_GRAY, _WHITE, _FLUID))
    brain = gray | white | (fluid & ~np.isin(labels, (24,))) | np.isin(labels, _LESION)
    t1 = np.where(labels > 0, _SOFT_T1, 0.0)
    for label, value in _OUTER_T1.items():
        t1[labels == label] = value
    for name, mask in (("gray", gray), ("white", white), ("fluid", fluid)):
        t1[mask] = _T1[name]
    bias = ndimage.zoom(rng.normal(size=(3, 3, 3)), np.array(labels.shape) / 3, order=3)
    t1 = ndimage.gaussian_filter(t1.astype(np.float32), 0.6) * (1 + 0.06 * bias / np.abs(bias).max())
    t1 = np.abs(t1 + 4.0 * rng.normal(size=t1.shape))
    solid = white | np.isin(labels, _LESION)
    soft_gray, soft_white = (ndimage.gaussian_filter(mask.astype(np.float32), 0.5) for mask in (gray, solid))
    inside = ndimage.binary_closing(brain, iterations=2)
    return head(t1, soft_gray, soft_white, inside, affine, seed, _middle(brain, affine))


def head_from_two_contrasts(t1c: np.ndarray, t2: np.ndarray, affine: np.ndarray, seed: int = 0) -> Anatomy:
    """A skull-stripped head: tissues from its T2, while registration sees the contrast T1."""
    brain = ndimage.binary_fill_holes(ndimage.binary_opening((t1c > 0) & (t2 > 0)))
    smooth = ndimage.gaussian_filter(t2.astype(np.float32), 0.5)
    low, middle, high = np.quantile(smooth[brain], (0.12, 0.55, 0.93))
    fluid = np.clip((smooth - 0.5 * (middle + high)) / (0.25 * (high - middle)), 0, 1)
    gray = np.clip((smooth - low) / (middle + 0.3 * (high - middle) - low), 0, 1)
    matter = brain * (1 - fluid)
    return head(t1c, gray * matter, (1 - gray) * matter, brain, affine, seed, _middle(brain, affine), "t1c")


def warped(anatomy: Anatomy, displace) -> Anatomy:
    """The anatomy bent as a whole, maps and scan alike: as if another person had been scanned.

    Args:
        displace: maps RAS points (..., 3) of the new anatomy to where their tissue is in the old one.
    """
    index = np.moveaxis(np.indices(anatomy.seen.shape), 0, -1)
    points = displace(index @ anatomy.affine[:3, :3].T + anatomy.affine[:3, 3])
    names = ("seen", "echogenicity", "stiffness", "attenuation", "depth")
    maps: dict[str, Any] = {name: anatomy.sample(name, points).astype(np.float32) for name in names}
    return replace(anatomy, **maps)


def _middle(brain: np.ndarray, affine: np.ndarray) -> np.ndarray:
    middle = np.array(ndimage.center_of_mass(brain))
    return affine[:3, :3] @ middle + affine[:3, 3]
