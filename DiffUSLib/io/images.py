"""Rendered images to files: pictures, and slices that land at their place in the patient."""

from __future__ import annotations

import os

import numpy as np
import SimpleITK as sitk

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.extras import optional
from DiffUSLib.io.files import check_folder, file_ending, quiet_itk, written_whole
from DiffUSLib.io.frames import set_image_ijk_to_ras

IMAGE_ENDINGS = (".png", ".nrrd", ".nii", ".nii.gz", ".mha")

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def to_gray(image: np.ndarray) -> np.ndarray:
    """(H, W) of a gray image (H, W), or of one with colors (H, W, 3 or 4): ITU-R BT.601 luma of red, green and blue.

    The type stays; a fourth channel (opacity) does not count.
    """
    if image.ndim == 2:
        return image
    colors = image[..., :3]
    if (colors == colors[..., :1]).all():
        return colors[..., 0]
    gray = colors @ _LUMA
    return gray if np.issubdtype(image.dtype, np.floating) else np.rint(gray).astype(image.dtype)


def gray_8_bit(pixels: np.ndarray, notes: list[str] | None = None) -> np.ndarray:
    """(N, H, W) uint8 of images (N, H, W), or with colors (N, H, W, 3 or 4), of any depth; none may be negative.

    Deeper images are scaled by the depth that holds their brightest pixel (10, 12, 14 or 16 bits; 1 for floats).

    Args:
        notes: gets a sentence about what was changed.
    """
    notes = [] if notes is None else notes
    if pixels.ndim == 4:
        colors = pixels[..., :3]
        if (colors == colors[..., :1]).all():
            pixels = colors[..., 0]
        else:
            notes.append("Colors were turned to gray.")
            pixels = np.stack([to_gray(frame) for frame in colors])
    if pixels.dtype == np.uint8:
        return pixels
    highest = float(pixels.max(initial=0))
    if np.issubdtype(pixels.dtype, np.floating) and highest <= 1:
        full = 1.0
    else:
        full = next(2.0**bits - 1 for bits in (8, 10, 12, 14, 16, 32, 1000) if highest < 2.0**bits)
    if full != 255:
        notes.append(f"Gray values from 0 to {highest:g} were scaled to 8 bits ({full:g} is white).")
    return np.rint(pixels * (255.0 / full)).astype(np.uint8)


def to_uint8(image) -> np.ndarray:
    """Brightness in [0, 1] (tensor or array of floats) as rounded 8-bit values; uint8 passes unchanged.

    Raises:
        DiffUSError: if a value is NaN or infinite, or the type is neither.
    """
    values = _to_array(image)
    if values.dtype == np.uint8:
        return values
    return np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)


def check_image_path(path: str | os.PathLike) -> str:
    """The ending of a path that `write_image` can write to; to be asked before an image is computed.

    Raises:
        DiffUSError: if the ending is not one of `IMAGE_ENDINGS` or the folder does not exist.
    """
    ending = file_ending(path, IMAGE_ENDINGS)
    if ending is None:
        raise DiffUSError(f"{path} has an ending that DiffUS does not write; use one of {', '.join(IMAGE_ENDINGS)}.")
    check_folder(path)
    return ending


def write_image(path: str | os.PathLike, image, image_to_ras=None, pixel_type: str = "uint8") -> None:
    """Write an image, whole or not at all.

    Args:
        path: .png (8 bits, no place), or .nrrd, .nii, .nii.gz or .mha (with its place in the patient).
        image: (H, W), or (N, H, W) for a stack of slices: tensor or array, floats in [0, 1] or uint8.
        image_to_ras: (4, 4) matrix from pixel (column, row, slice, 1) to RAS mm: its columns hold the pixel spacing,
            the third one the slice thickness. Required except for .png.
        pixel_type: "uint8" (0 to 255) or "float32" (as given) in the files with a place.

    Raises:
        DiffUSError: if the ending or the matrix does not fit, or the file cannot be written.
    """
    ending = check_image_path(path)
    values = _to_array(image)
    if values.ndim not in (2, 3) or values.size == 0:
        raise DiffUSError(f"an image of shape {tuple(values.shape)} cannot be written; give (H, W) or (N, H, W).")
    if ending == ".png":
        _write_png(path, values)
        return
    if image_to_ras is None:
        raise DiffUSError(f"{path} needs the place of the image; give its pixel-to-RAS matrix or write a .png.")
    if pixel_type not in ("uint8", "float32"):
        raise DiffUSError(f"{pixel_type} is not a pixel type that DiffUS writes; use uint8 or float32.")
    stack = values if values.ndim == 3 else values[None]
    stack = to_uint8(stack) if pixel_type == "uint8" else stack.astype(np.float32)
    volume = sitk.GetImageFromArray(np.ascontiguousarray(stack))
    set_image_ijk_to_ras(volume, image_to_ras, "the pixel-to-RAS matrix of the image")
    with written_whole(path) as temporary, quiet_itk():
        sitk.WriteImage(volume, str(temporary), useCompression=True)


def _write_png(path: str | os.PathLike, values: np.ndarray) -> None:
    Image = optional("PIL.Image", "pictures")
    if values.ndim == 3 and values.shape[0] != 1:
        raise DiffUSError(f"{path} can hold one image, not {values.shape[0]}; write .nrrd or one file per image.")
    with written_whole(path) as temporary:
        Image.fromarray(to_uint8(values.reshape(values.shape[-2:]))).save(temporary, format="PNG")


def _to_array(values) -> np.ndarray:
    """NumPy array of a tensor (detached, on the CPU) or of anything array-like: uint8 or finite floats."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    array = np.asarray(values)
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise DiffUSError(f"an image of {array.dtype} cannot be written; give floats between 0 and 1, or uint8.")
    if not np.isfinite(array).all():
        raise DiffUSError("an image with NaN or infinite pixels cannot be written; check what rendered it.")
    return array
