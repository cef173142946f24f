"""What a registration found, as plain values for a file or a table."""

from __future__ import annotations

import math
from collections.abc import Iterable

from DiffUSLib.acoustics import Anchor
from DiffUSLib.registration.alignment import RegistrationResult
from DiffUSLib.registration.deformation import DeformationResult


def registration_report(result: RegistrationResult, frames: list[int]) -> dict:
    """The result as names and plain values that JSON can hold.

    Args:
        result: of an `Alignment`.
        frames: numbers of the frames that were used.
    """
    evidence = result.evidence
    report = {
        "verdict": result.verdict,
        "reasons": result.reasons,
        "confidence": result.confidence,
        "expected_error_median_mm": result.expected_error_mm[0],
        "expected_error_90_percent_mm": result.expected_error_mm[1],
        "score_initial": result.score_initial,
        "score_final": result.score_final,
        "seconds": result.seconds,
        "correction_ras": result.correction_ras.tolist(),
        "image_scale": result.image_scale,
        "displacement_mm": result.displacement_mm,
        "displacement_axes_mm": list(result.displacement_axes_mm),
        "uncertainty_mm": list(result.uncertainty_mm),
        "competitor_ras": None if result.competitor_ras is None else result.competitor_ras.tolist(),
        "evidence": {
            "contrast_sigmas": evidence.contrast,
            "gain_nats_per_slice": evidence.gain,
            "margin_sigmas": evidence.margin if math.isfinite(evidence.margin) else None,
            "competitor_mm": evidence.competitor_mm,
            "coverage": evidence.coverage,
            "halves_mm": evidence.halves_mm,
            "prior_sigmas": evidence.prior_sigmas,
        },
        "frames_used": frames,
        "device": result.device,
        "seed": result.seed,
    }
    if result.tissue is not None:
        report["tissue"] = {
            "anchors": _anchors(result.tissue.anchors),
            "gain_db": result.tissue.gain_db,
            "posterior_before": result.tissue.posterior_before,
            "posterior": result.tissue.posterior,
        }
    return report


def deformation_report(result: DeformationResult) -> dict:
    """The displacement as names and plain values that JSON can hold."""
    report = {
        "sentence": result.sentence,
        "is_better_than_rigid": result.is_better,
        "held_out_similarity_rigid": result.held_out[0],
        "held_out_similarity_deformed": result.held_out[1],
        "displacement_mean_mm": result.displacement_mm[0],
        "displacement_largest_mm": result.displacement_mm[1],
        "jacobian_least": result.least_jacobian,
        "jacobian_largest": result.largest_jacobian,
        "folded_voxels": result.folded_voxels,
        "seconds": result.seconds,
    }
    return report if result.pressure_mm is None else report | {"pressure_mm": result.pressure_mm}


def _anchors(anchors: Iterable[Anchor]) -> list[dict]:
    return [
        {"tissue": anchor.tissue, "intensity": anchor.intensity, "impedance_mrayl": anchor.impedance}
        for anchor in anchors
    ]
