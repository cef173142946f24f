"""What `diffus register` does after the rigid correction: displacement, error map, landmarks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from DiffUSLib.acoustics import AcousticMaps
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.bspline import Warp
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io import read_volume
from DiffUSLib.io.extras import optional
from DiffUSLib.io.files import written_whole
from DiffUSLib.io.points import point_pairs, read_points
from DiffUSLib.io.warps import write_displacement, write_volume, write_warp
from DiffUSLib.registration import RegistrationResult, UltrasoundSlices
from DiffUSLib.registration.deformation import Deformation, DeformationSettings
from DiffUSLib.registration.error_map import error_map
from DiffUSLib.registration.landmark_check import LandmarkCheck, check_landmarks
from DiffUSLib.registration.report import deformation_report
from DiffUSLib.registration.warped_volume import jacobian_volume, warp_grid, warped_volume
from DiffUSLib.steps import value_of

_GRID_MM = 2.5


def add_deformable_options(parser: argparse.ArgumentParser) -> None:
    """Options of what follows the rigid correction."""
    parser.add_argument(
        "--deformable",
        action="store_true",
        help="also find how tissue has moved since the scan; beside CORRECTION, with its name: _warp.h5 (transform "
        "for Slicer, to put the volume under), _displacement.nrrd (mm), _jacobian.nrrd, _warped.nrrd (the volume as "
        "the ultrasound has it). Kept only if held-out frames agree better",
    )
    parser.add_argument(
        "--cavity", metavar="FILE", help="with --deformable: mask in the volume's space of tissue that was removed"
    )
    parser.add_argument(
        "--pressure", action="store_true", help="with --deformable: the probe may press tissue away from it"
    )
    parser.add_argument(
        "--error-map",
        action="store_true",
        help="with --deformable: predicted error in mm, _error50.nrrd (half of errors are below) and _error90.nrrd, "
        "and the view that would shrink it most",
    )
    parser.add_argument(
        "--landmarks",
        nargs=2,
        metavar=("US", "VOLUME"),
        help="two point lists of Slicer, to check with: distances before and after, and a plot (_landmarks.png)",
    )


def check_deformable_options(arguments: argparse.Namespace) -> None:
    """Raises DiffUSError for options that do not go together."""
    for name in ("cavity", "pressure", "error_map"):
        if getattr(arguments, name) and not arguments.deformable:
            raise DiffUSError(f"--{name.replace('_', '-')} needs --deformable.")
    if arguments.deformable and arguments.calibrate:
        raise DiffUSError("--deformable and --calibrate do not go together; calibrate first, in a run of its own.")


def read_landmarks(arguments: argparse.Namespace):
    """The pairs of `--landmarks` (N, 3) each, or None."""
    return None if arguments.landmarks is None else point_pairs(*(read_points(path) for path in arguments.landmarks))


def read_cavity(arguments: argparse.Namespace) -> Volume | None:
    """The mask of `--cavity`, or None."""
    return None if arguments.cavity is None else read_volume(arguments.cavity)


def deformed(
    arguments: argparse.Namespace,
    volume: Volume,
    slices: UltrasoundSlices,
    maps: AcousticMaps,
    rigid: RegistrationResult,
    cavity: Volume | None,
) -> tuple[Warp | None, dict[str, Any]]:
    """The displacement, if one was looked for, after its files were written; and its part of the report."""
    if rigid.verdict == "reject":
        sentence = "The rigid correction was rejected: no displacement was looked for."
        print(sentence)
        return None, {"deformation": {"sentence": sentence}}
    settings = DeformationSettings(pressure=arguments.pressure, cavity=cavity, device=arguments.device)
    run = Deformation(volume, slices, rigid, settings, maps)
    print("deformation ...", file=sys.stderr, flush=True)
    for _ in run.steps():
        pass
    assert run.result is not None  # it ran to its end
    result = run.result
    path = Path(arguments.output)
    points, place = warp_grid(result.warp, _GRID_MM)
    write_warp(_beside(path, "warp.h5"), result.warp)
    write_displacement(_beside(path, "displacement.nrrd"), result.warp.displacement_mm(points), place)
    write_volume(_beside(path, "jacobian.nrrd"), jacobian_volume(result.warp, _GRID_MM))
    write_volume(_beside(path, "warped.nrrd"), warped_volume(volume, result.warp))
    print(result.sentence)
    report = {"deformation": deformation_report(result)}
    if arguments.error_map:
        report["error_map"] = _error_map(path, run)
    return result.warp, report


def _error_map(path: Path, run: Deformation) -> dict[str, Any]:
    """Its part of the report, after its files were written."""
    print("error map ...", file=sys.stderr, flush=True)
    found = value_of(error_map(run))
    write_volume(_beside(path, "error50.nrrd"), found.median_mm)
    write_volume(_beside(path, "error90.nrrd"), found.p90_mm)
    print(found.next_view)
    return {"next_view": found.next_view, "mean_mm": found.mean_mm[0], "mean_with_next_view_mm": found.mean_mm[1]}


def checked_landmarks(arguments: argparse.Namespace, pairs, rigid: RegistrationResult, warp) -> dict[str, Any]:
    """Distances of the landmarks for the report, after the plot was written."""
    check = check_landmarks(pairs[0], pairs[1], rigid.correction_ras.numpy(), warp)
    with written_whole(_beside(Path(arguments.output), "landmarks.png")) as temporary:
        draw_landmarks(temporary, check)
    print(check.sentence)
    distances = {"before_mm": check.before.tolist(), "rigid_mm": check.rigid.tolist()}
    if check.deformed is not None:
        distances["deformed_mm"] = check.deformed.tolist()
    return {"landmarks": distances | {"sentence": check.sentence}}


def draw_landmarks(path, check: LandmarkCheck) -> None:
    """Change of each distance over the mean of before and after, with limits of agreement (Bland, Altman)."""
    figure = optional("matplotlib.figure", "pictures").Figure(figsize=(6, 4), layout="constrained")
    axis = figure.subplots()
    axis.plot((check.before + check.after) / 2, check.after - check.before, "o")
    for value, style in zip(check.limits, ("-", "--", "--"), strict=True):
        axis.axhline(value, color="black", linestyle=style, linewidth=1)
        axis.annotate(f"{value:+.1f} mm", (1.0, value), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    axis.axhline(0, color="gray", linewidth=0.5)
    axis.set_xlabel("distance of the landmarks, mean of before and after (mm)")
    axis.set_ylabel("after - before (mm)")
    figure.savefig(path, format="png", dpi=110)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.stem}_{ending}")
