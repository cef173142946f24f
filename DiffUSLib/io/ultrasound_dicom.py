"""DICOM ultrasound, stills and clips, as gray frames with their pixel size and times."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.io.dicom_files import decode, is_dicom_file, read_header
from DiffUSLib.io.files import existing_file
from DiffUSLib.io.images import to_gray

if TYPE_CHECKING:
    from pydicom import Dataset

CENTIMETERS = 3  # PS3.3 C.8.5.5.1.15: physical units of a region
TWO_DIMENSIONAL, TISSUE = 1, 1  # C.8.5.5.1.1 and .2: spatial format and data type of a region


@dataclass(frozen=True)
class UltrasoundFrames:
    """Frames of a DICOM ultrasound file.

    Args:
        images: (N, H, W) uint8 gray; the whole screen.
        pixel_mm: size of a pixel along X and Y in mm, or None where the file does not say.
        times_s: (N,) seconds since the first frame, or None where the file does not say.
        region_px: (first column, first row, last column, last row) of the B-mode image in the screen, or None.
        name: of the file.
    """

    images: np.ndarray
    pixel_mm: tuple[float, float] | None
    times_s: np.ndarray | None
    region_px: tuple[int, int, int, int] | None
    name: str


def read_ultrasound_dicom(path: str | os.PathLike) -> UltrasoundFrames:
    """Read an Ultrasound Image or Ultrasound Multi-frame Image.

    Colors become gray, and deeper pixels 8 bits. The pixel size is that of the first two-dimensional region with
    centimeters (US Region Calibration, PS3.3 C.8.5.5), else of Pixel Spacing.

    Raises:
        DiffUSError: if it is no DICOM ultrasound, or damaged.
    """
    path = existing_file(path)
    header = read_header(path) if is_dicom_file(path) else None
    if header is None or "Rows" not in header:
        raise DiffUSError(f"{path} is no DICOM image; name an ultrasound file.")
    if header.get("Modality") not in ("US", "IVUS"):
        kind = header.get("Modality") or "without a modality"
        raise DiffUSError(f"{path} is no ultrasound ({kind}); name an ultrasound file.")
    pixels = decode(path)
    try:
        region_px, pixel_mm = _calibration(header)
        times_s = _times(header, len(pixels))
        images = np.stack([_gray(frame, header) for frame in pixels])
    except (TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
        raise DiffUSError(f"the header of {path} is damaged; export it again.") from error
    return UltrasoundFrames(images, pixel_mm, times_s, region_px, path.name)


def _calibration(header: Dataset) -> tuple[tuple[int, int, int, int] | None, tuple[float, float] | None]:
    """The two-dimensional region and the pixel size."""
    for region in header.get("SequenceOfUltrasoundRegions") or ():
        units = (region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection)
        steps = (abs(float(region.PhysicalDeltaX)), abs(float(region.PhysicalDeltaY)))
        if region.RegionSpatialFormat == TWO_DIMENSIONAL and units == (CENTIMETERS, CENTIMETERS) and min(steps) > 0:
            corners = ("MinX0", "MinY0", "MaxX1", "MaxY1")
            left, top, right, bottom = (int(region[f"RegionLocation{corner}"].value) for corner in corners)
            if right >= header.Columns or bottom >= header.Rows:
                warnings.warn(
                    f"{header.filename} has a region beyond its image: it was shrunk, so its pixel size is not known.",
                    DiffUSWarning,
                    stacklevel=4,
                )
                return None, None
            return (left, top, right, bottom), (10 * steps[0], 10 * steps[1])
    spacing = header.get("PixelSpacing")
    return None, (float(spacing[1]), float(spacing[0])) if spacing else None


def _times(header: Dataset, count: int) -> np.ndarray | None:
    """Seconds since the first frame (PS3.3 C.7.6.5: Frame Time and Frame Time Vector are in ms)."""
    steps = header.get("FrameTimeVector")
    if steps is not None and np.size(steps) == count:
        return np.cumsum([0.0, *map(float, np.atleast_1d(steps)[1:])]) / 1000
    step = header.get("FrameTime")
    return np.arange(count) * float(step) / 1000 if step else None


def _gray(frame: np.ndarray, header: Dataset) -> np.ndarray:
    """(H, W) uint8 of a decoded frame."""
    import pydicom

    if header.PhotometricInterpretation == "PALETTE COLOR":
        frame = pydicom.pixels.apply_color_lut(frame, header)
        bits = 8 * frame.itemsize
    else:
        bits = int(header.BitsStored)
    gray = to_gray(frame)
    if gray.dtype != np.uint8:
        gray = np.clip(np.rint(gray * (255.0 / (2**bits - 1))), 0, 255).astype(np.uint8)
    return 255 - gray if header.PhotometricInterpretation == "MONOCHROME1" else gray
