"""The patients of the evaluation: what the simulator scans, and what registration sees of them.

Warped MNI152 heads, made-up torsos and a kidney phantom can always be made. With a folder of volumes of your own
(`--volumes`, or the environment variable DIFFUS_SHARED_DATA), whole heads from labels, a glioma, and abdomens from
labels and from a CT join them; the files are looked for by name, and those that are not there are left out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from DiffUSLib.acoustics import AcousticMaps, acoustic_maps
from DiffUSLib.acoustics.labels import read_label_mapping
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io import read_volume
from DiffUSLib.simulator import body, heads
from DiffUSLib.simulator.anatomy import Anatomy, mni152
from DiffUSLib.simulator.cases import smooth_warp

_WARPS = 3
_WARP_MM = 8.0
_TORSOS = 3
_FILES = {
    "synthseg": ("synthseg_training_seg_01.nii.gz",),
    "glioma": ("du7294_t1c.nii.gz", "du7294_t2.nii.gz"),
    "abdomen": ("spl_abd_seg.nrrd",),
    "abdomen_ct": ("ts_example_ct.nii.gz",),
}
_HEADS, _BODIES = ("synthseg", "glioma"), ("abdomen", "abdomen_ct")
_LARGE_CLASSES = {
    "cortical bone": "bone",
    "trabecular bone": "bone",
    "blood": "blood",
    "bowel": "bowel",
    "muscle": "muscle",
    "liver": "liver",
    "kidney": "kidney",
    "spleen": "spleen",
    "pancreas": "bowel",
    "water": "fluid",
}


@dataclass(frozen=True)
class Patient:
    """One patient.

    Args:
        name: of `patient_names`.
        anatomy: that the simulator scans.
        volume, maps: that registration sees.
    """

    name: str
    anatomy: Anatomy
    volume: Volume
    maps: AcousticMaps


def data_folder(given: str | None = None) -> Path | None:
    """The folder of volumes: as given, else of the environment variable DIFFUS_SHARED_DATA, else None."""
    name = given or os.environ.get("DIFFUS_SHARED_DATA")
    return Path(name) if name else None


def patient_names(tier: str, folder: Path | None) -> list[str]:
    """Names of the patients of a tier: heads, or bodies for the tiers whose names begin with B."""
    bodies, heads_made = [f"torso{n}" for n in range(_TORSOS)], [f"warped{n}" for n in range(_WARPS)]
    made = [*bodies, "kidney_phantom"] if tier[0] == "B" else heads_made
    others = _BODIES if tier[0] == "B" else _HEADS
    return made + [name for name in others if folder and all((folder / file).is_file() for file in _FILES[name])]


@lru_cache(maxsize=2)
def patient(name: str, folder: Path | None = None) -> Patient:
    """The patient of that name: "mni", or one of `patient_names`."""
    anatomy = _anatomy(name, folder)
    voxels = torch.from_numpy(np.ascontiguousarray(anatomy.seen.transpose(2, 1, 0)))
    volume = Volume(voxels, torch.from_numpy(anatomy.affine), name)
    return Patient(name, anatomy, volume, acoustic_maps(volume, anatomy.modality))


def _anatomy(name: str, folder: Path | None) -> Anatomy:
    if name == "mni":
        return mni152()
    if name.startswith("warped"):
        number = int(name.removeprefix("warped"))
        template = mni152()
        return heads.warped(template, smooth_warp(template, np.random.default_rng([number, 9]), _WARP_MM))
    if name == "kidney_phantom":
        return body.kidney_phantom()
    if name.startswith("torso"):
        number = int(name.removeprefix("torso"))
        return body.torso(number, contrast=number % 2 == 1)
    if folder is None:
        raise DiffUSError(
            f"the patient {name} comes from files; name the folder that holds {', '.join(_FILES[name])}."
        )
    volumes = [_array(folder / file) for file in _FILES[name]]
    affine = volumes[0][1]
    if name == "synthseg":
        return heads.head_from_labels(volumes[0][0].round().astype(int), affine)
    if name == "glioma":
        return heads.head_from_two_contrasts(volumes[0][0], volumes[1][0], affine)
    if name == "abdomen":
        return _abdomen_from_labels(volumes[0][0].round().astype(int), affine)
    return _abdomen_from_ct(volumes[0][0], affine)


def _array(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(I, J, K) voxels and (4, 4) IJK-to-RAS."""
    volume = read_volume(path)
    return volume.voxels.float().numpy().transpose(2, 1, 0), volume.ijk_to_ras.numpy()


def _abdomen_from_labels(labels: np.ndarray, affine: np.ndarray) -> Anatomy:
    """Labels of the SPL abdominal atlas; what is not segmented within the body is fat, the bowel holds gas."""
    labels, affine = labels[::2, ::2], affine @ np.diag([2.0, 2.0, 1.0, 1.0])
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    tissues = np.zeros(labels.shape, dtype=np.uint8)
    hull = _closed(labels > 0, spacing, 40.0)
    skin = ndimage.distance_transform_edt(~hull, spacing)
    tissues[skin < 14] = body.NAMES.index("skin")
    tissues[skin < 12] = body.NAMES.index("fat")
    for label, row in read_label_mapping("spl_abdomen").items():
        if label and row.name in _LARGE_CLASSES:
            tissues[labels == label] = body.NAMES.index(_LARGE_CLASSES[row.name])
    bowel = tissues == body.NAMES.index("bowel")
    inner = ndimage.distance_transform_edt(bowel, spacing) > 3
    loops = inner * (1 + sum(np.indices(bowel.shape) // 24) % 7)
    aims = [_middle(tissues == body.NAMES.index("liver"), affine), _middle(labels == 51, affine)]
    return body.body(tissues, affine, np.array(aims), np.array([-0.75, 0.65, 0.0]), 0, False, loops)


def _abdomen_from_ct(ct: np.ndarray, affine: np.ndarray) -> Anatomy:
    """A CT as it is; its tissues by HU, which is kind to who gets to see these HU. Gas may have turned to fluid."""
    fine = ndimage.zoom(ct, 1.5, order=1, grid_mode=True, mode="nearest")
    scale = np.array(ct.shape) / fine.shape
    matrix = affine @ np.diag([*scale, 1.0])
    matrix[:3, 3] += affine[:3, :3] @ (0.5 * scale - 0.5)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    smooth = ndimage.gaussian_filter(fine, 0.8)
    trunk = ndimage.binary_opening(smooth > -300, iterations=3)
    numbers, _ = ndimage.label(trunk)
    trunk = _closed(numbers == np.bincount(numbers[trunk]).argmax(), spacing, 12.0)
    bounds = (-300, -20, 20, 75, 130, 220)
    names = ("gas", "fat", "fluid", "liver", "kidney", "blood", "bone")
    lookup = np.array([body.NAMES.index(name) for name in names], dtype=np.uint8)
    tissues = np.where(trunk, lookup[np.digitize(smooth, bounds)], 0).astype(np.uint8)
    soft = ndimage.gaussian_filter((tissues == body.NAMES.index("liver")).astype(np.float32), 18 / spacing)
    aims = []
    for _ in range(3):
        place = np.unravel_index(soft.argmax(), soft.shape)
        aims.append(matrix[:3, :3] @ place + matrix[:3, 3])
        away = (np.moveaxis(np.indices(soft.shape), 0, -1) - place) * spacing
        soft[np.linalg.norm(away, axis=-1) < 60] = 0
    lumens, _ = ndimage.label(tissues == body.NAMES.index("gas"))
    made = body.body(tissues, matrix, np.array(aims), np.array([0.0, 1.0, 0.0]), 0, False, np.minimum(lumens, 250))
    return Anatomy(**(vars(made) | {"seen": fine.astype(np.float32)}))


def _closed(mask: np.ndarray, spacing: np.ndarray, reach_mm: float) -> np.ndarray:
    """A mask closed by a ball, and filled."""
    margin = [int(np.ceil(reach_mm / size)) + 1 for size in spacing]
    wide = np.pad(mask, [(m, m) for m in margin])
    grown = ndimage.distance_transform_edt(~wide, spacing) <= reach_mm
    closed = ndimage.distance_transform_edt(grown, spacing) > reach_mm
    return ndimage.binary_fill_holes(closed)[tuple(slice(m, -m) for m in margin)] | mask


def _middle(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    return affine[:3, :3] @ np.array(ndimage.center_of_mass(mask)) + affine[:3, 3]
