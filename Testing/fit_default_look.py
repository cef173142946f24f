"""Fits the tissue curves of the default look to all pairs of a folder together; its numbers were rounded from this.

    python Testing/fit_default_look.py FOLDER [--without PATIENT] [--shipped]

FOLDER: as in `compare_with_real_ultrasound.py`. Curves and strengths are shared by all frames, and each patient has
the same weight; gain over depth and lines is each frame's own. `--without` leaves a patient out, to see what the
numbers are worth on one not seen. `--shipped` instead writes the look `craniotomy`, fitted to the first frame alone,
and, if the folder holds liver_sweep35.igs.mha, `abdominal`, from its frames alone, to DiffUSLib/data/appearances.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from compare_with_real_ultrasound import read_all

from DiffUSLib.acoustics.tissue_curves import TissueCurves
from DiffUSLib.appearance import Appearance, fit_appearance, fit_to_frames, fitted, load_appearance, save_appearance
from DiffUSLib.appearance.defaults import MRI_KNOTS, fit_start
from DiffUSLib.appearance.model import FrameModel
from DiffUSLib.appearance.parameters import Parameters
from DiffUSLib.appearance.shading import misfit
from DiffUSLib.cli.register import make_slices, place
from DiffUSLib.io import read_tracked_frames
from DiffUSLib.rendering.receiver import Receiver

STEPS, RATE = 60, 0.15
LIVER_FRAMES = [5, 12, 19, 26]
SHIPPED = Path(__file__).resolve().parents[1] / "DiffUSLib" / "data" / "appearances"


def tissue_table_look() -> Appearance:
    """Where the fit starts: fluid and tissue as in the tissue table, straight in between."""
    echogenicity = np.interp(MRI_KNOTS, [-0.5, 0, 0.5, 1, 2, 2.5, 3], [-25, -20, 0, 0, 0, 6, 10]).tolist()
    impedance = np.interp(MRI_KNOTS, [0, 1, 2, 3], [1.52, 1.59, 1.6, 1.63]).tolist()
    curves = {"mri": TissueCurves(MRI_KNOTS, tuple(echogenicity), tuple(impedance))}
    return Appearance("start", curves, 150.0, 60.0, 65.0, Receiver(gain_db=-4.0, gamma=1.15, clutter_db=-30.0))


def fit_together(pairs: dict) -> tuple[Appearance, dict[str, Receiver]]:
    """The shared look, and the receiver of each frame."""
    first = tissue_table_look()
    starts = {name: fit_start(first, maps, slices.probe.depth_mm) for name, (slices, _, maps) in pairs.items()}
    models = {name: FrameModel(slices, maps, starts[name].curves["mri"]) for name, (slices, _, maps) in pairs.items()}
    shared = Parameters(
        next(iter(starts.values())), "mri", ("depth_gain_db", "line_gain_db", "gain_db", "attenuation_db_cm_mhz")
    )
    own = {name: Parameters(start, None, ("gamma", "clutter_db")) for name, start in starts.items()}
    patients = [name.split("_")[0] for name in pairs]
    vector = torch.zeros(shared.count, requires_grad=True)
    vectors = {name: torch.zeros(one.count, requires_grad=True) for name, one in own.items()}
    optimizer = torch.optim.Adam([vector, *vectors.values()], lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        appearance, loss = shared.appearance(vector), shared.penalty(vector)
        for name, model in models.items():
            receiver = own[name].appearance(vectors[name]).receiver
            both = appearance.receiver
            receiver = replace(receiver, gamma=both.gamma, clutter_db=both.clutter_db)
            gray = model.expected(replace(appearance, receiver=receiver))
            weight = 1 / patients.count(name.split("_")[0])
            loss = loss + weight * misfit(gray, model.observed, model.weights, model.area_mm2)
            loss = loss + own[name].penalty(vectors[name])
        loss.backward()
        optimizer.step()
    return shared.frozen(vector), {name: own[name].frozen(vectors[name]).receiver for name in own}


def write_shipped(folder: Path, pairs: dict) -> None:
    """Fit and write the looks that come with DiffUS."""
    name, (slices, _, maps) = next(iter(pairs.items()))
    look = fitted(fit_appearance(slices, maps, name="craniotomy")).appearance
    source = (
        f"fitted to one frame of intra-operative ultrasound (ReMIND, {name}) and contrast T1 MRI of its plane"
    )
    save_appearance(replace(look, source=source), SHIPPED / "craniotomy.json")
    sweep = folder / "liver_sweep35.igs.mha"
    if sweep.is_file():
        tracked = read_tracked_frames(sweep)
        slices, _ = make_slices(tracked, place(tracked), LIVER_FRAMES)
        look = fit_to_frames(slices, load_appearance("clinical"), "abdominal")
        source = "gain, shading and grain of four frames of a liver sweep (ImFusion, CC BY 4.0); tissues of clinical"
        save_appearance(replace(look, source=source), SHIPPED / "abdominal.json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without", metavar="PATIENT")
    parser.add_argument("--shipped", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pairs = {n: pair for n, pair in read_all(arguments.folder).items() if n.split("_")[0] != arguments.without}
    if arguments.shipped:
        write_shipped(arguments.folder, pairs)
        return 0
    appearance, receivers = fit_together(pairs)
    print(appearance.to_json())
    for name, receiver in receivers.items():
        print(name, "lines", np.round(receiver.line_gain_db), "depth", np.round(receiver.depth_gain_db))
    return 0


if __name__ == "__main__":
    sys.exit(main())
