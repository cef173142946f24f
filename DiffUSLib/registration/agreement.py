"""Whether two sweeps of one patient lead to the same correction: evidence that needs no calibration."""

from __future__ import annotations

from dataclasses import dataclass

from DiffUSLib.registration import trust
from DiffUSLib.registration.alignment import RegistrationResult
from DiffUSLib.registration.verdict import RIGHT_MM
from DiffUSLib.ultrasound.observation import UltrasoundSlices

_CONTRADICTION_MM = 2 * RIGHT_MM


@dataclass(frozen=True)
class SweepAgreement:
    """Two corrections compared.

    Args:
        distance_mm: mean distance over the fans of the first sweep between where both put them.
        verdict: on the first correction, in the light of the second.
        reason: a sentence.
    """

    distance_mm: float
    verdict: str
    reason: str


def compare_sweeps(first: RegistrationResult, second: RegistrationResult, slices: UltrasoundSlices) -> SweepAgreement:
    """Compares the corrections of two sweeps that share one registration error (same patient, same tracker).

    Apart by less than 3 mm, they confirm each other, and the better of both verdicts holds (but never more than one
    step above the first one's own); by more, the first is at best to be checked; by more than 6 mm, one of them is
    wrong and the first is rejected.

    Args:
        first, second: their results.
        slices: of the first sweep.
    """
    order = ("reject", "check", "accept")
    distance = trust.mean_distance_mm(first.correction_ras, second.correction_ras, slices)
    own, other = order.index(first.verdict), order.index(second.verdict)
    if distance < RIGHT_MM:
        verdict = order[min(max(own, other), own + 1)]
        return SweepAgreement(distance, verdict, f"The second sweep leads to the same place ({distance:.1f} mm away).")
    verdict = "reject" if distance > _CONTRADICTION_MM else order[min(own, 1)]
    return SweepAgreement(
        distance, verdict, f"The second sweep leads to another place, {distance:.1f} mm away: one of them is wrong."
    )
