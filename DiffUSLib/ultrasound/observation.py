"""What the ultrasound shows: tracked slices, and their gray values along the scan lines of their fan."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage

from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import check_rigid
from DiffUSLib.probes.probe import Probe
from DiffUSLib.ultrasound.fan_detection import FanGeometry, detect_fan

_NEAR_FIELD_MM = 3.0  # ring-down of the transducer: says nothing about the patient
_ASSUMED_FREQUENCY_MHZ = 5.0
_LARGEST_ASPECT, _LARGEST_SKEW = 1.5, 0.09  # of pixels in a calibration that can be believed (5 degrees)


DEFAULT_FRAMES = 7
"""Of a sweep: more make the alignment slower and hardly better."""


def spread_frames(count: int, wanted: int = DEFAULT_FRAMES, including: int | None = None) -> list[int]:
    """At most `wanted` numbers from 0 to count - 1, evenly spread; one of them gives way to `including`."""
    frames = np.linspace(0, count - 1, min(wanted, count)).round().astype(int).tolist()
    if including is not None and including not in frames:
        nearest = min(range(len(frames)), key=lambda index: abs(frames[index] - including))
        frames[nearest] = including
    return frames


@dataclass(frozen=True)
class UltrasoundSlices:
    """Ultrasound images of one probe with their places.

    Args:
        images: (S, H, W) gray images as shown (log-compressed), any scale.
        mask: (H, W) or (S, H, W) bool, the pixels inside the fan.
        image_to_transducer: (4, 4) from (column, row, 0, 1) to the Transducer frame in mm.
        transducer_to_ras: (S, 4, 4) as the tracking says, in mm.
        probe: the fan.
        size_known: whether distances in the images are right, whatever the speed of sound was.
        fan: where the fan lies in the images, if it was looked for or given.

    Raises:
        DiffUSError: if shapes do not fit together, there is no slice, an image is constant, or a pose is not rigid.
    """

    images: np.ndarray
    mask: np.ndarray
    image_to_transducer: np.ndarray
    transducer_to_ras: torch.Tensor
    probe: Probe
    size_known: bool = False
    fan: FanGeometry | None = None

    def __post_init__(self):
        images = np.asarray(self.images, dtype=np.float32)
        mask = np.asarray(self.mask, dtype=bool)
        mask = np.broadcast_to(mask, (len(images), *mask.shape)) if mask.ndim == 2 else mask
        poses = torch.as_tensor(self.transducer_to_ras, dtype=torch.float64, device="cpu")
        if images.ndim != 3 or not len(images) or mask.shape != images.shape or len(poses) != len(images):
            raise DiffUSError(
                f"{len(poses)} poses, images of shape {images.shape} and masks of shape {mask.shape} do not fit "
                "together; give at least one image, one pose each, and one mask for each or for all."
            )
        if not mask.any((1, 2)).all():
            raise DiffUSError("the fan covers no pixel of an image; correct its geometry.")
        if not np.isfinite(images).all():
            raise DiffUSError("an ultrasound image holds NaN or infinite pixels; leave that frame out.")
        for index, image in enumerate(images):
            if np.ptp(image[mask[index]]) == 0:
                raise DiffUSError(f"ultrasound image {index} is constant within the fan; leave that frame out.")
        check_rigid(poses, "the pose of the transducer")
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "mask", mask)
        object.__setattr__(self, "image_to_transducer", np.asarray(self.image_to_transducer, dtype=np.float64))
        object.__setattr__(self, "transducer_to_ras", poses)

    def subset(self, indices) -> UltrasoundSlices:
        """The slices of these numbers."""
        rows = [int(index) for index in indices]
        poses = self.transducer_to_ras[rows]
        return replace(self, images=self.images[rows], mask=self.mask[rows], transducer_to_ras=poses)

    @property
    def centers_ras_mm(self) -> torch.Tensor:
        """(S, 3) the middles of the fans."""
        middle = torch.tensor([0.0, self.probe.depth_mm * 0.55, 0.0, 1.0], dtype=torch.float64)
        return (self.transducer_to_ras @ middle)[:, :3]

    def target_points_mm(self) -> torch.Tensor:
        """(P, 3) points spread over the fan, in the Transducer frame, on which displacements in mm are stated."""
        origins, directions = replace(self.probe, lines=5).scan_lines(dtype=torch.float64)
        depths = torch.linspace(0.1, 0.95, 5, dtype=torch.float64) * self.probe.depth_mm
        return (origins[:, None] + directions[:, None] * depths[:, None]).reshape(-1, 3)


def square_pixels(images: np.ndarray, image_to_ras: torch.Tensor) -> tuple[np.ndarray, torch.Tensor]:
    """Images with square pixels, and their matrices; the longer side of the pixels is divided.

    Args:
        images: (S, H, W) gray.
        image_to_ras: (S, 4, 4) from (column, row, 0, 1) to RAS in mm.

    Raises:
        DiffUSError: if the matrices do not keep shapes at all (spacing or calibration is wrong).
    """
    matrices = torch.as_tensor(image_to_ras, dtype=torch.float64).clone()
    lengths = matrices[:, :3, :2].norm(dim=1)
    if not bool(torch.isfinite(matrices).all()) or float(lengths.min()) < 1e-6:
        raise DiffUSError("the transform from image to patient is not finite or has no pixel spacing; check it.")
    across, down = lengths.mean(0).tolist()
    skew = (matrices[:, :3, 0] * matrices[:, :3, 1]).sum(1) / lengths.prod(1)
    uneven = float((lengths / lengths.mean(0) - 1).abs().max())
    if max(across / down, down / across) > _LARGEST_ASPECT or float(skew.abs().max()) > _LARGEST_SKEW or uneven > 0.02:
        raise DiffUSError(
            f"the transform from image to patient is far from rigid (pixels of {across:.3g} x {down:.3g} mm, "
            f"{float(skew.abs().max()):.0%} skew, {uneven:.0%} difference between frames); check the calibration."
        )
    images = np.asarray(images)
    if abs(across / down - 1) < 0.005:
        return images, matrices
    axis, factor = (2, across / down) if across > down else (1, down / across)
    count = round(images.shape[axis] * factor)
    # Pixel centers stay within the image: the first and the last keep their places.
    factor = (count - 1) / (images.shape[axis] - 1)
    zoom = [1.0, 1.0, 1.0]
    zoom[axis] = count / images.shape[axis]
    matrices[:, :, 2 - axis] /= factor
    return ndimage.zoom(images, zoom, order=1, grid_mode=False), matrices


def pixel_size_mm(image_to_ras: torch.Tensor) -> float:
    """Size in mm of the square pixels of (S, 4, 4) matrices."""
    return float(torch.as_tensor(image_to_ras)[:, :3, :2].norm(dim=1).mean())


def slices_from_images(
    images: np.ndarray,
    image_to_ras: torch.Tensor,
    fan: FanGeometry | None = None,
    frequency_mhz: float = _ASSUMED_FREQUENCY_MHZ,
) -> UltrasoundSlices:
    """Slices from images with square pixels and their ImageToRas matrices; the fan is found in them unless given.

    Args:
        images: (S, H, W) gray.
        image_to_ras: (S, 4, 4) from (column, row, 0, 1) to RAS in mm: pixel spacing, calibration and tracking.
        fan: geometry of the fan, the same in all images.
        frequency_mhz: of the probe; blurs the rendered images and does little else.

    Raises:
        DiffUSError: if no fan is found, or the pixels are not square (see `square_pixels`).
    """
    images = np.asarray(images)
    matrices = torch.as_tensor(image_to_ras, dtype=torch.float64)
    if square_pixels(images, matrices)[0].shape != images.shape:
        raise DiffUSError("the pixels are not square; resample the images with square_pixels first.")
    fan = fan or detect_fan(images)
    size = pixel_size_mm(matrices)
    to_transducer = fan.image_to_transducer((size, size))
    axes = matrices[:, :3, :2] / size
    axes = torch.cat([axes, torch.linalg.cross(axes[:, :, 0], axes[:, :, 1]).unsqueeze(2)], dim=2)
    # The nearest rotation; what a calibration has of skew is shared evenly between both axes.
    left, _, right = torch.linalg.svd(axes)
    rigid = torch.eye(4, dtype=torch.float64).repeat(len(matrices), 1, 1)
    rigid[:, :3, :3] = left @ right
    rigid[:, :3, 3] = matrices[:, :3, 3]
    scaled = torch.diag(torch.tensor([size, size, size, 1.0], dtype=torch.float64))
    poses = rigid @ scaled @ torch.linalg.inv(torch.from_numpy(to_transducer))
    probe = fan.to_probe((size, size), frequency_mhz)
    return UltrasoundSlices(images, fan.mask, to_transducer, poses, probe, fan=fan)


@dataclass(frozen=True)
class Observation:
    """Slices resampled along scan lines, smoothed to a scale.

    Args:
        values: (S, L, N) gray, about 0 to 1.
        weights: (S, L, N), 1 where the image shows the patient, 0 outside the window of the scanner.
        probe: with L lines.
    """

    values: torch.Tensor
    weights: torch.Tensor
    probe: Probe


def observe(slices: UltrasoundSlices, lines: int, samples: int, smoothing_mm: float) -> Observation:
    """Resample slices to lines x samples; the smoothing (standard deviation in mm) tames speckle."""
    probe = replace(slices.probe, lines=lines)
    origins, directions = probe.scan_lines(dtype=torch.float64)
    depth = (torch.arange(samples, dtype=torch.float64) + 0.5) * probe.depth_mm / samples
    points = (origins[:, None] + directions[:, None] * depth[:, None]).numpy()
    inverse = np.linalg.inv(slices.image_to_transducer)
    column, row = np.moveaxis(points @ inverse[:2, :3].T + inverse[:2, 3], -1, 0)
    sigma = smoothing_mm / math.sqrt(abs(np.linalg.det(slices.image_to_transducer[:2, :2])))
    top = float(slices.images.max())
    values, weights = [], []
    for image, mask in zip(slices.images, slices.mask.astype(np.float32), strict=True):
        share = np.maximum(ndimage.gaussian_filter(mask, sigma), 1e-3)
        smooth = ndimage.gaussian_filter(image * mask, sigma) / share
        values.append(ndimage.map_coordinates(smooth, [row, column], order=1))
        weights.append(ndimage.map_coordinates(mask, [row, column], order=0) * (depth.numpy() > _NEAR_FIELD_MM))
    seen = torch.from_numpy(np.stack(weights).astype(np.float32))
    return Observation(torch.from_numpy(np.stack(values) / top).float(), seen, probe)
