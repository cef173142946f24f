"""`diffus fan`: find the fan of ultrasound, and write it as a file and a picture to look at."""

from __future__ import annotations

import argparse
import sys

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.files import check_folder, existing_file, file_ending, quiet_itk, written_whole
from DiffUSLib.io.images import to_gray
from DiffUSLib.io.tracked_files import read_tracked_frames
from DiffUSLib.ultrasound.fan_detection import FanGeometry, detect_fan, read_fan, write_fan

SEQUENCES = (".igs.mha", ".igs.nrrd", ".seq.mha", ".seq.nrrd")
_OUTLINE = (255, 90, 30)


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "fan",
        help="find the fan of an ultrasound image",
        description="Find the fan (the part of the picture that is ultrasound, and where the transducer is) and say "
        "how sure it is. --output writes it as a JSON file that can be corrected by hand and given to --fan.",
        epilog="Example: diffus fan sweep.igs.mha -o fan.json --picture outline.png",
    )
    parser.add_argument(
        "ultrasound", metavar="ULTRASOUND", help="PNG, JPEG or DICOM image, or a sequence (.igs.mha, .igs.nrrd)"
    )
    parser.add_argument("-o", "--output", metavar="JSON", help="the fan in pixels and degrees")
    parser.add_argument("--picture", metavar="PNG", help="the image with the outline of the fan")
    parser.add_argument(
        "--side", default="auto", choices=("auto", "top", "left", "bottom", "right"), help="of the transducer"
    )
    add_fan_option(parser)
    parser.add_argument("--spacing", type=float, metavar="MM", help="pixel size, where --fan is in mm or a probe")
    parser.set_defaults(run=run)


def add_fan_option(parser: argparse.ArgumentParser) -> None:
    """`--fan FILE` of every command that takes ultrasound."""
    parser.add_argument(
        "--fan", metavar="JSON", help="the fan (as `diffus fan` writes it) or the probe, instead of looking for a fan"
    )


def run(arguments: argparse.Namespace) -> None:
    for path in (arguments.output, arguments.picture):
        if path is not None:
            check_folder(path)
    images = read_gray_frames(arguments.ultrasound)
    if arguments.fan is not None:
        fan = read_fan(arguments.fan, images, arguments.spacing)
    else:
        fan = detect_fan(images, arguments.side)
    if arguments.output is not None:
        write_fan(arguments.output, fan)
    if arguments.picture is not None:
        draw_outline(arguments.picture, images.max(axis=0), fan)
    print(fan.sentence)


def chosen_fan(path: str | None, images: np.ndarray, pixel_mm: float) -> FanGeometry:
    """The fan of a file that the user gave, or the one that is found in (F, H, W) images; how sure it is, is said.

    Raises:
        DiffUSError: if the file holds none, or none is found.
    """
    fan = detect_fan(images) if path is None else read_fan(path, images, pixel_mm)
    print(fan.sentence, file=sys.stderr)
    return fan


def read_gray_frames(path: str) -> np.ndarray:
    """(F, H, W) gray of a picture, a DICOM file or a sequence.

    Raises:
        DiffUSError: if the file cannot be read.
    """
    if file_ending(path, SEQUENCES):
        return read_tracked_frames(path).images.numpy()
    path = str(existing_file(path))
    try:
        with quiet_itk():
            image = sitk.ReadImage(path)
    except RuntimeError:
        raise DiffUSError(f"{path} cannot be read as an image; save it as PNG, JPEG, DICOM or MetaImage.") from None
    pixels = sitk.GetArrayFromImage(image)
    has_colors = image.GetNumberOfComponentsPerPixel() > 1
    frames = pixels.reshape(-1, *pixels.shape[-3:] if has_colors else pixels.shape[-2:])
    return np.stack([to_gray(frame) for frame in frames])


def draw_outline(path: str, gray: np.ndarray, fan: FanGeometry) -> None:
    """Write a PNG of an image with the outline of its fan; dark parts are lifted so that they can be seen."""
    from PIL import Image

    low, high = float(gray.min()), float(gray.max())
    lifted = 255 * np.sqrt((gray - low) / max(high - low, 1e-9))
    picture = np.stack([lifted.astype(np.uint8)] * 3, axis=-1)
    mask = fan.mask
    picture[mask & ~ndimage.binary_erosion(mask, border_value=0)] = _OUTLINE
    with written_whole(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
