"""`diffus evaluate`: how good registration is, on simulated cases whose truth is known."""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, fields
from itertools import product
from pathlib import Path

import torch

from DiffUSLib.acoustics.decision import VolumeDecision
from DiffUSLib.cli.argument_types import numbers
from DiffUSLib.errors import DiffUSError
from DiffUSLib.evaluation import baselines, brain_shift, landmarks, protocol, tables
from DiffUSLib.evaluation.anatomies import data_folder, patient
from DiffUSLib.io.extras import optional
from DiffUSLib.io.files import check_folder, written_whole
from DiffUSLib.io.nifti_place import PLACES
from DiffUSLib.registration import RegistrationSettings

_QUICK_POSES, _FULL_POSES = 3, 20
_QUICK_PERTURBATIONS, _FULL_PERTURBATIONS = 1, 25
_QUICK_SLICES, _FULL_SLICES = "1,7", "1,3,7,15"
_SHIFT_SLICES, _QUICK_SHIFT_SLICES = "7,40", "7"
_BINNED_START = (30.0, 25.0)
_TIERS = "T2,T3,T4,T5,T6,B2,B3,B4,B5,B6"


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure how well registration works on simulated ultrasound",
        description="Register simulated ultrasound of the MNI152 head from many wrong poses and write tables (CSV and "
        "Markdown) and a plot. Needs nilearn, which holds the template. Errors on "
        "simulated and on clinical data do not compare.",
        epilog="Example: diffus evaluate --quick -o evaluation",
    )
    parser.add_argument("-o", "--output", default="evaluation", metavar="FOLDER", help="default: evaluation")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{_QUICK_POSES} poses, {_QUICK_PERTURBATIONS} perturbation of each, {_QUICK_SLICES} slices: minutes; "
        "the whole protocol takes a day",
    )
    parser.add_argument("--poses", type=int, metavar="N", help=f"default: {_FULL_POSES}, with --quick {_QUICK_POSES}")
    parser.add_argument(
        "--perturbations",
        type=int,
        metavar="N",
        help=f"of each pose (default: {_FULL_PERTURBATIONS}, with --quick {_QUICK_PERTURBATIONS})",
    )
    parser.add_argument(
        "--tiers",
        default=_TIERS,
        metavar="T,T",
        help=f"T0 to T6: heads; B2 to B6: bodies with a CT, abdominal probe (default: {_TIERS})",
    )
    parser.add_argument(
        "--volumes",
        metavar="FOLDER",
        help="more patients, from files found there by name (default: the environment variable DIFFUS_SHARED_DATA; "
        "without it, warped MNI152 heads and made-up torsos alone)",
    )
    parser.add_argument("--remind", action="store_true", help="starts turned as in published registrations (ReMIND)")
    parser.add_argument(
        "--slices", metavar="N,N", help=f"per set (default: {_FULL_SLICES}, with --quick {_QUICK_SLICES})"
    )
    parser.add_argument("--preset", default="quick", choices=("quick", "robust"), help="default: quick")
    parser.add_argument(
        "--dof",
        default="rigid_and_scale",
        choices=("rigid", "rigid_and_scale"),
        help="what may change (default: rigid_and_scale)",
    )
    parser.add_argument(
        "--first-seed", type=int, default=0, metavar="N", help="of the poses; the verdict was fitted to odd seeds"
    )
    parser.add_argument(
        "--start",
        type=numbers(2, "10,10"),
        metavar="MM,DEG",
        help="largest perturbation (default: 5,5 for one slice, 10,10 for more)",
    )
    parser.add_argument(
        "--bins",
        action="store_true",
        help="perturbations from each of the bins of initial errors in turn, up to 30 mm: for the capture range",
    )
    parser.add_argument(
        "--baselines",
        action="store_true",
        help="also no correction, mutual information (SimpleITK), LC2, and our score without gradients",
    )
    parser.add_argument(
        "--deformable",
        action="store_true",
        help="instead: brain shift (T4) with the deformable step and SimpleITK's B-splines; writes shift.csv and "
        f"shift.md (counts beside it: --poses, --first-seed, --volumes, --slices, default {_SHIFT_SLICES}, with "
        f"--quick {_QUICK_SHIFT_SLICES})",
    )
    parser.add_argument(
        "--landmarks",
        metavar="FOLDER",
        help="instead: your own copy of RESECT or ReMIND2Reg (or files named like theirs), MRI to 3D ultrasound; "
        "writes landmarks.csv, landmarks.md and report.json (counts beside it: --preset)",
    )
    parser.add_argument(
        "--prefer", choices=PLACES, help="with --landmarks: place of NIfTI files whose sform and qform differ"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    quick = arguments.quick
    poses: int = _given(arguments.poses, _QUICK_POSES if quick else _FULL_POSES)
    perturbations: int = _given(arguments.perturbations, _QUICK_PERTURBATIONS if quick else _FULL_PERTURBATIONS)
    slices: str = _given(arguments.slices, _QUICK_SLICES if quick else _FULL_SLICES)
    folder = Path(arguments.output)
    _check_numbers(arguments, poses, perturbations)
    check_folder(folder)
    torch.set_num_threads(1)
    if arguments.landmarks is not None:
        run_landmarks(Path(arguments.landmarks), folder, RegistrationSettings(arguments.preset), arguments.prefer)
        return
    optional("nilearn.datasets", "demo")  # the patient: told before anything is written
    tiers, counts = _tiers(arguments.tiers), _counts(slices)
    data = data_folder(arguments.volumes)
    if data is not None and not data.is_dir():
        raise DiffUSError(f"{data} is no folder; name the one that holds the volumes.")
    folder.mkdir(exist_ok=True)
    seeds = range(arguments.first_seed, arguments.first_seed + poses)
    if arguments.deformable:
        wanted = _counts(_given(arguments.slices, _QUICK_SHIFT_SLICES if quick else _SHIFT_SLICES))
        run_shift(folder, wanted, seeds, data)
        return
    outcomes: list[protocol.Outcome] = []
    rows: list[dict] = []
    decisions: dict[str, VolumeDecision] = {}
    for experiment in _experiments(arguments, tiers, counts):
        new = []
        for outcome in protocol.run_experiment(experiment, seeds, perturbations, data):
            new.append(outcome)
            _tell(outcome)
            if outcome.patient not in decisions:
                decision = patient(outcome.patient, data).maps.decision
                assert decision is not None  # the maps of a volume come with one
                decisions[outcome.patient] = _told_decision(outcome.patient, decision)
        outcomes += new
        rows.append(tables.summary(new))
        _write(folder, outcomes, rows)
        _write_report(folder, decisions)
    print(tables.markdown(rows), end="")
    print(f"Wrote {folder / 'summary.md'} and beside it summary.csv, cases.csv, bins.csv, errors.png and report.json.")


def _given(value, otherwise):
    return otherwise if value is None else value


def _check_numbers(arguments: argparse.Namespace, poses: int, perturbations: int) -> None:
    if poses < 1 or perturbations < 1:
        raise DiffUSError("--poses and --perturbations must be at least 1.")
    if arguments.first_seed < 0:
        raise DiffUSError(f"--first-seed is {arguments.first_seed}; it must be at least 0.")
    given = (arguments.start is not None) + arguments.bins + arguments.remind
    if arguments.start is not None and not all(0 <= value < math.inf for value in arguments.start):
        raise DiffUSError("--start needs a length in mm and an angle in degrees, both at least 0.")
    if given > 1:
        raise DiffUSError("--bins and --remind bring their own starts; leave --start out, and name one of them.")
    if arguments.bins and perturbations < protocol.BIN_COUNT:
        raise DiffUSError(f"--bins needs at least {protocol.BIN_COUNT} --perturbations, one for each bin.")


def _tiers(text: str) -> list[str]:
    tiers = text.split(",")
    unknown = [tier for tier in tiers if tier not in protocol.ALL_TIERS]
    if unknown:
        raise DiffUSError(f"the tier {unknown[0]} is unknown; choose from {', '.join(protocol.ALL_TIERS)}.")
    return tiers


def _counts(text: str) -> list[int]:
    if not all(part.isdigit() and int(part) > 0 for part in text.split(",")):
        raise DiffUSError(f"--slices is '{text}'; write whole numbers such as 1,3,7.")
    return [int(part) for part in text.split(",")]


def _experiments(arguments: argparse.Namespace, tiers: list[str], counts: list[int]) -> Iterator[protocol.Experiment]:
    """One for each row of the table."""
    given = _BINNED_START if arguments.bins else arguments.start
    methods = ["diffus", *(baselines.BASELINES if arguments.baselines else ())]
    for tier, count, method in product(tiers, counts, methods):
        # The prior of one slice is that of the protocol: 4 mm and 3 degrees.
        with_prior = count == 1 and given is None and not arguments.remind and method == "diffus"
        translation_mm, rotation_deg = given or ((5.0, 5.0) if count == 1 else (10.0, 10.0))
        yield protocol.Experiment(
            tier,
            count,
            translation_mm,
            rotation_deg,
            binned=arguments.bins,
            remind=arguments.remind,
            preset=arguments.preset,
            prior_mm=4.0 if with_prior else None,
            prior_deg=3.0 if with_prior else None,
            degrees_of_freedom=arguments.dof,
            method=method,
        )


def _tell(outcome: protocol.Outcome) -> None:
    print(
        f"{outcome.tier}, {outcome.patient}, {outcome.slices} slices, {outcome.method}, pose {outcome.pose_seed}: "
        f"{outcome.initial_mm:.1f} -> {outcome.final_mm:.2f} mm {outcome.verdict}",
        file=sys.stderr,
        flush=True,
    )


def _told_decision(name: str, decision: VolumeDecision) -> VolumeDecision:
    """The decision, after it was told what the volume of a patient is taken for."""
    print(f"{name}: {' '.join(decision.sentences())}", file=sys.stderr, flush=True)
    return decision


def _write_report(folder: Path, decisions: dict[str, VolumeDecision]) -> None:
    """What the volume of each patient was taken for."""
    report = {"volumes": {name: decision.report() for name, decision in decisions.items()}}
    with written_whole(folder / "report.json") as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def run_landmarks(cases: Path, folder: Path, settings: RegistrationSettings, prefer: str | None) -> None:
    """Registers clinical cases and writes landmarks.csv, landmarks.md and report.json."""
    rows = []
    decisions: dict[str, VolumeDecision] = {}
    found = landmarks.find_cases(cases)
    folder.mkdir(exist_ok=True)
    lines = ["| case | landmarks | before mm | after mm | verdict | s |", "|---|---|---|---|---|---|"]
    for case in found:
        row = landmarks.run_case(case, settings, prefer=prefer)
        rows.append({field.name: getattr(row, field.name) for field in fields(row) if field.name != "decision"})
        decisions[row.name] = _told_decision(row.name, row.decision)
        lines.append(
            f"| {row.name} | {row.landmarks} | {row.before_mm:.2f} | {row.after_mm:.2f} | {row.verdict} "
            f"| {row.seconds:.1f} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    means = [sum(row[name] for row in rows) / len(rows) for name in ("before_mm", "after_mm")]
    lines.append(f"| mean | | {means[0]:.2f} | {means[1]:.2f} | | |")
    with (
        written_whole(folder / "landmarks.csv") as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with written_whole(folder / "landmarks.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    _write_report(folder, decisions)
    print("\n".join(lines))


def run_shift(folder: Path, counts: list[int], seeds: range, data: Path | None) -> None:
    """Bends T4 cases and writes shift.csv and shift.md after each."""
    outcomes: list[brain_shift.ShiftOutcome] = []
    for count in counts:
        for outcome in brain_shift.run_shifts(count, seeds, data):
            outcomes.append(outcome)
            print(
                f"{outcome.patient}, {count} slices, pose {outcome.pose_seed}: {outcome.verdict}, rigid "
                f"{outcome.rigid_mm:.2f}, deformed {outcome.deformed_mm:.2f}, SimpleITK "
                f"{outcome.mutual_information_mm:.2f} mm",
                file=sys.stderr,
                flush=True,
            )
            with written_whole(folder / "shift.csv") as temporary:
                tables.write_csv(temporary, [asdict(each) for each in outcomes])
            with written_whole(folder / "shift.md") as temporary:
                temporary.write_text(brain_shift.shift_table(outcomes), encoding="utf-8")
    print(brain_shift.shift_table(outcomes), end="")
    print(f"Wrote {folder / 'shift.md'} and beside it shift.csv.")


def _write(folder: Path, outcomes: list, rows: list[dict]) -> None:
    """Everything so far, so that a run that is stopped leaves its results."""
    contents = {
        "summary.csv": rows,
        "cases.csv": [asdict(outcome) for outcome in outcomes],
        "bins.csv": tables.bins(outcomes),
    }
    for name, table in contents.items():
        with written_whole(folder / name) as temporary:
            tables.write_csv(temporary, table)
    with written_whole(folder / "summary.md") as temporary:
        temporary.write_text(tables.markdown(rows), encoding="utf-8")
    with written_whole(folder / "errors.png") as temporary:
        tables.plot(temporary, outcomes)
