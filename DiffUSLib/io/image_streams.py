"""Ultrasound images without tracking: a folder of pictures, or a video."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.extras import optional
from DiffUSLib.io.files import quiet_itk, quiet_stderr
from DiffUSLib.io.images import gray_8_bit

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
VIDEO_ENDINGS = (".mp4", ".avi", ".mkv", ".mov", ".wmv", ".webm", ".m4v", ".mpg", ".mpeg")
MOST_BYTES = 4 << 30
_DUPLICATE_GRAY, _DUPLICATE_SHARE = 0.5, 0.1
_EPOCH_S = (1e8, 4e9)  # times since 1970 until 2096; counters of images stay below, dates in digits above


@dataclass(frozen=True)
class ImageStream:
    """Images in the order in which they were taken.

    Attributes:
        images: (N, H, W) uint8 gray.
        names: (N) of the files, or numbers of the frames of a video.
        times_s: (N,) seconds, or None if nothing tells them.
        pixel_mm: (X, Y) size of a pixel in mm, or None if nothing tells it.
        notes: what a user should know, in sentences.
    """

    images: np.ndarray
    names: list[str]
    times_s: np.ndarray | None = None
    pixel_mm: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


def read_image_stream(path: str | os.PathLike) -> ImageStream:
    """Read the images of a folder (PNG, JPEG, BMP, TIFF; in the order of the numbers in their names) or of a video.

    Raises:
        DiffUSError: if there is nothing of that kind, images differ in size, or a file cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise DiffUSError(f"{path} does not exist; check the name.")
    if path.is_dir():
        return _read_folder(path)
    if path.suffix.lower() in VIDEO_ENDINGS:
        return _read_video(path)
    raise DiffUSError(f"{path} is neither a folder of images nor a video ({', '.join(VIDEO_ENDINGS)}); give one.")


def duplicates(images: np.ndarray) -> np.ndarray:
    """(N,) bool: images that only repeat the one before, but for the noise of a lossy video.

    Args:
        images: (N, H, W) uint8.
    """
    step = max(1, min(images.shape[1:]) // 256)
    change = [0.0] * len(images)
    for index in range(1, len(images)):
        before, now = (images[i, ::step, ::step].astype(np.int16) for i in (index - 1, index))
        change[index] = float(np.abs(now - before).mean())
    usual = float(np.quantile(change[1:], 0.75)) if len(images) > 1 else 0.0
    limit = min(_DUPLICATE_GRAY, _DUPLICATE_SHARE * usual)
    return np.array([index > 0 and value <= limit for index, value in enumerate(change)])


def _natural(name: str) -> list:
    """Sorts frame2 before frame10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part.lower()) for part in re.split(r"(\d+)", name)]


def _read_folder(folder: Path) -> ImageStream:
    found = [file for file in folder.iterdir() if file.suffix.lower() in PICTURE_ENDINGS and file.name[0] != "."]
    found.sort(key=lambda file: _natural(file.name))
    if not found:
        raise DiffUSError(f"{folder} holds no images ({', '.join(PICTURE_ENDINGS)}); give the folder that does.")
    images: list[np.ndarray] = []
    for file in found:
        image = _read_picture(file)
        if images and image.shape != images[0].shape:
            raise DiffUSError(
                f"{file} has {image.shape[1]} x {image.shape[0]} pixels, {found[0].name} has "
                f"{images[0].shape[1]} x {images[0].shape[0]}; all images must be of one size."
            )
        images.append(image)
        _check_size(folder, len(images) * image.nbytes)
    return ImageStream(np.stack(images), [file.name for file in found], _times_of_names([file.stem for file in found]))


def _read_picture(file: Path) -> np.ndarray:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    with quiet_itk():
        try:
            pixels = sitk.GetArrayFromImage(reader.Execute())
        except RuntimeError as error:
            raise DiffUSError(f"{file} cannot be read: it is cut off, damaged or not a picture.") from error
    if pixels.ndim == 4 or (pixels.ndim == 3 and pixels.shape[-1] not in (2, 3, 4)):
        pixels = pixels[0]  # the first page
    if pixels.ndim == 3 and pixels.shape[-1] == 2:
        pixels = pixels[..., 0]  # gray and opacity
    return gray_8_bit(pixels[None])[0]


def _times_of_names(stems: list[str]) -> np.ndarray | None:
    """Times since 1970 in the names of files, in s, ms, us or ns; None unless all have one and they ascend."""
    times = []
    for stem in stems:
        numbers = re.findall(r"\d+(?:\.\d+)?", stem)
        longest = max(numbers, key=len, default="0")
        value = float(longest)
        while value > 1e11:
            value /= 1e3
        times.append(value)
    likely = len(times) > 1 and min(times) > _EPOCH_S[0] and max(times) < _EPOCH_S[1]
    good = likely and bool((np.diff(times) > 0).all())
    return np.array(times) if good else None


def _read_video(path: Path) -> ImageStream:
    av = optional("av", "video")
    images: list[np.ndarray] = []
    times: list[float | None] = []
    with quiet_stderr():
        try:
            with av.open(str(path)) as container:
                if not container.streams.video:
                    raise DiffUSError(f"{path} holds no video; give another file.")
                for frame in container.decode(video=0):
                    images.append(gray_8_bit(frame.to_ndarray(format="rgb24")[None])[0])
                    times.append(frame.time)
                    _check_size(path, len(images) * images[0].nbytes)
        except (av.FFmpegError, OSError, ValueError) as error:
            if isinstance(error, DiffUSError):
                raise
            raise DiffUSError(f"{path} cannot be decoded: it is cut off, damaged or not a video.") from error
    if not images:
        raise DiffUSError(f"{path} holds no frame; record or export it again.")
    if len({image.shape for image in images}) > 1:
        raise DiffUSError(f"the frames of {path} differ in size; cut the video where it changes.")
    known = [time for time in times if time is not None]
    exact = np.array(known) if len(known) == len(images) and bool((np.diff(known) > 0).all()) else None
    return ImageStream(np.stack(images), [str(index) for index in range(len(images))], exact)


def _check_size(path: Path, size: int) -> None:
    if size > MOST_BYTES:
        raise DiffUSError(f"{path} needs more than {MOST_BYTES >> 30} GiB of memory; cut it into parts.")
