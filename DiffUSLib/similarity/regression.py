"""Likelihood of the ultrasound under one linear combination of channels for the whole image, or for several images."""

from __future__ import annotations

import torch

from DiffUSLib.similarity.windows import broadcast_mask, window_mean


def regression(
    moving: torch.Tensor,
    fixed: torch.Tensor,
    mask: torch.Tensor,
    window: tuple[int, int] = (15, 21),
    joint: int = 1,
) -> torch.Tensor:
    """-1/2 log(1 - R^2) of the ultrasound's detail regressed on the channels' detail.

    Detail is what differs from the mean of a window. On log-compressed images, where gain and TGC are offsets, this
    takes them out, and slow shading with them. Unlike LC2, the weights of the channels are the same everywhere, as
    tissue and scanner are: with so few free numbers, agreement by chance is rare. Times the number of independent
    samples it is a profile log-likelihood.

    Args:
        moving: (B, C, H, W) channels, or (B, H, W).
        fixed: (B, 1 or joint, H, W) ultrasound; repeated as often as needed.
        mask: (H, W) or as `fixed`, 1 inside the fan.
        window: odd numbers of rows and columns.
        joint: so many consecutive images (slices of one sweep) share the weights of the channels.

    Returns:
        (B / joint,) zero or more.
    """
    moving = moving.unsqueeze(1) if moving.ndim == 3 else moving
    batch = len(moving)
    weights, fixed = broadcast_mask(mask, moving), fixed.to(moving).unsqueeze(1)
    different = max(len(weights), len(fixed))
    target = detail(fixed.expand(different, -1, -1, -1), weights, window).flatten(2).repeat(batch // different, 1, 1)
    weights = weights if len(weights) == 1 else weights.repeat(batch // len(weights), 1, 1)
    channels = detail(moving, weights, window).flatten(2)
    count = channels.shape[1]
    normal = (channels @ channels.transpose(1, 2)).reshape(-1, joint, count, count).sum(1)
    right = (channels @ target.transpose(1, 2)).reshape(-1, joint, count).sum(1)
    power = target.square().sum((1, 2)).reshape(-1, joint).sum(1) + 1e-12
    # Scaled to a unit diagonal, so that one damping serves channels of any unit.
    scale = (normal.diagonal(dim1=1, dim2=2) + 1e-12).rsqrt()
    damping = 1e-3 * torch.eye(count, dtype=normal.dtype, device=normal.device)
    right = right * scale
    solution = torch.linalg.solve(normal * scale.unsqueeze(1) * scale.unsqueeze(2) + damping, right)
    explained = ((right * solution).sum(1) / power).clamp(0, 1 - 1e-6)
    return -0.5 * torch.log1p(-explained)


def detail(images: torch.Tensor, weights: torch.Tensor, window: tuple[int, int]) -> torch.Tensor:
    """(B, C, H, W) minus the mean of the window around each pixel; zero outside the mask (B or 1, H, W)."""
    weights = weights.unsqueeze(1)
    share = window_mean(weights, window).clamp_min(1e-6)
    # Offsets are taken out first: they would cost precision in float32.
    total = weights.sum((-2, -1), keepdim=True).clamp_min(1e-6)
    images = images - (images * weights).sum((-2, -1), keepdim=True) / total
    return (images - window_mean(images * weights, window) / share) * weights
