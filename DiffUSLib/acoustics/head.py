"""Where the head is in an MRI, and the part of it that is brain for certain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK
import torch
from scipy import ndimage

from DiffUSLib.acoustics.histogram import find_background
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume

_WORKING_SPACING_MM = 2.0
_WHOLE_HEAD_ML = 2400.0  # brains are at most 2.0 l (MNI space: 1.9 l), heads at least 2.8 l
_DEEP_FRACTION = 0.7  # of the largest sphere inside the head: brain, without skull and scalp


@dataclass(frozen=True)
class Head:
    """A coarse look at an MRI of a head.

    Args:
        intensities: (K, J, I) float32 signal above `zero`, taken at about 2 mm; zero in a background that was set.
        zero: the intensity without signal, in the units of the volume.
        background: the value that was set around the head, or None.
        strides: (K, J, I) steps in voxels of the volume between them.
        mask: (K, J, I) bool, the filled head (or brain, where the skull was stripped).
        brain: (K, J, I) bool, voxels that are brain (or fluid around it), not all of them in a whole head.
        depth_mm: (K, J, I) distance to the surface of the mask in mm; negative outside.
        whole_head: True if skull and scalp are in the volume.
        spacing_mm: distance of the coarse voxels along I, J, K in mm.
    """

    intensities: np.ndarray
    zero: float
    background: float | None
    strides: tuple[int, int, int]
    mask: np.ndarray
    brain: np.ndarray
    depth_mm: np.ndarray
    whole_head: bool
    spacing_mm: tuple[float, float, float]


def find_head(volume: Volume) -> Head:
    """Find the head in an MRI, and whether the skull is still around the brain.

    Raises:
        DiffUSError: if nothing stands out from the background.
    """
    strides_ijk = [max(1, round(_WORKING_SPACING_MM / size)) for size in volume.spacing_mm]
    i, j, k = strides_ijk
    stored = volume.voxels.detach()[::k, ::j, ::i].to("cpu", torch.float64).numpy()
    background = find_background(stored)
    array = background.signal(stored).astype(np.float32)
    clipped = np.minimum(array, np.percentile(array, 99.5))
    image = SimpleITK.GetImageFromArray(clipped)
    spacing = tuple(float(size * step) for size, step in zip(volume.spacing_mm, strides_ijk, strict=True))
    image.SetSpacing(spacing)
    otsu = SimpleITK.OtsuThresholdImageFilter()
    otsu.SetInsideValue(0)
    otsu.SetOutsideValue(1)
    otsu.Execute(image)
    # Half of Otsu's threshold keeps dark gray matter and fluid; closing bridges the dark skull and sulci.
    mask = image > 0.5 * otsu.GetThreshold()
    closing = [max(1, round(8.0 / size)) for size in spacing]
    opening = [max(1, round(4.0 / size)) if n > 8 else 0 for size, n in zip(spacing, image.GetSize(), strict=True)]
    closed = SimpleITK.BinaryMorphologicalClosing(mask, closing)
    filled = ndimage.binary_fill_holes(SimpleITK.GetArrayFromImage(closed).squeeze())  # in the plane of a single slice
    mask = SimpleITK.GetImageFromArray(filled.reshape(array.shape).astype(np.uint8))
    mask.SetSpacing(spacing)
    mask = SimpleITK.BinaryMorphologicalOpening(mask, opening)
    mask = SimpleITK.RelabelComponent(SimpleITK.ConnectedComponent(mask)) == 1
    inside = SimpleITK.GetArrayFromImage(mask).astype(bool)
    if not inside.any() or inside.all():
        raise DiffUSError(f"no head stands out in {volume.name or 'the volume'}; check that it is an MRI of a head.")
    depth = SimpleITK.GetArrayFromImage(
        SimpleITK.SignedMaurerDistanceMap(mask, insideIsPositive=True, squaredDistance=False, useImageSpacing=True)
    )
    whole_head = inside.sum() * np.prod(spacing) * 1e-3 > _WHOLE_HEAD_ML
    brain = inside
    if whole_head:
        deepest = np.array(np.unravel_index(depth.argmax(), depth.shape))
        grid = np.ogrid[tuple(slice(0, n) for n in depth.shape)]
        squared = sum(((g - c) * s) ** 2 for g, c, s in zip(grid, deepest, spacing[::-1], strict=True))
        brain = inside & (squared < (_DEEP_FRACTION * depth.max()) ** 2)
    return Head(array, background.zero, background.value, (k, j, i), inside, brain, depth, bool(whole_head), spacing)


def find_intracranial(head: Head, matter: tuple[float, float]) -> np.ndarray:
    """The inside of the skull in a whole head, on the coarse grid, (K, J, I) bool.

    Args:
        head: what `find_head` found.
        matter: lowest and highest signal (above `head.zero`) of gray and white matter.
    """
    size = head.spacing_mm
    seen = head.mask & (head.intensities > matter[0]) & (head.intensities < matter[1])
    image = SimpleITK.GetImageFromArray(seen.astype(np.uint8))
    image.SetSpacing(size)
    # Opening cuts the bridges of nerves and vessels to the scalp; closing takes in the fluid of sulci and ventricles.
    opened = SimpleITK.BinaryMorphologicalOpening(image, [max(1, round(3.0 / s)) for s in size])
    parts = SimpleITK.GetArrayFromImage(SimpleITK.ConnectedComponent(opened))
    counts = np.bincount(parts[head.brain])
    counts[:1] = 0
    if counts.sum() == 0:
        return head.brain
    brain = SimpleITK.GetImageFromArray((parts == counts.argmax()).astype(np.uint8))
    margin = [max(1, round(10.0 / s)) for s in size]
    closed = SimpleITK.BinaryMorphologicalClosing(SimpleITK.ConstantPad(brain, margin, margin, 0), margin)
    filled = SimpleITK.BinaryFillhole(SimpleITK.Crop(closed, margin, margin))
    return SimpleITK.GetArrayFromImage(SimpleITK.BinaryDilate(filled, [1, 1, 1])).astype(bool)


def close_gaps(mask: np.ndarray, spacing_mm: tuple[float, float, float], width_mm: float) -> np.ndarray:
    """Close gaps up to a width, such as the marrow between the tables of the skull."""
    image = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    radius = [max(1, round(width_mm / 2 / s)) for s in spacing_mm]
    return SimpleITK.GetArrayFromImage(SimpleITK.BinaryMorphologicalClosing(image, radius)).astype(bool)


def upsample(coarse: np.ndarray, head: Head, volume: Volume) -> torch.Tensor:
    """Coarse values on the grid of the volume by linear interpolation, (K, J, I) float32."""
    field = torch.from_numpy(np.ascontiguousarray(coarse, dtype=np.float32))[None, None]
    field = torch.nn.functional.pad(field, (0, 1, 0, 1, 0, 1), mode="replicate")
    size = [n * stride + 1 for n, stride in zip(coarse.shape, head.strides, strict=True)]
    field = torch.nn.functional.interpolate(field, size=size, mode="trilinear", align_corners=True)
    k, j, i = volume.voxels.shape
    return field[0, 0, :k, :j, :i].to(volume.voxels.device)
