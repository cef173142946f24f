"""Where to start an alignment from: pairs of points that a person picked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from DiffUSLib.errors import DiffUSError

_LEAST_PAIRS = 3
_FLAT = 0.02  # of the points' extent: closer to one line than this, they leave the turn about it open


@dataclass(frozen=True)
class LandmarkStart:
    """A rigid fit of points.

    Args:
        correction_ras: (4, 4) float64; moves the ultrasound's points to the volume's.
        residuals_mm: (N,) distances that remain.
    """

    correction_ras: torch.Tensor
    residuals_mm: np.ndarray

    @property
    def rms_mm(self) -> float:
        """Root mean square of the distances that remain (fiducial registration error)."""
        return float(np.sqrt(np.square(self.residuals_mm).mean()))


def start_from_landmarks(in_ultrasound_ras_mm: np.ndarray, in_volume_ras_mm: np.ndarray) -> LandmarkStart:
    """The rotation and shift that bring points seen in the ultrasound nearest to the same points in the volume
    (least squares; Arun 1987).

    Args:
        in_ultrasound_ras_mm: (N, 3), N >= 3, where the tracked ultrasound shows them now.
        in_volume_ras_mm: (N, 3) the same points in the MRI or CT.

    Raises:
        DiffUSError: if there are fewer than three pairs, or they lie on one line.
    """
    moving, fixed = (np.asarray(points, dtype=np.float64) for points in (in_ultrasound_ras_mm, in_volume_ras_mm))
    if moving.shape != fixed.shape or moving.ndim != 2 or moving.shape[1:] != (3,) or len(moving) < _LEAST_PAIRS:
        raise DiffUSError(f"a start from landmarks needs at least {_LEAST_PAIRS} pairs of points; pick more.")
    for points, where in ((moving, "ultrasound"), (fixed, "volume")):
        extent = np.linalg.svd(points - points.mean(0), compute_uv=False)
        if not np.isfinite(points).all() or extent[1] < _FLAT * max(extent[0], 1e-9):
            raise DiffUSError(f"the landmarks in the {where} lie on one line; pick one that lies apart.")
    left, _, right = np.linalg.svd((fixed - fixed.mean(0)).T @ (moving - moving.mean(0)))
    rotation = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = fixed.mean(0) - rotation @ moving.mean(0)
    moved = moving @ rotation.T + matrix[:3, 3]
    return LandmarkStart(torch.from_numpy(matrix), np.linalg.norm(moved - fixed, axis=1))
