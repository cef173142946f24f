"""Real ultrasound with a known truth: a sweep split in two, one half as the volume, the other registered to it.

Every other frame is put together to a volume, which stands in for the patient's scan; the frames between are moved
away and must come back. The truth is where they were, to about the distance of frames. Both halves show the same
patient in the same look, so errors say little about MRI or CT: what counts is whether the verdict knows right from
wrong on real speckle, shadows and tissue. With the volume mirrored (tier S5) nothing is right.

    python -m DiffUSLib.evaluation.split_sweeps cases.csv NAME=SWEEP[,CALIBRATION] ...
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from DiffUSLib.acoustics import AcousticMaps, tissue
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io import place_frames, read_calibration, read_tracked_frames
from DiffUSLib.registration import RegistrationSettings, UltrasoundSlices, register, slices_from_images, square_pixels
from DiffUSLib.registration.trust import mean_distance_mm
from DiffUSLib.simulator.cases import perturbation
from DiffUSLib.ultrasound.fan_detection import detect_fan

_VOXEL_MM, _SPREAD_MM = 1.5, 1.5
_STARTS, _SLICES = 4, (7, 3)
_START_MM, _START_DEG = 8.0, 8.0


def volume_of(slices: UltrasoundSlices, margin_mm: float = 12.0) -> Volume:
    """The slices' mean gray in voxels of 1.5 mm, smoothed over the gaps between them; 0 where there is none."""
    row, column = np.nonzero(slices.mask[0])
    pixels = slices.image_to_transducer @ np.stack([column, row, 0 * row, np.ones_like(row)])
    poses = slices.transducer_to_ras.numpy()
    places = np.concatenate([(pose @ pixels)[:3].T for pose in poses])
    values = np.concatenate([image[row, column] for image in slices.images])
    origin = places.min(0) - margin_mm
    index = np.round((places - origin) / _VOXEL_MM).astype(int)
    shape = index.max(0) + int(margin_mm / _VOXEL_MM)
    flat = np.ravel_multi_index(index.T, shape)
    count, total = (
        ndimage.gaussian_filter(
            np.bincount(flat, weights, minlength=shape.prod()).reshape(shape), _SPREAD_MM / _VOXEL_MM
        )
        for weights in (None, values)
    )
    seen = count > 0.02 * np.quantile(count[count > 0], 0.9)
    gray = np.where(seen, total / np.maximum(count, 1e-6), 0.0)
    matrix = torch.diag(torch.tensor([_VOXEL_MM, _VOXEL_MM, _VOXEL_MM, 1.0], dtype=torch.float64))
    matrix[:3, 3] = torch.from_numpy(origin)
    return Volume(torch.from_numpy(np.ascontiguousarray(gray.transpose(2, 1, 0))).float(), matrix, "half a sweep")


def maps_of(volume: Volume) -> AcousticMaps:
    """Maps that show the gray values as they are: no interfaces, no loss."""
    gray = volume.voxels / max(float(volume.voxels.max()), 1.0)
    even = torch.full_like(gray, tissue("soft tissue").impedance_mrayl)
    return AcousticMaps(even, torch.zeros_like(gray), 10 ** (2 * gray - 2), volume.ijk_to_ras, tissue("water"), "t1")


def outcomes(name: str, sweep: str, calibration: str | None) -> Iterator[dict]:
    """One row for each start, number of slices, and volume as it is or mirrored."""
    tracked = read_tracked_frames(sweep)
    placed = place_frames(tracked, read_calibration(calibration) if calibration else None)
    count = int(placed.valid.sum())
    if count < 2 * max(_SLICES):
        raise DiffUSError(f"{sweep} has {count} frames that can be used; {2 * max(_SLICES)} are needed.")
    usable = placed.valid.nonzero().flatten()
    images, matrices = square_pixels(tracked.images[usable].numpy(), placed.image_to_patient[usable])
    slices = slices_from_images(images, matrices, detect_fan(images))
    volume = volume_of(slices.subset(range(0, count, 2)))
    others = slices.subset(range(1, count - 1, 2))
    center = others.centers_ras_mm.mean(0).numpy()
    mirrored = replace(volume, voxels=volume.voxels.flip(2))
    for tier, seen in (("S2", volume), ("S5", mirrored)):
        maps = maps_of(seen)
        for count in _SLICES:
            few = others.subset(np.linspace(0, len(others.images) - 1, count).round())
            for start in range(_STARTS):
                error = perturbation(np.random.default_rng([start, count]), center, _START_MM, _START_DEG)
                moved = replace(few, transducer_to_ras=torch.from_numpy(error) @ few.transducer_to_ras)
                result = register(seen, moved, RegistrationSettings(seed=start, device="cpu"), maps)
                truth = torch.linalg.inv(torch.from_numpy(error))
                evidence = result.evidence
                yield {
                    "tier": tier,
                    "slices": count,
                    "patient": name,
                    "pose_seed": start,
                    "initial_mm": mean_distance_mm(torch.eye(4, dtype=torch.float64), truth, moved),
                    "final_mm": mean_distance_mm(result.correction_ras, truth, moved),
                    "verdict": result.verdict,
                    "contrast": evidence.contrast,
                    "gain": evidence.gain,
                    "margin": evidence.margin,
                    "uncertainty_mm": max(evidence.uncertainty_mm),
                    "coverage": evidence.coverage,
                    "halves_mm": evidence.halves_mm,
                    "prior_sigmas": evidence.prior_sigmas,
                }


def main(table: Path, sweeps: list[str]) -> None:
    """Writes the table, row by row, and prints each."""
    torch.set_num_threads(1)
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = None
        for text in sweeps:
            name, _, files = text.partition("=")
            sweep, _, calibration = files.partition(",")
            for row in outcomes(name, sweep, calibration or None):
                if writer is None:
                    writer = csv.DictWriter(stream, row)
                    writer.writeheader()
                writer.writerow(row)
                stream.flush()
                print(
                    f"{row['tier']} {row['patient']}, {row['slices']} slices: {row['initial_mm']:.1f} -> "
                    f"{row['final_mm']:.2f} mm {row['verdict']}",
                    flush=True,
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
