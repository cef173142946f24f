"""Real ultrasound that commands read: tracked frames, a picture, a reconstructed volume; and the volume behind."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from DiffUSLib.acoustics import MRI_MODALITIES, AcousticMaps, detect_modality
from DiffUSLib.cli.register import frame_numbers, make_slices, place
from DiffUSLib.cli.volume_meaning import told_maps
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io import read_tracked_frames, read_volume
from DiffUSLib.ultrasound.observation import UltrasoundSlices, slices_from_images
from DiffUSLib.ultrasound.volume_planes import slices_from_volume

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_COLOR = 24  # of 255: difference between channels of a pixel that compression does not explain
_MOST_COLORED = 0.001


def add_ultrasound_options(parser: argparse.ArgumentParser) -> None:
    """The options that say where the frames are."""
    group = parser.add_argument_group("ultrasound")
    group.add_argument("--frames", type=frame_numbers, metavar="N,N,...", help="default: 7 evenly spread valid ones")
    group.add_argument("--spacing", type=float, metavar="MM", help="pixel size; needed for pictures")
    group.add_argument("--initial", metavar="FILE", help="ReferenceToRas as Slicer saves it")
    group.add_argument("--calibration", metavar="XML", help="PLUS device set with ImageToProbe")
    group.add_argument("--frequency", type=float, default=5.0, metavar="MHZ", help="of the probe (default: 5)")


def read_ultrasound(arguments: argparse.Namespace, planes: bool = False) -> UltrasoundSlices:
    """The frames that the options describe; with `planes`, also cuts of a reconstructed volume.

    Raises:
        DiffUSError: if the file cannot be read, holds colors, or no fan is found.
    """
    path = Path(arguments.ultrasound)
    if path.suffix.lower() in _PICTURES:
        image = read_picture(path)
        return slices_from_images(image[None], _pixel_matrix(arguments.spacing)[None], None, arguments.frequency)
    try:
        tracked = read_tracked_frames(path)
    except DiffUSError as error:
        if not planes or not path.exists() or "holds no tracking" not in str(error):
            raise
        return slices_from_volume(read_volume(path), planes=3)
    placed = place(tracked, arguments.initial, arguments.calibration, arguments.spacing)
    slices, used = make_slices(tracked, placed, arguments.frames)
    print(f"Frames {', '.join(map(str, used))} of {tracked.name} are used.", file=sys.stderr)
    return slices


def read_picture(path: Path) -> np.ndarray:
    """(H, W) float32 gray from 0 to 255.

    Raises:
        DiffUSError: if the file is no picture, or holds colors (Doppler, a color map, an overlay).
    """
    from PIL import Image, UnidentifiedImageError

    try:
        pixels = np.asarray(Image.open(path).convert("RGB")).astype(np.int16)
    except FileNotFoundError:
        raise DiffUSError(f"there is no file '{path}'; check the path.") from None
    except (UnidentifiedImageError, OSError):
        raise DiffUSError(f"'{path}' cannot be read as a picture; give a PNG of one frame.") from None
    colored = float((np.ptp(pixels, axis=-1) > _COLOR).mean())
    if colored > _MOST_COLORED:
        raise DiffUSError(
            f"{colored:.1%} of the pixels of {path.name} have a color, as in Doppler, color maps or overlays; give a "
            "gray B-mode frame."
        )
    return pixels.mean(axis=-1).astype(np.float32)


def read_behind(path: str, spacing_mm: float | None) -> Volume:
    """The volume behind the frames; a picture is a slice in the plane of a picture of ultrasound, with its pixels.

    Raises:
        DiffUSError: if it cannot be read.
    """
    if Path(path).suffix.lower() not in _PICTURES:
        return read_volume(path)
    image = read_picture(Path(path))
    return Volume(torch.from_numpy(image)[None], _pixel_matrix(spacing_mm), Path(path).name)


def maps_behind(volume: Volume, arguments: argparse.Namespace) -> AcousticMaps:
    """The acoustic maps of the volume behind real frames: what these show of a brain lies in an open skull."""
    modality = detect_modality(volume) if arguments.modality == "auto" else arguments.modality
    name = modality if isinstance(modality, str) else modality.modality
    return told_maps(volume, arguments, modality=modality, skull=False if name in MRI_MODALITIES else None)


def _pixel_matrix(spacing_mm: float | None) -> torch.Tensor:
    """(4, 4) from pixels to mm."""
    if spacing_mm is None or not 0 < spacing_mm < 100:
        raise DiffUSError("a picture does not tell the size of its pixels; give it with --spacing, in mm.")
    return torch.diag(torch.tensor([spacing_mm, spacing_mm, spacing_mm, 1.0], dtype=torch.float64))
