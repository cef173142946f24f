"""Pixels and header fields of image sequence files (MetaImage and NRRD), without their meaning."""

from __future__ import annotations

import gzip
import math
import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.files import existing_file, file_ending, quiet_itk, written_whole
from DiffUSLib.io.images import to_uint8

_NRRD_TYPES = {
    "u1": ("uint8", "uchar", "unsigned char", "uint8_t"),
    "i1": ("int8", "signed char", "int8_t"),
    "u2": ("uint16", "ushort", "unsigned short", "unsigned short int", "uint16_t"),
    "i2": ("int16", "short", "short int", "signed short", "signed short int", "int16_t"),
    "u4": ("uint32", "uint", "unsigned int", "uint32_t"),
    "i4": ("int32", "int", "signed int", "int32_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_COLOR_KINDS = ("vector", "rgb-color", "3-color", "rgba-color", "4-color")
_LIST_KINDS = ("list", "time", "point")


def read_sequence_file(path: str | os.PathLike) -> tuple[np.ndarray, tuple[float, float], dict[str, str]]:
    """Read a sequence of 2D images.

    Args:
        path: .mha, .mhd or .nrrd file.

    Returns:
        (N, H, W) or (N, H, W, channels) pixels, none of them negative, as they are stored; pixel spacing (X, Y) as the
        header says; and all header fields.

    Raises:
        DiffUSError: if there is no such file, or it is of another kind, or not 2D images, or holds negative values as
            radio-frequency data does.
    """
    path = Path(path)
    ending = file_ending(path, (".mha", ".mhd", ".nrrd"))
    existing_file(path)
    if ending is None:
        raise DiffUSError(f"{path} is not of a kind that holds tracked ultrasound; give a .igs.mha or .igs.nrrd file.")
    pixels, spacing, fields = _read_nrrd(path) if ending == ".nrrd" else _read_mha(path)
    if pixels.dtype != np.uint8 and not (np.isfinite(pixels).all() and pixels.min(initial=0) >= 0):
        raise DiffUSError(
            f"{path} holds {pixels.dtype} pixels that are negative or NaN (radio-frequency data?); give gray or RGB "
            "B-mode images."
        )
    return pixels, spacing, fields


def write_sequence_file(path: str | os.PathLike, images, header: Mapping[str, str]) -> None:
    """Write (N, H, W) images, uint8 or floats in [0, 1], and header fields as compressed .mha, whole or not at all."""
    if file_ending(path, (".mha",)) is None:
        raise DiffUSError(f"{path} has an ending that DiffUS does not write for tracked ultrasound; use .igs.mha.")
    stack = to_uint8(images)
    if stack.ndim != 3 or stack.size == 0:
        raise DiffUSError(f"images of shape {tuple(stack.shape)} are no sequence; give (N, H, W).")
    image = sitk.GetImageFromArray(np.ascontiguousarray(stack))
    for key, value in {"Kinds": "domain domain list", **header}.items():
        image.SetMetaData(key, value)
    with written_whole(path) as temporary, quiet_itk():
        sitk.WriteImage(image, str(temporary), useCompression=True)


def _read_mha(path: Path) -> tuple[np.ndarray, tuple[float, float], dict[str, str]]:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    with quiet_itk():
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise DiffUSError(f"{path} cannot be read: it is cut off, damaged or not a MetaImage file.") from error
    channels = image.GetNumberOfComponentsPerPixel()
    pixels = sitk.GetArrayFromImage(image)
    pixels = _as_stack(path, pixels if channels > 1 else pixels[..., None])
    fields = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
    return pixels, (float(image.GetSpacing()[0]), float(image.GetSpacing()[1])), fields


def _read_nrrd(path: Path) -> tuple[np.ndarray, tuple[float, float], dict[str, str]]:
    """ITK takes a list axis for the channels of one image and refuses a list of color images; hence read by hand.

    Format: "Definition of NRRD file format", teem: header lines `field: value` and `key:=value`, a blank line, data.
    """
    content = path.read_bytes()
    blank_line = re.search(rb"\r?\n\r?\n", content)
    if not content.startswith(b"NRRD000") or blank_line is None:
        raise DiffUSError(f"{path} cannot be read: it is cut off, damaged or not an NRRD file.")
    fields = {}
    for line in content[: blank_line.start()].decode("utf-8", errors="replace").splitlines()[1:]:
        separator = ":=" if ":=" in line else ": "
        key, found, value = line.partition(separator)
        if found and not line.startswith("#"):
            fields[key.strip()] = value.strip()
    return _nrrd_pixels(path, fields, content[blank_line.end() :]), _nrrd_spacing(fields), fields


def _nrrd_pixels(path: Path, fields: Mapping[str, str], data: bytes) -> np.ndarray:
    sizes = [int(word) for word in fields.get("sizes", "").split() if word.isdigit()]
    encoding = fields.get("encoding", "").lower()
    if encoding not in ("raw", "gz", "gzip") or "data file" in fields or "datafile" in fields:
        raise DiffUSError(f"{path} keeps its pixels apart or packed otherwise; save it as one raw or gzip NRRD file.")
    code = next((code for code, names in _NRRD_TYPES.items() if fields.get("type", "").lower() in names), None)
    if code is None:
        raise DiffUSError(f"{path} holds {fields.get('type', 'unknown')} pixels; give gray or RGB B-mode images.")
    kind = np.dtype((">" if fields.get("endian", "").lower() == "big" else "<") + code)
    try:
        pixels = data if encoding == "raw" else gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise DiffUSError(f"{path} is cut off or damaged; copy or export it again.") from error
    if not sizes or len(pixels) < math.prod(sizes) * kind.itemsize:
        raise DiffUSError(f"{path} is cut off: pixels are missing at its end; copy or export it again.")
    array = np.frombuffer(pixels, kind, math.prod(sizes)).reshape(sizes[::-1])
    kinds = fields.get("kinds", "").lower().split()[::-1] or ["???"] * len(sizes)
    color = [axis for axis, kind in enumerate(kinds) if kind in _COLOR_KINDS]
    listed = [axis for axis, kind in enumerate(kinds) if kind in _LIST_KINDS]
    space = [axis for axis in range(array.ndim) if axis not in color and axis not in listed]
    array = array.transpose(listed + space + color)
    return _as_stack(path, array if color else array[..., None])


def _nrrd_spacing(fields: Mapping[str, str]) -> tuple[float, float]:
    """Pixel spacing of the first two spatial axes; 1 where the header has none."""
    vectors = [word.strip("()") for word in fields.get("space directions", "").split() if word.startswith("(")]
    lengths = [math.hypot(*map(float, vector.split(","))) for vector in vectors[:2]]
    return (lengths[0], lengths[1]) if len(lengths) == 2 else (1.0, 1.0)


def _as_stack(path: Path, pixels: np.ndarray) -> np.ndarray:
    """(N, H, W) or (N, H, W, channels) from an array whose last axis is the channels; frames may be flat volumes."""
    if pixels.ndim == 3:
        pixels = pixels[None]
    if pixels.ndim == 5 and pixels.shape[1] == 1:
        pixels = pixels[:, 0]
    if pixels.ndim != 4:
        raise DiffUSError(f"{path} holds volumes, not 2D frames; give a sequence of 2D ultrasound images.")
    if pixels.shape[-1] not in (1, 3, 4):
        raise DiffUSError(f"{path} has {pixels.shape[-1]} values per pixel; give gray or RGB images.")
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels
