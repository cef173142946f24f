"""Slices cut from a 3D ultrasound volume, for registration like those of a tracked probe."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.probes.probe import Probe
from DiffUSLib.ultrasound.observation import UltrasoundSlices

_PIXEL_MM = 0.5
_OFFSETS = (0.0, -0.22, 0.22)  # of the planes, as shares of the extent
_FREQUENCY_MHZ = 5.0
_LEAST_SHARE = 0.02  # of a cut that shows something


def slices_from_volume(
    ultrasound: Volume, planes: int = 7, planes_to_ras: np.ndarray | None = None
) -> UltrasoundSlices:
    """Planes through a 3D ultrasound volume where it holds data (voxels above its minimum), by default along its axes.

    A reconstructed volume does not tell where the probe stood: the planes are taken as images of a linear probe. What
    depends on the beam's direction is then wrong, which registration allows for by giving it less weight.

    Args:
        ultrasound: 3D volume; its lowest value means "not seen".
        planes: 1 to 9: one along each pair of axes, then further ones beside them.
        planes_to_ras: (P, 4, 4) rigid matrices of planes to take instead: X across, Y down, the origin in the plane.

    Raises:
        DiffUSError: if the volume is constant, too small, `planes` out of range, or a plane misses the volume.
    """
    if not 1 <= planes <= 9:
        raise DiffUSError(f"{planes} planes were asked for; 1 to 9 are possible.")
    voxels = ultrasound.voxels.detach().cpu().float().numpy()
    seen = voxels > voxels.min()
    if not seen.any():
        raise DiffUSError(f"{ultrasound.name or 'the ultrasound volume'} is constant; choose another volume.")
    kji = np.argwhere(seen)
    low, high = np.quantile(kji, [0.005, 0.995], axis=0)
    matrix = ultrasound.ijk_to_ras.numpy()
    extent_mm = ((high - low)[::-1] + 1) * ultrasound.spacing_mm
    if extent_mm.min() < 15:
        shown = " x ".join(f"{length:.0f}" for length in extent_mm)
        raise DiffUSError(f"the ultrasound volume shows {shown} mm; at least 15 mm on each axis are needed.")
    middle = (matrix @ [*((low + high) / 2)[::-1], 1.0])[:3]
    if planes_to_ras is None:
        size_mm = float(extent_mm.max())
        poses = _planes_along_axes(matrix, middle, extent_mm, planes)
    else:
        size_mm = float(np.linalg.norm(extent_mm))  # of the longest cut in any direction
        poses = _planes_near(np.asarray(planes_to_ras, dtype=np.float64), middle)
    # The face is at the upper edge of the cut, the origin of a plane in its middle.
    poses[:, :3, 3] -= poses[:, :3, 1] * size_mm / 2
    count = int(size_mm / _PIXEL_MM) + 1
    to_transducer = np.diag([_PIXEL_MM, _PIXEL_MM, 1.0, 1.0])
    to_transducer[0, 3] = -size_mm / 2
    row, column = np.mgrid[:count, :count]
    pixels = np.stack([column, row, np.zeros_like(row), np.ones_like(row)]).reshape(4, -1)
    images, masks = [], []
    for pose in poses:
        index = (np.linalg.inv(matrix) @ pose @ to_transducer @ pixels)[2::-1].reshape(3, count, count)
        images.append(ndimage.map_coordinates(voxels, index, order=1, cval=float(voxels.min())))
        masks.append(ndimage.map_coordinates(seen.astype(np.float32), index, order=1) > 0.99)
    used = [index for index, mask in enumerate(masks) if mask.mean() > _LEAST_SHARE]
    if not used:
        raise DiffUSError("the plane does not meet what the ultrasound volume shows; choose another plane.")
    probe = Probe("plane", "linear", size_mm, _FREQUENCY_MHZ, width_mm=size_mm, source="cut from a 3D volume")
    return UltrasoundSlices(
        np.stack([images[index] for index in used]),
        np.stack([ndimage.binary_fill_holes(masks[index]) for index in used]),
        to_transducer,
        torch.from_numpy(poses[used]),
        probe,
        size_known=True,  # planes that cross must go on crossing in the same place
    )


def _planes_along_axes(matrix: np.ndarray, middle: np.ndarray, extent_mm: np.ndarray, planes: int) -> np.ndarray:
    """(P, 4, 4) planes through the middle of a volume with this IJK to RAS matrix, and beside it."""
    axes = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    poses = np.tile(np.eye(4), (planes, 1, 1))
    for number, pose in enumerate(poses):
        normal, offset = number % 3, _OFFSETS[number // 3]
        pose[:3, 0], pose[:3, 1] = axes[:, (normal + 1) % 3], axes[:, (normal + 2) % 3]
        pose[:3, 2] = np.cross(pose[:3, 0], pose[:3, 1])
        pose[:3, 3] = middle + offset * extent_mm[normal] * axes[:, normal]
    # Axes that are not quite at right angles (oblique files) are made so; the images move by less than a pixel.
    rotations, _ = np.linalg.qr(poses[:, :3, :3])
    for pose, rotation in zip(poses, rotations, strict=True):
        pose[:3, :3] = rotation * np.sign((rotation * pose[:3, :3]).sum(0))
    return poses


def _planes_near(planes_to_ras: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """(P, 4, 4) the same planes, each with its origin as near to a point as it can be."""
    poses = planes_to_ras.copy()
    for pose in poses:
        normal = np.cross(pose[:3, 0], pose[:3, 1])
        pose[:3, 2] = normal
        pose[:3, 3] = middle - normal * (normal @ (middle - pose[:3, 3]))
    return poses
