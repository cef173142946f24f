"""A simulated tracked sweep with a wrong registration, put right by `diffus register`; for `run.py demo`.

python -m DiffUSLib.cli.demo_alignment VOLUME OUTPUT_FOLDER       VOLUME: the MNI152 T1-weighted brain
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from DiffUSLib import read_transform, write_tracked_frames
from DiffUSLib.cli import main as diffus
from DiffUSLib.simulator.cases import Case, make_case, perturbation, target_error

SWEEP = "simulated_sweep.igs.mha"
_SEED, _SLICES = 41, 7
_LARGEST_MM, _LARGEST_DEG = 12.0, 10.0


def wrong_sweep() -> tuple[Case, np.ndarray]:
    """Seven slices that are not parallel, and the (4, 4) error of their registration to the patient."""
    case = make_case(_SEED, _SLICES, "T2")
    center = (case.true @ [0.0, 40.0, 0.0, 1.0])[:, :3].mean(0)
    return case, perturbation(np.random.default_rng(_SEED), center, _LARGEST_MM, _LARGEST_DEG)


def write_sweep(path: Path, case: Case, error: np.ndarray) -> None:
    """The sweep as a tracking system writes it: calibration, tracked probe, and a wrong ReferenceToRas."""

    def everywhere(matrix):
        return np.broadcast_to(matrix, (len(case.images), 4, 4))

    transforms = {
        "ImageToProbe": everywhere(case.image_to_transducer),
        "ProbeToReference": case.tracked,
        "ReferenceToRas": everywhere(error),
    }
    write_tracked_frames(path, case.images, transforms)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volume", type=Path)
    parser.add_argument("output", type=Path, nargs="?", default=Path("demo_output"))
    arguments = parser.parse_args()
    folder = arguments.output
    case, error = wrong_sweep()
    before = target_error(error, case).mean()
    print(f"A simulated sweep of {len(case.images)} slices stands {before:.1f} mm off; aligning it to the MRI ...")
    write_sweep(folder / SWEEP, case, error)
    correction = folder / "correction.tfm"
    written = ["-o", str(correction), "--report", str(folder / "report.json")]
    picture = ["--picture", str(folder / "before_after.png")]
    status = diffus(["register", str(arguments.volume), str(folder / SWEEP), "--modality", "t1", *written, *picture])
    if status:
        return status
    after = target_error(read_transform(correction).numpy() @ error, case).mean()
    print(f"The simulator knows the truth: targets were {before:.1f} mm off and are {after:.2f} mm off now.")
    print(f"\nWrote into {folder}:")
    print("  before_after.png         the ultrasound and what is rendered there, before and after: look at this")
    print(f"  {SWEEP}  the tracked sweep, with its wrong registration")
    print("  correction.tfm           what was found, for Slicer; report.json: verdict, reasons and figures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
