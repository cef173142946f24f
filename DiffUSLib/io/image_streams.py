"""Ultrasound images without tracking: a folder of pictures, a video, or DICOM."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.dicom_files import is_dicom_file, read_header
from DiffUSLib.io.extras import optional
from DiffUSLib.io.files import quiet_itk, quiet_stderr
from DiffUSLib.io.images import gray_8_bit
from DiffUSLib.io.timestamps import seconds_of_dicom
from DiffUSLib.io.ultrasound_dicom import read_ultrasound_dicom

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
VIDEO_ENDINGS = (".mp4", ".avi", ".mkv", ".mov", ".wmv", ".webm", ".m4v", ".mpg", ".mpeg")
MOST_BYTES = 4 << 30
_DUPLICATE_GRAY, _DUPLICATE_SHARE = 0.75, 0.3  # mean change; share of what usually changes
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
    """Read the images of a folder, of a video, or of a DICOM ultrasound file.

    Pictures (PNG, JPEG, BMP, TIFF) of a folder come in the order of the numbers in their names, DICOM files in that of
    their instance numbers.

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
    if is_dicom_file(path):
        return _read_dicom([path])
    known = ", ".join(VIDEO_ENDINGS)
    raise DiffUSError(f"{path} is neither a folder of images nor a video ({known}) nor a DICOM file; give one.")


def duplicates(images: np.ndarray) -> np.ndarray:
    """(N,) bool: images that only repeat the one before, but for the noise of a lossy video.

    Args:
        images: (N, H, W) uint8.
    """
    step = max(1, min(images.shape[1:]) // 256)
    small = images[:, ::step, ::step].astype(np.int16)
    change = [float(np.abs(now - before).mean()) for before, now in pairwise(small)]
    # A screen that is recorded faster than the scanner's images come repeats most of them.
    usual = float(np.quantile(change, 0.95)) if change else 0.0
    limit = min(_DUPLICATE_GRAY, _DUPLICATE_SHARE * usual)
    repeated, kept = np.zeros(len(images), dtype=bool), 0
    for index in range(1, len(images)):
        drift = float(np.abs(small[index] - small[kept]).mean())
        repeated[index] = change[index - 1] <= limit and drift <= 2 * limit
        kept = kept if repeated[index] else index
    return repeated


def _natural(name: str) -> list:
    """Sorts frame2 before frame10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part.lower()) for part in re.split(r"(\d+)", name)]


def _read_folder(folder: Path) -> ImageStream:
    found = [file for file in folder.iterdir() if file.suffix.lower() in PICTURE_ENDINGS and file.name[0] != "."]
    found.sort(key=lambda file: _natural(file.name))
    clips = [file for file in folder.iterdir() if file.is_file() and file not in found and is_dicom_file(file)]
    if found and clips:
        raise DiffUSError(f"{folder} holds pictures and DICOM files; keep those of one recording and kind in it.")
    if clips:
        return _read_dicom(sorted(clips, key=lambda file: _natural(file.name)))
    if not found:
        raise DiffUSError(
            f"{folder} holds no images ({', '.join(PICTURE_ENDINGS)} or DICOM); give the folder that does."
        )
    images: list[np.ndarray] = []
    for file in found:
        images.append(_read_picture(file))
        _check_alike(file, images[-1], found[0], images[0])
        _check_size(folder, len(images) * images[0].nbytes)
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


def _read_dicom(files: list[Path]) -> ImageStream:
    """One clip, or single images, of DICOM ultrasound."""
    parts = [(read_header(file), read_ultrasound_dicom(file)) for file in files]
    if len(parts) == 1:
        clip = parts[0][1]
        names = [str(index) for index in range(len(clip.images))]
        return ImageStream(clip.images, names, clip.times_s, clip.pixel_mm)
    for file, (_, part) in zip(files, parts, strict=True):
        if len(part.images) > 1:
            raise DiffUSError(f"{file} is a clip among other DICOM files; name the one clip to read.")
        _check_alike(file, part.images[0], files[0], parts[0][1].images[0])
    if len({part.pixel_mm for _, part in parts}) > 1:
        folder = files[0].parent
        raise DiffUSError(f"the images in {folder} differ in the size of their pixels; keep those of one depth.")
    order = sorted(range(len(parts)), key=lambda index: (int(_tag(parts[index][0], "InstanceNumber") or 0), index))
    times = [seconds_of_dicom(_tag(parts[i][0], "ContentDate"), _tag(parts[i][0], "ContentTime")) for i in order]
    known = np.isfinite(times).all() and bool((np.diff(times) > 0).all())
    return ImageStream(
        np.concatenate([parts[index][1].images for index in order]),
        [files[index].name for index in order],
        np.array(times) if known else None,
        parts[0][1].pixel_mm,
    )


def _tag(header, name: str) -> str:
    return "" if header is None else str(header.get(name) or "")


def _check_alike(file: Path, image: np.ndarray, first_file: Path, first: np.ndarray) -> None:
    if image.shape != first.shape:
        raise DiffUSError(
            f"{file} has {image.shape[1]} x {image.shape[0]} pixels, {first_file.name} has "
            f"{first.shape[1]} x {first.shape[0]}; all images must be of one size."
        )


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
