"""Images and poses put together to a tracked sweep."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.chain import compose_chain
from DiffUSLib.io.tracked import TrackedFrames, hold_pixel_size
from DiffUSLib.io.transform_names import split_transform_name


def needs_pixel_size(name: str, scale, calibration: Mapping[str, torch.Tensor] | None) -> bool:
    """Whether the pixel size must come from elsewhere: neither the poses nor the calibration hold it.

    Args:
        name: of the logged transform, such as "ImageToReference".
        scale: lengths of the axes of the logged poses, or None for rigid ones.
        calibration: as in `sweep_transforms`.

    Raises:
        DiffUSError: if the name links nothing, or the calibration does not lead to it.
    """
    if "image" in _ends(name):
        return scale is None
    if calibration is None:
        return False
    return not hold_pixel_size(_calibrated(name, calibration)[1])


def sweep_transforms(
    poses: np.ndarray,
    name: str,
    scale: tuple[float, float, float] | None = None,
    pixel_mm: tuple[float, float] | None = None,
    calibration: Mapping[str, torch.Tensor] | None = None,
) -> dict[str, torch.Tensor]:
    """The transforms of a tracked sequence from the poses of a log.

    Args:
        poses: (N, 4, 4) rigid, in mm.
        name: what they are, such as "ProbeToTracker"; "ImageTo..." where they are those of the images themselves.
        scale: lengths of the axes of the logged poses, where they take pixels.
        pixel_mm: (X, Y) size of a pixel, where `needs_pixel_size` says so.
        calibration: transforms such as those of `read_calibration`, which lead from Image to an end of `name`.

    Returns:
        name -> (N, 4, 4), as `write_tracked_frames` takes them.

    Raises:
        DiffUSError: if the name links nothing, the pixel size is missing, or the calibration does not lead to it.
    """
    start, _ = _ends(name)
    pixels = np.eye(4)
    if needs_pixel_size(name, scale, calibration):
        if pixel_mm is None:
            raise DiffUSError("the size of a pixel is not known; give it (--pixel-mm).")
        pixels = np.diag([pixel_mm[0], pixel_mm[1], pixel_mm[0], 1.0])
    if "image" in _ends(name):
        pixels = pixels if scale is None else np.diag([*scale, 1.0])
        matrices = poses @ pixels if start == "image" else np.linalg.inv(pixels) @ poses
        return {name: torch.from_numpy(matrices)}
    if scale is not None:
        raise DiffUSError(
            f"the poses scale by {scale[0]:.3g} x {scale[1]:.3g}, as those of images do; name them so "
            "(--transform ImageToReference), or log rigid poses."
        )
    transforms = {name: torch.from_numpy(poses)}
    if calibration is not None:
        end, matrix = _calibrated(name, calibration)
        transforms[f"ImageTo{end}"] = (matrix @ torch.from_numpy(pixels)).repeat(len(poses), 1, 1)
    return transforms


def tracked_sweep(images: np.ndarray, transforms: Mapping[str, torch.Tensor], name: str) -> TrackedFrames:
    """(N, H, W) uint8 images and their transforms as `TrackedFrames`, all valid."""
    valid = torch.ones(len(images), dtype=torch.bool)
    return TrackedFrames(
        images=torch.from_numpy(images),
        transforms=dict(transforms),
        statuses={key: valid.clone() for key in transforms},
        image_statuses=valid,
        timestamps_s=torch.full((len(images),), torch.nan, dtype=torch.float64),
        name=name,
    )


def _ends(name: str) -> tuple[str, str]:
    start, end = split_transform_name(name)
    return start.lower(), end.lower()


def _calibrated(name: str, calibration: Mapping[str, torch.Tensor]) -> tuple[str, torch.Tensor]:
    """The end of the logged transform that the calibration leads to, and the (4, 4) matrix from Image to it."""
    for end in split_transform_name(name):
        try:
            return end, compose_chain(calibration, "Image", end)
        except DiffUSError:
            continue
    ends = " nor ".join(split_transform_name(name))
    raise DiffUSError(
        f"the calibration ({', '.join(calibration)}) leads from Image to neither {ends}; name the poses as it does "
        "(--transform ProbeToReference, for instance)."
    )
