"""Whether to believe a registration: verdict, reasons in words, and uncertainty in millimeters."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from DiffUSLib.registration.correction import LEVER_MM
from DiffUSLib.ultrasound.observation import UltrasoundSlices

# Calibrated by hand on 313 cases (DiffUSLib/simulator, tiers T2 to T5, one, three and seven slices, pose seeds
# 100 to 140; reported are others): another anatomy (T5) is to be rejected, hardly any wrong one accepted, and as few
# right ones as possible may suffer from it. There, 115 of 115 of T5 were rejected; of 183 that ended below 2 mm, 159
# were accepted and one rejected; one above 3 mm was accepted (3.5 mm, in tissue warped by 5 mm). Real ultrasound is
# explained less well: of two real pairs (DiffUSLib/evaluation/real_pairs.py), starts that end together come out as
# "check", because of GAIN_ACCEPT; a higher GAIN_REJECT would reject them.
CONTRAST_ACCEPT, CONTRAST_REJECT = 7.0, 4.0
GAIN_ACCEPT, GAIN_REJECT = 4.5, 2.5
MARGIN_ACCEPT = 4.0
UNCERTAINTY_ACCEPT_MM, UNCERTAINTY_LARGE_MM, UNCERTAINTY_REJECT_MM = 1.75, 2.5, 5.0
COVERAGE_ACCEPT, COVERAGE_REJECT = 0.7, 0.3
PRIOR_ACCEPT = 2.5
COMPETITOR_MM = 3.0
TOO_MANY_DOUBTS = 3

SECOND_WIND_CONTRAST = 7.0

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


def judge(evidence: Evidence) -> tuple[str, list[str]]:
    """The verdict "accept", "check" or "reject", and why in sentences.

    One doubt calls for a check. Doubts of different kinds together reject: right corrections hardly ever raise them
    together. Weak agreement, and a large uncertainty, count twice.
    """
    doubts: list[str] = []
    faults: list[str] = []
    if evidence.coverage < COVERAGE_ACCEPT:
        (faults if evidence.coverage < COVERAGE_REJECT else doubts).append(
            f"Only {evidence.coverage:.0%} of the fan lies inside the volume."
        )
    if evidence.contrast < CONTRAST_ACCEPT:
        (faults if evidence.contrast < CONTRAST_REJECT else doubts).append(
            f"The images agree little better than at random places ({evidence.contrast:.1f} standard deviations)."
        )
    if evidence.gain < GAIN_ACCEPT:
        (faults if evidence.gain < GAIN_REJECT else doubts).append(
            f"So little of the images is explained that it may be chance "
            f"(log-likelihood {evidence.gain:.1f} per slice; {GAIN_ACCEPT} are expected)."
        )
    if evidence.margin < MARGIN_ACCEPT:
        doubts.append(
            f"Another place, {evidence.competitor_mm:.0f} mm away, fits nearly as well "
            f"(margin {evidence.margin:.1f} standard deviations)."
        )
    worst = max(evidence.uncertainty_mm)
    if worst > UNCERTAINTY_ACCEPT_MM:
        axis = ("lateral", "depth", "elevational")[evidence.uncertainty_mm.index(worst)]
        (faults if worst > UNCERTAINTY_REJECT_MM else doubts).append(
            f"The images leave {worst:.1f} mm of freedom in the {axis} direction; more slices at other angles help."
        )
    if evidence.prior_sigmas > PRIOR_ACCEPT:
        doubts.append(f"The correction is {evidence.prior_sigmas:.1f} times as large as the tracking lets expect.")
    weight = len(doubts) + (evidence.contrast < CONTRAST_ACCEPT) + (worst > UNCERTAINTY_LARGE_MM)
    if faults or weight >= TOO_MANY_DOUBTS:
        return "reject", faults + doubts
    if doubts:
        return "check", doubts
    return "accept", [
        f"The images agree far better than at random places ({evidence.contrast:.0f} standard deviations), "
        f"no other place fits as well, and the uncertainty is {worst:.1f} mm."
    ]
