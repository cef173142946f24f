"""Modality independent neighborhood descriptor, self-similarity context (MIND-SSC; Heinrich 2012, 2013)."""

from __future__ import annotations

import torch

from DiffUSLib.similarity.windows import broadcast_mask, weighted_mean, window_mean

#: The pairs among the four neighbors that lie next to each other around the pixel, as (row, column) directions.
_PAIRS = (((-1, 0), (0, 1)), ((0, 1), (1, 0)), ((1, 0), (0, -1)), ((0, -1), (-1, 0)))


def mind_ssc(
    moving: torch.Tensor, fixed: torch.Tensor, mask: torch.Tensor, distance_px: int = 2, patch: int = 3
) -> torch.Tensor:
    """One minus the mean difference of self-similarity descriptors.

    Args:
        moving: (B, H, W) rendered image, or (B, C, H, W) of which the first channel counts.
        fixed: (B or 1, H, W) ultrasound.
        mask: (H, W) or (B or 1, H, W), 1 inside the fan.
        distance_px: from the pixel to the patches that are compared.
        patch: odd width of the patches.

    Returns:
        (B,) from 0 to 1.
    """
    moving = moving[:, 0] if moving.ndim == 4 else moving
    weights = broadcast_mask(mask, moving)
    fixed = fixed.to(moving).expand(max(len(weights), len(fixed)), -1, -1)
    difference = (
        descriptor(moving, weights, distance_px, patch) - descriptor(fixed, weights, distance_px, patch)
    ).abs()
    return 1 - weighted_mean(difference.mean(dim=1), weights)


def descriptor(image: torch.Tensor, weights: torch.Tensor, distance_px: int = 2, patch: int = 3) -> torch.Tensor:
    """(B, 4, H, W) in (0, 1]: how alike neighboring patches are, relative to the local noise."""
    distances = []
    for first, second in _PAIRS:
        difference = (_shifted(image, first, distance_px) - _shifted(image, second, distance_px)).square()
        distances.append(window_mean(difference.unsqueeze(1), (patch, patch)))
    distances = torch.cat(distances, dim=1)
    noise = distances.mean(dim=1, keepdim=True)
    typical = weighted_mean(noise[:, 0], weights)[:, None, None, None]
    return torch.exp(-distances / (noise + 1e-3 * typical + 1e-20))


def _shifted(image: torch.Tensor, direction: tuple[int, int], distance_px: int) -> torch.Tensor:
    """The image moved by whole pixels; the border repeats."""
    rows, columns = (torch.arange(size, device=image.device) for size in image.shape[-2:])
    rows = (rows + direction[0] * distance_px).clamp(0, image.shape[-2] - 1)
    columns = (columns + direction[1] * distance_px).clamp(0, image.shape[-1] - 1)
    return image[:, rows][:, :, columns]
