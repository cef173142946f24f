"""Target registration error at pairs of landmarks, before and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from DiffUSLib.geometry.bspline import Warp


@dataclass(frozen=True)
class LandmarkCheck:
    """Distances in mm between landmarks (N,) in the ultrasound and in the volume.

    Args:
        before: as the tracking has it.
        rigid: after the rigid correction.
        deformed: after the displacement, too; None without one.
    """

    before: np.ndarray
    rigid: np.ndarray
    deformed: np.ndarray | None

    @property
    def after(self) -> np.ndarray:
        """In the end."""
        return self.rigid if self.deformed is None else self.deformed

    @property
    def sentence(self) -> str:
        """The means, for people."""
        means = [f"{self.before.mean():.2f} mm before", f"{self.rigid.mean():.2f} mm after the rigid correction"]
        if self.deformed is not None:
            means.append(f"{self.deformed.mean():.2f} mm after the displacement")
        return f"{len(self.before)} landmarks are apart by {', '.join(means)} (mean)."

    @property
    def limits(self) -> tuple[float, float, float]:
        """Mean of after - before in mm, and the limits of agreement: 1.96 standard deviations to both sides."""
        change = self.after - self.before
        spread = 1.96 * float(change.std(ddof=1)) if len(change) > 1 else 0.0
        return float(change.mean()), float(change.mean()) - spread, float(change.mean()) + spread


def check_landmarks(
    ultrasound_ras_mm: np.ndarray, volume_ras_mm: np.ndarray, correction_ras: np.ndarray, warp: Warp | None = None
) -> LandmarkCheck:
    """Compares pairs of points (N, 3): where the tracked ultrasound shows them, and where the volume does.

    Args:
        correction_ras: (4, 4) of the rigid registration.
        warp: displacement after it.
    """
    moved = ultrasound_ras_mm @ correction_ras[:3, :3].T + correction_ras[:3, 3]
    deformed = None if warp is None else _apart(moved + warp.displacement_mm(moved), volume_ras_mm)
    return LandmarkCheck(_apart(ultrasound_ras_mm, volume_ras_mm), _apart(moved, volume_ras_mm), deformed)


def _apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.linalg.norm(first - second, axis=-1)
