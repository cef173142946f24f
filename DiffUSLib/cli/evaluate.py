"""`diffus evaluate`: how good registration is, on simulated cases whose truth is known."""

from __future__ import annotations

import argparse
import csv
import importlib
import sys
from dataclasses import asdict
from pathlib import Path

import torch

import DiffUSLib
from DiffUSLib.cli.options import numbers
from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.files import check_folder, written_whole
from DiffUSLib.registration import RegistrationSettings, landmarks

_QUICK_POSES, _FULL_POSES = 3, 20


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure how well registration works on simulated ultrasound",
        description="Register simulated ultrasound of the MNI152 head from many wrong poses and write tables (CSV and "
        "Markdown) and a plot. Needs a source checkout (the simulator lies under Testing) and nilearn. Errors on "
        "simulated and on clinical data do not compare.",
        epilog="Example: diffus evaluate --quick -o evaluation",
    )
    parser.add_argument("-o", "--output", default="evaluation", metavar="FOLDER", help="default: evaluation")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_POSES} poses and no baselines: minutes")
    parser.add_argument("--poses", type=int, metavar="N", help=f"default: {_FULL_POSES}, with --quick {_QUICK_POSES}")
    parser.add_argument("--perturbations", type=int, default=1, metavar="N", help="for each pose (default: 1)")
    parser.add_argument("--tiers", default="T0,T1,T2,T3,T4,T5", metavar="T,T", help="default: all, T0 to T5")
    parser.add_argument("--slices", default="1,3,7", metavar="N,N", help="per set (default: 1,3,7)")
    parser.add_argument("--preset", default="quick", choices=("quick", "robust"), help="default: quick")
    parser.add_argument(
        "--dof", default="rigid", choices=("rigid", "rigid_and_scale"), help="what may change (default: rigid)"
    )
    parser.add_argument(
        "--first-seed", type=int, default=0, metavar="N", help="of the poses; seeds from 100 on were used for tuning"
    )
    parser.add_argument(
        "--start",
        type=numbers(2, "10,10"),
        metavar="MM,DEG",
        help="largest perturbation (default: 5,5 for one slice, 10,10 for more)",
    )
    parser.add_argument("--baselines", action="store_true", help="also identity, mutual information and LC2 (slow)")
    parser.add_argument(
        "--landmarks", metavar="FOLDER", help="instead: your own copy of RESECT (or files named like it), MRI to 3D US"
    )
    parser.set_defaults(run=run)


def load_protocol():
    """The module Testing.Simulator.protocol of the source checkout.

    Raises:
        DiffUSError: if there is none, or nilearn is missing.
    """
    root = Path(DiffUSLib.__file__).resolve().parent.parent
    if not (root / "Testing" / "Simulator" / "protocol.py").is_file():
        raise DiffUSError("the simulator is not here: run `diffus evaluate` from a source checkout of DiffUS.")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        importlib.import_module("nilearn.datasets")
    except ImportError:
        raise DiffUSError(
            "nilearn is missing, whose MNI152 maps are the patient; install it: pip install nilearn."
        ) from None
    return importlib.import_module("Testing.Simulator.protocol")


def run(arguments: argparse.Namespace) -> None:
    poses = arguments.poses or (_QUICK_POSES if arguments.quick else _FULL_POSES)
    if poses < 1 or arguments.perturbations < 1:
        raise DiffUSError("--poses and --perturbations must be at least 1.")
    folder = Path(arguments.output)
    check_folder(folder)
    torch.set_num_threads(1)
    if arguments.landmarks is not None:
        run_landmarks(Path(arguments.landmarks), folder, RegistrationSettings(arguments.preset))
        return
    protocol = load_protocol()
    tiers = arguments.tiers.split(",")
    unknown = [tier for tier in tiers if tier not in protocol.ALL_TIERS]
    if unknown:
        raise DiffUSError(f"the tier {unknown[0]} is unknown; choose from {', '.join(protocol.ALL_TIERS)}.")
    if not all(part.isdigit() and int(part) > 0 for part in arguments.slices.split(",")):
        raise DiffUSError(f"--slices is '{arguments.slices}'; write whole numbers such as 1,3,7.")
    counts = [int(part) for part in arguments.slices.split(",")]
    methods = ["diffus", *(protocol.BASELINES if arguments.baselines and not arguments.quick else ())]
    folder.mkdir(exist_ok=True)
    outcomes, rows = [], []
    for tier in tiers:
        for count in counts:
            start = arguments.start or ((5.0, 5.0) if count == 1 else (10.0, 10.0))
            # The prior of one slice is that of the protocol: 4 mm and 3 degrees.
            prior = (4.0, 3.0) if count == 1 and arguments.start is None else (None, None)
            for method in methods:
                experiment = protocol.Experiment(
                    tier,
                    count,
                    *start,
                    arguments.preset,
                    *(prior if method == "diffus" else (None, None)),
                    arguments.dof,
                    method,
                )
                seeds = range(arguments.first_seed, arguments.first_seed + poses)
                new = []
                for outcome in protocol.run_experiment(experiment, seeds, arguments.perturbations):
                    new.append(outcome)
                    print(
                        f"{tier}, {count} slices, {method}, pose {outcome.pose_seed}: {outcome.initial_mm:.1f} -> "
                        f"{outcome.final_mm:.2f} mm {outcome.verdict}",
                        file=sys.stderr,
                        flush=True,
                    )
                outcomes += new
                rows.append(protocol.summary(new))
                _write(protocol, folder, outcomes, rows)
    print(protocol.markdown(rows), end="")
    print(f"Wrote {folder / 'summary.md'} and beside it summary.csv, cases.csv, bins.csv and errors.png.")


def run_landmarks(cases: Path, folder: Path, settings: RegistrationSettings) -> None:
    """Registers clinical cases and writes landmarks.csv and landmarks.md."""
    rows = []
    found = landmarks.find_cases(cases)
    folder.mkdir(exist_ok=True)
    lines = ["| case | landmarks | before mm | after mm | verdict | s |", "|---|---|---|---|---|---|"]
    for case in found:
        row = landmarks.run_case(case, settings)
        rows.append(asdict(row))
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
    print("\n".join(lines))


def _write(protocol, folder: Path, outcomes: list, rows: list[dict]) -> None:
    """Everything so far, so that a run that is stopped leaves its results."""
    tables = {
        "summary.csv": rows,
        "cases.csv": [asdict(outcome) for outcome in outcomes],
        "bins.csv": protocol.bins(outcomes),
    }
    for name, table in tables.items():
        with written_whole(folder / name) as temporary:
            protocol.write_csv(temporary, table)
    with written_whole(folder / "summary.md") as temporary:
        temporary.write_text(protocol.markdown(rows), encoding="utf-8")
    with written_whole(folder / "errors.png") as temporary:
        protocol.plot(temporary, outcomes)
