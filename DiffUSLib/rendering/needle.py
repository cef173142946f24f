"""A needle in the image: a bright shaft where it is struck squarely, its tip, a comet tail, and a shadow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from DiffUSLib.errors import DiffUSError

_SHAFT_AMPLITUDE = 30.0
"""Echo of a shaft struck squarely, relative to white matter: about 30 dB, as steel in tissue (typical)."""
_TIP_AMPLITUDE = 8.0
_ROUGH_SHARE = 0.06
"""Of the shaft's echo that comes back at any angle: a plain needle all but vanishes when it is steep (typical)."""
_SPECULAR_DEG = 12.0
"""Tilt at which the mirror-like echo has fallen to 1/e (typical for an array that receives a cone of this width)."""
_TAIL_SHARE, _TAIL_MM = 0.25, 3.0
"""Reverberation within the needle: first echo of the tail relative to the shaft, and its decay length (typical)."""
_SHADOW_SHARE = 0.5
"""Amplitude that is lost behind a shaft in the middle of the beam (typical)."""


@dataclass(frozen=True)
class Needle:
    """A straight needle: its tip is the origin of the Needle frame, its shaft runs along +Z to the hub.

    Args:
        needle_to_ras: (4, 4) rigid matrix in mm; receives gradients.
        length_mm: from tip to hub.
        diameter_mm: of the shaft (1.27 mm is 18 gauge).

    Raises:
        DiffUSError: if a length is not above zero.
    """

    needle_to_ras: torch.Tensor
    length_mm: float = 120.0
    diameter_mm: float = 1.27

    def __post_init__(self):
        if not (self.length_mm > 0 and self.diameter_mm > 0):
            raise DiffUSError("a needle's length and diameter in mm must be above zero.")


def needle_echo(
    needle: Needle,
    transducer_to_ras: torch.Tensor,
    origins_mm: torch.Tensor,
    directions: torch.Tensor,
    depth_mm: torch.Tensor,
    beam_sigma_mm: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a needle sends back, and what it lets through, sample by sample; differentiable to both poses.

    Args:
        needle: in the patient.
        transducer_to_ras: (B, 4, 4) poses.
        origins_mm, directions: (L, 3) of the scan lines in the Transducer frame.
        depth_mm: (N,) of the samples.
        beam_sigma_mm: (N,) standard deviation of the beam across the image plane.

    Returns:
        (B, L, N) amplitude relative to white matter, before attenuation, and (B, L, N) share of the amplitude of the
        tissue that is left.
    """
    matrix = torch.linalg.inv(transducer_to_ras) @ needle.needle_to_ras.to(transducer_to_ras)
    tip, along = matrix[:, None, None, :3, 3], matrix[:, None, None, :3, 2]
    points = origins_mm[:, None] + directions[:, None] * depth_mm[:, None]
    offset = points[None] - tip
    place = (offset * along).sum(-1).clamp(0.0, needle.length_mm)
    aside = offset - place[..., None] * along
    # The nearest point of the shaft: how far out of the plane it lies decides how much of the beam meets it.
    in_beam = torch.exp(-0.5 * (aside[..., 2] / (beam_sigma_mm + needle.diameter_mm / 2)).square())
    step_mm = float(depth_mm[1] - depth_mm[0])
    width_mm = max(needle.diameter_mm / 2, step_mm)
    on_shaft = torch.exp(-0.5 * (aside[..., :2].norm(dim=-1) / width_mm).square()) * in_beam
    tilt = torch.asin((directions[:, None] * along).sum(-1).abs().clamp(max=1 - 1e-6))
    square = torch.exp(-(tilt / math.radians(_SPECULAR_DEG)).square())
    shaft = _SHAFT_AMPLITUDE * (square * (1 - _ROUGH_SHARE) + _ROUGH_SHARE) * on_shaft
    distance = offset.square().sum(-1)
    tip_in_beam = torch.exp(-0.5 * (offset[..., 2] / (beam_sigma_mm + needle.diameter_mm / 2)).square())
    blob = _TIP_AMPLITUDE * torch.exp(-0.5 * distance / needle.diameter_mm**2) * tip_in_beam
    met = on_shaft.cummax(dim=-1).values
    behind = torch.cat([torch.zeros_like(met[..., :1]), met[..., :-1]], dim=-1)
    return shaft + blob + _tail(shaft, step_mm), 1 - _SHADOW_SHARE * behind


def _tail(shaft: torch.Tensor, step_mm: float) -> torch.Tensor:
    """The comet tail below a shaft (B, L, N)."""
    length = max(1, round(4 * _TAIL_MM / step_mm))
    lags_mm = torch.arange(length, 0, -1, dtype=shaft.dtype, device=shaft.device) * step_mm
    kernel = _TAIL_SHARE * torch.exp(-lags_mm / _TAIL_MM) * step_mm / _TAIL_MM
    lines = F.pad(shaft.reshape(-1, 1, shaft.shape[-1]), (length, 0))
    return F.conv1d(lines[..., :-1], kernel[None, None]).reshape(shaft.shape)
