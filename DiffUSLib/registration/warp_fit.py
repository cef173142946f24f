"""The posterior of a smooth displacement, and the climb to its top."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch

from DiffUSLib.geometry.bspline import Knots, SplineSum, Warp
from DiffUSLib.registration.objective import Objective
from DiffUSLib.registration.warp_prior import WarpPrior

KNOTS_MM = 15.0
_MARGIN_MM = 25.0
"""Around the fans, where the displacement fades away."""
PRESSURE_MM = 2.0
"""Standard deviation of how far a probe presses tissue away."""
_PRESSURE_REACH_MM = 25.0
"""Depth over which that fades."""
_ITERATIONS = {"halves": 14, "together": 10}


@dataclass(frozen=True)
class DeformationProgress:
    """Where a deformation stands: "halves" or "together", the iteration from 0, and the log-posterior."""

    stage: str
    iteration: int
    score: float


class WarpFit:
    """Log-posterior of a displacement, as independent standard normal numbers (count + 1, 3).

    The last row's first number is the probe's pressure; without that, it stays 0.
    """

    def __init__(self, objective: Objective, units: torch.Tensor, size_mm: float, length_mm: float, pressure: bool):
        self.objective, self.units, self._pressure = objective, units, pressure
        self.ends = objective.sample_ends_ras_mm(units).numpy()
        self.knots = Knots.around(self.ends.reshape(-1, 3), KNOTS_MM, _MARGIN_MM)
        self.prior = WarpPrior(self.knots, size_mm, length_mm)
        self._root = torch.from_numpy(self.prior.root)
        self._weights = self.knots.weights(self.ends.reshape(-1, 3))

    def of(self, part: Objective) -> WarpFit:
        """The same of a part of the ultrasound (`Objective.halves`)."""
        changed = object.__new__(WarpFit)
        changed.__dict__ |= self.__dict__
        changed.objective = part
        changed.ends = part.sample_ends_ras_mm(self.units).numpy()
        changed._weights = self.knots.weights(changed.ends.reshape(-1, 3))
        return changed

    def warp(self, numbers: torch.Tensor) -> Warp:
        """The displacement of the tissue, without what the probe presses."""
        return Warp(self.knots, (self._root @ numbers[:-1]).numpy())

    def displacement(self, numbers: torch.Tensor) -> torch.Tensor:
        """(S, L, N+1, 3) at the ends of the samples, differentiable."""
        moved = SplineSum.apply(self._root @ numbers[:-1], self._weights).reshape(self.ends.shape)
        if self._pressure:
            # What the probe pushed down stood nearer to it in the scan.
            ends = torch.from_numpy(self.ends)
            along = ends[:, :, -1] - ends[:, :, 0]
            depth = (ends - ends[:, :, :1]).norm(dim=-1, keepdim=True)
            away = (along / along.norm(dim=-1, keepdim=True)).unsqueeze(2)
            moved = moved - numbers[-1, 0] * PRESSURE_MM * torch.exp(-depth / _PRESSURE_REACH_MM) * away
        return moved.float()

    def similarity(self, numbers: torch.Tensor) -> float:
        """Log-likelihood, without the prior."""
        with torch.no_grad():
            return float(self.objective.displaced_posterior(self.units, self.displacement(numbers)))

    def posterior(self, numbers: torch.Tensor) -> torch.Tensor:
        """() differentiable."""
        likelihood = self.objective.displaced_posterior(self.units, self.displacement(numbers))
        return likelihood.double() - 0.5 * numbers.square().sum()

    def climb(self, stage: str, start: torch.Tensor | None) -> Generator[DeformationProgress, None, torch.Tensor]:
        """L-BFGS. Yields after each iteration; returns the best numbers."""
        first = torch.zeros(self.knots.count + 1, 3, dtype=torch.float64) if start is None else start.clone()
        numbers = first.requires_grad_()
        optimizer = torch.optim.LBFGS([numbers], max_iter=1, max_eval=4, line_search_fn="strong_wolfe")

        def cost():
            optimizer.zero_grad()
            try:
                value = -self.posterior(numbers)
                value.backward()
            except torch.OutOfMemoryError:
                self.objective.go_on_on_cpu()
                return cost()
            return value

        for iteration in range(_ITERATIONS[stage]):
            value = optimizer.step(cost)
            yield DeformationProgress(stage, iteration, -float(value.detach()))
        return numbers.detach()
