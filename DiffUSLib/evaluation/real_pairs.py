"""In-plane check on real pairs of MRI and intra-operative ultrasound: where do wrong starts converge?

There is no ground truth: the pairs lie where the scanners' coordinates put them, brain shift included. Starts that end
in one place, near those coordinates, speak for the method; starts that end elsewhere should not be accepted.

    python -m DiffUSLib.evaluation.real_pairs FOLDER    (with case002_k050_iUS.png, case002_k050_ceT1.png, ...)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from DiffUSLib.acoustics import maps_from_mri
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io.extras import optional
from DiffUSLib.registration import RegistrationSettings, register, slices_from_images
from DiffUSLib.simulator.cases import rigid

PIXEL_MM = 0.5
_SLAB_SLICES = 40  # the MRI slice repeated, so that the beam's thickness stays inside


@dataclass(frozen=True)
class Ending:
    """Shift in mm and turn in degrees in the plane, against the scanners' coordinates, of start and end."""

    pair: str
    start_mm: float
    start_deg: float
    end_x_mm: float
    end_y_mm: float
    end_deg: float
    verdict: str
    contrast: float
    seconds: float


def endings(folder: Path, name: str, starts: int, preset: str = "quick") -> Iterator[Ending]:
    """Registers one pair from the scanners' coordinates and from random starts up to 10 mm and 10 degrees."""
    Image = optional("PIL.Image", "pictures")
    ultrasound = np.asarray(Image.open(folder / f"{name}_iUS.png").convert("L"), dtype=np.float32)
    mri = np.asarray(Image.open(folder / f"{name}_ceT1.png").convert("L"), dtype=np.float32)
    matrix = torch.diag(torch.tensor([PIXEL_MM, PIXEL_MM, PIXEL_MM, 1.0], dtype=torch.float64))
    slices = slices_from_images(ultrasound[None], matrix[None])
    matrix = matrix.clone()
    matrix[2, 3] = -PIXEL_MM * (_SLAB_SLICES - 1) / 2
    volume = Volume(torch.from_numpy(np.repeat(mri[None], _SLAB_SLICES, axis=0)), matrix, name)
    maps = maps_from_mri(volume, "t1c")
    center = slices.centers_ras_mm[0].numpy()
    for seed in range(starts):
        random = np.random.default_rng(seed)
        angle, length = random.uniform(0, 2 * np.pi), random.uniform(0, 10) * (seed > 0)
        turn = random.uniform(-10, 10) * (seed > 0)
        shift = length * np.array([np.cos(angle), np.sin(angle), 0])
        error = rigid(center + shift, np.array([0, 0, np.deg2rad(turn)])) @ rigid(-center, np.zeros(3))
        wrong = replace(slices, transducer_to_ras=torch.from_numpy(error) @ slices.transducer_to_ras)
        settings = RegistrationSettings(preset, "in_plane", seed=seed, device="cpu")
        result = register(volume, wrong, settings, maps)
        together = result.correction_ras.numpy() @ error
        x, y, _ = (together @ [*center, 1.0])[:3] - center
        end_deg = float(np.rad2deg(np.arctan2(together[1, 0], together[0, 0])))
        contrast, seconds = result.evidence.contrast, result.seconds
        yield Ending(name, length, turn, float(x), float(y), end_deg, result.verdict, contrast, seconds)


def main(folder: Path, starts: int = 10) -> None:
    """Prints a table of all pairs in the folder."""
    names = sorted(path.name.removesuffix("_iUS.png") for path in folder.glob("*_iUS.png"))
    if not names:
        raise DiffUSError(f"{folder} holds no pairs NAME_iUS.png and NAME_ceT1.png.")
    torch.set_num_threads(1)
    print("| pair | start | ends at x, y | turn | verdict | contrast | s |\n|---|---|---|---|---|---|---|")
    for name in names:
        for end in endings(folder, name, starts):
            print(
                f"| {end.pair} | {end.start_mm:.1f} mm, {end.start_deg:+.1f} deg | {end.end_x_mm:+.1f}, "
                f"{end.end_y_mm:+.1f} mm | {end.end_deg:+.1f} deg | {end.verdict} | {end.contrast:.1f} "
                f"| {end.seconds:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
