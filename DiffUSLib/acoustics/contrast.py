"""Which MRI contrast a head shows: how bright its fluid is, and whether white or gray matter is the brighter one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from DiffUSLib.acoustics.anchors import brain_values, fit_classes
from DiffUSLib.acoustics.head import Head
from DiffUSLib.acoustics.histogram import between

_SAMPLES = 8000
_INNER = 0.55  # of the way from the middle of the brain to its surface: with ventricles
_OUTER = 0.85  # likewise: with sulci, without the skull
_LARGEST_HEAD_MM = 260.0  # along its second longest axis: heads with neck have at most 230 mm, bodies at least 270 mm

# (no, yes) of `between`; chosen on the variants of Testing/what_a_volume_is.py.
_BRIGHT_FLUID = (1.45, 1.62)  # 97 % quantile of the inner brain in parts of its median: T2 from 1.67, T1 to 1.66
_NO_DARK = (0.42, 0.53)  # 6 % quantile, likewise: T2 from 0.55, T1 to 0.54 (and there the quantile above is 1.3)
_SKEWED = (1.5, 2.2)  # the former above the median to the latter below it: T2 from 2.7, noise without a skew 1.2
_DARK_FLUID = (0.66, 0.58)  # 3 % quantile of the outer brain: T1 and FLAIR to 0.45, proton density from 0.81
_NO_VESSELS = (2.6, 2.1)  # 98.5 % quantile: contrast T1 to 1.5, time-of-flight angiography 4.1
_RELATED = (0.15, 0.35)  # see `_neighbors_alike`: MRI from 0.57 (4 mm voxels, or much noise), white noise 0.0
_SHARP = (0.09, 0.13)  # see `_sharpness_per_mm`: MRI from 0.14 (3 mm voxels), PET 0.08
_CLASSES = (0.005, 0.015)  # gain of three classes, see `fit_classes`: MRI from 0.02, smooth noise 0.001
_T2_SHARP = (0.115, 0.15)  # likewise: T2 from 0.146 (4 mm voxels), PET with FDG at 7 mm 0.13
_BULK = 0.05  # difference of the bulk of the two bright classes: T1 from 0.06, FLAIR to -0.10
_FLAIR_RATIO = (1.8, 1.65)  # of gray to white matter: FLAIR to 1.6, PET with FDG from 1.7
_FLAIR_BULK = (0.52, 0.46)  # of the brightest class: FLAIR to 0.36, blurred PET 0.57


@dataclass(frozen=True)
class Contrast:
    """A contrast ("t1", "t2", "flair", or "" for none of them), the confidence of it (0 to 1), and what was seen."""

    modality: str
    confidence: float
    reason: str


def tell_contrast(head: Head) -> Contrast:
    """Tell T1, T2 and FLAIR apart in a head.

    In T2 fluid is the brightest part of the inner brain. In T1 and FLAIR it is the darkest; white matter, which comes
    in bulk, is brighter than the ribbon of gray matter in T1 and darker in FLAIR (and in the T1 of a newborn, which
    therefore is read as FLAIR); a single slice does not show what comes in bulk. Proton density shows no fluid that
    stands out, angiography and PET no such matter.

    Raises:
        DiffUSError: if there are too few voxels of a brain.
    """
    extent = sorted(
        float(np.ptp(axis)) * size for axis, size in zip(head.mask.nonzero(), head.spacing_mm[::-1], strict=True)
    )
    if extent[1] > _LARGEST_HEAD_MM:
        return Contrast("", 0.0, f"with {extent[1]:.0f} x {extent[2]:.0f} mm it is larger than a head")
    mask, values = brain_values(head)
    inner = head.intensities[mask & _inner_part(head)]
    inner = inner if len(inner) >= 100 else values
    if between(_neighbors_alike(head, mask), *_RELATED) < 0.5:
        return Contrast("", 0.0, "neighboring voxels have nothing in common, as in noise")
    sharpness = _sharpness_per_mm(head, mask)
    blurred = Contrast("", 0.0, f"it is blurred like PET ({sharpness:.2f} of its range per mm)")
    if between(sharpness, *_SHARP) < 0.5:
        return blurred
    middle = float(np.median(inner))
    dark, bright, brightest = np.percentile(inner, [6, 97, 98.5]) / middle
    outer = head.intensities[mask & _inner_part(head, _OUTER)]
    darkest = float(np.percentile(outer, 3) / np.median(outer)) if len(outer) >= 100 else dark
    skew = (bright - 1) / max(1 - dark, 1e-9)
    t2 = min(between(bright, *_BRIGHT_FLUID), between(dark, *_NO_DARK), between(skew, *_SKEWED))
    if t2 >= 0.5 and between(sharpness, *_T2_SHARP) < 0.5:
        return blurred
    if t2 >= 0.5:
        return Contrast("t2", t2, f"the brightest of the inner brain, as fluid, has {bright:.1f} times its median")
    has_dark_fluid = between(darkest, *_DARK_FLUID)
    if has_dark_fluid < 0.5:
        return Contrast("", 1 - has_dark_fluid, "fluid stands out neither dark nor bright, as in proton density")
    if between(brightest, *_NO_VESSELS) < 0.5:
        return Contrast("", 0.0, f"parts of it have {brightest:.1f} times its median, as in angiography")
    if 1 in mask.shape:
        return Contrast("", 0.0, "a single slice does not tell T1 from FLAIR")
    classes = fit_classes(values[:: max(1, len(values) // _SAMPLES)])
    if classes is None or between(classes[1], *_CLASSES) < 0.5:
        return Contrast("", 0.0, "it does not show fluid, gray and white matter apart")
    means = classes[0]
    bulk = _bulk(head, mask, means)
    share = f"({bulk[2]:.2f} to {bulk[1]:.2f})"
    seen = f"fluid is dark, and the bulk of the brain, as white matter, is {{}} than the rest {share}"
    difference = bulk[2] - bulk[1]
    if difference > 0:
        t1 = min(has_dark_fluid, between(difference, 0.0, _BULK), between(bulk[1], 0.0, 0.02))
        return Contrast("t1" if t1 >= 0.5 else "", t1, seen.format("brighter"))
    flair = min(
        has_dark_fluid,
        between(-difference, 0.0, _BULK),
        between(float(means[2] / means[1]), *_FLAIR_RATIO),
        between(bulk[2], *_FLAIR_BULK),
    )
    return Contrast("flair" if flair >= 0.5 else "", flair, seen.format("darker"))


def _inner_part(head: Head, part: float = _INNER) -> np.ndarray:
    """(K, J, I) bool: the brain about its middle, so far of the way to the surface."""
    places = np.argwhere(head.brain)
    middle, size = head.middle, np.array(head.spacing_mm[::-1])
    radius = np.sqrt((((places - middle) * size) ** 2).sum(axis=1))
    reach = head.reach_mm * part
    inner = np.zeros_like(head.brain)
    inner[tuple(places[radius < reach].T)] = True
    return inner


def _neighbors_alike(head: Head, mask: np.ndarray) -> float:
    """Correlation of neighboring voxels of the brain, along the axis where it is highest."""
    found = [0.0]
    for axis in range(3):
        values, known = np.moveaxis(head.intensities, axis, 0), np.moveaxis(mask, axis, 0)
        both = known[:-1] & known[1:]
        pairs = values[:-1][both], values[1:][both]
        if len(pairs[0]) > 1 and min(np.ptp(pairs[0]), np.ptp(pairs[1])) > 0:
            found.append(float(np.corrcoef(*pairs)[0, 1]))
    return max(found)


def _sharpness_per_mm(head: Head, mask: np.ndarray) -> float:
    """90 % quantile of the slope in the brain, in parts of the range of its intensities per mm."""
    axes = [axis for axis, n in enumerate(mask.shape) if n > 1]
    slopes = [np.gradient(head.intensities, head.spacing_mm[2 - axis], axis=axis) for axis in axes]
    slope = np.sqrt(sum(one**2 for one in slopes))
    return float(np.percentile(slope[mask], 90) / np.ptp(np.percentile(head.intensities[mask], [5, 95])))


def _bulk(head: Head, mask: np.ndarray, means: np.ndarray) -> tuple[float, float, float]:
    """Share of each class that erosion by one voxel leaves: large for what is thick, small for ribbons and rims."""
    classes = np.digitize(head.intensities, (means[1:] + means[:-1]) / 2)
    cross = ndimage.generate_binary_structure(3, 1)
    shares = []
    for number in range(3):
        one = classes == number
        left = ndimage.binary_erosion(one, cross) & mask
        shares.append(float(left.sum() / max((one & mask).sum(), 1)))
    return shares[0], shares[1], shares[2]
