"""Trilinear sampling of a grid at points given in RAS."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F


def ras_to_grid(ijk_to_ras: torch.Tensor, shape_kji: Sequence[int]) -> torch.Tensor:
    """The one matrix from the world to the grid.

    Args:
        ijk_to_ras: (4, 4) voxel index (I, J, K) to RAS in mm.
        shape_kji: voxels along K, J and I.

    Returns:
        (4, 4) float64 matrix from RAS in mm to the coordinates of `torch.nn.functional.grid_sample` with
        `align_corners=False`: (x, y, z) along (I, J, K), where [-1, 1] spans the grid from voxel edge to voxel edge.
    """
    sizes = torch.tensor(shape_kji[::-1], dtype=torch.float64)
    ijk_to_grid = torch.diag(torch.cat([2.0 / sizes, torch.ones(1, dtype=torch.float64)]))
    ijk_to_grid[:3, 3] = 1.0 / sizes - 1.0
    return ijk_to_grid @ torch.linalg.inv(ijk_to_ras.to(torch.float64))


def transform_points(matrix: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Points (..., 3) mapped by affine matrices (B, 4, 4): (B, ..., 3)."""
    flat = points.reshape(-1, 3)
    mapped = flat @ matrix[:, :3, :3].transpose(1, 2) + matrix[:, None, :3, 3]
    return mapped.reshape(matrix.shape[0], *points.shape)


def transform_vectors(matrix: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Vectors (..., 3) turned and scaled by affine matrices (B, 4, 4), without their translation: (B, ..., 3)."""
    flat = vectors.reshape(-1, 3)
    return (flat @ matrix[:, :3, :3].transpose(1, 2)).reshape(matrix.shape[0], *vectors.shape)


def sample_trilinear(channels: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Trilinear values at grid coordinates; zero outside, with a ramp of one voxel at the border.

    Args:
        channels: (K, J, I, C), the channels of one voxel next to each other in memory.
        grid: (..., 3) coordinates of `ras_to_grid`.

    Returns:
        (C, ...) values, differentiable to the channels and the coordinates.
    """
    points = grid.reshape(-1, 3)
    volume = channels.permute(3, 0, 1, 2).unsqueeze(0)
    # grid_sample shares its work among threads by batch entry only, so the points are dealt out to one entry a thread.
    # Not when the volume takes a gradient: each entry would then hold a gradient of the whole volume.
    threads = torch.get_num_threads() if points.device.type == "cpu" else 1
    parts = threads if points.shape[0] % threads == 0 and not channels.requires_grad else 1
    values = F.grid_sample(
        volume.expand(parts, -1, -1, -1, -1), points.reshape(parts, -1, 1, 1, 3), mode="bilinear", align_corners=False
    )
    return values.transpose(0, 1).reshape(channels.shape[3], *grid.shape[:-1])
