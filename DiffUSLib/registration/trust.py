"""Whether to believe a registration: verdict, reasons in words, and uncertainty in millimeters."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from DiffUSLib.registration.correction import LEVER_MM
from DiffUSLib.registration.verdict import RIGHT_MM, VerdictModel, features_of, shipped_model
from DiffUSLib.ultrasound.observation import UltrasoundSlices

COVERAGE_ACCEPT, COVERAGE_REJECT = 0.3, 0.1
"""Of a fan that lies inside the volume. The simulated cases have no cropped volumes: chosen, not fitted; a cropped CT
with a third of the fan inside is usual, and less evidence shows in the uncertainty anyway."""

COMPETITOR_MM = 3.0
"""Optima closer than this are one."""

SECOND_WIND_CONTRAST = 7.0
"""A best place that stands out less than this is mostly the wrong one: on the cases of `data/verdict_cases.csv`, see
`python -m DiffUSLib.evaluation.verdict_calibration`."""

_WORTH_TELLING = 0.3  # of the log-odds
_NULL_COUNT = 48
_NULL_DISTANCE_MM = (12.0, 25.0)


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against a correction.

    Args:
        contrast: similarity above that of random poses, in their standard deviations.
        gain: log-likelihood per slice above the mean of random poses; a search reaches a little by chance.
        margin: similarity above the best other optimum in the same unit; infinite if there is none.
        competitor_mm: mean distance over the fans to that optimum; 0 if there is none.
        uncertainty_mm: standard deviation of the fans' position: lateral, depth, elevation.
        coverage: share of the fans inside the volume.
        halves_mm: mean distance over the fans between where disjoint halves of the ultrasound lead.
        prior_sigmas: size of the correction against what the tracking lets expect.
    """

    contrast: float
    gain: float
    margin: float
    competitor_mm: float
    uncertainty_mm: tuple[float, float, float]
    coverage: float
    halves_mm: float
    prior_sigmas: float


def null_corrections(directions: torch.Tensor, seed: int) -> torch.Tensor:
    """(N, 7) random corrections far from the identity, to see what similarity comes by chance."""
    generator = torch.Generator().manual_seed(seed)
    units = torch.randn(_NULL_COUNT, directions.shape[1], generator=generator) @ directions.T.float()
    units[:, 6] = 0  # the size of the images is known to a few percent
    near, far = _NULL_DISTANCE_MM
    length = near + (far - near) * torch.rand(_NULL_COUNT, 1, generator=generator)
    return units / units.norm(dim=1, keepdim=True) * length


def contrast(score: float, null_scores: torch.Tensor) -> float:
    """Similarity above the mean of random poses, in their standard deviations."""
    return (score - float(null_scores.mean())) / max(float(null_scores.std()), 1e-6)


def mean_distance_mm(first: torch.Tensor, second: torch.Tensor, slices: UltrasoundSlices) -> float:
    """Mean distance over the fans between where two world corrections (4, 4) put them."""
    return float(displacements_mm(first, second, slices).norm(dim=-1).mean())


def displacements_mm(first: torch.Tensor, second: torch.Tensor, slices: UltrasoundSlices) -> torch.Tensor:
    """(S, P, 3) movement of points on the fans from the second correction to the first, in the world."""
    points = slices.target_points_mm()
    points = torch.cat([points, torch.ones_like(points[:, :1])], dim=1)
    moved = (first - second).to(torch.float64) @ slices.transducer_to_ras
    return (points @ moved.transpose(1, 2))[..., :3]


def uncertainty_mm(
    hessian: torch.Tensor,
    directions: torch.Tensor,
    slices: UltrasoundSlices,
    center_ras_mm: torch.Tensor,
    lowest_precision: float,
) -> tuple[float, float, float]:
    """Standard deviation of the fans' points along X, Y and Z of their Transducer frames (Laplace approximation).

    Args:
        hessian: (F, F) of the log-posterior along `directions` (7, F).
        slices, center_ras_mm: what turns about which point.
        lowest_precision: of the prior; no direction is more uncertain.
    """
    values, vectors = torch.linalg.eigh(-hessian.double())
    # The prior bends every direction; where the images bend it back, they do not tell.
    spread = directions @ vectors * values.clamp_min(lowest_precision).rsqrt()
    points = slices.target_points_mm()
    poses = slices.transducer_to_ras
    world = points @ poses[:, :3, :3].transpose(1, 2) + poses[:, None, :3, 3]
    arm = (world - center_ras_mm) / LEVER_MM
    motion = spread[:3].T[:, None, None] + torch.linalg.cross(
        spread[3:6].T[:, None, None].expand(-1, *arm.shape[:2], -1), arm.expand(spread.shape[1], -1, -1, -1)
    )
    own = torch.einsum("fspi,sij->fspj", motion, poses[:, :3, :3])
    return tuple(own.square().sum(0).mean((0, 1)).sqrt().tolist())


@dataclass(frozen=True)
class Judgement:
    """What to make of a correction.

    Args:
        verdict: "accept", "check" or "reject".
        reasons: sentences.
        confidence: probability that the mean target error is below 3 mm.
        expected_error_mm: of right corrections with such evidence half, and 90 %, have less than this.
    """

    verdict: str
    reasons: list[str]
    confidence: float
    expected_error_mm: tuple[float, float]


def judge(evidence: Evidence, model: VerdictModel | None = None) -> Judgement:
    """The verdict on a correction, by a model fitted to cases whose truth is known (`shipped_model` by default)."""
    model = model or shipped_model()
    values = features_of(evidence)
    confidence, expected = model.confidence(values), model.expected_error_mm(values)
    verdict = "accept" if confidence >= model.accept else "check" if confidence >= model.reject else "reject"
    doubts = [_doubt(name, evidence) for name, lost in model.doubts(values).items() if lost > _WORTH_TELLING]
    if evidence.coverage < COVERAGE_ACCEPT:
        doubts.insert(0, f"Only {evidence.coverage:.0%} of the fan lies inside the volume.")
        verdict = "reject" if evidence.coverage < COVERAGE_REJECT or verdict == "reject" else "check"
    if max(evidence.uncertainty_mm) > RIGHT_MM and verdict == "accept":
        doubts.insert(0, _doubt("certainty", evidence))  # what is less certain than 3 mm is not called right to 3 mm
        verdict = "check"
    found = (
        f"Of such registrations {_percent(confidence)} are right to {RIGHT_MM:g} mm; of the right ones half are off "
        f"by less than {expected[0]:.1f} mm and 90 % by less than {expected[1]:.1f} mm."
    )
    if verdict == "accept":
        doubts = []
    return Judgement(verdict, [found, *doubts], confidence, expected)


def _percent(share: float) -> str:
    return "more than 99 %" if share > 0.99 else "less than 1 %" if share < 0.01 else f"{100 * share:.0f} %"


def _doubt(feature: str, evidence: Evidence) -> str:
    """A sentence on what speaks against a correction."""
    if feature == "contrast":
        return f"The images agree little better than at random places ({evidence.contrast:.1f} standard deviations)."
    if feature == "gain":
        return f"The volume explains little of the ultrasound (gain in log-likelihood {evidence.gain:.1f} per slice)."
    if feature == "margin":
        return (
            f"Another place, {evidence.competitor_mm:.0f} mm away, fits nearly as well "
            f"(margin {evidence.margin:.1f} standard deviations)."
        )
    if feature == "certainty":
        worst = max(evidence.uncertainty_mm)
        axis = ("lateral", "depth", "elevational")[evidence.uncertainty_mm.index(worst)]
        return f"The images leave {worst:.1f} mm of freedom in the {axis} direction; more slices at other angles help."
    if feature == "agreement":
        return f"Two halves of the ultrasound lead to places {evidence.halves_mm:.1f} mm apart."
    return f"The correction is {evidence.prior_sigmas:.1f} times as large as the tracking lets expect."
