"""Mutual information of the joint histogram (Mattes 2003): the baseline that others are compared with."""

from __future__ import annotations

import torch

from DiffUSLib.similarity.windows import broadcast_mask, global_variance, weighted_mean


def mutual_information(moving: torch.Tensor, fixed: torch.Tensor, mask: torch.Tensor, bins: int = 24) -> torch.Tensor:
    """Mutual information in nats of the intensities inside the mask.

    Intensities are standardized first, so gain and offset do not change it; TGC does. Each pixel spreads over the
    bins of the joint histogram by cubic B-splines.

    Args:
        moving: (B, H, W) rendered image, or (B, C, H, W) of which the first channel counts.
        fixed: (B or 1, H, W) ultrasound.
        mask: (H, W) or (B or 1, H, W), 1 inside the fan.
        bins: of each intensity, over plus and minus three standard deviations.

    Returns:
        (B,) zero or more.
    """
    moving = moving[:, 0] if moving.ndim == 4 else moving
    weights = broadcast_mask(mask, moving).expand_as(moving)
    fixed = fixed.to(moving).expand_as(moving)
    shares = (weights / weights.sum((-2, -1), keepdim=True).clamp_min(1e-12)).flatten(1)
    joint = (_spread(fixed, weights, bins) * shares.unsqueeze(2)).transpose(1, 2) @ _spread(moving, weights, bins)
    independent = joint.sum(2, keepdim=True) * joint.sum(1, keepdim=True)
    tiny = torch.finfo(joint.dtype).tiny
    return (joint * (joint.clamp_min(tiny).log() - independent.clamp_min(tiny).log())).sum((1, 2))


def _spread(image: torch.Tensor, weights: torch.Tensor, bins: int) -> torch.Tensor:
    """(B, H W, bins) cubic B-spline weight of each pixel in each bin; sums to 1."""
    mean = weighted_mean(image, weights)[:, None, None]
    deviation = (global_variance(image, weights) + 1e-20).sqrt()
    # Two bins at either end stay free, so that no spline is cut off.
    place = ((image - mean) / deviation).clamp(-3, 3).flatten(1) / 3 * ((bins - 1) / 2 - 2) + (bins - 1) / 2
    distance = (place.unsqueeze(2) - torch.arange(bins, device=image.device, dtype=image.dtype)).abs()
    near = 2 / 3 - distance.square() + distance**3 / 2
    far = (2 - distance).clamp_min(0) ** 3 / 6
    return torch.where(distance < 1, near, far)
