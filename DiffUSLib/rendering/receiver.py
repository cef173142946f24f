"""What a scanner does to the echoes that it receives: gain over depth and lines, resolution, clutter, gray map.

Numbers may be tensors instead (scalars, or vectors for the curves): then gradients reach them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.rendering.image_formation.display import DB_PER_NEPER

CURVE_LIMITS_DB = (-60.0, 60.0)
MOST_KNOTS = 64
LIMITS = {
    "gain_db": (-100.0, 100.0),
    "depth_gain_reach_mm": (1.0, 1000.0),
    "gamma": (0.2, 5.0),
    "axial_scale": (0.2, 10.0),
    "lateral_scale": (0.2, 10.0),
    "lateral_growth_per_cm": (0.0, 1.0),
    "smoothing_mm": (0.0, 5.0),
    "looks": (1.0, 4.0),
    "clutter_db": (-120.0, 0.0),
    "ring_down_db": (-60.0, 60.0),
    "ring_down_mm": (0.05, 20.0),
}
"""Lowest and highest values of the numbers."""


@dataclass(frozen=True)
class Receiver:
    """How one scanner, with the settings of one examination, treats echoes.

    Args:
        gain_db: brightens (positive) or darkens the image, besides `RenderSettings.gain_db`.
        depth_gain_db: gain over depth, at knots evenly spaced from the face to `depth_gain_reach_mm`, the last one
            beyond; none: 0 dB. It comes on top of the time-gain compensation of the settings.
        depth_gain_reach_mm: depth of the last knot.
        line_gain_db: gain over the scan lines, at knots evenly spaced from the first to the last line: what poor
            contact takes away. None: 0 dB.
        gamma: gray is the share of the dynamic range to this power; above 1, dark is darker.
        axial_scale, lateral_scale: width of pulse and beam over those of the probe.
        lateral_growth_per_cm: what is added to `lateral_scale` for each cm of depth.
        smoothing_mm: standard deviation along depth of what the scanner averages after detection: its grain is longer
            than its pulse, and weaker.
        looks: how many independent images the scanner averages (compounding): speckle contrast falls with its root.
        clutter_db: echoes from beside the beam, over the mean of the lines at the same depth; they fill shadows and
            fluid.
        ring_down_db: echo of the transducer itself at its face, over that of white matter.
        ring_down_mm: depth within which it fades to 1/e of the amplitude.

    Raises:
        DiffUSError: for a value out of range.
    """

    gain_db: float = 0.0
    depth_gain_db: tuple[float, ...] = ()
    depth_gain_reach_mm: float = 100.0
    line_gain_db: tuple[float, ...] = ()
    gamma: float = 1.0
    axial_scale: float = 1.0
    lateral_scale: float = 1.0
    lateral_growth_per_cm: float = 0.0
    smoothing_mm: float = 0.0
    looks: float = 1.0
    clutter_db: float = -60.0
    ring_down_db: float = 12.0
    ring_down_mm: float = 0.8

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, torch.Tensor):
                continue
            if field.name in LIMITS:
                low, high = LIMITS[field.name]
                if not _is_number(value) or not low <= value <= high:
                    raise DiffUSError(f"{field.name} is {value}; it must be a number from {low:g} to {high:g}.")
                continue
            low, high = CURVE_LIMITS_DB
            if not isinstance(value, tuple) or len(value) == 1 or len(value) > MOST_KNOTS:
                raise DiffUSError(f"{field.name} needs no values or 2 to {MOST_KNOTS} of them, in dB.")
            if not all(_is_number(db) and low <= db <= high for db in value):
                raise DiffUSError(f"{field.name} must hold numbers from {low:g} to {high:g} dB.")

    def log_gain(self, lines: int, depth_mm: torch.Tensor) -> torch.Tensor:
        """(lines, N) or (1, N) logarithm of the amplitude factor at depths (N,) in mm."""
        gain_db = torch.as_tensor(self.gain_db).to(depth_mm) + torch.zeros_like(depth_mm)[None]
        if len(self.depth_gain_db):
            share = depth_mm / self.depth_gain_reach_mm
            gain_db = gain_db + _at(self.depth_gain_db, share)[None]
        if len(self.line_gain_db):
            share = torch.linspace(0, 1, lines, dtype=depth_mm.dtype, device=depth_mm.device)
            gain_db = gain_db + _at(self.line_gain_db, share)[:, None]
        return gain_db / DB_PER_NEPER

    def lateral_factor(self, depth_mm: torch.Tensor) -> torch.Tensor:
        """(N,) width of the beam at depths (N,) in mm over that of the probe."""
        return self.lateral_scale + self.lateral_growth_per_cm * depth_mm / 10

    def ring_down(self, depth_mm: torch.Tensor) -> torch.Tensor:
        """(N,) amplitude of the transducer's own echo at depths (N,) in mm."""
        amplitude = 10 ** (torch.as_tensor(self.ring_down_db).to(depth_mm) / 20)
        return amplitude * torch.exp(-depth_mm / self.ring_down_mm)

    def look_weights(self) -> list:
        """Weights (sum 1) of independent images whose mean has the speckle contrast of `looks`."""
        looks = float(self.looks)
        if looks <= 1:
            return [1.0]
        count = -int(-looks // 1)
        # One image of weight w and count - 1 of equal weight: 1 / looks = w^2 + (1 - w)^2 / (count - 1).
        first = (1 + ((count - 1) * (count / looks - 1)) ** 0.5) / count
        return [first] + [(1 - first) / (count - 1)] * (count - 1)


def _at(values, share: torch.Tensor) -> torch.Tensor:
    """The curve with knots evenly spaced over [0, 1] at shares (N,); beyond, the last value."""
    values = torch.as_tensor(values).to(share)
    place = share.clamp(0, 1) * (len(values) - 1)
    left = place.long().clamp(max=len(values) - 2)
    return torch.lerp(values[left], values[left + 1], place - left)


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
