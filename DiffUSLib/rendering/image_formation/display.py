"""From echo amplitude to gray."""

from __future__ import annotations

import math

import torch

REFERENCE_GRAY = 0.25
"""Gray at which tissue of echogenicity 1 (white matter) is shown at gain 0."""

DB_PER_NEPER = 20 / math.log(10)


def log_compress(power: torch.Tensor, gain_db: float, dynamic_range_db: float, gamma: float = 1.0) -> torch.Tensor:
    """Gray in [0, 1] of echo power (squared envelope; 1 = white matter) on a decibel scale.

    The dynamic range in dB is spread from black to white; what lies beyond either end saturates. Gray is that share to
    the power of gamma.
    """
    level_db = 10 * torch.log10(power + 1e-12) + gain_db
    share = (level_db / dynamic_range_db + REFERENCE_GRAY).clamp(0, 1)
    if isinstance(gamma, float) and gamma == 1.0:
        return share
    return share.clamp(min=1e-4).pow(gamma)


def linear_gray(amplitude: torch.Tensor) -> torch.Tensor:
    """Gray in [0, 1] of amplitudes (B, L, N), each image scaled to its 99th percentile; stronger echoes saturate."""
    flat = amplitude.detach().flatten(1)
    rank = max(1, int(0.99 * flat.shape[1]))
    top = flat.kthvalue(rank, dim=1).values.clamp(min=1e-12)
    return (amplitude / top[:, None, None]).clamp(0, 1)
