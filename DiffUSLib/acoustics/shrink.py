"""Fewer voxels where a volume is too large for the memory."""

from __future__ import annotations

import math

import torch

from DiffUSLib.acoustics.label_signs import looks_like_labels
from DiffUSLib.geometry.volume import Volume


def shrink_volume(volume: Volume, most_voxels: int) -> Volume:
    """A volume of at most so many voxels, at its place; the volume itself if it has no more.

    Voxels are joined in blocks, along the axes where they are smallest first. Blocks of labels take the label in their
    middle, all others their mean (float32). What is left over at the end of an axis, less than a block, is cut off.
    Needs little memory beside its result.
    """
    if volume.voxels.numel() <= most_voxels:
        return volume
    steps_ijk = _steps(volume, most_voxels)
    offset = [(step - 1) / 2 for step in steps_ijk]
    if looks_like_labels(volume):
        offset = [float(step // 2) for step in steps_ijk]
        whole = zip(volume.voxels.shape, steps_ijk[::-1], strict=True)
        voxels = volume.voxels[tuple(slice(step // 2, n // step * step, step) for n, step in whole)].clone()
    else:
        voxels = _block_means(volume.voxels, steps_ijk[::-1])
    to_old = torch.diag(torch.tensor([*map(float, steps_ijk), 1.0], dtype=torch.float64))
    to_old[:3, 3] = torch.tensor(offset, dtype=torch.float64)
    return Volume(voxels, volume.ijk_to_ras @ to_old, volume.name)


def _steps(volume: Volume, most_voxels: int) -> list[int]:
    """Length of the blocks in voxels along I, J and K."""
    sizes = volume.voxels.shape[::-1]
    steps = [1, 1, 1]
    while math.prod(size // step for size, step in zip(sizes, steps, strict=True)) > most_voxels:
        growing = [axis for axis in range(3) if steps[axis] < sizes[axis]]
        finest = min(growing, key=lambda axis: steps[axis] * volume.spacing_mm[axis])
        steps[finest] += 1
    return steps


def _block_means(voxels: torch.Tensor, steps: list[int]) -> torch.Tensor:
    counts = [size // step for size, step in zip(voxels.shape, steps, strict=True)]
    means = torch.empty(counts, dtype=torch.float32, device=voxels.device)
    (k, j, i), (_, rows, columns) = steps, counts
    for index in range(counts[0]):
        slab = voxels[index * k : (index + 1) * k, : rows * j, : columns * i].to(torch.float32)
        means[index] = slab.reshape(k, rows, j, columns, i).mean(dim=(0, 2, 4))
    return means
