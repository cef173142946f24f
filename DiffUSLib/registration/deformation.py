"""How tissue has moved since the scan: a smooth displacement found through the renderer, after the rigid step."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from DiffUSLib.acoustics import AcousticMaps, acoustic_maps
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.bspline import Warp
from DiffUSLib.geometry.sampling import Sampler, ras_to_index, transform_points
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.registration.alignment import RegistrationResult
from DiffUSLib.registration.correction import LEVER_MM, UNITS
from DiffUSLib.registration.features import crop, smoothed
from DiffUSLib.registration.objective import MIDDLE, Objective
from DiffUSLib.registration.search import told
from DiffUSLib.registration.warp_fit import PRESSURE_MM, DeformationProgress, WarpFit
from DiffUSLib.registration.warped_volume import warp_grid
from DiffUSLib.rendering.device import choose_device
from DiffUSLib.ultrasound.observation import UltrasoundSlices

_SIZE_MM, _LENGTH_MM = 1.5, 25.0
"""Of the prior, tuned on simulated shifts of up to 5 mm (tier T4, seeds 1002 to 1004, which are not reported)."""
_LEAST_VOLUME = 0.2
"""Smallest change of volume that tissue is believed to go through."""
_GRID_MM = 5.0
_LEAST_GAIN = 1.0
"""In log-likelihood of held-out frames, mean of both halves: a displacement that gains less is not kept. Some gain
comes from what the renderer gets wrong. Chosen on the same cases."""


@dataclass(frozen=True)
class DeformationSettings:
    """Choices of the user.

    Args:
        size_mm: standard deviation of the displacement along each axis that is expected.
        length_mm: over which it changes.
        pressure: let the probe press tissue away from it, fading with depth; told as `pressure_mm`.
        cavity: volume that is above 0 where tissue was removed after the scan (in the space of the scan): what of the
            fans lies in there is left out.
        device: as of the renderer.

    Raises:
        DiffUSError: if a length is not above zero.
    """

    size_mm: float = _SIZE_MM
    length_mm: float = _LENGTH_MM
    pressure: bool = False
    cavity: Volume | None = None
    device: str = "auto"

    def __post_init__(self):
        for name in ("size_mm", "length_mm"):
            if not getattr(self, name) > 0:
                raise DiffUSError(f"{name} of a deformation is {getattr(self, name)}; it must be above zero.")


@dataclass(frozen=True)
class DeformationResult:
    """Where tissue went.

    Args:
        warp: displacement from where the corrected ultrasound has tissue to where the volume has it; zero if it was
            not better than rigid.
        is_better: whether frames that were held out agree better with the displacement that the others led to.
        sentence: says so.
        held_out: similarity of the held-out frames, rigid and deformed.
        displacement_mm: mean and largest length within the fans.
        least_jacobian, largest_jacobian: change of volume anywhere.
        folded_voxels: of a grid of 5 mm over the box; always 0.
        pressure_mm: how far the probe presses tissue away at its face; None unless it was asked for.
        seconds: that it took.
    """

    warp: Warp
    is_better: bool
    sentence: str
    held_out: tuple[float, float]
    displacement_mm: tuple[float, float]
    least_jacobian: float
    largest_jacobian: float
    folded_voxels: int
    pressure_mm: float | None
    seconds: float


class Deformation:
    """One deformable step. Iterate over `steps()` to run it; stop iterating to cancel; then `result` is the outcome.

    Args:
        volume: MRI or CT.
        slices: the ultrasound at the poses that the rigid registration started from.
        rigid: its result.
        settings: choices of the user.
        maps: acoustic maps of the volume; made from it by default.

    Attributes:
        fit, numbers: the posterior and its optimum, also if the rigid correction is kept.
    """

    def __init__(
        self,
        volume: Volume,
        slices: UltrasoundSlices,
        rigid: RegistrationResult,
        settings: DeformationSettings | None = None,
        maps: AcousticMaps | None = None,
    ):
        self.settings = settings or DeformationSettings()
        self.slices = replace(slices, transducer_to_ras=rigid.correction_ras @ slices.transducer_to_ras)
        self.units = torch.zeros(UNITS)
        self.units[6] = (rigid.image_scale - 1) * LEVER_MM
        self.result: DeformationResult | None = None
        self.fit: WarpFit | None = None
        self.numbers = torch.zeros(0, 3)
        self._volume, self._maps = volume, maps

    def steps(self) -> Iterator[DeformationProgress]:
        """Runs it; each step takes a fraction of a second for seven frames."""
        began = time.perf_counter()
        beginning = DeformationProgress("halves", 0, 0.0)
        objective = yield from told(self.objective(MIDDLE), beginning)
        if self.settings.cavity is not None:
            objective = objective.without(_inside(self.settings.cavity, objective.sample_ends_ras_mm(self.units)))
        choices = self.settings
        self.fit = fit = WarpFit(objective, self.units, choices.size_mm, choices.length_mm, choices.pressure)
        shares, gains, starts = objective.halves(), [], []
        for own, other in (shares, shares[::-1]):
            part = fit.of(own)
            found = yield from part.climb("halves", None)
            starts.append(found)
            judge = fit.of(other)
            gains.append((judge.similarity(torch.zeros_like(found)), judge.similarity(found)))
        rigid, deformed = (float(np.mean([gain[n] for gain in gains])) for n in (0, 1))
        self.numbers = yield from fit.climb("together", (starts[0] + starts[1]) / 2)
        self.result = self._judged(fit, self.numbers, (rigid, deformed), time.perf_counter() - began)

    def objective(self, scale) -> Generator[None, None, Objective]:
        """What the displacement is measured by, at one scale. Yields after each part of the work."""
        maps = self._maps or acoustic_maps(self._volume)
        poses = self.slices.transducer_to_ras
        outline = (self.slices.probe.outline_mm() @ poses[:, :3, :3].transpose(1, 2) + poses[:, None, :3, 3]).reshape(
            -1, 3
        )
        smooth = yield from smoothed(crop(self._volume, maps, outline, 25.0), scale.volume_mm)
        device = choose_device(self.settings.device)[0]
        center = self.slices.centers_ras_mm.mean(0)
        return Objective(smooth, self.slices, scale, center, torch.ones(UNITS), device)

    def _judged(self, fit: WarpFit, numbers: torch.Tensor, held_out, seconds: float) -> DeformationResult:
        warp = unfolded(fit.warp(numbers))
        is_better = held_out[1] > held_out[0] + _LEAST_GAIN
        if is_better:
            sentence = "Frames that were held out agree better with the displacement that the others led to."
        else:
            warp = warp.scaled(0.0)
            sentence = (
                "Frames that were held out agree no better with the displacement that the others led to: the rigid "
                "correction is kept."
            )
        lengths = np.linalg.norm(warp.displacement_mm(fit.ends[:, ::4, ::4].reshape(-1, 3)), axis=-1)
        jacobian = warp.jacobian(warp_grid(warp, _GRID_MM)[0])
        pressed = float(numbers[-1, 0]) * PRESSURE_MM if self.settings.pressure else None
        return DeformationResult(
            warp=warp,
            is_better=is_better,
            sentence=sentence,
            held_out=held_out,
            displacement_mm=(float(lengths.mean()), float(lengths.max())),
            least_jacobian=float(jacobian.min()),
            largest_jacobian=float(jacobian.max()),
            folded_voxels=int((jacobian <= 0).sum()),
            pressure_mm=pressed,
            seconds=seconds,
        )


def _inside(cavity: Volume, ends_ras_mm: torch.Tensor) -> torch.Tensor:
    """(S, L, N) bool: samples between ends (S, L, N+1, 3) that lie within a cavity."""
    middles = (ends_ras_mm[:, :, 1:] + ends_ras_mm[:, :, :-1]) / 2
    mask = (cavity.voxels > 0).float()
    index = transform_points(ras_to_index(cavity.ijk_to_ras)[None], middles)[0].float()
    return Sampler([mask], [0.0])(index)[0] > 0.5


def unfolded(warp: Warp) -> Warp:
    """The displacement, or as much of it as keeps tissue from folding."""
    points = warp_grid(warp, _GRID_MM)[0]
    while float(warp.jacobian(points).min()) < _LEAST_VOLUME:
        warp = warp.scaled(0.8)
    return warp
