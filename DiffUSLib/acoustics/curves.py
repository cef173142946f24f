"""Curves over intensity, Hounsfield units or labels."""

from __future__ import annotations

import torch


def interpolate(values: torch.Tensor, knots, heights) -> torch.Tensor:
    """Piecewise linear interpolation, constant beyond the first and last knot; differentiable in values and heights.

    Args:
        values: tensor of any shape.
        knots: increasing positions, (N,).
        heights: the curve at the knots, (N,).
    """
    knots = torch.as_tensor(knots, dtype=values.dtype, device=values.device)
    heights = torch.as_tensor(heights, dtype=values.dtype, device=values.device)
    inside = values.clamp(knots[0], knots[-1])
    right = torch.bucketize(inside.detach(), knots).clamp_(1, len(knots) - 1)
    slopes = (heights[1:] - heights[:-1]) / (knots[1:] - knots[:-1])
    return heights[right - 1] + slopes[right - 1] * (inside - knots[right - 1])
