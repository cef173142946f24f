"""Volumes of a displacement: the displacement itself, its Jacobian, and the scan as the ultrasound has it."""

from __future__ import annotations

import numpy as np
import torch

from DiffUSLib.geometry.bspline import Warp
from DiffUSLib.geometry.sampling import Sampler, ras_to_index, transform_points
from DiffUSLib.geometry.volume import Volume


def warp_grid(warp: Warp, spacing_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """(K, J, I, 3) points in RAS over the box of the displacement, and their (4, 4) IJK-to-RAS."""
    first = np.array(warp.knots.first_ras_mm) - 2 * warp.knots.spacing_mm
    count = np.ceil((np.array(warp.knots.shape) + 3) * warp.knots.spacing_mm / spacing_mm).astype(int) + 1
    axes = [start + spacing_mm * np.arange(n) for start, n in zip(first, count, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).transpose(2, 1, 0, 3)
    matrix = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    matrix[:3, 3] = first
    return points, matrix


def warped_volume(volume: Volume, warp: Warp) -> Volume:
    """The volume with its tissue where the ultrasound has it, on its own grid; what comes from outside is its lowest
    value."""
    slabs = []
    voxels = volume.voxels.float()
    lowest = float(voxels.min())
    sample = Sampler([voxels], [lowest])
    size_k, size_j, size_i = voxels.shape
    to_ras, to_index = volume.ijk_to_ras.numpy(), ras_to_index(volume.ijk_to_ras)
    j, i = np.meshgrid(np.arange(size_j), np.arange(size_i), indexing="ij")
    for k in range(size_k):
        index = np.stack([i, j, np.full_like(i, k)], axis=-1)
        points = index @ to_ras[:3, :3].T + to_ras[:3, 3]
        moved = torch.from_numpy(points + warp.displacement_mm(points))
        slabs.append(sample(transform_points(to_index[None], moved)[0].float())[0])
    return Volume(torch.stack(slabs), volume.ijk_to_ras, volume.name)


def jacobian_volume(warp: Warp, spacing_mm: float) -> Volume:
    """The change of volume over the box of the displacement: 1 where tissue keeps its size."""
    points, matrix = warp_grid(warp, spacing_mm)
    return Volume(torch.from_numpy(warp.jacobian(points).astype(np.float32)), torch.from_numpy(matrix))
