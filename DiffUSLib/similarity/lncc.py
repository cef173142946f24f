"""Local normalized cross-correlation."""

from __future__ import annotations

import torch

from DiffUSLib.similarity.windows import broadcast_mask, global_variance, local_moments, weighted_mean


def lncc(
    moving: torch.Tensor, fixed: torch.Tensor, mask: torch.Tensor, window: tuple[int, int] = (9, 9)
) -> torch.Tensor:
    """Correlation coefficient in the window around each pixel, averaged where the ultrasound has contrast.

    Gain, offset and TGC that vary slowly compared with the window do not change it.

    Args:
        moving: (B, H, W) rendered image, or (B, C, H, W) of which the first channel counts.
        fixed: (B or 1, H, W) ultrasound.
        mask: (H, W) or (B or 1, H, W), 1 inside the fan.
        window: odd numbers of rows and columns.

    Returns:
        (B,) from -1 to 1.
    """
    moving = moving[:, 0] if moving.ndim == 4 else moving
    weights = broadcast_mask(mask, moving)
    fixed = fixed.to(moving).expand_as(moving)
    share, moments = local_moments(torch.stack([fixed, moving], dim=1), weights, window)
    # A floor far below the image's own contrast keeps flat windows from dividing by zero.
    floors = [1e-3 * global_variance(image, weights) + 1e-12 for image in (fixed, moving)]
    variances = [moments[index, index].clamp_min(0) + floors[index] for index in (0, 1)]
    correlation = moments[0, 1] / (variances[0] * variances[1]).sqrt()
    contrast = variances[0].sqrt()
    return weighted_mean(correlation, contrast * share * weights)
