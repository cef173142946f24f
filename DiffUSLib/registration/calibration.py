"""Found along with the correction from one sweep: how late images are, and how ImageToProbe is turned.

A shift of time moves each slice along the path of the probe, so it shows where speed or direction changed; along a
straight, even path it cannot be told from a shift in space, and its uncertainty stays that of the expectation.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation, Slerp

from DiffUSLib.acoustics import AcousticMaps
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import rigid_matrix
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.registration import search
from DiffUSLib.registration.correction import LEVER_MM, UNITS, correction_matrix, image_scale
from DiffUSLib.registration.features import crop, smoothed
from DiffUSLib.registration.objective import FINE, Objective
from DiffUSLib.registration.search import Step
from DiffUSLib.registration.settings import RegistrationSettings
from DiffUSLib.rendering.device import choose_device
from DiffUSLib.ultrasound.observation import UltrasoundSlices

CALIBRATED = ("latency", "scale", "rotation")
"""What can be found along; the scale is always, unless the degrees of freedom leave it out."""

_LARGEST_LATENCY_S = 0.6
_LATENCY_SPREAD_S = 0.25  # 0.2 to 0.4 s are common with wireless probes
_ROTATION_SPREAD_DEG = 2.0
_GRID = 25  # times at which the path is tabled
_STARTS = 9


@dataclass(frozen=True)
class ProbePath:
    """Poses of a whole sweep over time.

    Args:
        times_s: (N,) increasing.
        transducer_to_ras: (N, 4, 4).
        slice_times_s: (S,) of the slices that are aligned.
    """

    times_s: np.ndarray
    transducer_to_ras: np.ndarray
    slice_times_s: np.ndarray

    def __post_init__(self):
        if len(self.times_s) < 3 or not np.isfinite(self.times_s).all() or (np.diff(self.times_s) <= 0).any():
            raise DiffUSError("the latency needs frames with increasing times; this sweep has none.")

    def moved(self, correction_ras: torch.Tensor) -> ProbePath:
        """The path after a correction (4, 4)."""
        return replace(self, transducer_to_ras=correction_ras.numpy() @ self.transducer_to_ras)

    def table(self) -> tuple[np.ndarray, torch.Tensor]:
        """Latencies (G,) in s, and poses (G, S, 4, 4): where the probe was so much earlier than the images say."""
        latencies = np.linspace(-_LARGEST_LATENCY_S, _LARGEST_LATENCY_S, _GRID)
        poses = [_poses_at(self.times_s, self.transducer_to_ras, self.slice_times_s - late) for late in latencies]
        return latencies, torch.from_numpy(np.stack(poses))

    @property
    def speed_mm_per_s(self) -> float:
        """Median speed of the transducer."""
        steps = np.linalg.norm(np.diff(self.transducer_to_ras[:, :3, 3], axis=0), axis=1) / np.diff(self.times_s)
        return float(np.median(steps))


@dataclass(frozen=True)
class Parameter:
    """A value found along.

    Args:
        name, unit: such as "latency" and "s".
        value: what was found.
        uncertainty: its standard deviation (Laplace approximation).
        expected: standard deviation that was expected beforehand.
    """

    name: str
    unit: str
    value: float
    uncertainty: float
    expected: float

    @property
    def determined(self) -> bool:
        """Whether the sweep tells it: the uncertainty is well below what was expected beforehand."""
        return self.uncertainty < 0.6 * self.expected


@dataclass(frozen=True)
class Calibration:
    """What was found along with a correction.

    Args:
        parameters: latency, scale and rotation about X, Y and Z of the transducer through the middle of the fan.
        gain: by how much the log-posterior is higher with them.
        tracked: (S, 4, 4) float64, where the slices are with them, before any correction.
        correction_ras: (4, 4) float64, the correction that was found together with them.
    """

    parameters: tuple[Parameter, ...]
    gain: float
    tracked: torch.Tensor
    correction_ras: torch.Tensor


class CalibrationObjective(Objective):
    """Log-posterior of corrections together with a latency and a rotation of the image to the probe.

    Units (B, 11): those of corrections, then the latency (`latency_unit_s` each), then a rotation vector times
    `LEVER_MM` about the middle of the fan.

    Args:
        objective: of corrections; its slices are those of the path.
        path: of the probe; None if no latency is looked for.
        depth_mm: of the middle of the fan.
    """

    def __init__(self, objective: Objective, path: ProbePath | None, depth_mm: float):
        vars(self).update(vars(copy.copy(objective)))
        self.latency_unit_s = 1.0 if path is None else 1.0 / max(path.speed_mm_per_s, 1.0)
        self._table = None
        if path is not None:
            latencies, poses = path.table()
            self._table = poses.to(self._poses)
            self._step_s = float(latencies[1] - latencies[0])
        self._middle = torch.tensor([0.0, depth_mm, 0.0]).to(self._poses)
        extra = [_LATENCY_SPREAD_S / self.latency_unit_s] + [math.radians(_ROTATION_SPREAD_DEG) * LEVER_MM] * 3
        self._prior = torch.cat([self._prior, torch.tensor(extra).to(self._prior)])

    def _poses_of(self, units: torch.Tensor) -> torch.Tensor:
        corrections = correction_matrix(units, self._center).to(self._poses)
        scale = image_scale(units).to(self._poses)
        scales = torch.diag_embed(torch.stack([scale, scale, scale, torch.ones_like(scale)], dim=1))
        return (corrections[:, None] @ self.tracked(units) @ scales[:, None]).reshape(-1, 4, 4)

    def tracked(self, units: torch.Tensor) -> torch.Tensor:
        """(B, S, 4, 4) TransducerToRas with latency and rotation, before correction and scale."""
        turn = rigid_matrix(units[:, 8:11] / LEVER_MM, torch.zeros_like(units[:, :3])).to(self._poses)
        own = turn.clone()
        own[:, :3, 3] = self._middle - turn[:, :3, :3] @ self._middle
        return self._delayed(units[:, 7]) @ own[:, None]

    def _delayed(self, latency: torch.Tensor) -> torch.Tensor:
        """(B, S, 4, 4) poses at the latencies (B,), by the line between the tabled ones."""
        if self._table is None:
            return self._poses[None]
        place = ((latency.to(self._poses) * self.latency_unit_s + _LARGEST_LATENCY_S) / self._step_s).clamp(
            0, _GRID - 1.001
        )
        lower = place.detach().long()
        share = (place - lower)[:, None, None, None]
        return self._table[lower] * (1 - share) + self._table[lower + 1] * share


def calibrate(
    objective: CalibrationObjective, units: torch.Tensor, wanted: set[str], scale_free: bool
) -> Generator[Step, None, Calibration]:
    """Finds latency and rotation together with the correction, from a correction (7,). Yields as it goes.

    Args:
        objective: at a fine scale.
        units: (7,) the correction that was found without.
        wanted: of `CALIBRATED`.
        scale_free: whether the scale of the images may change.
    """
    free = [True] * 6 + [scale_free, "latency" in wanted] + ["rotation" in wanted] * 3
    directions = torch.eye(UNITS + 4, dtype=torch.float64)[:, torch.tensor(free)]
    start = torch.cat([units.float(), torch.zeros(4)])
    before = float(objective.posterior(start[None])[0])
    starts = start.repeat(_STARTS, 1)
    if "latency" in wanted:
        reach = 0.8 * _LARGEST_LATENCY_S / objective.latency_unit_s
        starts[:, 7] = torch.linspace(-reach, reach, _STARTS)
        starts = torch.cat([start[None], starts])
        found, values = yield from search.climb(objective, starts, directions, "middle", ((4, 4), (9, 2)))
        start = found[values.argmax()]
    optimum = yield from search.polish(objective, start, directions)
    covariance = directions @ torch.linalg.inv(_positive(-optimum.hessian.double())) @ directions.T
    spread = covariance.diagonal().clamp_min(0).sqrt()
    degrees = math.degrees(1 / LEVER_MM)
    rows = [("latency", "s", 7, objective.latency_unit_s, _LATENCY_SPREAD_S)] if "latency" in wanted else []
    if scale_free:
        rows.append(("scale", "", 6, 1 / LEVER_MM, float(objective._prior[6]) / LEVER_MM))
    if "rotation" in wanted:
        rows += [(f"rotation {axis}", "deg", 8 + n, degrees, _ROTATION_SPREAD_DEG) for n, axis in enumerate("XYZ")]
    parameters = tuple(
        Parameter(name, unit, float(optimum.units[n]) * size + (name == "scale"), float(spread[n]) * size, expected)
        for name, unit, n, size, expected in rows
    )
    with torch.no_grad():
        tracked = objective.tracked(optimum.units[None].to(objective._poses.device))[0].double().cpu()
    matrix = correction_matrix(optimum.units[None].double(), objective._center.double().cpu())[0]
    return Calibration(parameters, optimum.posterior - before, nearest_rigid(tracked), matrix)


class SweepCalibration:
    """Latency and ImageToProbe found from a sweep that is roughly aligned. Iterate over `steps()`; then `found` holds
    the outcome.

    Args:
        volume, slices, settings, maps: as of an `Alignment`.
        correction_ras: (4, 4) that the alignment found.
        wanted: of `CALIBRATED`.
        path: of the probe, for the latency; its slice times are those of the slices.

    Raises:
        DiffUSError: for an unknown wish, or a latency without a path.
    """

    def __init__(
        self,
        volume: Volume,
        slices: UltrasoundSlices,
        settings: RegistrationSettings,
        maps: AcousticMaps,
        correction_ras: torch.Tensor,
        wanted: set[str],
        path: ProbePath | None = None,
    ):
        unknown = sorted(set(wanted) - set(CALIBRATED))
        if unknown:
            raise DiffUSError(f"'{unknown[0]}' cannot be calibrated; choose from {', '.join(CALIBRATED)}.")
        if "latency" in wanted and path is None:
            raise DiffUSError("the latency needs the times of the frames; this sweep has none.")
        self.found: Calibration | None = None
        self._volume, self._slices, self._maps, self._settings = volume, slices, maps, settings
        self._wanted, self._path, self._start = set(wanted), path, correction_ras

    def steps(self) -> Iterator[Step]:
        """Runs the calibration; each step takes a fraction of a second."""
        # From where the alignment ended: what is expected now is little.
        poses = self._start @ self._slices.transducer_to_ras
        slices, prior = replace(self._slices, transducer_to_ras=poses), self._settings.prior_units
        middle = slices.centers_ras_mm.mean(0)
        points = (poses[:, None] @ _homogeneous(slices.target_points_mm()))[..., :3, 0]
        anatomy = crop(self._volume, self._maps, points.reshape(-1, 3), margin_mm=2.5 * float(prior[0]))
        beginning = Step("calibration", 0, 0.0, torch.zeros(UNITS))
        smooth = yield from search.told(smoothed(anatomy, FINE.volume_mm), beginning)
        fine = Objective(smooth, slices, FINE, middle, prior, choose_device(self._settings.device)[0])
        path = None if "latency" not in self._wanted or self._path is None else self._path.moved(self._start)
        objective = CalibrationObjective(fine, path, 0.55 * slices.probe.depth_mm)
        scale_free = self._settings.degrees_of_freedom == "rigid_and_scale" and not slices.size_known
        found = yield from calibrate(objective, torch.zeros(UNITS), self._wanted, scale_free)
        back = torch.linalg.inv(self._start)
        self.found = replace(found, correction_ras=found.correction_ras @ self._start, tracked=back @ found.tracked)


def nearest_rigid(matrices: torch.Tensor) -> torch.Tensor:
    """(S, 4, 4) rigid matrices next to ones that are nearly so."""
    left, _, right = torch.linalg.svd(matrices[:, :3, :3])
    rigid = matrices.clone()
    rigid[:, :3, :3] = left @ right
    return rigid


def _homogeneous(points: torch.Tensor) -> torch.Tensor:
    """(P, 4, 1) of points (P, 3)."""
    return torch.cat([points, torch.ones_like(points[:, :1])], dim=1)[:, :, None]


def _positive(precision: torch.Tensor) -> torch.Tensor:
    """The matrix with eigenvalues of at least a thousandth of the largest."""
    values, vectors = torch.linalg.eigh(precision)
    return vectors @ torch.diag(values.clamp_min(1e-3 * float(values.abs().max()))) @ vectors.T


def _poses_at(times_s: np.ndarray, poses: np.ndarray, wanted_s: np.ndarray) -> np.ndarray:
    """(S, 4, 4) poses at any time: shifts by the line between neighbors, rotations by the shortest turn; the first
    and last pose hold beyond the ends."""
    inside = np.clip(wanted_s, times_s[0], times_s[-1])
    found = np.tile(np.eye(4), (len(inside), 1, 1))
    found[:, :3, :3] = Slerp(times_s, Rotation.from_matrix(poses[:, :3, :3]))(inside).as_matrix()
    for axis in range(3):
        found[:, axis, 3] = np.interp(inside, times_s, poses[:, axis, 3])
    return found
