"""What a user chooses of an alignment."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.registration.correction import LEVER_MM, check_degrees_of_freedom

_PRIOR_SCALE = 0.02  # of the image: sound in soft tissue is within some 3 % of what scanners assume


@dataclass(frozen=True)
class Preset:
    """How far to look and how hard.

    Args:
        prior_mm, prior_deg: standard deviation of the tracking error per axis.
        starts: corrections that are scored at the start.
        climbed: the best of them, that are followed uphill at the coarse scale.
        survivors: pairs of an iteration, and how many of the climbed go on after it.
        second_wind: times as many starts, if the first search found nothing that stands out.
        refined: distinct optima followed at the middle scale; the best two end at the fine scale.
        capture_mm, capture_deg: errors of tracking from which seven slices are put right.
        seconds: that seven slices take on one core of an otherwise idle computer. This and the capture were measured
            with a longer search (`diffus evaluate`, simulated heads); the present one computes about half as much.
    """

    prior_mm: float
    prior_deg: float
    starts: int
    climbed: int
    survivors: tuple[tuple[int, int], ...]
    second_wind: int
    refined: int
    capture_mm: float
    capture_deg: float
    seconds: float

    @property
    def title(self) -> str:
        """What the preset is good for, to be shown to people."""
        return f"within {self.capture_mm:g} mm and {self.capture_deg:g}°, about {self.seconds:g} s"


PRESETS = {
    "quick": Preset(
        prior_mm=5.0,
        prior_deg=5.0,
        starts=160,
        climbed=20,
        survivors=((4, 10), (10, 5)),
        second_wind=4,
        refined=4,
        capture_mm=10,
        capture_deg=10,
        seconds=7,
    ),
    "robust": Preset(
        prior_mm=12.0,
        prior_deg=14.0,
        starts=12288,
        climbed=640,
        survivors=((2, 192), (6, 64), (12, 20)),
        second_wind=1,
        refined=8,
        capture_mm=25,
        capture_deg=40,
        seconds=28,
    ),
}


@dataclass(frozen=True)
class RegistrationSettings:
    """Choices of the user.

    Args:
        preset: "quick" (errors of tracking and patient registration) or "robust" (wide search).
        degrees_of_freedom: "rigid_and_scale", "rigid", "translation" or "in_plane". The scale is that of the images:
            scanners assume one speed of sound, and a rigid correction alone would be off by as much as they are.
        prior_mm, prior_deg: standard deviation of the expected correction per axis; None for the preset's.
        seed: of the starts.
        device: as of the renderer.
        refine_tissue: find the impedances at the anchors of an MRI's curve, and the gain, together with the pose.

    Raises:
        DiffUSError: for an unknown preset or unknown degrees of freedom, or a prior that is not above zero.
    """

    preset: str = "quick"
    degrees_of_freedom: str = "rigid_and_scale"
    prior_mm: float | None = None
    prior_deg: float | None = None
    seed: int = 0
    device: str = "auto"
    refine_tissue: bool = False

    def __post_init__(self):
        if self.preset not in PRESETS:
            raise DiffUSError(f"the preset '{self.preset}' is unknown; choose one of {', '.join(PRESETS)}.")
        check_degrees_of_freedom(self.degrees_of_freedom)
        for name in ("prior_mm", "prior_deg"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise DiffUSError(f"{name} is {value}; it must be above zero.")

    @property
    def prior_units(self) -> torch.Tensor:
        """(7,) standard deviations in the units of `correction_matrix`."""
        preset = PRESETS[self.preset]
        shift, turn = self.prior_mm or preset.prior_mm, self.prior_deg or preset.prior_deg
        return torch.tensor([shift] * 3 + [math.radians(turn) * LEVER_MM] * 3 + [_PRIOR_SCALE * LEVER_MM])
