"""Normalized gradient fields (Haber and Modersitzki 2006)."""

from __future__ import annotations

import torch

from DiffUSLib.similarity.windows import broadcast_mask, weighted_mean


def ngf(moving: torch.Tensor, fixed: torch.Tensor, mask: torch.Tensor, edge_share: float = 0.5) -> torch.Tensor:
    """Squared cosine between the gradients of both images: do edges run the same way, of either sign?

    Args:
        moving: (B, H, W) rendered image, or (B, C, H, W) of which the first channel counts.
        fixed: (B or 1, H, W) ultrasound.
        mask: (H, W) or (B or 1, H, W), 1 inside the fan; its rim counts less because a gradient needs neighbors.
        edge_share: gradients weaker than this share of the root mean square gradient count as noise.

    Returns:
        (B,) from 0 to 1.
    """
    moving = moving[:, 0] if moving.ndim == 4 else moving
    weights = broadcast_mask(mask, moving)
    inner = weights.clone()
    for axis in (-2, -1):
        inner = inner * weights.roll(1, axis) * weights.roll(-1, axis)
    fixed = fixed.to(moving).expand_as(moving)
    (fixed_down, fixed_right), fixed_square = _gradient(fixed, inner, edge_share)
    (moving_down, moving_right), moving_square = _gradient(moving, inner, edge_share)
    product = (fixed_down * moving_down + fixed_right * moving_right).square()
    return weighted_mean(product / (fixed_square * moving_square), inner)


def _gradient(image: torch.Tensor, weights: torch.Tensor, edge_share: float):
    down, right = torch.gradient(image, dim=(-2, -1))
    square = down.square() + right.square()
    floor = edge_share**2 * weighted_mean(square, weights)[:, None, None] + 1e-20
    return (down, right), square + floor
