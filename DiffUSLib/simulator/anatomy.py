"""A patient as sound sees it; a head made from the MNI152 tissue maps that ship inside nilearn, or from labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

#: Depth below the brain's hull from which on CSF is a ventricle (black) and no sulcus (bright: arachnoid and vessels).
_VENTRICLE_DEPTH_MM = 22.0
_DEEP_GRAY_RAS_MM = np.array([0.0, -12.0, 6.0])


@dataclass(frozen=True)
class Anatomy:
    """Maps on one grid (I, J, K).

    Args:
        seen: what registration gets to see: an MRI, or a CT in HU.
        echogenicity: backscatter amplitude, white matter near 0.8.
        stiffness: what makes interfaces, without unit.
        attenuation: dB/cm/MHz.
        depth: mm below the surface that the probe stands on (the brain's hull, the skin), negative outside.
        affine: (4, 4) voxel (I, J, K) to RAS in mm.
        modality: of `seen`: "t1", "t1c" or "ct".
        aims: (N, 3) RAS, what probes look at; one of them, give or take 12 mm.
        outward: (3,) unit vector from there to where probes stand, give or take `spread_deg`.
        body: whether the probe is one for the abdomen.
    """

    seen: np.ndarray
    echogenicity: np.ndarray
    stiffness: np.ndarray
    attenuation: np.ndarray
    depth: np.ndarray
    affine: np.ndarray
    modality: str
    aims: np.ndarray
    outward: np.ndarray
    spread_deg: float = 95.0
    body: bool = False

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
    brain = ndimage.binary_fill_holes(t1 > 0.05 * t1.max())
    affine = np.asarray(template.affine, dtype=np.float64)
    return head(t1 / t1.max() * 255, gray / total, white / total, brain, affine, seed, aim=_DEEP_GRAY_RAS_MM)


def head(
    seen: np.ndarray,
    gray: np.ndarray,
    white: np.ndarray,
    brain: np.ndarray,
    affine: np.ndarray,
    seed: int,
    aim: np.ndarray,
    modality: str = "t1",
) -> Anatomy:
    """A head from an MRI, the shares (I, J, K) of gray and white matter, and the mask of the brain; 1 mm voxels.

    What of the hull is neither gray nor white is fluid. `aim` (3,) RAS lies in the deep gray matter.
    """
    # The hull bridges the sulci; two voxels wide steps are fine enough for it.
    coarse = np.pad(brain[::2, ::2, ::2], 8)
    ball = ndimage.distance_transform_edt(~coarse) <= 6
    hull = (ndimage.distance_transform_edt(ball) > 6)[8:-8, 8:-8, 8:-8]
    hull = np.kron(hull, np.ones((2, 2, 2), bool))[: brain.shape[0], : brain.shape[1], : brain.shape[2]] | brain
    depth = ndimage.distance_transform_edt(hull) - ndimage.distance_transform_edt(~hull)
    gray, white = gray * hull, white * hull
    fluid = np.clip(1 - gray - white, 0, 1) * hull
    deep = 1 / (1 + np.exp(-(depth - _VENTRICLE_DEPTH_MM)))
    echogenicity = 0.4 * gray + 0.8 * white + fluid * (3.0 * (1 - deep) + 0.02 * deep) + 0.03 * ~hull
    stiffness = 1.0 * gray + 1.12 * white + 0.75 * fluid + 0.7 * ~hull
    attenuation = 0.45 * gray + 0.75 * white + 0.02 * fluid
    return Anatomy(
        seen=seen.astype(np.float32),
        echogenicity=(echogenicity * patches(seen.shape, seed)).astype(np.float32),
        stiffness=ndimage.gaussian_filter(stiffness, 0.5).astype(np.float32),
        attenuation=attenuation.astype(np.float32),
        depth=depth.astype(np.float32),
        affine=affine,
        modality=modality,
        aims=np.asarray(aim, dtype=np.float64)[None],
        outward=np.array([0.0, 0.0, 1.0]),
    )


def patches(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """(I, J, K) factor of the echogenicity that no MRI and no CT shows."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape).astype(np.float32), 4)
    return np.exp(0.2 * noise / noise.std())
