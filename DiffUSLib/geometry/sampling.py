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
            distances in memory. Two grids that lie side by side there, voxel by voxel, are picked together, which
            halves the time that their memory takes.
        outside: the value of each grid outside of it.
    """

    def __init__(self, grids: Sequence[torch.Tensor], outside: Sequence[float]):
        self.shape_kji = tuple(grids[0].shape)
        self._outside, self._dtype = tuple(outside), grids[0].dtype
        self._flat, self._stacked = [], None
        if grids[0].device.type == "cuda" or any(grid.requires_grad for grid in grids):
            channels = [grid - value for grid, value in zip(grids, outside, strict=True)]
            self._stacked = torch.stack(channels, dim=-1).permute(3, 0, 1, 2)[None]
        else:
            self._flat = _joined([grid.reshape(-1) for grid in grids])

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
        values: list[torch.Tensor] = []
        for flat in self._flat:
            if len(values) < len(outside):
                values += pick(flat, outside[len(values) :])
        return torch.stack(values[: len(outside)]).reshape(len(outside), *index.shape[:-1])

    def _by_grid_sample(self, stacked: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        sizes = torch.tensor(self.shape_kji[::-1], dtype=index.dtype, device=index.device)
        grid = ((index * 2 + 1) / sizes - 1).reshape(1, -1, 1, 1, 3)
        values = F.grid_sample(stacked, grid, mode="bilinear", align_corners=False)
        return values.reshape(stacked.shape[1], *index.shape[:-1])

    def _cells(self, planes: torch.Tensor) -> Callable[[torch.Tensor, Sequence[float]], list[torch.Tensor]]:
        """The function that interpolates one or two flat grids, with their values outside, at (3, P) coordinates."""
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

        def mixed(flat: torch.Tensor, offset: int, axis: int) -> list[torch.Tensor]:
            if axis < 0:
                near = flat[offset:]
                return _apart(near.take(start) if shared else near.index_select(0, start), self._dtype)
            values = mixed(flat, offset, axis - 1)
            if sizes[axis] == 1:
                return values
            further = mixed(flat, offset + strides[axis], axis - 1)
            return [torch.lerp(*pair, fraction[axis]) for pair in zip(values, further, strict=True)]

        def interpolated(flat: torch.Tensor, outside: Sequence[float]) -> list[torch.Tensor]:
            values = mixed(flat, 0, 2)
            if weight is None:
                return values
            return [(value - far) * weight + far for value, far in zip(values, outside, strict=False)]

        return interpolated


_PAIR_OF = {torch.float32: torch.float64, torch.float64: torch.complex128}
"""What is as wide as two numbers, and is picked as quickly as one."""


def _joined(flats: list[torch.Tensor]) -> list[torch.Tensor]:
    """Flat grids; in the place of two that alternate in memory one, of pairs."""
    joined: list[torch.Tensor] = []
    while flats:
        first, *flats = flats
        if flats and _alternate(first, flats[0]):
            first = first.as_strided((2 * first.numel(),), (1,)).view(_PAIR_OF[first.dtype])
            flats = flats[1:]
        joined.append(first)
    return joined


def _alternate(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Whether the values of two flat grids on the CPU lie in turn in memory."""
    return (
        first.device.type == second.device.type == "cpu"
        and first.dtype == second.dtype
        and first.dtype in _PAIR_OF
        and first.stride() == second.stride() == (2,)
        and first.storage_offset() % 2 == 0
        and first.data_ptr() + first.element_size() == second.data_ptr()
    )


def _apart(values: torch.Tensor, dtype: torch.dtype) -> list[torch.Tensor]:
    """Picked values (P,) of one grid, or of two that were picked as pairs; `dtype` is that of the grids."""
    if values.dtype == dtype:
        return [values]
    return list(values.view(dtype).view(-1, 2).unbind(-1))
