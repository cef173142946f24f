"""A head as sound sees it, made from the MNI152 tissue maps that ship inside nilearn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

#: Depth below the brain's hull from which on CSF is a ventricle (black) and no sulcus (bright: arachnoid and vessels).
_VENTRICLE_DEPTH_MM = 22.0


@dataclass(frozen=True)
class Anatomy:
    """Maps on one grid (I, J, K) with 1 mm voxels.

    Args:
        t1: the T1-weighted MRI that registration gets to see, 0 to 255.
        echogenicity: backscatter amplitude, white matter near 0.8.
        stiffness: what makes interfaces, without unit.
        attenuation: dB/cm/MHz.
        depth: mm below the brain's hull, negative outside.
        affine: (4, 4) voxel (I, J, K) to RAS in mm.
    """

    t1: np.ndarray
    echogenicity: np.ndarray
    stiffness: np.ndarray
    attenuation: np.ndarray
    depth: np.ndarray
    affine: np.ndarray

    def sample(self, name: str, points_ras: np.ndarray, order: int = 1) -> np.ndarray:
        """Values (...) of a map at RAS points (..., 3); outside the grid 0, for `depth` -50."""
        inverse = np.linalg.inv(self.affine)
        index = points_ras @ inverse[:3, :3].T + inverse[:3, 3]
        outside = -50.0 if name == "depth" else 0.0
        return ndimage.map_coordinates(
            getattr(self, name), np.moveaxis(index, -1, 0), order=order, cval=outside, prefilter=False
        )


@lru_cache(maxsize=2)
def mni152(seed: int = 0) -> Anatomy:
    """The MNI152 head. The seed draws what an ultrasound shows and an MRI does not (patchy echogenicity)."""
    from nilearn import datasets

    template = datasets.load_mni152_template(resolution=1)
    t1 = np.asarray(template.dataobj, dtype=np.float32)
    gray = np.asarray(datasets.load_mni152_gm_template(resolution=1).dataobj, dtype=np.float32)
    white = np.asarray(datasets.load_mni152_wm_template(resolution=1).dataobj, dtype=np.float32)
    total = np.maximum(gray + white, 1.0)
    gray, white = gray / total, white / total
    brain = ndimage.binary_fill_holes(t1 > 0.05 * t1.max())
    # The hull bridges the sulci; two voxels wide steps are fine enough for it.
    coarse = np.pad(brain[::2, ::2, ::2], 8)
    ball = ndimage.distance_transform_edt(~coarse) <= 6
    hull = (ndimage.distance_transform_edt(ball) > 6)[8:-8, 8:-8, 8:-8]
    hull = np.kron(hull, np.ones((2, 2, 2), bool))[: brain.shape[0], : brain.shape[1], : brain.shape[2]] | brain
    depth = ndimage.distance_transform_edt(hull) - ndimage.distance_transform_edt(~hull)
    fluid = np.clip(1 - gray - white, 0, 1) * hull
    deep = 1 / (1 + np.exp(-(depth - _VENTRICLE_DEPTH_MM)))
    echogenicity = 0.4 * gray + 0.8 * white + fluid * (3.0 * (1 - deep) + 0.02 * deep) + 0.03 * ~hull
    patches = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=t1.shape).astype(np.float32), 4)
    echogenicity = echogenicity * np.exp(0.2 * patches / patches.std())
    stiffness = 1.0 * gray + 1.12 * white + 0.75 * fluid + 0.7 * ~hull
    attenuation = 0.45 * gray + 0.75 * white + 0.02 * fluid
    return Anatomy(
        t1=t1 / t1.max() * 255,
        echogenicity=echogenicity.astype(np.float32),
        stiffness=ndimage.gaussian_filter(stiffness, 0.5).astype(np.float32),
        attenuation=attenuation.astype(np.float32),
        depth=depth.astype(np.float32),
        affine=np.asarray(template.affine, dtype=np.float64),
    )
