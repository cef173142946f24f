"""Trilinear sampling of grids at points given in voxel coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

_SERIAL_THREADS = 2
"""Up to so many threads, `index_select` of PyTorch, which uses one, is quicker on the CPU than `take` on all."""


def ras_to_index(ijk_to_ras: torch.Tensor) -> torch.Tensor:
    """(4, 4) float64 matrix from RAS in mm to voxel coordinates (I, J, K), of (4, 4) `ijk_to_ras`."""
    return torch.linalg.inv(ijk_to_ras.to(torch.float64))


def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Matrix product (..., M, N) of small matrices (..., M, K) and (..., K, N), always in their own precision.

    PyTorch's `@` rounds to three digits where TF32 or autocast are on, which would move points by a tenth of a mm.
    """
    return (left.unsqueeze(-1) * right.unsqueeze(-3)).sum(dim=-2)


def transform_points(matrix: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Points (..., 3) mapped by affine matrices (B, 4, 4): (B, ..., 3)."""
    shift = matrix[:, :3, 3].reshape(-1, *[1] * (points.ndim - 1), 3)
    return transform_vectors(matrix, points) + shift


def transform_vectors(matrix: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Vectors (..., 3) turned and scaled by affine matrices (B, 4, 4), without their translation: (B, ..., 3)."""
    columns = matrix[:, :3, :3].reshape(-1, *[1] * (vectors.ndim - 1), 3, 3).unbind(-1)
    x, y, z = (component.unsqueeze(-1) for component in vectors.unbind(-1))
    return columns[0] * x + columns[1] * y + columns[2] * z


class Sampler:
    """Trilinear values of grids at any point.

    Values at the middles of the voxels are those of the grid; from the middles of the outer voxels on they go, within
    one voxel, to the values outside.

    On an NVIDIA GPU, and for gradients to the grids, `grid_sample` of PyTorch does this. Else the eight neighbors are
    picked and mixed here: in 3D, `grid_sample` is slow on the CPU and missing on Apple's GPU, and it would need the
    grids side by side in memory, once more.

    Args:
        grids: (K, J, I) each, of one shape, type and device; shared, not copied, if their voxels lie at equal
            distances in memory.
        outside: the value of each grid outside of it.
    """

    def __init__(self, grids: Sequence[torch.Tensor], outside: Sequence[float]):
        self.shape_kji = tuple(grids[0].shape)
        self._outside = tuple(outside)
        self._flat, self._stacked = [], None
        if grids[0].device.type == "cuda" or any(grid.requires_grad for grid in grids):
            channels = [grid - value for grid, value in zip(grids, outside, strict=True)]
            self._stacked = torch.stack(channels, dim=-1).permute(3, 0, 1, 2)[None]
        else:
            self._flat = [grid.reshape(-1) for grid in grids]

    def __call__(self, index: torch.Tensor, channels: int | None = None) -> torch.Tensor:
        """Values of the first grids, of all by default.

        Args:
            index: (..., 3) voxel coordinates (I, J, K); 0 is the middle of the first voxel. Quickest if I, J and K lie
                in planes of memory, as in `planes.movedim(0, -1)`.

        Returns:
            (channels, ...), differentiable to the coordinates and to the grids.
        """
        outside = self._outside[:channels]
        if self._stacked is not None:
            relative = self._by_grid_sample(self._stacked[:, : len(outside)], index)
            offset = torch.tensor(outside, dtype=relative.dtype, device=relative.device)
            return relative + offset.reshape(-1, *[1] * (index.ndim - 1))
        planes = index.movedim(-1, 0).reshape(3, -1)
        pick = self._cells(planes)
        values = [pick(flat, value) for flat, value in zip(self._flat, outside, strict=False)]
        return torch.stack(values).reshape(len(values), *index.shape[:-1])

    def _by_grid_sample(self, stacked: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        sizes = torch.tensor(self.shape_kji[::-1], dtype=index.dtype, device=index.device)
        grid = ((index * 2 + 1) / sizes - 1).reshape(1, -1, 1, 1, 3)
        values = F.grid_sample(stacked, grid, mode="bilinear", align_corners=False)
        return values.reshape(stacked.shape[1], *index.shape[:-1])

    def _cells(self, planes: torch.Tensor) -> Callable[[torch.Tensor, float], torch.Tensor]:
        """The function that interpolates a flat grid, with its value outside, at (3, P) voxel coordinates: (P,)."""
        sizes = self.shape_kji[::-1]
        cell = planes.detach().floor()
        low, high = cell.amin(dim=1).tolist(), cell.amax(dim=1).tolist()
        weight = None  # of the grid against what is outside
        if any(low[axis] < 0 or high[axis] > sizes[axis] - 2 for axis in range(3)):
            last = torch.tensor(sizes, dtype=planes.dtype, device=planes.device)[:, None] - 1
            along = torch.minimum(planes + 1, last + 1 - planes).clamp(0, 1)
            weight = along[0] * along[1] * along[2]
            cell = torch.minimum(cell.clamp(min=0), (last - 1).clamp(min=0))
            fraction = (planes - cell).clamp(0, 1)
        else:
            fraction = planes - cell
        many = math.prod(sizes) >= 2**31
        shared = planes.device.type == "cpu" and torch.get_num_threads() > _SERIAL_THREADS
        number = cell.to(torch.int64 if many or shared else torch.int32)
        strides = (1, sizes[0], sizes[0] * sizes[1])
        start = number[0].add(number[1], alpha=strides[1]).add(number[2], alpha=strides[2])

        def mixed(flat: torch.Tensor, offset: int, axis: int) -> torch.Tensor:
            if axis < 0:
                near = flat[offset:]
                return near.take(start) if shared else near.index_select(0, start)
            value = mixed(flat, offset, axis - 1)
            if sizes[axis] == 1:
                return value
            return torch.lerp(value, mixed(flat, offset + strides[axis], axis - 1), fraction[axis])

        def interpolated(flat: torch.Tensor, outside: float) -> torch.Tensor:
            value = mixed(flat, 0, 2)
            return value if weight is None else (value - outside) * weight + outside

        return interpolated
