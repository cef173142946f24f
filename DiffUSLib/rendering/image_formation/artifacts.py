"""The paper's two optional artifacts: multiplicative speckle and a blur across rays that grows with depth."""

from __future__ import annotations

import torch
import torch.nn.functional as F

SPECKLE_RADIAL, SPECKLE_LOCAL, BLUR_MAX_RAYS = 0.01, 0.15, 4.0
"""Strengths in the paper's pipeline: noise along depth (all rays alike), noise of each ray, deepest blur."""


def paper_speckle(lines: torch.Tensor, seed: int) -> torch.Tensor:
    """Echoes (..., L, N) times two noises around 1 that grow with depth; negative values become 0.

    With u from 0 at the face to 1 at full depth: I * n_r(u) * n_l(ray, u), n ~ N(1, sigma), sigma_r = 0.01 (1 + u^2),
    sigma_l = 0.15 (1 + u^1.5). The noise belongs to the image, not to the tissue.
    """
    generator = torch.Generator().manual_seed(seed)
    rays, samples = lines.shape[-2:]
    noise = torch.randn(rays + 1, samples, generator=generator).to(lines)
    u = torch.linspace(0, 1, samples, dtype=lines.dtype, device=lines.device)
    radial = 1 + noise[0] * SPECKLE_RADIAL * (1 + u.square())
    local = 1 + noise[1:] * SPECKLE_LOCAL * (1 + u.pow(1.5))
    return (lines * radial * local).clamp(min=0)


def paper_blur(lines: torch.Tensor) -> torch.Tensor:
    """Echoes (..., L, N) blurred across rays by a Gaussian whose sigma grows linearly to 4 rays at full depth."""
    rays, samples = lines.shape[-2:]
    reach = int(3 * BLUR_MAX_RAYS)
    sigma = BLUR_MAX_RAYS * torch.linspace(0, 1, samples, dtype=lines.dtype, device=lines.device)
    lag = torch.arange(-reach, reach + 1, dtype=lines.dtype, device=lines.device)
    weights = torch.exp(-0.5 * (lag[:, None] / sigma.clamp(min=1e-3)).square())
    weights = weights / weights.sum(dim=0)
    flat = lines.reshape(-1, rays, samples)
    padded = F.pad(flat[:, None], (0, 0, reach, reach), mode="replicate")[:, 0]
    # A sum of shifted lines, not a product of matrices, which TF32 and autocast would round.
    shifted = (padded[:, shift : shift + rays] * weight for shift, weight in enumerate(weights))
    return torch.stack(list(shifted)).sum(dim=0).reshape(lines.shape)
