"""Gray that speckle is expected to give: the mean of the log-compressed, clipped echo of many scatterers."""

from __future__ import annotations

import math

import torch

from DiffUSLib.rendering.image_formation.display import REFERENCE_GRAY

SPECKLE_DB = 10 / math.log(10) * math.pi / math.sqrt(6)
"""Standard deviation of the echo of fully developed speckle in dB (its power is exponentially distributed)."""
SPECKLE_SHIFT_DB = -10 / math.log(10) * 0.5772156649
"""Mean of the same in dB, against the level of its mean power."""


def expected_gray(power: torch.Tensor, dynamic_range_db, gamma=1.0, looks: float = 1.0) -> torch.Tensor:
    """Mean gray in [0, 1] of speckle with mean power (squared envelope; 1 = white matter).

    The distribution in dB is taken for a Gaussian, which is close enough for its mean after clipping: black and white
    then bend softly, as they do in an image seen from afar, and gradients reach what is black.

    Args:
        power: mean power of any shape.
        dynamic_range_db, gamma: of the display; numbers or tensors.
        looks: independent images averaged.
    """
    level_db = 10 * torch.log10(power + 1e-12) + SPECKLE_SHIFT_DB / looks
    share = level_db / dynamic_range_db + REFERENCE_GRAY
    width = SPECKLE_DB / math.sqrt(looks) / dynamic_range_db
    clipped = _above(share, width) - _above(share - 1, width)
    return clipped.clamp(min=1e-4).pow(gamma)


def _above(mean: torch.Tensor, width) -> torch.Tensor:
    """Mean of max(x, 0) for Gaussian x."""
    z = mean / width
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    return mean * torch.special.ndtr(z) + width * density
