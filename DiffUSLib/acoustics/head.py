"""Where the head is in an MRI, and the part of it that is brain for certain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK
import torch
from scipy import ndimage

from DiffUSLib.acoustics.histogram import find_background
from DiffUSLib.acoustics.surroundings import skull_share
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume

_WORKING_SPACING_MM = 2.0
_LEAST_SKULL = 0.4  # of the directions; whole heads (also cut ones) have at least 0.50, stripped brains at most 0.31
_BRAIN_HEIGHT_MM = 140.0  # from the scalp to the base of an adult's brain
_LEAST_BALL, _DEEP = 0.6, 0.7  # of the deepest place in a head: the smallest ball to believe, and brain without skull
_BALL = 0.95  # of the largest ball that fits below the skull


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
        middle: (K, J, I) index of the middle of the largest ball in the brain, and its radius `reach_mm`.
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
    middle: np.ndarray
    reach_mm: float


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
    i_mm, j_mm, k_mm = (float(size * step) for size, step in zip(volume.spacing_mm, strides_ijk, strict=True))
    spacing = (i_mm, j_mm, k_mm)
    image.SetSpacing(spacing)
    otsu = SimpleITK.OtsuThresholdImageFilter()
    otsu.SetInsideValue(0)
    otsu.SetOutsideValue(1)
    otsu.Execute(image)
    # Half of Otsu's threshold keeps dark gray matter and fluid; closing bridges the dark skull and sulci.
    raw = mask = image > 0.5 * otsu.GetThreshold()
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
    depth = _depth_mm(mask)
    upper = inside & _above_neck(inside, volume, (k, j, i))
    deepest = np.array(np.unravel_index(np.where(upper, depth, -1.0).argmax(), depth.shape))
    middle, reach_mm = _largest_ball(raw, upper, spacing)
    if reach_mm < _LEAST_BALL * depth[upper].max():  # a cut through the fissure leaves no ball in half a head
        middle, reach_mm = deepest, _DEEP * float(depth[upper].max())
    whole_head = max(skull_share(array, inside, one, spacing) for one in (middle, deepest)) > _LEAST_SKULL
    brain = inside
    if whole_head:
        grid = np.ogrid[tuple(slice(0, n) for n in depth.shape)]
        squared = sum(((g - c) * size) ** 2 for g, c, size in zip(grid, middle, spacing[::-1], strict=True))
        brain = inside & (squared < (_BALL * reach_mm) ** 2)
    return Head(
        array,
        background.zero,
        background.value,
        (k, j, i),
        inside,
        brain,
        depth,
        bool(whole_head),
        spacing,
        middle,
        reach_mm,
    )


def _above_neck(inside: np.ndarray, volume: Volume, strides: tuple[int, int, int]) -> np.ndarray:
    """(K, J, I) bool: all of it, but of a tall head only the upper part, where the brain is."""
    k, j, i = (np.arange(n) * stride for n, stride in zip(inside.shape, strides, strict=True))
    row = volume.ijk_to_ras[2].tolist()
    height_mm = row[0] * i + row[1] * j[:, None] + row[2] * k[:, None, None]
    low, high = np.percentile(height_mm[inside], [0, 100])
    return height_mm >= max(low, high - _BRAIN_HEIGHT_MM)


def _largest_ball(raw: SimpleITK.Image, inside: np.ndarray, spacing: tuple[float, ...]) -> tuple[np.ndarray, float]:
    """Middle (K, J, I) and radius in mm of the largest ball in the brain, which the gap of a skull bounds.

    Args:
        raw: what is brighter than bone and fluid. Closing takes in sulci, but leaves the gap of the skull.
        inside: (K, J, I) bool, the head above its neck.
        spacing: of the voxels along I, J, K in mm.
    """
    closed = SimpleITK.BinaryMorphologicalClosing(raw, [max(1, int(2.5 / size)) for size in spacing])
    filled = ndimage.binary_fill_holes(SimpleITK.GetArrayFromImage(closed).squeeze()).reshape(inside.shape)
    solid = SimpleITK.GetImageFromArray((filled & inside).astype(np.uint8))
    solid.SetSpacing(spacing)
    depth = _depth_mm(solid)
    return np.array(np.unravel_index(depth.argmax(), depth.shape)), float(depth.max())


def _depth_mm(mask: SimpleITK.Image) -> np.ndarray:
    """Distance to the surface of a mask, negative outside; the border of the grid is no surface."""
    return SimpleITK.GetArrayFromImage(
        SimpleITK.SignedMaurerDistanceMap(mask, insideIsPositive=True, squaredDistance=False, useImageSpacing=True)
    )


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
