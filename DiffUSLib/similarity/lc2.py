"""Linear correlation of linear combination (LC2; Wein 2013, Fuerst 2014)."""

from __future__ import annotations

import torch

from DiffUSLib.similarity.windows import broadcast_mask, global_variance, local_moments, weighted_mean


def lc2(
    moving: torch.Tensor, fixed: torch.Tensor, mask: torch.Tensor, window: tuple[int, int] = (9, 9)
) -> torch.Tensor:
    """Share of the ultrasound's local variance that a linear combination of the channels explains.

    In the window around each pixel the ultrasound is regressed on the channels, usually an MRI's intensity and the
    magnitude of its gradient, so that it does not matter whether a tissue or an interface is bright, nor how bright.
    Windows count by the contrast of the ultrasound in them. Gain, offset and slowly varying TGC do not change it.

    Args:
        moving: (B, C, H, W) channels; or (B, H, W), whose gradient magnitude then becomes the second channel.
        fixed: (B or 1, H, W) ultrasound.
        mask: (H, W) or (B or 1, H, W), 1 inside the fan.
        window: odd numbers of rows and columns.

    Returns:
        (B,) from 0 to 1.
    """
    if moving.ndim == 3:
        moving = torch.stack([moving, gradient_magnitude(moving)], dim=1)
    weights = broadcast_mask(mask, moving)
    fixed = fixed.to(moving).expand(moving.shape[0], -1, -1)
    share, moments = local_moments(torch.cat([fixed.unsqueeze(1), moving], dim=1), weights, window)
    floor = 1e-3 * global_variance(fixed, weights) + 1e-12
    variance = moments[0, 0].clamp_min(0) + floor
    explained = _explained(moments, moving, weights)
    contrast = variance.sqrt()
    return weighted_mean((explained / variance).clamp(0, 1), contrast * share * weights)


def _explained(moments: dict, channels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """b^T (C + lambda I)^-1 b by elimination of one channel after the other, pixel by pixel."""
    count = channels.shape[1]
    matrix = {(i, j): moments[i + 1, j + 1] for i in range(count) for j in range(i, count)}
    right = [moments[0, i + 1] for i in range(count)]
    explained = torch.zeros_like(right[0])
    for i in range(count):
        # Each channel is damped against its own contrast in the whole image, so that its unit does not matter.
        ridge = 1e-2 * global_variance(channels[:, i], weights) + 1e-12
        pivot = matrix[i, i].clamp_min(0) + ridge
        explained = explained + right[i].square() / pivot
        for j in range(i + 1, count):
            factor = matrix[i, j] / pivot
            right[j] = right[j] - factor * right[i]
            for k in range(j, count):
                matrix[j, k] = matrix[j, k] - factor * matrix[i, k]
    return explained


def gradient_magnitude(image: torch.Tensor) -> torch.Tensor:
    """Length (B, H, W) of the gradient per pixel by central differences, smooth where it vanishes."""
    down, right = torch.gradient(image, dim=(-2, -1))
    square = down.square() + right.square()
    floor = 1e-6 * square.mean((-2, -1), keepdim=True).detach() + 1e-20
    return (square + floor).sqrt()
