"""Measures fan detection on synthetic screens whose fan is known, and on real frames with fans by hand.

    python Testing/measure_fan_detection.py [--count N] [--first-seed N] [--style A B] [--real FOLDER] [--workers N]

Prints how right each confidence is (IoU of the found and the true fan, whole fan, also where it is black), each kind
of probe, and the seconds that it takes. The numbers in the detector were chosen on seeds from 1000 on; report others.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from DiffUSLib.errors import DiffUSError
from DiffUSLib.ultrasound.fan_detection import SURE, FanGeometry, detect_fan
from Testing.Library.fan_screens import make_screen

BINS = (0.0, 0.3, 0.5, 0.7, 0.8, SURE, 1.0)
RIGHT_IOU = 0.95


class Outcome(NamedTuple):
    """What became of one picture; a refused one has confidence and IoU 0."""

    name: str
    group: str
    confidence: float
    iou: float
    seconds: float


def outcome(name: str, group: str, picture: np.ndarray, inside: np.ndarray) -> Outcome:
    start = time.process_time()
    try:
        fan = detect_fan(picture)
        confidence, iou = fan.confidence, overlap(fan.mask, inside)
    except DiffUSError:
        confidence = iou = 0.0
    return Outcome(name, group, confidence, iou, time.process_time() - start)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union."""
    return float((first & second).sum() / max((first | second).sum(), 1))


def synthetic(style: str, seed: int, frames: int) -> Outcome:
    screen = make_screen(seed, style, frames)
    return outcome(f"{style}{seed}", screen.drawn, screen.frames, screen.inside)


def real_fans(folder: Path) -> list[tuple[str, np.ndarray, FanGeometry]]:
    """Frames, masked frames and stacks of the real data with fans measured by hand on enlarged pictures."""
    import SimpleITK as sitk

    found = []
    # (apex, half opening, near, far, window) with the transducer at the left.
    iop = {
        "case002_k050_iUS.png": ((-8, 96), 34.5, 48, 175, (0, 14, 191, 181)),
        "case002_k070_iUS.png": ((-10.5, 98.5), 34.5, 48, 175, (0, 16, 191, 183)),
        "case046_k110_iUS.png": ((-8.0, 99.0), 34.5, 48, 181, (0, 19, 191, 191)),
    }
    for name, (apex, half, near, far, window) in iop.items():
        picture = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / name)))
        tilt = 2.0 if name.startswith("case046") else 0.0
        truth = FanGeometry("curvilinear", apex, tilt, half, near, far, 0.0, picture.shape, window, 1.0)
        found.append((name, picture, truth))
    liver = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "liver_sweep35.igs.mha")))
    whole = (0.0, 0.0, 738.0, 592.0)
    truth = FanGeometry("curvilinear", (369.7, -138.5), 90.0, 30.2, 160.3, 731.5, 0.0, liver.shape[1:], whole, 1.0)
    found += [("liver, stack", liver, truth)] + [(f"liver {i}", frame, truth) for i, frame in enumerate(liver)]
    spine = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "plus_SpinePhantomFreehand.igs.mha")))
    whole = (0.0, 0.0, 819.0, 615.0)
    truth = FanGeometry("linear", (409.0, 11.5), 90.0, 0.0, 0.0, 590.0, 222.5, spine.shape[1:], whole, 1.0)
    found += [("spine, stack", spine, truth)] + [(f"spine {i}", frame, truth) for i, frame in enumerate(spine)]
    masked = [(f"{name}, masked", np.where(fan.mask, frame, 0), fan) for name, frame, fan in found if frame.ndim == 2]
    return found + masked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="screens of each style (default: 200)")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--style", nargs="+", default=["A", "B"], choices=("A", "B"))
    parser.add_argument("--frames", type=int, default=1, help="frames of each screen (default: 1)")
    parser.add_argument("--real", type=Path, help="folder with the real frames")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes of one thread (default: 1)")
    arguments = parser.parse_args()
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.count)
    jobs: list[Callable[[], Outcome]] = [
        partial(synthetic, style, seed, arguments.frames) for style in arguments.style for seed in seeds
    ]
    if arguments.real is not None:
        jobs += [partial(outcome, name, "real", frame, fan.mask) for name, frame, fan in real_fans(arguments.real)]
    outcomes = []
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes, which would else wait for each other
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        for one in pool.map(run_job, jobs):
            outcomes.append(one)
            print(one, file=sys.stderr, flush=True)
    print_tables(outcomes)


def run_job(job: Callable[[], Outcome]) -> Outcome:
    return job()


def print_tables(outcomes: list[Outcome]) -> None:
    print(f"| confidence | pictures | IoU >= {RIGHT_IOU} | median IoU |\n|---|---|---|---|")
    for low, high in pairwise(BINS):
        ious = [one.iou for one in outcomes if low <= one.confidence < high + (high == 1.0)]
        if ious:
            print(f"| {low:g} to {high:g} | {len(ious)} | {_right(ious):.1%} | {np.median(ious):.3f} |")
    print(f"\n| kind | pictures | IoU >= {RIGHT_IOU} | confidence >= {SURE} | of these right |\n|---|---|---|---|---|")
    groups = defaultdict(list)
    for one in outcomes:
        groups[one.group].append(one)
        groups["all"].append(one)
    for group in sorted(groups):
        ious = [one.iou for one in groups[group]]
        sure = [one.iou for one in groups[group] if one.confidence >= SURE]
        right = f"{_right(sure):.1%}" if sure else "-"
        print(f"| {group} | {len(ious)} | {_right(ious):.1%} | {len(sure) / len(ious):.1%} | {right} |")
    seconds = [one.seconds for one in outcomes]
    print(f"\nSeconds of one core: median {np.median(seconds):.2f}, most {max(seconds):.2f}.")
    for one in outcomes:
        if one.confidence >= SURE and one.iou < RIGHT_IOU:
            print(f"Sure but wrong: {one.name} ({one.group}), confidence {one.confidence:.2f}, IoU {one.iou:.3f}.")


def _right(ious: list[float]) -> float:
    return float(np.mean(np.asarray(ious) >= RIGHT_IOU))


if __name__ == "__main__":
    main()
