"""Where rough interfaces scatter: thin lines at the place of an edge or a sulcus, however blurred a volume has them.

A voxel, and the scanner's interpolation, spread an edge over millimeters; ultrasound shows it where it is, as wide as
its own pulse and beam. So the echo is taken where the slope across an edge is steepest, and where fluid between matter
is thinnest (the second derivative's largest eigenvalue, at places without slope along its axis: a ridge as in Steger,
IEEE PAMI 20, 1998), each weighted by a Gaussian of the distance to that place, which the derivatives tell.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

SCALE_MM, SMOOTHING_MM = 1.0, 0.85
"""Distance that derivatives are taken over, and half-width of the average before them: about the voxels of an MRI."""

EDGE_SPREAD_MM = 1.1
"""Standard deviation of an edge in an MRI (0.9) after that average: tells how far away the edge is."""

NOISE_PER_MM, NOISE_PER_MM2 = 0.01, 0.03
"""Slope and curvature of the logarithm of impedance of an MRI's noise; what is weaker fades with its square."""

CLEAR_FLUID_MRAYL, SULCUS_MRAYL = 1.52, 1.54
"""Fluid that is wide enough to be seen as such has no line in its middle; where it fills a voxel only in part, pia
and vessels do."""


class ThinInterfaces:
    """Finds interfaces in scan lines (B, L, N) at the middles of samples.

    Args:
        step_mm: between samples.
        spacing_mm: (N,) between lines at each depth.
        lines: L.
        width_mm: standard deviation of the lines, before pulse and beam.
    """

    def __init__(self, step_mm: float, spacing_mm: torch.Tensor, lines: int, width_mm: float):
        self._width_mm = width_mm
        self._along = [max(1, round(reach / step_mm)) for reach in (SMOOTHING_MM, SCALE_MM)]
        self._reach_mm = self._along[1] * step_mm
        self._across = [
            _Neighbors(lines, reach / spacing_mm, spacing_mm.device) for reach in (SMOOTHING_MM, self._reach_mm)
        ]

    def __call__(self, impedance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Edges and sulci where impedance is (B, L, N) in MRayl, both (B, L, N) in 1/mm.

        Edges: reflection per mm across them, |grad ln Z| / 2. Sulci: by how much the logarithm of impedance is below
        that of the matter beside it, per mm.
        """
        along, across, twice_along, twice_across, mixed = self._derivatives(impedance.log())
        square = along.square() + across.square() + 1e-12
        second = (twice_along * along.square() + 2 * mixed * along * across + twice_across * across.square()) / square
        off_mm = EDGE_SPREAD_MM**2 * second.abs() / square.sqrt()
        edges = _above_noise(square.sqrt(), NOISE_PER_MM) * self._near(off_mm.square()) / 2
        half = (twice_along - twice_across) / 2
        radius = (half.square() + mixed.square() + 1e-16).sqrt()
        curvature = ((twice_along + twice_across) / 2 + radius).clamp(min=0)
        cosine, sine = half / radius, mixed / radius  # of twice the angle between the line's normal and the beam
        slope = along.square() * (1 + cosine) / 2 + across.square() * (1 - cosine) / 2 + along * across * sine
        near = self._near(slope / (curvature.square() + 1e-8))
        thin = (impedance - CLEAR_FLUID_MRAYL) / (SULCUS_MRAYL - CLEAR_FLUID_MRAYL)
        return edges, _above_noise(curvature, NOISE_PER_MM2) * self._reach_mm * near * thin.clamp(0, 1)

    def _near(self, square_mm2: torch.Tensor) -> torch.Tensor:
        return torch.exp(-square_mm2 / (2 * self._width_mm**2))

    def _derivatives(self, field: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """First derivatives along and across, second ones along, across and mixed, of the averaged field."""
        (near, far), reach = self._along, self._reach_mm
        field = (sum(_beside(field, near)) + 2 * field) / 4
        field = (sum(self._across[0](field)) + 2 * field) / 4
        (before, after), (left, right) = _beside(field, far), self._across[1](field)
        across = (right - left) / (2 * reach)
        mixed_before, mixed_after = _beside(across, far)
        return (
            (after - before) / (2 * reach),
            across,
            (after + before - 2 * field) / reach**2,
            (right + left - 2 * field) / reach**2,
            (mixed_after - mixed_before) / (2 * reach),
        )


class _Neighbors:
    """Values at a distance to both sides of each line, (N,) in lines; beyond the last line its own value."""

    def __init__(self, lines: int, distance: torch.Tensor, device: torch.device):
        number = torch.arange(lines, dtype=distance.dtype, device=device)[:, None]
        self._sides = []
        for place in (number - distance, number + distance):
            place = place.clamp(0, lines - 1)
            first = place.long().clamp(max=max(lines - 2, 0))
            self._sides.append((first, (first + 1).clamp(max=lines - 1), place - first))

    def __call__(self, field: torch.Tensor) -> list[torch.Tensor]:
        found = []
        for first, second, share in self._sides:
            low, high = (field.gather(-2, at.expand(field.shape)) for at in (first, second))
            found.append(torch.lerp(low, high, share.expand(field.shape)))
        return found


def _beside(field: torch.Tensor, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Values so many samples nearer to the transducer, and farther; beyond the ends those of the ends."""
    padded = F.pad(field, (samples, samples), mode="replicate")
    return padded[..., : -2 * samples], padded[..., 2 * samples :]


def _above_noise(value: torch.Tensor, noise: float) -> torch.Tensor:
    return value.square() / (value + noise)
