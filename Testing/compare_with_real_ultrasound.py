"""Renders real MRI slices in their own plane and compares them with the real ultrasound of the same plane.

    python Testing/compare_with_real_ultrasound.py FOLDER [-o PICTURES] [--without-fits]

FOLDER holds pairs NAME_ceT1.png and NAME_iUS.png: one patient (the part of NAME before the first "_"), one plane, the
same square pixels of 0.5 mm. Both were aligned by their scanners' coordinates alone, so brain shift remains and there
is no true match. Anchors are measured in each slice. Prints the measures of the paper's Table 1 inside the fan for
each stage from MRI to B-mode, for the default look, and for looks fitted to the frame itself, to other frames of the
patient, and to other patients; puts the pictures side by side.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from DiffUSLib.acoustics import AcousticMaps, maps_from_mri
from DiffUSLib.appearance import Appearance, fit_appearance, fitted
from DiffUSLib.errors import DiffUSError
from DiffUSLib.evaluation.pair_measures import FrameComparison, table_one
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io import write_image
from DiffUSLib.ultrasound.observation import UltrasoundSlices, slices_from_images

PIXEL_MM = 0.5
FREQUENCY_MHZ = 6.0  # not told with the images; typical of such probes


def read_pair(folder: Path, name: str) -> tuple[UltrasoundSlices, Volume]:
    """The ultrasound, and the MRI slice as a volume one pixel thick in the same coordinates."""
    ultrasound, mri = (
        np.asarray(Image.open(folder / f"{name}_{kind}.png").convert("L"), dtype=np.float32)
        for kind in ("iUS", "ceT1")
    )
    matrix = torch.diag(torch.tensor([PIXEL_MM, PIXEL_MM, PIXEL_MM, 1.0], dtype=torch.float64))
    slices = slices_from_images(ultrasound[None], matrix[None], frequency_mhz=FREQUENCY_MHZ)
    return slices, Volume(torch.from_numpy(mri)[None], matrix, name)


def read_all(folder: Path) -> dict[str, tuple[UltrasoundSlices, Volume, AcousticMaps]]:
    """All pairs by name; a pair whose anchors cannot be measured is left out, which is told."""
    pairs = {}
    for name in sorted(path.name.removesuffix("_iUS.png") for path in folder.glob("*_iUS.png")):
        try:
            slices, volume = read_pair(folder, name)
            pairs[name] = (slices, volume, maps_from_mri(volume, "t1c", skull=False))
        except DiffUSError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return pairs


def looks_for(name: str, pairs: dict, known: dict[tuple[str, ...], Appearance]) -> dict[str, Appearance]:
    """Fitted looks to try on a frame, by what they were fitted to; `known` keeps them."""
    patient = name.split("_")[0]
    groups = {
        "fitted to itself": [name],
        "fitted to other frames": [other for other in pairs if other.split("_")[0] == patient and other != name],
        "fitted to other patients": [other for other in pairs if other.split("_")[0] != patient],
    }
    looks = {}
    for title, names in groups.items():
        if not names:
            continue
        # Each frame has a volume of its own here: the first of a group stands for it.
        key = (names[0],)
        if key not in known:
            slices, _, maps = pairs[names[0]]
            known[key] = fitted(fit_appearance(slices, maps)).appearance
        looks[title] = known[key]
    return looks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of NAME_ceT1.png and NAME_iUS.png")
    parser.add_argument("-o", "--output", type=Path, default=Path("comparison.png"), help="default: comparison.png")
    parser.add_argument("--without-fits", action="store_true", help="the default look only: seconds")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pairs = read_all(arguments.folder)
    if not pairs:
        print(f"{arguments.folder} holds no files NAME_iUS.png that can be read.", file=sys.stderr)
        return 2
    known: dict[tuple[str, ...], Appearance] = {}
    rows, default = [], []
    for name, (slices, volume, maps) in pairs.items():
        comparison = FrameComparison(slices, 0, volume, maps)
        looks = {} if arguments.without_fits else looks_for(name, pairs, known)
        table = table_one(comparison, looks)
        anchors = ", ".join(f"{anchor.tissue} at {anchor.intensity:.4g}" for anchor in maps.decision.anchors)
        print(f"\n{name}: anchors {anchors}.")
        print(f"{'':<38}{'NCC':>7}{'SSIM':>7}{'MSE':>8}{'MAE':>8}")
        for row, (_, measured) in table.items():
            print(f"{row:<38}{measured.ncc:>7.3f}{measured.ssim:>7.3f}{measured.mse:>8.4f}{measured.mae:>8.4f}")
        default.append(table["default look, no speckle"][1].ncc)
        shown = [table[row][0] for row in ("T1C", "default look", *looks)]
        rows.append([picture * comparison.mask for picture in (*shown, comparison.ultrasound)])
    print(f"\nMean NCC of the default look without speckle: {np.mean(default):.3f}")
    widest = max(len(row) for row in rows)
    blank = np.zeros_like(rows[0][0])
    stacked = [np.hstack([*row[:-1], *[blank] * (widest - len(row)), row[-1]]) for row in rows]
    write_image(arguments.output, np.clip(np.vstack(stacked), 0, 1))
    print(f"Wrote {arguments.output}: MRI, default look, fitted looks as above, real ultrasound; one pair a row.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
