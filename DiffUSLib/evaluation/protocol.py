"""The evaluation of registration: cases, perturbations, and what comes out of each."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from DiffUSLib.evaluation.anatomies import Patient, patient, patient_names
from DiffUSLib.evaluation.baselines import baseline
from DiffUSLib.probes.probe import Probe
from DiffUSLib.registration import RegistrationSettings, UltrasoundSlices, register
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import look
from DiffUSLib.simulator.cases import TIERS, Case, fan_targets, make_case, perturbation, rigid, target_error
from DiffUSLib.simulator.scanner import Scanner

HEAD_TIERS = ("T0", "T1", *TIERS)
BODY_TIERS = tuple(f"B{tier[1:]}" for tier in TIERS)
ALL_TIERS = HEAD_TIERS + BODY_TIERS
BINS_MM = (0, 4, 8, 12, 20, 30)
BIN_COUNT = len(BINS_MM) - 1
EVIDENCE = ("contrast", "gain", "margin", "uncertainty_mm", "coverage", "halves_mm", "prior_sigmas")
"""Of `DiffUSLib.registration.trust.Evidence`, kept for each outcome; of the uncertainty the largest axis."""
# Rotations of published ReMIND registrations: median 4.8 degrees, 5 to 95 % 2.1 to 8.5.
_REMIND_DEG, _REMIND_SPREAD = 4.8, 0.40
_REMIND_SHIFT_MM = 10.0
"""Their shifts are not published; up to this far here."""


@dataclass(frozen=True)
class Experiment:
    """One line of the table.

    Args:
        tier: T0 to T6 for heads, B2 to B6 for bodies.
        slices: in each set.
        translation_mm, rotation_deg: largest perturbation.
        binned: perturbations from each of the bins in turn, instead of evenly by length and angle.
        remind: rotations as in published registrations of intra-operative ultrasound, instead of evenly by angle.
        preset: of the registration.
        prior_mm, prior_deg: tracking prior; None for the preset's.
        degrees_of_freedom: of the registration.
        method: "diffus", or one of `BASELINES`.
    """

    tier: str
    slices: int
    translation_mm: float = 10.0
    rotation_deg: float = 10.0
    binned: bool = False
    remind: bool = False
    preset: str = "quick"
    prior_mm: float | None = None
    prior_deg: float | None = None
    degrees_of_freedom: str = "rigid_and_scale"
    method: str = "diffus"


@dataclass(frozen=True)
class Outcome:
    """One registration. Errors are mean distances of targets in mm, `off_plane` those 10 mm beside the fans."""

    tier: str
    slices: int
    translation_mm: float
    rotation_deg: float
    binned: bool
    remind: bool
    preset: str
    prior_mm: float | None
    prior_deg: float | None
    degrees_of_freedom: str
    method: str
    patient: str
    pose_seed: int
    perturbation_seed: int
    initial_mm: float
    final_mm: float
    final_in_plane_mm: float
    final_off_plane_mm: float
    final_lateral_mm: float
    final_depth_mm: float
    final_elevation_mm: float
    rotation_error_deg: float
    seconds: float
    verdict: str
    contrast: float
    gain: float
    margin: float
    uncertainty_mm: float
    coverage: float
    halves_mm: float
    prior_sigmas: float


def patient_of(tier: str, pose_seed: int, folder: Path | None = None) -> Patient:
    """The patient whom a pose seed is about: consecutive seeds see one after the other."""
    names = ["mni"] if tier in ("T0", "T1") else patient_names(tier, folder)
    return patient(names[pose_seed % len(names)], folder)


@lru_cache(maxsize=4)
def case_of(tier: str, slices: int, pose_seed: int, folder: Path | None = None) -> Case:
    """The case of a pose seed; those of T0 and T1 are rendered by DiffUS itself, as a check of the search alone."""
    person = patient_of(tier, pose_seed, folder)
    if tier not in ("T0", "T1"):
        return make_case(pose_seed, slices, f"T{tier[1:]}", person.anatomy, another_machine=True)
    case = make_case(pose_seed, slices, "T2", person.anatomy)
    rows, columns = case.images.shape[1:]
    settings = look("clinical", speckle=tier == "T1", seed=pose_seed + 7, width_px=columns, height_px=rows)
    renderer = Renderer(person.maps, probe_of(case.scanner), settings, device="cpu")
    with torch.no_grad():
        images = renderer(torch.from_numpy(case.true)).image.numpy() * 254 + renderer(torch.eye(4)).mask.numpy()
    if tier == "T1":
        random = np.random.default_rng(pose_seed)
        ramp = np.linspace(random.uniform(-40, 0), random.uniform(-40, 40), rows)[:, None]
        images = np.where(images > 0, np.clip(images + ramp, 1, 255), 0)
        shadow = slice(*sorted(random.integers(columns // 4, 3 * columns // 4, 2)))
        images[:, :, shadow] *= 0.5 if shadow.stop - shadow.start < columns // 6 else 1.0
    matrix = renderer.grid.image_to_transducer().numpy()
    return replace(case, images=images, image_to_transducer=matrix, tier=tier)


def probe_of(scanner: Scanner) -> Probe:
    """What registration knows of the simulator's machine: the fan."""
    return Probe(
        "simulated",
        "curvilinear",
        scanner.depth_mm,
        scanner.frequency_mhz,
        field_of_view_deg=scanner.field_of_view_deg,
        radius_mm=scanner.radius_mm,
    )


def slices_of(case: Case, error: np.ndarray) -> UltrasoundSlices:
    """The case as registration gets it, off by a rigid error (4, 4)."""
    poses = torch.from_numpy(error @ case.tracked)
    return UltrasoundSlices(
        case.images, case.images.max(0) > 0, case.image_to_transducer, poses, probe_of(case.scanner)
    )


def start_error(experiment: Experiment, case: Case, pose_seed: int, number: int) -> np.ndarray:
    """(4, 4) rigid error that an alignment starts with."""
    center = (case.true @ [0.0, 0.55 * case.scanner.depth_mm, 0.0, 1.0])[:, :3].mean(0)
    random = np.random.default_rng([pose_seed, number, 77])
    if experiment.remind:
        angle = np.deg2rad(_REMIND_DEG * np.exp(_REMIND_SPREAD * random.normal()))
        axis = random.normal(size=3)
        shift = perturbation(random, center, _REMIND_SHIFT_MM, 0.0)
        turn = rigid(np.zeros(3), axis / np.linalg.norm(axis) * angle)
        return shift @ rigid(center, np.zeros(3)) @ turn @ rigid(-center, np.zeros(3))
    low, high = BINS_MM[number % BIN_COUNT], BINS_MM[number % BIN_COUNT + 1]
    while True:
        error = perturbation(random, center, experiment.translation_mm, experiment.rotation_deg)
        if not experiment.binned or low <= target_error(error, case).mean() < high:
            return error


def run_experiment(
    experiment: Experiment, pose_seeds, perturbations: int, folder: Path | None = None
) -> Iterator[Outcome]:
    """Registers every case from every perturbation; patient after patient, as each takes time to make.

    Args:
        folder: of more patients, see `anatomies`.
    """
    count = len(patient_names(experiment.tier, folder))
    for pose_seed in sorted(pose_seeds, key=lambda seed: (seed % count, seed)):
        case = case_of(experiment.tier, experiment.slices, pose_seed, folder)
        person = patient_of(experiment.tier, pose_seed, folder)
        for number in range(perturbations):
            error = start_error(experiment, case, pose_seed, number)
            yield _outcome(experiment, case, person, error, pose_seed, number)


def _outcome(
    experiment: Experiment, case: Case, person: Patient, error: np.ndarray, pose_seed: int, number: int
) -> Outcome:
    slices = slices_of(case, error)
    verdict, figures = "", dict.fromkeys(EVIDENCE, math.nan)
    began = time.perf_counter()
    if experiment.method == "diffus":
        settings = RegistrationSettings(
            preset=experiment.preset,
            degrees_of_freedom=experiment.degrees_of_freedom,
            prior_mm=experiment.prior_mm,
            prior_deg=experiment.prior_deg,
            seed=number,
            device="cpu",
        )
        result = register(person.volume, slices, settings, person.maps)
        correction, verdict, evidence = result.correction_ras.numpy(), result.verdict, result.evidence
        figures = {name: getattr(evidence, name) for name in EVIDENCE}
        figures["uncertainty_mm"] = max(evidence.uncertainty_mm)
    else:
        correction = baseline(experiment.method, slices, person.volume, person.maps)
    seconds = time.perf_counter() - began
    together = correction @ error
    final = target_error(together, case)
    fans = fan_targets(case.true, case.scanner.depth_mm)
    off_plane = fans[0, :, 2] != 0
    moved = (together @ case.tracked) - case.true
    targets = np.concatenate([fans, np.ones((*final.shape, 1))], axis=-1)
    own = np.einsum("spi,sij->spj", np.einsum("sij,spj->spi", moved, targets)[..., :3], case.true[:, :3, :3])
    turn = (together[:3, :3] @ case.tracked[0, :3, :3]) @ case.true[0, :3, :3].T
    angle = math.degrees(math.acos(min(1.0, max(-1.0, (np.trace(turn) - 1) / 2))))
    axes = np.abs(own).mean((0, 1)).tolist()
    values: dict[str, Any] = asdict(experiment) | figures
    values |= {
        "patient": person.name,
        "pose_seed": pose_seed,
        "perturbation_seed": number,
        "initial_mm": float(target_error(error, case).mean()),
        "final_mm": float(final.mean()),
        "final_in_plane_mm": float(final[:, ~off_plane].mean()),
        "final_off_plane_mm": float(final[:, off_plane].mean()),
        "final_lateral_mm": axes[0],
        "final_depth_mm": axes[1],
        "final_elevation_mm": axes[2],
        "rotation_error_deg": angle,
        "seconds": seconds,
        "verdict": verdict,
    }
    return Outcome(**values)
