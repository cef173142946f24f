"""The evaluation of registration: cases, perturbations, baselines, and tables of what came out."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from scipy import optimize

from DiffUSLib.acoustics import AcousticMaps, maps_from_mri
from DiffUSLib.pose import rigid_matrix
from DiffUSLib.probe import Probe
from DiffUSLib.registration import RegistrationSettings, UltrasoundSlices, register
from DiffUSLib.registration.observation import observe
from DiffUSLib.renderer import Renderer
from DiffUSLib.sampling import ras_to_grid, sample_trilinear, transform_points
from DiffUSLib.settings import look
from DiffUSLib.similarity import similarity
from DiffUSLib.volume import Volume
from Testing.Simulator import scanner
from Testing.Simulator.anatomy import mni152
from Testing.Simulator.cases import TIERS, Case, fan_targets, make_case, perturbation, target_error

ALL_TIERS = ("T0", "T1", *TIERS)
BASELINES = ("identity", "mutual_information", "lc2")
BINS_MM = (0, 4, 8, 12, 20, 30)
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
        preset: of the registration.
        prior_mm, prior_deg: tracking prior; None for the preset's.
        degrees_of_freedom: of the registration.
        method: "diffus", or one of `BASELINES`.
    """

    tier: str
    slices: int
    translation_mm: float = 10.0
    rotation_deg: float = 10.0
    preset: str = "quick"
    prior_mm: float | None = None
    prior_deg: float | None = None
    degrees_of_freedom: str = "rigid"
    method: str = "diffus"


@dataclass(frozen=True)
class Outcome:
    """One registration. Errors are mean distances of targets in mm, `off_plane` those 10 mm beside the fans."""

    tier: str
    slices: int
    translation_mm: float
    rotation_deg: float
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
            error = perturbation(random, center, experiment.translation_mm, experiment.rotation_deg)
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
        correction = _baseline(experiment.method, slices)
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


def _baseline(method: str, slices: UltrasoundSlices) -> np.ndarray:
    """Correction by a derivative-free search (Powell) on the MRI's reslice, coarse then fine."""
    if method == "identity":
        return np.eye(4)
    center = slices.centers_ras_mm.mean(0)
    units = np.zeros(6)
    for smoothing_mm, lines, samples, step in ((1.5, 32, 48, 4.0), (0.7, 64, 96, 1.0)):
        cost = _reslice_cost(similarity(method), slices, center, smoothing_mm, lines, samples)
        options = {"direc": np.eye(6) * step, "xtol": 0.05, "ftol": 1e-4, "maxfev": 600}
        units = optimize.minimize(cost, units, method="Powell", bounds=[(-25, 25)] * 6, options=options).x
    return _matrix(units, center).numpy()


def _matrix(units: np.ndarray, center: torch.Tensor) -> torch.Tensor:
    vector = torch.from_numpy(np.asarray(units, dtype=np.float64))
    shift = torch.eye(4, dtype=torch.float64)
    shift[:3, 3] = center
    return shift @ rigid_matrix(vector[3:] / 40, vector[:3]) @ torch.linalg.inv(shift)


def _reslice_cost(measure: Callable, slices: UltrasoundSlices, center, smoothing_mm, lines, samples) -> Callable:
    observed = observe(slices, lines, samples, smoothing_mm)
    volume = patient()[0]
    matrix = ras_to_grid(volume.ijk_to_ras, tuple(volume.voxels.shape))
    channels = volume.voxels.unsqueeze(-1)
    origins, directions = observed.probe.scan_lines(dtype=torch.float32)
    depth = (torch.arange(samples) + 0.5) * (observed.probe.depth_mm / samples)
    points = origins[:, None] + directions[:, None] * depth[:, None]

    def cost(units):
        poses = (matrix @ _matrix(units, center) @ slices.transducer_to_ras).float()
        image = sample_trilinear(channels, transform_points(poses, points))[0]
        return -float(measure(image, observed.values, observed.weights).mean())

    return cost


def summary(outcomes: list[Outcome]) -> dict:
    """One row of the table."""
    final = np.array([outcome.final_mm for outcome in outcomes])
    verdicts = np.array([outcome.verdict for outcome in outcomes])
    wrong = final > 3 if outcomes[0].tier != "T5" else np.ones(len(final), dtype=bool)
    first = outcomes[0]
    row = {name: getattr(first, name) for name in (field.name for field in fields(Experiment))}
    row |= {
        "n": len(final),
        "initial_mm": np.mean([outcome.initial_mm for outcome in outcomes]),
        "median_mm": np.median(final),
        "p95_mm": np.quantile(final, 0.95),
        "below_2mm": (final < 2).mean(),
        "below_1mm": (final < 1).mean(),
        "median_deg": np.median([outcome.rotation_error_deg for outcome in outcomes]),
        "seconds": np.median([outcome.seconds for outcome in outcomes]),
    }
    if first.method == "diffus":
        row |= {name: (verdicts == name).mean() for name in ("accept", "check", "reject")}
        row["accepted_but_wrong"] = ((verdicts == "accept") & wrong).mean()
    return row


def write_csv(path, rows: list[dict]) -> None:
    """Rows with the same or fewer columns than the first."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def markdown(rows: list[dict]) -> str:
    """The table for people."""
    lines = [
        "| tier | slices | start within | method | n | start mm | median mm | P95 mm | < 2 mm | < 1 mm | median deg "
        "| s | accept / check / reject | accepted but wrong |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        method = row["method"] if row["method"] != "diffus" else f"DiffUS {row['preset']}"
        method += ", with scale" if row["degrees_of_freedom"] == "rigid_and_scale" else ""
        method += f", prior {row['prior_mm']:g} mm / {row['prior_deg']:g} deg" if row["prior_mm"] else ""
        verdicts = " / ".join(f"{row[name]:.0%}" for name in ("accept", "check", "reject")) if "accept" in row else ""
        wrong = f"{row['accepted_but_wrong']:.1%}" if "accept" in row else ""
        lines.append(
            f"| {row['tier']} | {row['slices']} | {row['translation_mm']:g} mm / {row['rotation_deg']:g} deg "
            f"| {method} | {row['n']} | {row['initial_mm']:.1f} | {row['median_mm']:.2f} | {row['p95_mm']:.2f} "
            f"| {row['below_2mm']:.0%} | {row['below_1mm']:.0%} | {row['median_deg']:.2f} | {row['seconds']:.1f} "
            f"| {verdicts} | {wrong} |"
        )
    return "\n".join(lines) + "\n"


def bins(outcomes: list[Outcome]) -> list[dict]:
    """Success by initial error; the capture range is the largest bin with at least 95 % below 2 mm."""
    rows = []
    groups = {(outcome.tier, outcome.slices, outcome.preset, outcome.method) for outcome in outcomes}
    for tier, slices, preset, method in sorted(groups):
        for low, high in pairwise(BINS_MM):
            final = [
                outcome.final_mm
                for outcome in outcomes
                if (outcome.tier, outcome.slices, outcome.preset, outcome.method) == (tier, slices, preset, method)
                and low <= outcome.initial_mm < high
            ]
            if final:
                row = {
                    "tier": tier,
                    "slices": slices,
                    "preset": preset,
                    "method": method,
                    "from_mm": low,
                    "to_mm": high,
                }
                rows.append(row | {"n": len(final), "below_2mm": np.mean(np.array(final) < 2)})
    return rows


def plot(path, outcomes: list[Outcome]) -> None:
    """Cumulated errors of each experiment as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axis = figure.subplots()
    groups: dict[str, list[float]] = {}
    for outcome in outcomes:
        name = f"{outcome.tier}, {outcome.slices} slices, {outcome.translation_mm:g} mm, {outcome.method}"
        groups.setdefault(name, []).append(outcome.final_mm)
    for name, errors in groups.items():
        axis.step(np.sort(errors), np.arange(1, len(errors) + 1) / len(errors), where="post", label=name)
    axis.set(xlim=(0, 8), ylim=(0, 1), xlabel="target registration error (mm)", ylabel="share of the cases")
    axis.legend(fontsize="small")
    axis.grid(alpha=0.3)
    figure.savefig(path, format="png", dpi=110)
