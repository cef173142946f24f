"""How sure a registration is, from its evidence: a logistic model that was fitted to cases whose truth is known.

The probability that the mean target error is below 3 mm is logistic in a few features of the evidence, none of which
may count the wrong way round. The expected error is log-linear in two of them. `python -m
DiffUSLib.evaluation.verdict_calibration` fits both anew from `data/verdict_cases.csv` and writes `data/verdict.json`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from DiffUSLib.registration.trust import Evidence

RIGHT_MM = 3.0
"""A registration is right if the mean target error is below this."""


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _log(value: float, low: float, high: float) -> float:
    return math.log(_within(value, low, high))


class Figures(NamedTuple):
    """Of the evidence, see `DiffUSLib.registration.trust.Evidence`; of the uncertainty the largest."""

    contrast: float
    gain: float
    margin: float
    uncertainty_mm: float
    halves_mm: float
    prior_sigmas: float


FEATURES: dict[str, Callable[[Figures], float]] = {
    "contrast": lambda of: _log(of.contrast, 1.0, 40.0),
    # Speckle without anatomy explains next to nothing, however far its best place stands out.
    "gain": lambda of: _log(of.gain, 0.1, 4.0),
    "margin": lambda of: _within(of.margin / max(of.contrast, 1.0), 0.0, 1.0),
    "certainty": lambda of: -_log(of.uncertainty_mm, 0.2, 8.0),
    # The search of a half that stays where it began says nothing more.
    "agreement": lambda of: -_log(of.halves_mm, 0.7, 8.0),
    "nearness": lambda of: -min(of.prior_sigmas, 4.0),
}
"""Each the higher, the better."""


@dataclass(frozen=True)
class VerdictModel:
    """The fitted model.

    Args:
        weights: of the features, zero or more.
        intercept: of the log-odds.
        typical: median feature of right cases, against which reasons are given.
        accept, reject: probabilities from which on a result is accepted, and below which it is rejected.
        error_weights, error_intercept: of the logarithm of the median error in mm.
        error_spread: factor from the median error to that below which 90 % of the errors lie.
    """

    weights: dict[str, float]
    intercept: float
    typical: dict[str, float]
    accept: float
    reject: float
    error_weights: dict[str, float]
    error_intercept: float
    error_spread: float

    def confidence(self, values: dict[str, float]) -> float:
        """Probability that a registration with these features is right."""
        odds = self.intercept + sum(weight * values[name] for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-odds))

    def expected_error_mm(self, values: dict[str, float]) -> tuple[float, float]:
        """Error that half of the right cases stay below, and that 90 % of them stay below."""
        level = self.error_intercept + sum(weight * values[name] for name, weight in self.error_weights.items())
        return math.exp(level), math.exp(level) * self.error_spread

    def doubts(self, values: dict[str, float]) -> dict[str, float]:
        """By how much the log-odds are below those of a typical right case, by feature, the worst first."""
        lost = {name: weight * (self.typical[name] - values[name]) for name, weight in self.weights.items()}
        return dict(sorted(((n, x) for n, x in lost.items() if x > 0), key=lambda pair: -pair[1]))


@cache
def shipped_model() -> VerdictModel:
    """The model in `data/verdict.json`."""
    text = (files("DiffUSLib") / "data" / "verdict.json").read_text(encoding="utf-8")
    return VerdictModel(**json.loads(text)["model"])


def feature_values(figures: Figures) -> dict[str, float]:
    """Features by name."""
    return {name: feature(figures) for name, feature in FEATURES.items()}


def features_of(evidence: Evidence) -> dict[str, float]:
    """Features by name."""
    return feature_values(
        Figures(
            evidence.contrast,
            evidence.gain,
            evidence.margin,
            max(evidence.uncertainty_mm),
            evidence.halves_mm,
            evidence.prior_sigmas,
        )
    )
