"""How well corrections explain the slices at one scale, with gradient and curvature."""

from __future__ import annotations

import copy
import functools
import warnings
from dataclasses import dataclass

import torch

from DiffUSLib.acoustics import AcousticMaps
from DiffUSLib.errors import DiffUSWarning
from DiffUSLib.geometry.sampling import transform_points
from DiffUSLib.registration.correction import correction_matrix, image_scale
from DiffUSLib.registration.features import Features, SmoothAnatomy
from DiffUSLib.similarity import regression
from DiffUSLib.similarity.regression import regressed
from DiffUSLib.ultrasound.observation import UltrasoundSlices, observe

INDEPENDENT_SAMPLES = 60.0
"""Of one slice: what its likelihood counts for against the prior and as certainty. Speckle cells are many more, but
what they show beyond the model repeats over centimeters. Calibrated on simulated slices (see DiffUSLib/simulator)."""

_CHUNK_SAMPLES = 120_000
"""Computed at once: larger chunks gain little on a CPU, and a user interface waits for them."""


@dataclass(frozen=True)
class Scale:
    """How finely to look.

    Args:
        volume_mm: smoothing of the volume and its maps (standard deviation).
        image_mm: smoothing of the ultrasound.
        lines, samples: grid of the fan.
        window: odd numbers of lines and samples; slower variations are ignored.
    """

    volume_mm: float
    image_mm: float
    lines: int
    samples: int
    window: tuple[int, int]


WIDE = Scale(2.0, 1.2, 24, 36, (7, 9))  # COARSE at half the cost, to compare thousands of places
COARSE = Scale(2.0, 1.2, 32, 48, (9, 11))
MIDDLE = Scale(1.0, 0.7, 48, 72, (11, 15))
FINE = Scale(1.0, 0.5, 64, 96, (15, 21))
SHARP = Scale(0.4, 0.5, 64, 96, (15, 21))  # smoothing takes from interfaces what impedance gives them


@dataclass(frozen=True)
class Explained:
    """What channels explain of the ultrasound after a displacement.

    Args:
        parts: (S, C, L, N) detail of the channels.
        mix: (C,) their weights.
        precision: (S, L, N) independent samples per square of what they leave.
    """

    parts: torch.Tensor
    mix: torch.Tensor
    precision: torch.Tensor


def _going_on_without_gpu_memory(method):
    """Let a method of `Objective` start again on the CPU when the GPU runs out of memory, also in a backward pass."""

    @functools.wraps(method)
    def wrapped(self, *arguments):
        try:
            return method(self, *arguments)
        except torch.OutOfMemoryError:
            self.go_on_on_cpu()
            return method(self, *arguments)

    return wrapped


class Objective:
    """Log-posterior of corrections.

    Args:
        anatomy: of the patient, smoothed by `scale.volume_mm`.
        slices: the ultrasound, at poses that the correction starts from.
        scale: how finely to look.
        center_ras_mm: (3,) the point about which corrections turn.
        prior_units: (7,) standard deviations of the correction that the tracking lets expect.
        device: where to compute.

    Attributes:
        chunk: so many corrections are computed at once.
    """

    def __init__(
        self,
        anatomy: SmoothAnatomy,
        slices: UltrasoundSlices,
        scale: Scale,
        center_ras_mm: torch.Tensor,
        prior_units: torch.Tensor,
        device: torch.device,
    ):
        observed = observe(slices, scale.lines, scale.samples, scale.image_mm)
        self._values, self._weights = observed.values, observed.weights
        self._features = Features(anatomy, observed.probe, scale.samples, device)
        self._window = scale.window
        self._gain: float | torch.Tensor = 1.0
        self._center = center_ras_mm.float()
        self._poses = slices.transducer_to_ras.float()
        self._prior = prior_units
        self._evidence = INDEPENDENT_SAMPLES * len(self._poses)
        self.chunk = max(1, _CHUNK_SAMPLES // self._values.numel())

    def halves(self) -> tuple[Objective, Objective]:
        """The same of disjoint halves of the ultrasound: every other slice, or both sides of a single fan."""
        parts = []
        for first in (0, 1):
            part = copy.copy(self)
            if len(self._poses) > 1:
                part._values, part._weights = self._values[first::2], self._weights[first::2]
                part._poses = self._poses[first::2]
            else:
                middle = self._values.shape[1] // 2
                side = slice(None, middle) if first == 0 else slice(middle, None)
                part._weights = torch.zeros_like(self._weights)
                part._weights[:, side] = self._weights[:, side]
            part._evidence = self._evidence / 2
            part.chunk = max(1, _CHUNK_SAMPLES // part._values.numel())
            parts.append(part)
        return parts[0], parts[1]

    def seen_from(self, transducer_to_ras: torch.Tensor) -> Objective:
        """What images from other poses (S, 4, 4) would be expected to show; what was measured does not count there."""
        part = copy.copy(self)
        count = len(transducer_to_ras)
        part._poses = transducer_to_ras.float()
        part._values = self._values[:1].expand(count, -1, -1)
        part._weights = self._weights[len(self._weights) // 2 :][:1].expand(count, -1, -1)
        return part

    def without(self, hidden: torch.Tensor) -> Objective:
        """The same without samples (S, L, N) bool."""
        part = copy.copy(self)
        part._weights = self._weights * ~hidden
        return part

    def go_on_on_cpu(self) -> None:
        """Leave a GPU that ran out of memory, which is told. Called on the CPU, the error that it handles goes on."""
        device = self._features.device
        if device.type == "cpu":
            raise
        warnings.warn(f"{device} ran out of memory; the alignment goes on, slower, on the CPU.", DiffUSWarning, 4)
        self._features = self._features.on_cpu()

    def _poses_of(self, units: torch.Tensor) -> torch.Tensor:
        """(B S, 4, 4): correction after correction, the slices of each together."""
        corrections = correction_matrix(units, self._center.to(units.device)).to(self._poses)
        scale = image_scale(units).to(self._poses)
        scales = torch.diag_embed(torch.stack([scale, scale, scale, torch.ones_like(scale)], dim=1))
        return (corrections[:, None] @ self._poses[None] @ scales[:, None]).reshape(-1, 4, 4)

    def with_tissue(self, maps: AcousticMaps, gain: float | torch.Tensor) -> Objective:
        """The same with other acoustic maps and a gain (a factor of power); gradients reach both."""
        changed = copy.copy(self)
        changed._features, changed._gain = self._features.with_maps(maps), gain
        return changed

    def _score(self, units: torch.Tensor) -> torch.Tensor:
        return self._regressed(self._features(self._poses_of(units), self._gain))

    def _regressed(self, channels: torch.Tensor) -> torch.Tensor:
        # What is compared lies on the CPU and follows the features, which may leave a GPU without memory.
        values, weights = self._values.to(channels.device), self._weights.to(channels.device)
        return regression(channels, values, weights, self._window, len(self._poses)).cpu()

    def sample_ends_ras_mm(self, units: torch.Tensor) -> torch.Tensor:
        """(S, L, N+1, 3) float64: where a displacement is wanted after one correction (7,)."""
        return transform_points(self._poses_of(units[None].double()).double(), self._features.sample_ends_mm())

    def displaced_posterior(self, units: torch.Tensor, displacement_mm: torch.Tensor) -> torch.Tensor:
        """() log-likelihood after one correction (7,) and a displacement at the ends of the samples (S, L, N+1, 3) in
        RAS, of which gradients can be taken. The prior of the correction does not count."""
        return self._evidence * self._regressed(self._displaced(units, displacement_mm))[0]

    def displaced(self, units: torch.Tensor, displacement_mm: torch.Tensor) -> Explained:
        """What the channels explain after one correction (7,) and a displacement (S, L, N+1, 3)."""
        with torch.no_grad():
            channels = self._displaced(units, displacement_mm)
            values, weights = self._values.to(channels), self._weights.to(channels)
            found = regressed(channels, values, weights, self._window, len(self._poses))
            return Explained(found.parts.cpu(), found.mix[0].cpu(), self._evidence * found.precision().cpu())

    def _displaced(self, units: torch.Tensor, displacement_mm: torch.Tensor) -> torch.Tensor:
        return self._features(self._poses_of(units[None]), self._gain, displacement_mm)

    @_going_on_without_gpu_memory
    def score(self, units: torch.Tensor) -> torch.Tensor:
        """(B,) similarity of (B, 7) corrections, without prior and gradient."""
        with torch.no_grad():
            return torch.cat([self._score(part) for part in units.cpu().split(self.chunk)])

    def posterior(self, units: torch.Tensor) -> torch.Tensor:
        """(B,) log-posterior up to a constant, without gradient."""
        return self._evidence * self.score(units) + self._log_prior(units)

    def differentiable_posterior(self, units: torch.Tensor) -> torch.Tensor:
        """(B,) log-posterior of a few corrections, of which gradients can be taken."""
        units = units.cpu()
        return self._evidence * self._score(units) + self._log_prior(units)

    def _log_prior(self, units: torch.Tensor) -> torch.Tensor:
        return -0.5 * (units / self._prior.to(units)).square().sum(1)

    @_going_on_without_gpu_memory
    def posterior_and_gradient(self, units: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B,) log-posterior and its gradient (B, 7)."""
        values, gradients = [], []
        for part in units.detach().cpu().split(self.chunk):
            part = part.clone().requires_grad_()
            value = self.differentiable_posterior(part)
            gradients.append(torch.autograd.grad(value.sum(), part)[0])
            values.append(value.detach())
        return torch.cat(values), torch.cat(gradients)

    def coverage(self, units: torch.Tensor) -> torch.Tensor:
        """(S,) share of each fan inside the volume after one correction (7,)."""
        with torch.no_grad():
            return self._features.coverage(self._poses_of(units[None].cpu())).cpu()
