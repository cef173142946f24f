"""The evaluation of registration: cases, perturbations, and what comes out of each."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import numpy as np
import torch

from DiffUSLib.acoustics import AcousticMaps, maps_from_mri
from DiffUSLib.evaluation.baselines import baseline
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.probes.probe import Probe
from DiffUSLib.registration import RegistrationSettings, UltrasoundSlices, register
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import look
from DiffUSLib.simulator import scanner
from DiffUSLib.simulator.anatomy import mni152
from DiffUSLib.simulator.cases import TIERS, Case, fan_targets, make_case, perturbation, target_error

ALL_TIERS = ("T0", "T1", *TIERS)
BINS_MM = (0, 4, 8, 12, 20, 30)
BIN_COUNT = len(BINS_MM) - 1
PROBE = Probe(
    "simulated",
    "curvilinear",
    scanner.DEPTH_MM,
    scanner.FREQUENCY_MHZ,
    field_of_view_deg=scanner.FIELD_OF_VIEW_DEG,
    radius_mm=scanner.RADIUS_MM,
)


@dataclass(frozen=True)
class Experiment:
    """One line of the table.

    Args:
        tier: T0 to T5.
        slices: in each set.
        translation_mm, rotation_deg: largest perturbation.
        binned: perturbations from each of the bins in turn, instead of evenly by length and angle.
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
    preset: str
    prior_mm: float | None
    prior_deg: float | None
    degrees_of_freedom: str
    method: str
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


@lru_cache(maxsize=1)
def patient() -> tuple[Volume, AcousticMaps]:
    """The MRI that registration sees, and its acoustic maps."""
    anatomy = mni152()
    voxels = torch.from_numpy(np.ascontiguousarray(anatomy.t1.transpose(2, 1, 0)))
    volume = Volume(voxels, torch.from_numpy(anatomy.affine), "MNI152 T1")
    return volume, maps_from_mri(volume, "t1")


@lru_cache(maxsize=32)
def case_of(tier: str, slices: int, pose_seed: int) -> Case:
    """The case of a pose seed; those of T0 and T1 are rendered by DiffUS itself, as a check of the search alone."""
    if tier in TIERS:
        return make_case(pose_seed, slices, tier)
    case = make_case(pose_seed, slices, "T2")
    rows, columns = case.images.shape[1:]
    settings = look("clinical", speckle=tier == "T1", seed=pose_seed + 7, width_px=columns, height_px=rows)
    renderer = Renderer(patient()[1], PROBE, settings, device="cpu")
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


def run_experiment(experiment: Experiment, pose_seeds, perturbations: int) -> Iterator[Outcome]:
    """Registers every case from every perturbation."""
    for pose_seed in pose_seeds:
        case = case_of(experiment.tier, experiment.slices, pose_seed)
        center = (case.true @ [0.0, 0.55 * scanner.DEPTH_MM, 0.0, 1.0])[:, :3].mean(0)
        for number in range(perturbations):
            random = np.random.default_rng([pose_seed, number, 77])
            low, high = BINS_MM[number % BIN_COUNT], BINS_MM[number % BIN_COUNT + 1]
            while True:
                error = perturbation(random, center, experiment.translation_mm, experiment.rotation_deg)
                if not experiment.binned or low <= target_error(error, case).mean() < high:
                    break
            yield _outcome(experiment, case, error, pose_seed, number)


def _outcome(experiment: Experiment, case: Case, error: np.ndarray, pose_seed: int, number: int) -> Outcome:
    slices = UltrasoundSlices(
        case.images,
        case.images.max(0) > 0,
        case.image_to_transducer,
        torch.from_numpy(error @ case.tracked),
        PROBE,
    )
    verdict, figures = "", (math.nan,) * 4
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
        result = register(patient()[0], slices, settings, patient()[1])
        correction, verdict, evidence = result.correction_ras.numpy(), result.verdict, result.evidence
        figures = (evidence.contrast, evidence.gain, evidence.margin, max(evidence.uncertainty_mm))
    else:
        correction = baseline(experiment.method, slices, *patient())
    seconds = time.perf_counter() - began
    together = correction @ error
    final = target_error(together, case)
    off_plane = fan_targets(case.true)[0, :, 2] != 0
    moved = (together @ case.tracked) - case.true
    targets = np.concatenate([fan_targets(case.true), np.ones((*final.shape, 1))], axis=-1)
    own = np.einsum("spi,sij->spj", np.einsum("sij,spj->spi", moved, targets)[..., :3], case.true[:, :3, :3])
    turn = (together[:3, :3] @ case.tracked[0, :3, :3]) @ case.true[0, :3, :3].T
    angle = math.degrees(math.acos(min(1.0, max(-1.0, (np.trace(turn) - 1) / 2))))
    axes = np.abs(own).mean((0, 1)).tolist()
    return Outcome(
        **asdict(experiment),
        pose_seed=pose_seed,
        perturbation_seed=number,
        initial_mm=float(target_error(error, case).mean()),
        final_mm=float(final.mean()),
        final_in_plane_mm=float(final[:, ~off_plane].mean()),
        final_off_plane_mm=float(final[:, off_plane].mean()),
        final_lateral_mm=axes[0],
        final_depth_mm=axes[1],
        final_elevation_mm=axes[2],
        rotation_error_deg=angle,
        seconds=seconds,
        verdict=verdict,
        contrast=figures[0],
        gain=figures[1],
        margin=figures[2],
        uncertainty_mm=figures[3],
    )
