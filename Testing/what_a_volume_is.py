"""Shows what volumes are taken for: generated variants of a phantom and of real volumes, and a table of confusions.

    python Testing/what_a_volume_is.py [--data FOLDER] [--only TEXT]

Every variant is told as one of the modalities or refused; wrong answers are marked. The thresholds of
DiffUSLib/acoustics (histogram, label_signs, hounsfield, surroundings, contrast) were chosen on such variants, also of
whole heads rendered from a SynthSeg label map at 3 mm, and on real volumes.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK
import torch
from scipy import ndimage

from DiffUSLib.acoustics import detect_modality
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io import read_volume
from DiffUSLib.samples.phantom import head_phantom

REFUSED = "refused"
SPACING_MM = 2.5
_COMMON = {57: 200, 77: 190, 31: 120, 98: 90, 30: 60, 118: 90, 125: 160, 515: 8, 516: 40}
# Signal by label of the phantom: 0 air, 2 white matter, 3 gray matter, 24 and 4 fluid, 125 fat, 515 bone.
SIGNALS = {
    "t1": {0: 3, 2: 190, 3: 135, 24: 45, 4: 45, **_COMMON, 57: 150, 77: 148, 125: 230},
    "t1c": {0: 3, 2: 190, 3: 135, 24: 45, 4: 45, **_COMMON, 57: 345, 77: 148, 125: 230},
    "t2": {0: 3, 2: 90, 3: 135, 24: 330, 4: 330, **_COMMON},
    "flair": {0: 3, 2: 100, 3: 130, 24: 22, 4: 22, **_COMMON},
    "pd": {0: 3, 2: 150, 3: 190, 24: 212, 4: 212, **_COMMON, 515: 20},
}
RIGHT = {"t1": {"t1"}, "t1c": {"t1", "t1c"}, "t2": {"t2"}, "flair": {"flair"}, "pd": {REFUSED}}
Variant = tuple[str, np.ndarray, set[str]]


def mri_variants(name: str, array: np.ndarray, brain: np.ndarray, right: set[str]) -> Iterator[Variant]:
    """The same MRI as people store, scale, crop and resample it; `brain` is a mask."""
    mean, spread = array[brain].mean(), array[brain].std()
    middle = array.shape[0] // 2
    yield name, array, right
    yield f"{name}, brain", np.where(brain, array, 0), right
    yield f"{name}, brain in -1000", np.where(brain, array.round(), -1000), right
    yield f"{name}, z-scores", (array - mean) / spread, right
    yield f"{name}, z-scores of the brain in 0", np.where(brain, (array - mean) / spread, 0), right
    yield f"{name}, 5 x - 1000", array * 5 - 1000, right
    yield f"{name}, whole numbers - 160", array.round() - 160, right
    yield f"{name}, 0 to 1", array / array.max(), right
    yield f"{name}, times 1e5", array * 1e5, right
    yield f"{name}, 8 bit", ((array / np.percentile(array, 99.5)).clip(0, 1) * 255).round(), right
    yield f"{name}, slab", array[middle - 8 : middle + 12], right | {REFUSED}
    yield f"{name}, half", array[:, :, array.shape[2] // 2 :], right | {REFUSED}
    image = SimpleITK.GetImageFromArray((array * 12).astype(np.float32))
    turn = SimpleITK.Euler3DTransform([size / 2 for size in image.GetSize()], 0.1, 0.05, 0.08)
    for kernel, interpolator in (("Lanczos", SimpleITK.sitkLanczosWindowedSinc), ("B-spline", SimpleITK.sitkBSpline)):
        turned = SimpleITK.Resample(image, image, turn, interpolator, 0.0)
        yield f"{name}, {kernel}", SimpleITK.GetArrayFromImage(turned).round(), right


def ct_variants(name: str, hu: np.ndarray) -> Iterator[Variant]:
    """The same CT clipped, padded, denoised, shifted, windowed and cropped."""
    yield name, hu, {"ct"}
    for low, high in ((-160, 240), (-100, 1000), (-1000, 1000), (-200, 300), (-1024, 3071)):
        yield f"{name}, clipped to {low} to {high}", hu.clip(low, high).round(), {"ct"}
    for padding in (-3024, -2000):
        padded = hu.round()
        padded[:, :6], padded[:, -6:] = padding, padding
        yield f"{name}, padded with {padding}", padded, {"ct"}
    yield f"{name}, median filter", ndimage.median_filter(hu.round(), 3), {"ct"}
    yield f"{name}, noise of 60 HU", hu + np.random.default_rng(0).normal(0, 60, hu.shape), {"ct"}
    yield f"{name}, half", hu[:, :, hu.shape[2] // 2 :], {"ct"}
    yield f"{name}, + 1024", (hu + 1024).clip(0).round(), {REFUSED}
    yield f"{name}, 0 to 65535", (hu.clip(-1000, 2000) + 1000) * 20, {REFUSED}
    yield f"{name}, attenuation per mm", (hu.clip(-1000, 2000) + 1000) * 2e-5, {REFUSED}
    for low, high in ((-160, 240), (0, 80), (-1000, 1000)):
        window = ((hu.clip(low, high) - low) / (high - low) * 255).round()
        yield f"{name}, 8 bit window {low} to {high}", window, {REFUSED}


def phantom_variants() -> Iterator[Variant]:
    """MRI of five contrasts, CT, labels, and what must be refused, all of the phantom."""
    phantom = head_phantom(SPACING_MM)
    labels = phantom.labels.voxels.numpy()
    random = np.random.default_rng(0)
    brain = ndimage.binary_erosion(np.isin(labels, [2, 3, 24, 4, 57, 77, 31, 98, 30]))
    for name, signals in SIGNALS.items():
        blurred = ndimage.gaussian_filter(np.vectorize(signals.get)(labels).astype(np.float32), 0.5)
        array = np.abs(blurred + random.normal(0, 4, labels.shape))
        yield from mri_variants(f"phantom {name}", array, brain, RIGHT[name])
    yield from ct_variants("phantom ct", phantom.ct.voxels.numpy().astype(np.float64))
    yield "phantom ct, brain in 0", np.where(brain, phantom.ct.voxels.numpy().round(), 0), {"ct", REFUSED}
    classes = np.select([labels == 2, labels == 3, np.isin(labels, [4, 24])], [3, 2, 1], 0)
    yield "labels", labels, {"labels"}
    yield "labels, rounded", labels * np.float32(0.99999), {"labels"}
    yield "labels, classes", classes, {"labels"}
    yield "labels, mask of 255", brain * 255, {"labels"}
    yield "labels, classes as parts of 1", classes / 3, {REFUSED}
    gray = (labels == 3).astype(np.float64)
    yield "probability of gray matter", ndimage.gaussian_filter(gray, 0.4), {REFUSED}
    yield "PET", ndimage.gaussian_filter(40.0 * gray + 11.0 * (labels == 2), 2.0), {REFUSED}
    yield "noise", random.normal(100, 20, labels.shape), {REFUSED}


def real_variants(folder: Path) -> Iterator[Variant]:
    """Variants of the real volumes: stripped brains and a CT; label maps as they are."""
    known = {"mni_icbm152_t1": {"t1"}, "du7294_t1c": {"t1c", "t1"}, "du7294_t2": {"t2"}}
    for stem, right in known.items():
        array = read_volume(folder / f"{stem}.nii.gz").voxels.numpy()[::2, ::2, ::2].astype(np.float64)
        yield from mri_variants(stem, array, array > 0, right)
    array = read_volume(folder / "hanke_T1w_1mm_u8.nii.gz").voxels.numpy()[::2, ::2, ::2].astype(np.float64)
    yield "hanke_T1w", array, {"t1"}
    yield from ct_variants("ts_example_ct", read_volume(folder / "ts_example_ct.nii.gz").voxels.numpy().astype(float))
    for name in ("synthseg_training_seg_01.nii.gz", "ts_example_seg.nii.gz", "spl_abd_seg.nrrd"):
        yield name, read_volume(folder / name).voxels.numpy()[::2, ::2, ::2], {"labels"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="also variants of the real volumes in this folder")
    parser.add_argument("--only", default="", metavar="TEXT", help="only variants whose name holds this")
    options = parser.parse_args()
    table: Counter[tuple[str, str]] = Counter()
    wrong = 0
    variants = list(phantom_variants()) + (list(real_variants(options.data)) if options.data else [])
    for name, array, right in variants:
        if options.only not in name:
            continue
        spacing = 3.0 if name.startswith("ts_") else 2.0 if name.startswith(("mni", "du7", "hanke")) else SPACING_MM
        place = torch.diag(torch.tensor([spacing, spacing, spacing, 1.0]))
        kind = np.float32 if array.dtype.kind == "f" else np.int32
        try:
            guess = detect_modality(Volume(torch.from_numpy(np.ascontiguousarray(array, kind)), place, name))
            told, why = guess.modality, f"{guess.confidence:.2f} {guess.reason}"
        except DiffUSError as error:
            told, why = REFUSED, str(error)
        wrong += told not in right
        table[" or ".join(sorted(right)), told] += 1
        print(f"{'  ' if told in right else '!!'} {name:44} {told:8} {why[:150]}", flush=True)
    print("\n| should be | told as | variants |\n|---|---|---|")
    for (right, told), count in sorted(table.items()):
        print(f"| {right} | {told} | {count} |")
    print(f"\n{wrong} of {sum(table.values())} are wrong.")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
