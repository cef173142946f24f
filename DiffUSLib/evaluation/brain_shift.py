"""The deformable step on simulated brain shift: targets after the rigid step, after ours, and after SimpleITK's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from DiffUSLib.evaluation.baselines import reconstruction
from DiffUSLib.evaluation.protocol import Experiment, case_of, patient_of, slices_of, start_error
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io.frames import set_image_ijk_to_ras
from DiffUSLib.registration import RegistrationSettings, UltrasoundSlices, register
from DiffUSLib.registration.deformation import Deformation, DeformationSettings
from DiffUSLib.registration.error_map import WarpPosterior
from DiffUSLib.registration.warp_fit import KNOTS_MM
from DiffUSLib.simulator.cases import fan_targets
from DiffUSLib.ultrasound.observation import DEFAULT_FRAMES

_TIER = "T4"
_START_MM, _START_DEG = 5.0, 5.0
_TO_LPS = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class ShiftOutcome:
    """One case. Distances of targets on the fans and 10 mm off both sides are means in mm.

    Args:
        verdict: of the rigid step.
        rigid_mm, deformed_mm, mutual_information_mm: after the rigid step, and after ours or SimpleITK's from there.
        is_kept: whether held-out frames agreed better, so that the displacement was kept.
        within_50, within_90: share of the targets whose error lies within the error map.
        least_jacobian: change of volume.
        seconds: of our deformable step.
    """

    slices: int
    patient: str
    pose_seed: int
    verdict: str
    initial_mm: float
    rigid_mm: float
    deformed_mm: float
    mutual_information_mm: float
    is_kept: bool
    within_50: float
    within_90: float
    least_jacobian: float
    seconds: float


def run_shifts(slices: int, pose_seeds, folder: Path | None = None) -> Iterator[ShiftOutcome]:
    """Registers a T4 case of each seed from a start within 5 mm and 5 degrees, and bends what was not rejected."""
    for pose_seed in pose_seeds:
        case, person = case_of(_TIER, slices, pose_seed, folder), patient_of(_TIER, pose_seed, folder)
        experiment = Experiment(_TIER, slices, _START_MM, _START_DEG)
        error = start_error(experiment, case, pose_seed, 0)
        ultrasound = slices_of(case, error)
        some = ultrasound.subset(np.linspace(0, slices - 1, min(slices, DEFAULT_FRAMES)).round())
        rigid = register(person.volume, some, RegistrationSettings(device="cpu"), person.maps)
        run = Deformation(person.volume, ultrasound, rigid, DeformationSettings(device="cpu"), person.maps)
        for _ in run.steps():
            pass
        assert run.result is not None and run.fit is not None  # it ran to its end
        fans = fan_targets(case.true, case.scanner.depth_mm)
        starts = _placed(error @ case.tracked, fans)
        points = _placed(rigid.correction_ras.numpy() @ error @ case.tracked, fans)
        bent = points + run.result.warp.displacement_mm(points)
        theirs = mutual_information_warp(run.slices, person.volume)
        by_theirs = np.array([theirs.TransformPoint(point) for point in (points.reshape(-1, 3) * _TO_LPS).tolist()])
        left_out = None if run.result.is_better else run.fit.warp(run.numbers)
        posterior = WarpPosterior(run.fit, run.numbers)
        limits = posterior.quantiles_mm(points.reshape(-1, 3), left_out=left_out).reshape(*points.shape[:-1], 2)
        after = _apart(bent, case.targets_ras)
        yield ShiftOutcome(
            slices=slices,
            patient=person.name,
            pose_seed=pose_seed,
            verdict=rigid.verdict,
            initial_mm=float(_apart(starts, case.targets_ras).mean()),
            rigid_mm=float(_apart(points, case.targets_ras).mean()),
            deformed_mm=float(after.mean()),
            mutual_information_mm=float(_apart(by_theirs.reshape(points.shape) * _TO_LPS, case.targets_ras).mean()),
            is_kept=run.result.is_better,
            within_50=float((after < limits[..., 0]).mean()),
            within_90=float((after < limits[..., 1]).mean()),
            least_jacobian=run.result.least_jacobian,
            seconds=run.result.seconds,
        )


def mutual_information_warp(slices: UltrasoundSlices, volume: Volume) -> sitk.Transform:
    """SimpleITK's B-spline registration by Mattes' mutual information from the slices' places.

    Knots as ours, L-BFGS-B, two levels of smoothing of the volume.
    """
    fixed, mask = reconstruction(slices)
    moving = sitk.GetImageFromArray(volume.voxels.float().numpy())
    set_image_ijk_to_ras(moving, volume.ijk_to_ras, "the volume")
    extent = np.array(fixed.GetSize()) * np.array(fixed.GetSpacing())
    mesh = np.maximum(np.round(extent / KNOTS_MM), 1).astype(int).tolist()
    transform = sitk.BSplineTransformInitializer(fixed, mesh)
    for sigma_mm in (2.0, 1.0):
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(32)
        method.SetMetricFixedMask(mask)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetOptimizerAsLBFGSB(numberOfIterations=20, maximumNumberOfFunctionEvaluations=40)
        method.SetInitialTransform(transform, inPlace=True)
        method.Execute(fixed, sitk.SmoothingRecursiveGaussian(moving, sigma_mm))
    return transform


def shift_table(outcomes: list[ShiftOutcome]) -> str:
    """Medians over the cases for people, of those that the rigid step did not reject."""
    lines = [
        "| slices | n | rejected | start mm | rigid mm | deformed mm | SimpleITK B-spline MI mm | worse than rigid by "
        "> 0.2 mm | kept rigid | within 50 % map | within 90 % map | least Jacobian | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for slices in dict.fromkeys(outcome.slices for outcome in outcomes):
        every = [outcome for outcome in outcomes if outcome.slices == slices]
        good = [outcome for outcome in every if outcome.verdict != "reject"]
        if not good:
            lines.append(f"| {slices} | 0 | {len(every)} | | | | | | | | | | |")
            continue
        column = {
            field.name: np.array([getattr(outcome, field.name) for outcome in good]) for field in fields(good[0])
        }
        worse = (column["deformed_mm"] > column["rigid_mm"] + 0.2).sum()
        medians = " | ".join(
            f"{np.median(column[name]):.2f}"
            for name in ("initial_mm", "rigid_mm", "deformed_mm", "mutual_information_mm")
        )
        lines.append(
            f"| {slices} | {len(good)} | {len(every) - len(good)} | {medians} | {worse} "
            f"| {(~column['is_kept']).sum()} "
            f"| {column['within_50'].mean():.0%} | {column['within_90'].mean():.0%} "
            f"| {column['least_jacobian'].min():.2f} | {np.median(column['seconds']):.0f} |"
        )
    return "\n".join(lines) + "\n"


def _placed(poses: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(S, P, 3) points in RAS of points (S, P, 3) in Transducer frames."""
    return points @ poses[:, :3, :3].transpose(0, 2, 1) + poses[:, None, :3, 3]


def _apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.linalg.norm(first - second, axis=-1)
