"""Starts of an alignment whose place is not known at all: everywhere on the patient's surface, looking inward."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation

from DiffUSLib.acoustics import AcousticMaps
from DiffUSLib.acoustics.medium import BONE_MRAYL, TISSUE_ECHOGENICITY
from DiffUSLib.errors import DiffUSError
from DiffUSLib.registration import search
from DiffUSLib.registration.correction import UNITS, units_of
from DiffUSLib.registration.objective import Objective
from DiffUSLib.registration.search import Step

_GRID_MM = 4.0
_CLOSED_MM = 8.0  # sulci and folds of skin narrower than twice this do not count as surface
_TILT_DEG = 12.0  # standard deviation about the normal of the surface
_STARTS = 49152
_CLIMBED = 1024
_BROAD_SURVIVORS = ((4, 384), (10, 128), (18, 48))
_COARSE_SURVIVORS = ((5, 16), (12, 6))
KEPT = 3
"""So many places are followed to the end."""


def surface(maps: AcousticMaps) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 3) in RAS on the surface of the patient's soft tissue, and the normals (N, 3) that point outward.

    Raises:
        DiffUSError: if the maps hold no tissue.
    """
    matrix = maps.ijk_to_ras.numpy()
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    step = np.maximum(1, np.round(_GRID_MM / spacing)).astype(int)
    soft = (maps.echogenicity > TISSUE_ECHOGENICITY) & (maps.impedance < BONE_MRAYL)
    mask = soft.detach().cpu().numpy().transpose(2, 1, 0)[:: step[0], :: step[1], :: step[2]]
    numbers, count = ndimage.label(ndimage.binary_opening(mask))
    if count == 0:
        raise DiffUSError("the volume shows no soft tissue on whose surface a probe could stand; check its modality.")
    size = spacing * step
    margin = [int(np.ceil(_CLOSED_MM / length)) + 2 for length in size]
    body = np.pad(numbers == np.bincount(numbers[numbers > 0]).argmax(), [(m, m) for m in margin])
    grown = ndimage.distance_transform_edt(~body, size) <= _CLOSED_MM
    hull = ndimage.binary_fill_holes(ndimage.distance_transform_edt(grown, size) > _CLOSED_MM) | body
    shell = hull & ~ndimage.binary_erosion(hull)
    # A volume that ends within the patient has no surface there.
    index = np.argwhere(shell) - margin
    inside = ((index > 0) & (index < np.array(mask.shape) - 1)).all(1)
    slopes = np.gradient(ndimage.gaussian_filter(hull.astype(np.float32), 6.0 / size), *size)
    normals = -np.stack([axis[shell] for axis in slopes], axis=-1)[inside]
    axes = matrix[:3, :3] / spacing
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9) @ axes.T
    return index[inside] * step @ matrix[:3, :3].T + matrix[:3, 3], normals


def surface_poses(points: np.ndarray, normals: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(count, 4, 4) TransducerToRas of probes that stand on the surface, look inward within some degrees, and are
    turned about their axis by any angle."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(np.arange(count) % len(points))
    depth = -normals[chosen]
    helper = rng.normal(size=(count, 3))
    lateral = np.cross(depth, helper)
    lateral /= np.linalg.norm(lateral, axis=1, keepdims=True)
    tilt = Rotation.from_rotvec(np.deg2rad(_TILT_DEG) * rng.normal(size=(count, 3))).as_matrix()
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = tilt @ np.stack([lateral, depth, np.cross(lateral, depth)], axis=2)
    poses[:, :3, 3] = points[chosen]
    return poses


def surface_places(
    broad: Objective, coarse: Objective, maps: AcousticMaps, reference: np.ndarray, center: np.ndarray, seed: int
) -> Generator[Step, None, torch.Tensor]:
    """Yields while it looks everywhere on the surface; returns the best places apart from each other, (K, 7) units.

    Args:
        broad, coarse: objectives without a prior.
        maps: of the whole patient.
        reference: (4, 4) TransducerToRas of one slice, which touches the surface.
        center: (3,) about which the units of the objectives turn.
        seed: of the starts.
    """
    poses = surface_poses(*surface(maps), _STARTS, seed)
    starts = units_of(poses @ np.linalg.inv(reference), center)
    picked = yield from search.rank(broad, starts, _CLIMBED, "start")
    directions = torch.eye(UNITS, UNITS - 1, dtype=torch.float64)
    units, values = yield from search.climb(broad, picked, directions, "broad", _BROAD_SURVIVORS)
    units = search.distinct(units, values, len(units))
    units, values = yield from search.climb(coarse, units, directions, "coarse", _COARSE_SURVIVORS)
    return search.distinct(units, values, KEPT)
