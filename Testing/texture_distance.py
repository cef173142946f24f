"""How far the texture of rendered ultrasound is from real one, over how far real ones are from each other.

    python Testing/texture_distance.py FOLDER [-o PICTURE]

FOLDER holds the pairs of `compare_with_real_ultrasound.py`, a liver sweep (liver_sweep35.igs.mha) and an abdomen with
organ labels (ts_example_seg.nii.gz); no pair of the liver is needed. For each property of
`DiffUSLib.appearance.texture` the distance between rendered and real frames of one anatomy is divided by the mean
distance between real frames of different examinations; the table shows the mean over the properties. 1 means: as alike
as real ones are. The picture shows real frame, default look and fitted look, one examination a row.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from compare_with_real_ultrasound import read_all

from DiffUSLib.acoustics import AcousticMaps, acoustic_maps
from DiffUSLib.acoustics.medium import BONE_MRAYL, TISSUE_ECHOGENICITY
from DiffUSLib.appearance import Appearance, fit_appearance, fit_to_frames, fitted, load_appearance
from DiffUSLib.appearance.texture import Texture, frame_textures, texture_distances
from DiffUSLib.cli.register import make_slices, place
from DiffUSLib.evaluation.pair_measures import FrameComparison
from DiffUSLib.geometry.pose import look_at
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io import read_tracked_frames, read_volume, write_image
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import RenderSettings, look
from DiffUSLib.ultrasound.observation import UltrasoundSlices

LIVER_FRAMES = [5, 12, 19, 26]
LIVER_LABEL = "liver"
TILTS_DEG = (10.0, 30.0, 50.0, 70.0, 85.0)  # of the entry from the patient's right toward the front
RISES_MM = (-40.0, -20.0, 0.0)
POSES = 3  # with the most tissue and the least bone in the fan


def liver_scene(folder: Path) -> tuple[UltrasoundSlices, Volume, AcousticMaps, torch.Tensor]:
    """The sweep, the labeled abdomen, and poses on its skin that look at the liver."""
    tracked = read_tracked_frames(folder / "liver_sweep35.igs.mha")
    slices, _ = make_slices(tracked, place(tracked), LIVER_FRAMES)
    volume = read_volume(folder / "ts_example_seg.nii.gz")
    maps = acoustic_maps(volume, "labels")
    inside = (maps.axis.positions == maps.axis.names.index(LIVER_LABEL)).nonzero().double().mean(dim=0).flip(0)
    center = maps.ijk_to_ras[:3, :3] @ inside + maps.ijk_to_ras[:3, 3]
    bone = (maps.impedance > BONE_MRAYL).float()
    tried = []
    for tilt, rise_mm in itertools.product(np.deg2rad(TILTS_DEG), RISES_MM):
        outward = torch.tensor([np.cos(tilt), np.sin(tilt), 0.0], dtype=torch.float64)
        entry = center + outward * 95.0 + torch.tensor([0.0, 0.0, rise_mm], dtype=torch.float64)
        pose = look_at(entry.tolist(), center.tolist())
        shares = []
        for seen in (bone, (maps.echogenicity > TISSUE_ECHOGENICITY).float()):
            view = replace(maps, impedance=1 + 0 * bone, attenuation=0 * bone, echogenicity=seen)
            lines = Renderer(view, slices.probe, RenderSettings(speckle=False, near_field=False), "cpu")
            shares.append(float((lines.scan_lines(pose).power > 0.25).float().mean()))
        tried.append((shares[0] - shares[1], pose))
    poses = [pose for _, pose in sorted(tried, key=lambda found: found[0])[:POSES]]
    return slices, volume, maps, torch.stack(poses)


def textures_of(images: list[np.ndarray], like: UltrasoundSlices) -> list[Texture]:
    """Textures of images (H, W) in [0, 1] on the pixels of real frames."""
    poses = torch.eye(4, dtype=torch.float64).repeat(len(images), 1, 1)
    stack = np.stack(images) * 255
    mask = np.broadcast_to(like.mask[0], stack.shape)
    return frame_textures(UltrasoundSlices(stack, mask, like.image_to_transducer, poses, like.probe))


def mean_distances(first: list[Texture], second: list[Texture]) -> dict[str, float]:
    """Mean distance between two groups, by property."""
    found = [texture_distances(a, b) for a, b in itertools.product(first, second)]
    return {name: float(np.nanmean([distances[name] for distances in found])) for name in found[0]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("looks.png"), help="default: looks.png")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pairs = read_all(arguments.folder)
    clinical = look("clinical")
    real: dict[str, list[Texture]] = {}
    rendered: dict[str, dict[str, list[np.ndarray]]] = {}
    like: dict[str, UltrasoundSlices] = {}
    rows = []
    for name, (slices, volume, maps) in pairs.items():
        patient = name.split("_")[0]
        comparison = FrameComparison(slices, 0, volume, maps)
        own = fitted(fit_appearance(slices, maps)).appearance
        images = {"default": comparison.rendered(clinical), "fitted": comparison.rendered(clinical, own)}
        like.setdefault(patient, slices)
        real.setdefault(patient, []).extend(frame_textures(slices))
        for kind, image in images.items():
            rendered.setdefault(patient, {}).setdefault(kind, []).append(image)
        rows.append([comparison.ultrasound * comparison.mask, *(i * comparison.mask for i in images.values())])
    slices, volume, maps, poses = liver_scene(arguments.folder)
    looks: dict[str, Appearance] = {"default": load_appearance("clinical")}
    looks["fitted"] = fit_to_frames(slices, looks["default"])
    placed = replace(slices.subset([0] * len(poses)), transducer_to_ras=poses)
    real["liver"], like["liver"] = frame_textures(slices), slices
    rendered["liver"] = {
        kind: [FrameComparison(placed, k, volume, maps).rendered(clinical, one) for k in range(len(poses))]
        for kind, one in looks.items()
    }
    middle = len(LIVER_FRAMES) // 2
    rows.append([slices.images[middle] / 255, *(rendered["liver"][kind][0] for kind in looks)])
    between = [mean_distances(real[a], real[b]) for a, b in itertools.combinations(real, 2)]
    unit = {name: float(np.nanmean([distances[name] for distances in between])) for name in between[0]}
    print(f"{'':<22}" + "".join(f"{name:>18}" for name in unit) + f"{'mean':>8}")
    for examination, kinds in rendered.items():
        for kind, images in kinds.items():
            distances = mean_distances(textures_of(images, like[examination]), real[examination])
            ratios = {name: distances[name] / unit[name] for name in unit}
            shown = "".join(f"{ratio:>18.2f}" for ratio in ratios.values())
            print(f"{examination + ', ' + kind:<22}{shown}{np.nanmean(list(ratios.values())):>8.2f}")
    height = max(image.shape[0] for row in rows for image in row)
    padded = [[_padded(image, height) for image in row] for row in rows]
    width = max(sum(image.shape[1] for image in row) for row in padded)
    stacked = [np.pad(np.hstack(row), ((0, 0), (0, width - sum(i.shape[1] for i in row)))) for row in padded]
    write_image(arguments.output, np.clip(np.vstack(stacked), 0, 1))
    print(f"Wrote {arguments.output}.")
    return 0


def _padded(image: np.ndarray, height: int) -> np.ndarray:
    """The image enlarged by a whole factor as far as it fits, and filled up to a height."""
    factor = max(1, height // image.shape[0])
    large = np.kron(image, np.ones((factor, factor)))
    return np.pad(large, ((0, height - large.shape[0]), (0, 0)))


if __name__ == "__main__":
    sys.exit(main())
