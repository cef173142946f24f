"""Means over small windows that count only pixels inside the mask."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def broadcast_mask(mask: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A mask (H, W) or (B or 1, H, W) as weights (B or 1, H, W) of the dtype of `like`."""
    weights = mask.to(like)
    return weights if weights.ndim == 3 else weights.unsqueeze(0)


def window_mean(images: torch.Tensor, window: tuple[int, int]) -> torch.Tensor:
    """Mean of (N, C, H, W) over odd windows (rows, columns), zero beyond the border."""
    rows, columns = window  # one axis after the other costs much less than both at once
    images = F.avg_pool2d(images, (1, columns), stride=1, padding=(0, columns // 2))
    return F.avg_pool2d(images, (rows, 1), stride=1, padding=(rows // 2, 0))


def local_moments(channels: torch.Tensor, weights: torch.Tensor, window: tuple[int, int]) -> tuple[torch.Tensor, dict]:
    """Covariances of channels in the window around each pixel, over pixels inside the mask only.

    Args:
        channels: (B, C, H, W).
        weights: (B or 1, H, W), 1 inside the mask.
        window: odd numbers of rows and columns.

    Returns:
        the share (B or 1, H, W) of each window that the mask fills, and {(i, j): covariance (B, H, W)} for i <= j.
    """
    weights = weights.unsqueeze(1)
    share = window_mean(weights, window)
    safe = share.clamp_min(1e-6)
    count = channels.shape[1]
    pairs = [(i, j) for i in range(count) for j in range(i, count)]
    # One pooling for everything; centered on the mask's mean first, for precision in float32.
    total = weights.sum((-2, -1), keepdim=True).clamp_min(1e-6)
    centered = (channels - (channels * weights).sum((-2, -1), keepdim=True) / total) * weights
    products = torch.stack([centered[:, i] * centered[:, j] for i, j in pairs], dim=1)
    means = window_mean(torch.cat([centered, products], dim=1), window) / safe
    first, second = means[:, :count], means[:, count:]
    covariances = {(i, j): second[:, n] - first[:, i] * first[:, j] for n, (i, j) in enumerate(pairs)}
    return share[:, 0], covariances


def weighted_mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean (B,) of (B, H, W) with weights that broadcast to it; zero where nothing weighs."""
    weights = weights.expand_as(values)
    return (values * weights).sum((-2, -1)) / weights.sum((-2, -1)).clamp_min(1e-12)


def global_variance(image: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Variance (B, 1, 1) of (B, H, W) inside the mask."""
    total = weights.sum((-2, -1), keepdim=True).clamp_min(1e-6)
    mean = (image * weights).sum((-2, -1), keepdim=True) / total
    return ((image - mean).square() * weights).sum((-2, -1), keepdim=True) / total
