"""A window through scalp and skull, as a surgeon makes before the brain is scanned."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage

from DiffUSLib.acoustics.maps import AcousticMaps
from DiffUSLib.acoustics.medium import BONE_MRAYL, TISSUE_ECHOGENICITY, Medium
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.sampling import transform_points
from DiffUSLib.probes.placement import SKULL_DEPTH_MM

_STEP_MM = 0.5
_REACH_MM = 150.0


def open_craniotomy(
    maps: AcousticMaps, transducer_to_ras: torch.Tensor, radius_mm: float = 30.0, margin_mm: float = 1.0
) -> AcousticMaps:
    """The maps without scalp and bone in front of a transducer, down to the dura; the outside medium fills the window.

    Lines parallel to the viewing direction are followed to the inner side of the near bone. Where a line meets no
    bone, its neighbors tell how deep the window is.

    Args:
        maps: a head with its skull.
        transducer_to_ras: (4, 4) pose whose viewing direction (+y) is the axis of the window.
        radius_mm: of the window.
        margin_mm: how much further than the bone, for voxels that hold it in part.

    Raises:
        DiffUSError: if radius or margin are out of range, or no bone lies below the skin in the window.
    """
    if not (0 < radius_mm <= 100 and 0 <= margin_mm <= 10):
        raise DiffUSError("a craniotomy needs a radius above 0 and up to 100 mm and a margin of 0 to 10 mm.")
    pose = transducer_to_ras.detach().to("cpu", torch.float64)
    bottom_mm = _bottom(maps, pose, radius_mm)
    removed = _in_window(maps, pose, radius_mm, bottom_mm + margin_mm)
    outside = maps.outside
    values = (outside.impedance_mrayl, outside.attenuation_db_cm_mhz, outside.echogenicity)
    grids = (maps.impedance, maps.attenuation, maps.echogenicity)
    removed = removed.to(maps.impedance.device)
    impedance, attenuation, echogenicity = (
        torch.where(removed, value, grid) for grid, value in zip(grids, values, strict=True)
    )
    axis = maps.axis and replace(maps.axis, positions=maps.axis.positions.masked_fill(removed, float("nan")))
    note = f"Scalp and bone were removed in a window of {radius_mm:g} mm radius, as by a craniotomy."
    return replace(
        maps,
        impedance=impedance,
        attenuation=attenuation,
        echogenicity=echogenicity,
        notes=(*maps.notes, note),
        axis=axis,
    )


def _bottom(maps: AcousticMaps, pose: torch.Tensor, radius_mm: float) -> np.ndarray:
    """(N, N) distance along the viewing direction at which the near bone ends, in mm, on a lattice of 1 mm."""
    reach = math.ceil(radius_mm)
    across = torch.arange(-reach, reach + 1, dtype=torch.float64)
    along = torch.arange(-_REACH_MM, _REACH_MM, _STEP_MM, dtype=torch.float64)
    x, z, y = torch.meshgrid(across, across, along, indexing="ij")
    medium = Medium(maps, torch.device("cpu"), torch.float32)
    points = torch.stack([x, y, z], dim=-1).reshape(-1, 3)
    index = transform_points((medium.ras_to_index.double() @ pose)[None], points)[0]
    impedance, _, echogenicity = (values.reshape(x.shape).numpy() for values in medium.sample(index.float(), 3))
    tissue = (echogenicity > TISSUE_ECHOGENICITY) | (impedance > BONE_MRAYL)
    first = tissue.argmax(axis=2)[..., None]
    steps = np.arange(len(along))
    near = (steps >= first) & (steps < first + round(SKULL_DEPTH_MM / _STEP_MM)) & tissue.any(axis=2)[..., None]
    bone = near & (impedance > BONE_MRAYL)
    known = bone.any(axis=2) & ((x[..., 0] ** 2 + z[..., 0] ** 2) <= reach**2).numpy()
    if not known.any():
        raise DiffUSError(
            "no bone lies below the skin in front of the transducer, so there is nothing to open; leave the "
            "craniotomy out, or point the transducer at the skull."
        )
    last = len(along) - 1 - bone[..., ::-1].argmax(axis=2)
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return along.numpy()[last][tuple(nearest)]


def _in_window(maps: AcousticMaps, pose: torch.Tensor, radius_mm: float, bottom_mm: np.ndarray) -> torch.Tensor:
    """(K, J, I) bool: the voxels in the window that lie in front of its bottom."""
    shape = tuple(maps.impedance.shape)
    to_probe = torch.linalg.inv(pose) @ maps.ijk_to_ras
    k, j, i = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in shape), indexing="ij")
    x, y, z = (
        float(row[0]) * i + float(row[1]) * j + float(row[2]) * k + float(row[3]) for row in to_probe[:3]
    )
    middle = bottom_mm.shape[0] // 2
    places = ((x + middle).round().long().clamp(0, 2 * middle), (z + middle).round().long().clamp(0, 2 * middle))
    bottom = torch.from_numpy(bottom_mm).float()[places]
    return (x * x + z * z <= radius_mm**2) & (y < bottom) & (y > -_REACH_MM)
