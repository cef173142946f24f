"""Likelihood of the ultrasound under one linear combination of channels for the whole image, or for several images,
which a place that nothing explains does not drown."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from DiffUSLib.similarity.windows import broadcast_mask, window_mean

_MOST = 10.0
"""Times the median power of the detail within a window, which a window counts for at most. Chosen among 1, 3, 10 and
none by where the best place lies, and how far it stands out, on simulated cases of the tiers T4 and B3 (seven slices,
seeds 1000 to 1003), which are not reported."""


@dataclass(frozen=True)
class Regression:
    """The ultrasound's detail regressed on the channels' detail. B images, J of which share the weights of the C
    channels.

    Args:
        parts: (B, C, H, W) detail of the channels.
        mix: (B / J, C) weights of the channels.
        left: (B, 1, H, W) power that the channels leave, mean over windows.
        most: (B, 1, 1, 1) power that a window counts for at most.
        mask: (B, 1, H, W), 1 inside the fan.
        window: odd numbers of rows and columns.
        remaining: (B / J,) sum of what is left, saturated.
        score: (B / J,) see `regression`.
    """

    parts: torch.Tensor
    mix: torch.Tensor
    left: torch.Tensor
    most: torch.Tensor
    mask: torch.Tensor
    window: tuple[int, int]
    remaining: torch.Tensor
    score: torch.Tensor

    def precision(self) -> torch.Tensor:
        """(B, H, W) curvature of the score for a change of what the channels explain at a pixel, which counts in all
        windows around it."""
        share = window_mean(self.mask, self.window).clamp_min(1e-6)
        around = window_mean(_slope(self.left, self.most) * self.mask / share, self.window) * self.mask
        joint = len(around) // len(self.remaining)
        return around[:, 0] / self.remaining.repeat_interleave(joint)[:, None, None]


def regression(
    moving: torch.Tensor,
    fixed: torch.Tensor,
    mask: torch.Tensor,
    window: tuple[int, int] = (15, 21),
    joint: int = 1,
) -> torch.Tensor:
    """-1/2 log of the share of the ultrasound's power that the channels leave.

    Power is that of the detail, mean over the window around a pixel, and saturates (Geman and McClure): a resection,
    an instrument or the edge of a shadow has many times the power of tissue, no volume explains it, and in a sum of
    squares it would decide. Times the number of independent samples the score is a profile log-likelihood.

    Args:
        moving: (B, C, H, W) channels, or (B, H, W).
        fixed: (B, 1 or joint, H, W) ultrasound; repeated as often as needed.
        mask: (H, W) or as `fixed`, 1 inside the fan.
        window: odd numbers of rows and columns.
        joint: so many consecutive images (slices of one sweep) share the weights of the channels.

    Returns:
        (B / joint,) about zero or more.
    """
    return regressed(moving, fixed, mask, window, joint).score


def regressed(
    moving: torch.Tensor, fixed: torch.Tensor, mask: torch.Tensor, window: tuple[int, int], joint: int = 1
) -> Regression:
    """What `regression` is made of.

    Detail is what differs from the mean of a window. On log-compressed images, where gain and TGC are offsets, this
    takes them out, and slow shading with them. Unlike LC2, the weights of the channels are the same everywhere, as
    tissue and scanner are: with so few free numbers, agreement by chance is rare.
    """
    moving = moving.unsqueeze(1) if moving.ndim == 3 else moving
    batch = len(moving)
    weights, fixed = broadcast_mask(mask, moving).unsqueeze(1), fixed.to(moving).unsqueeze(1)
    different = max(len(weights), len(fixed))
    weights, fixed = weights.expand(different, -1, -1, -1), fixed.expand(different, -1, -1, -1)

    def each(values: torch.Tensor) -> torch.Tensor:
        return values.repeat(batch // different, 1, 1, 1)

    target, parts = detail(fixed, weights[:, 0], window), detail(moving, each(weights)[:, 0], window)
    share = window_mean(weights, window).clamp_min(1e-6)
    power = window_mean(target.square(), window) / share
    groups = max(different // joint, 1)
    most = _MOST * _medians(power.reshape(groups, -1), weights.reshape(groups, -1) > 0.5) + 1e-12
    most = most.repeat_interleave(different // groups)[:, None, None, None]

    # A volume explains a small part of the power: how much a window counts for is known before the mix.
    counts = (weights * _slope(power, most)).flatten(2).repeat(batch // different, 1, 1)
    flat, flat_target = parts.flatten(2), each(target).flatten(2)
    count = flat.shape[1]
    normal = ((flat * counts) @ flat.transpose(1, 2)).reshape(-1, joint, count, count).sum(1)
    right = ((flat * counts) @ flat_target.transpose(1, 2)).reshape(-1, joint, count).sum(1)
    # Scaled to a unit diagonal, so that one damping serves channels of any unit.
    scale = (normal.diagonal(dim1=1, dim2=2) + 1e-12).rsqrt()
    damping = 1e-3 * torch.eye(count, dtype=normal.dtype, device=normal.device)
    mix = scale * torch.linalg.solve(normal * scale.unsqueeze(1) * scale.unsqueeze(2) + damping, right * scale)

    left = flat_target - mix.repeat_interleave(joint, 0).unsqueeze(1) @ flat
    left = window_mean(left.square().reshape(batch, 1, *parts.shape[2:]), window) / each(share)
    most, mask = each(most), each(weights)

    def total(powers: torch.Tensor) -> torch.Tensor:
        return (powers / (1 + powers / most) * mask).sum((1, 2, 3)).reshape(-1, joint).sum(1) + 1e-12

    remaining = total(left)
    score = 0.5 * torch.log(total(each(power)) / remaining)
    return Regression(parts, mix, left, most, mask, window, remaining, score)


def _slope(power: torch.Tensor, most: torch.Tensor) -> torch.Tensor:
    """Derivative of the saturating power."""
    return (1 + power / most).square().reciprocal()


def _medians(values: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """(G,) medians of rows (G, P) over what lies inside; zero where nothing does."""
    rows = [row[own] for row, own in zip(values, inside, strict=True)]
    return torch.stack([row.median() if len(row) else row.new_zeros(()) for row in rows])


def detail(images: torch.Tensor, weights: torch.Tensor, window: tuple[int, int]) -> torch.Tensor:
    """(B, C, H, W) minus the mean of the window around each pixel; zero outside the mask (B or 1, H, W)."""
    weights = weights.unsqueeze(1)
    share = window_mean(weights, window).clamp_min(1e-6)
    # Offsets are taken out first: they would cost precision in float32.
    total = weights.sum((-2, -1), keepdim=True).clamp_min(1e-6)
    images = images - (images * weights).sum((-2, -1), keepdim=True) / total
    return (images - window_mean(images * weights, window) / share) * weights
