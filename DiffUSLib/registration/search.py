"""From the tracker's poses to the best correction: many starts, coarse to fine, a second-order end."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

import torch

from DiffUSLib.registration.correction import UNITS
from DiffUSLib.registration.objective import Objective

_LEARNING_MM = {"coarse": (1.0, 25), "middle": (0.4, 18), "trust": (0.4, 10)}
_CURVATURE_STEP_MM = 0.6  # wide enough to see the hill and not the kinks of trilinear interpolation
_CURVATURE_REACH_MM = 1.0
_NEWTON_ITERATIONS = 10
_NEWTON_LARGEST_MM = 1.5
_CONVERGED_MM = 0.02
_DISTINCT_MM = 5.0


Result = TypeVar("Result")
News = TypeVar("News")


@dataclass(frozen=True)
class Step:
    """Where the search stands.

    Args:
        stage: "start", "coarse", "middle", "fine", "trust" or "tissue".
        iteration: within the stage, from 0.
        score: similarity or log-posterior of the best correction so far, comparable within a stage.
        units: (7,) the best correction so far.
    """

    stage: str
    iteration: int
    score: float
    units: torch.Tensor


@dataclass(frozen=True)
class Optimum:
    """A maximum of the log-posterior at the fine scale, with its curvature (F, F) along the free directions."""

    units: torch.Tensor
    posterior: float
    hessian: torch.Tensor


def quasi_random_starts(count: int, spread_units: torch.Tensor, directions: torch.Tensor, seed: int) -> torch.Tensor:
    """(count, 7) corrections: none first, then normally distributed ones that cover the space evenly (Sobol)."""
    free = directions.shape[1]
    uniform = torch.quasirandom.SobolEngine(free, scramble=True, seed=seed).draw(count - 1, dtype=torch.float64)
    normal = torch.erfinv((2 * uniform - 1).clamp(-0.999, 0.999)) * 2**0.5
    # A spread that differs between axes is projected on what may move.
    starts = (normal @ directions.T) * spread_units.to(torch.float64)
    starts = starts @ directions @ directions.T
    return torch.cat([torch.zeros(1, UNITS, dtype=torch.float64), starts]).float()


def rank(objective: Objective, starts: torch.Tensor, keep: int, stage: str) -> Generator[Step, None, torch.Tensor]:
    """Yields while it scores the starts; returns the best `keep` of them."""
    scores = []
    for index, part in enumerate(starts.split(objective.chunk)):
        scores.append(objective.posterior(part))
        together = torch.cat(scores)
        yield Step(stage, index, float(together.max()), starts[together.argmax()])
    return starts[torch.cat(scores).argsort(descending=True, stable=True)[:keep]]


def climb(
    objective: Objective,
    starts: torch.Tensor,
    directions: torch.Tensor,
    stage: str,
    survivors: tuple[tuple[int, int], ...] = (),
) -> Generator[Step, None, tuple[torch.Tensor, torch.Tensor]]:
    """Adam from all starts at once. Yields often; returns the best point of each start and its posterior.

    Args:
        starts: (K, 7); the first one is followed to the end.
        survivors: pairs of an iteration, and how many go on after it: the first, and the best others.
    """
    rate, iterations = _LEARNING_MM[stage]
    project = (directions @ directions.T).to(starts)
    units = starts.clone()
    first, second = torch.zeros_like(units), torch.zeros_like(units)
    best, best_units = torch.full((len(units),), -torch.inf), units.clone()
    best[0] = objective.posterior(units[:1])[0]  # something to show from the first step on
    for iteration in range(iterations):
        leader = int(best.argmax())
        step = Step(stage, iteration, float(best[leader]), best_units[leader])
        value, gradient = yield from told(gradients(objective, units), step)
        better = value > best
        best, best_units = torch.where(better, value, best), torch.where(better[:, None], units, best_units)
        gradient = gradient @ project
        if iteration in dict(survivors):
            others = 1 + best[1:].argsort(descending=True, stable=True)[: dict(survivors)[iteration] - 1]
            kept = torch.cat([others.new_zeros(1), others])
            state = (units, gradient, first, second, best, best_units)
            units, gradient, first, second, best, best_units = (each[kept] for each in state)
        first = 0.8 * first + 0.2 * gradient
        # One scale for all seven units, which compare: the path then does not depend on the axes.
        second = 0.95 * second + 0.05 * gradient.square().mean(1, keepdim=True)
        mean = first / (1 - 0.8 ** (iteration + 1))
        scale = (second / (1 - 0.95 ** (iteration + 1))).sqrt() + 1e-9
        units = units + rate * (1 - 0.8 * iteration / iterations) * mean / scale
    return best_units, best


def distinct(units: torch.Tensor, values: torch.Tensor, keep: int) -> torch.Tensor:
    """The best corrections (K, 7), K <= keep, that lie more than 5 mm apart."""
    chosen: list[int] = []
    for index in values.argsort(descending=True, stable=True).tolist():
        if all(float((units[index] - units[other]).norm()) > _DISTINCT_MM for other in chosen):
            chosen.append(index)
        if len(chosen) == keep:
            break
    return units[chosen]


def gradients(objective: Objective, units: torch.Tensor) -> Generator[None, None, tuple[torch.Tensor, torch.Tensor]]:
    """Log-posterior (B,) and its gradient (B, 7) at corrections (B, 7). Yields after each part of the work."""
    parts = []
    for part in units.split(objective.chunk):
        parts.append(objective.posterior_and_gradient(part))
        yield
    values, slopes = zip(*parts, strict=True)
    return torch.cat(values), torch.cat(slopes)


def curvature(
    objective: Objective, units: torch.Tensor, directions: torch.Tensor
) -> Generator[None, None, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Log-posterior, gradient (F,) and Hessian (F, F) at one correction (7,) along directions (7, F).

    The Hessian is the central difference of gradients. Yields after each part of the work; returns the three.
    """
    basis = directions.to(units)
    steps = _CURVATURE_STEP_MM * basis.T
    values, slopes = yield from gradients(objective, torch.cat([units[None], units + steps, units - steps]))
    slopes, count = slopes @ basis, basis.shape[1]
    hessian = (slopes[1 : count + 1] - slopes[count + 1 :]) / (2 * _CURVATURE_STEP_MM)
    return values[0], slopes[0], (hessian + hessian.T) / 2


def polish(objective: Objective, start: torch.Tensor, directions: torch.Tensor) -> Generator[Step, None, Optimum]:
    """Newton's method with bounded steps from one correction (7,). Returns the `Optimum`.

    The curvature costs as much as a dozen steps: it is kept for as long as the steps stay near its place.
    """
    basis = directions.to(start)
    units, value, place = start, objective.posterior(start[None])[0], None
    for iteration in range(_NEWTON_ITERATIONS):
        step = Step("fine", iteration, float(value), units)
        if place is None or float((units - place).norm()) > _CURVATURE_REACH_MM:
            value, gradient, hessian = yield from told(curvature(objective, units, directions), step)
            place = units
        values, vectors = torch.linalg.eigh(-hessian.double())
        floor = 1e-3 * values.abs().max().clamp_min(1e-6)
        # Where the surface bends the wrong way, its bend still tells how far the gradient can be trusted.
        move = vectors @ ((vectors.T @ gradient.double()) / values.abs().clamp_min(floor))
        move = move * (_NEWTON_LARGEST_MM / move.norm().clamp_min(_NEWTON_LARGEST_MM))
        if float(move.norm()) < _CONVERGED_MM:
            break
        for share in (1.0, 0.3):
            tried = units + share * (basis @ move.to(basis))
            higher, slopes = yield from told(gradients(objective, tried[None]), step)
            if float(higher) > float(value):
                break
        else:
            break
        units, value, gradient = tried, higher[0], slopes[0] @ basis
    return Optimum(units, float(value), hessian)


def told(work: Generator[None, None, Result], news: News) -> Generator[News, None, Result]:
    """Yields `news` for each part of some work; returns what the work returns."""
    while True:
        try:
            next(work)
        except StopIteration as stop:
            return stop.value
        yield news
