"""Does registration gain when the volume has the tissues of a fitted look?

    python Testing/look_in_registration.py simulated                fit to one simulated sweep, register others
    python Testing/look_in_registration.py FOLDER                   fit to case002_k050, register case002_k070

Each start is registered twice: with the volume's acoustic maps, and with the curves of a look that was fitted to
another sweep of the same scanner where it was taken. Simulated: mean error of targets in mm. Real: distance in mm from
the scanners' coordinates, which are no truth (brain shift remains).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from DiffUSLib.acoustics.tissue_curves import with_curves
from DiffUSLib.appearance import fit_appearance, fitted
from DiffUSLib.evaluation import real_pairs
from DiffUSLib.evaluation.anatomies import patient
from DiffUSLib.evaluation.protocol import slices_of
from DiffUSLib.registration import RegistrationSettings, register
from DiffUSLib.simulator.cases import make_case, perturbation, target_error

SLICES, FIT_SEED, SEEDS = 3, 100, (1, 2)
LARGEST_MM, LARGEST_DEG = 8.0, 8.0
STARTS = 3
FIT_PAIR, REGISTERED_PAIR = "case002_k050", "case002_k070"


def simulated() -> None:
    """T2 and T3 heads."""
    head = patient("mni")
    case = make_case(FIT_SEED, SLICES, "T2", head.anatomy)
    found = fitted(fit_appearance(slices_of(case, np.eye(4)), head.maps))
    print(f"look: likeness {found.likeness_before:.2f} to {found.likeness:.2f}, explained {found.explained:.2f}")
    changed = with_curves(head.maps, found.appearance.curves)
    for tier in ("T2", "T3"):
        for seed in SEEDS:
            case = make_case(seed, SLICES, tier, head.anatomy)
            center = (case.true @ [0.0, 40.0, 0.0, 1.0])[:, :3].mean(0)
            error = perturbation(np.random.default_rng(seed), center, LARGEST_MM, LARGEST_DEG)
            ends = []
            for maps in (head.maps, changed):
                settings = RegistrationSettings("quick", seed=seed, device="cpu")
                result = register(head.volume, slices_of(case, error), settings, maps)
                end = target_error(result.correction_ras.numpy() @ error, case).mean()
                ends.append(f"{end:.2f} mm ({result.verdict})")
            start = target_error(error, case).mean()
            print(f"{tier} seed {seed}: start {start:.1f} mm, maps {ends[0]}, look {ends[1]}", flush=True)


def real(folder: Path) -> None:
    """The pair that the look has not seen."""
    from compare_with_real_ultrasound import read_all

    slices, _, maps = read_all(folder)[FIT_PAIR]
    look = fitted(fit_appearance(slices, maps)).appearance
    register_plain = real_pairs.register
    for kind in ("maps", "look"):
        if kind == "look":
            real_pairs.register = lambda v, s, settings, m: register_plain(v, s, settings, with_curves(m, look.curves))
        for ending in real_pairs.endings(folder, REGISTERED_PAIR, STARTS):
            off = float(np.hypot(ending.end_x_mm, ending.end_y_mm))
            print(f"{kind}: start {ending.start_mm:.1f} mm, {ending.start_deg:.1f} deg; ends {off:.1f} mm, "
                  f"{ending.end_deg:.1f} deg off the coordinates ({ending.verdict})", flush=True)  # fmt: skip


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    simulated() if sys.argv[1] == "simulated" else real(Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
