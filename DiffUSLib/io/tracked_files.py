"""Tracked ultrasound sequences from and to files; see `TrackedFrames`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.chain import parse_matrix
from DiffUSLib.io.images import gray_8_bit
from DiffUSLib.io.sequence_files import read_sequence_file, write_sequence_file
from DiffUSLib.io.timestamps import seconds_of
from DiffUSLib.io.tracked import TrackedFrames
from DiffUSLib.io.transform_names import TRACKED_FRAMES, links_of

ORIENTATIONS = ("MF", "MN", "UF", "UN", "FM", "NM", "FU", "NU")
_IMAGE_STATUS = "ImageStatus"


def read_tracked_frames(path: str | os.PathLike, orientation: str | None = None) -> TrackedFrames:
    """Read a tracked ultrasound sequence.

    Args:
        path: .igs.mha, .mha, .mhd, .igs.nrrd or .nrrd file with Seq_FrameNNNN fields; gray or RGB frames.
        orientation: of the stored frames, one of `ORIENTATIONS`, if the file does not say it, or says it wrongly.

    Returns:
        The frames, upright and gray, 8 bits deep. Transforms that the tracker marked as not OK, or that cannot be
        read, are told by `statuses` and `problems`.

    Raises:
        DiffUSError: if there is no such file, or it does not hold 2D B-mode frames with tracking, or is cut off, or
            the orientation is unknown.
    """
    pixels, spacing, header = read_sequence_file(path)
    frames, fields = _split_fields(header)
    if not frames:
        raise DiffUSError(f"{path} holds no tracking (Seq_FrameNNNN fields); export it again from PLUS or Slicer.")
    notes: list[str] = []
    numbers = _numbers(frames, len(pixels), str(path), notes)
    rows = [frames.get(number, {}) for number in numbers]
    stored = (
        orientation or fields.get("UltrasoundImageOrientation") or fields.get("ultrasound image orientation") or ""
    )
    images, spacing = _upright(gray_8_bit(pixels, notes), spacing, stored, str(path), notes)
    _repeat_registration(rows, notes)
    transforms, problems = _transforms(rows)
    for name, matrix in _constants(fields).items():
        transforms.setdefault(name, matrix.repeat(len(images), 1, 1))
    ignored = sorted(set(transforms) - set(links_of(transforms)))
    if ignored:
        notes.append(f"Ignored, as the name does not say which frames it links: {', '.join(ignored)}.")
    transforms = {name: matrices for name, matrices in transforms.items() if name not in ignored}
    statuses = {name: torch.ones(len(images), dtype=torch.bool) for name in transforms}
    for name, status in statuses.items():
        status[list(problems.get(name, ()))] = False
    return TrackedFrames(
        images=torch.from_numpy(images.copy()),
        transforms=transforms,
        statuses=statuses,
        image_statuses=_flags(rows, (_IMAGE_STATUS, "Status")),
        timestamps_s=torch.tensor([seconds_of(row.get("Timestamp", "")) for row in rows], dtype=torch.float64),
        pixel_spacing_mm=spacing,
        orientation=stored or "MF",
        fields=fields,
        notes=tuple(notes),
        name=os.path.basename(path),
        numbers=tuple(numbers),
        problems={name: found for name, found in problems.items() if name in transforms},
    )


def write_tracked_frames(
    path: str | os.PathLike,
    images,
    transforms: Mapping[str, torch.Tensor],
    timestamps_s=None,
    statuses: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write a tracked ultrasound sequence that PLUS, Slicer IGSIO and ITK read. Whole or not at all.

    Args:
        path: .igs.mha or .mha file.
        images: (N, H, W) uint8, or floats in [0, 1]; X toward the marked side, Y away from the transducer.
        transforms: name such as "ImageToReference" -> (N, 4, 4); transforms from Image take pixels, so they hold the
            pixel spacing.
        timestamps_s: (N,) seconds; without it the frames are 0.1 s apart.
        statuses: name -> (N,) bool; without it every transform is valid.

    Raises:
        DiffUSError: if shapes do not match or the file cannot be written.
    """
    count = len(images)
    matrices = {name: np.asarray(matrix, dtype=np.float64) for name, matrix in transforms.items()}
    for name, matrix in matrices.items():
        if matrix.shape != (count, 4, 4) or not np.isfinite(matrix).all():
            raise DiffUSError(f"{name} must hold one matrix of 4 x 4 finite numbers for each of the {count} images.")
    times = np.arange(count) * 0.1 if timestamps_s is None else np.asarray(timestamps_s, dtype=np.float64)
    if times.shape != (count,):
        raise DiffUSError(f"there are {count} images and {times.size} timestamps; give one for each.")
    header = {"UltrasoundImageOrientation": "MFA", "UltrasoundImageType": "BRIGHTNESS"}
    for index in range(count):
        prefix = f"Seq_Frame{index:04d}_"
        for name, matrix in matrices.items():
            header[f"{prefix}{name}Transform"] = " ".join(f"{number:.12g}" for number in matrix[index].ravel())
            valid = statuses is None or name not in statuses or bool(statuses[name][index])
            header[f"{prefix}{name}TransformStatus"] = "OK" if valid else "INVALID"
        header[f"{prefix}Timestamp"] = f"{times[index]:.6f}"
        header[f"{prefix}{_IMAGE_STATUS}"] = "OK"
    write_sequence_file(path, images, header)


def _split_fields(header: Mapping[str, str]) -> tuple[dict[int, dict[str, str]], dict[str, str]]:
    """Fields of each frame by its number, and the fields of the whole file."""
    frames: dict[int, dict[str, str]] = {}
    fields = {}
    for key, value in header.items():
        start, _, name = key.removeprefix("Seq_Frame").partition("_")
        if key.startswith("Seq_Frame") and start.isdigit() and name:
            frames.setdefault(int(start), {})[name] = value.strip()
        else:
            fields[key] = value.strip()
    return frames, fields


def _numbers(frames: Mapping[int, Mapping[str, str]], count: int, path: str, notes: list[str]) -> list[int]:
    """The numbers of the fields that belong to each image.

    Raises:
        DiffUSError: if it cannot be known which fields belong to which image.
    """
    if max(frames) < count:
        return list(range(count))
    numbers = sorted(frames)
    if len(numbers) != count:
        raise DiffUSError(
            f"{path} describes {len(numbers)} frames (numbered {numbers[0]} to {numbers[-1]}) and holds {count} "
            "images; it is cut off or damaged."
        )
    if numbers[-1] - numbers[0] >= count:
        notes.append(
            f"The numbers of the frames ({numbers[0]} to {numbers[-1]}) have gaps; images follow their order."
        )
    return numbers


def _repeat_registration(rows: list[dict[str, str]], notes: list[str]) -> None:
    """A registration of the patient that only some frames hold, all the same, counts for the others, too."""
    for name in sorted({key for row in rows for key in row if key.endswith("Transform")}):
        ends = {end.lower() for found in links_of([name.removesuffix("Transform")]).values() for end in found}
        told = {row[name] for row in rows if name in row}
        holders = sum(name in row for row in rows)
        is_registration = bool(ends & {"ras", "patient", "world"} and ends & set(TRACKED_FRAMES))
        if is_registration and len(told) == 1 and holders < len(rows):
            notes.append(f"{name} is the same in the {holders} of {len(rows)} frames that hold it; it counts for all.")
            for row in rows:
                row.setdefault(name, *told)


def _transforms(rows: Sequence[Mapping[str, str]]) -> tuple[dict[str, torch.Tensor], dict[str, dict[int, str]]]:
    """(N, 4, 4) matrices by name, and for each name what is wrong with which frames."""
    names = sorted({key.removesuffix("Transform") for row in rows for key in row if key.endswith("Transform")} - {""})
    transforms = {name: torch.eye(4, dtype=torch.float64).repeat(len(rows), 1, 1) for name in names}
    problems: dict[str, dict[int, str]] = {name: {} for name in names}
    for index, row in enumerate(rows):
        for name in names:
            text, status = row.get(f"{name}Transform"), row.get(f"{name}TransformStatus", "OK")
            if text is None:
                problems[name][index] = f"it has no {name}"
            elif status.upper() not in ("OK", "VALID"):
                problems[name][index] = f"{name} is marked {status or 'with an empty status'}"
            else:
                try:
                    transforms[name][index] = parse_matrix(text, name)
                except DiffUSError as error:
                    problems[name][index] = str(error).partition(";")[0].rstrip(".")
    return transforms, problems


def _constants(fields: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """Transforms that the header holds once for the whole file."""
    found = {}
    for key, value in fields.items():
        name = key.removesuffix("Transform")
        if name != key and links_of([name]):
            found[name] = parse_matrix(value, f"{key} in the header")
    return found


def _flags(rows: Sequence[Mapping[str, str]], keys: tuple[str, ...]) -> torch.Tensor:
    """(N,) bool: none of the keys says anything but OK."""
    return torch.tensor([all(row.get(key, "OK").upper() == "OK" for key in keys) for row in rows], dtype=torch.bool)


def _upright(
    images: np.ndarray, spacing: tuple[float, float], orientation: str, path: str, notes: list[str]
) -> tuple[np.ndarray, tuple[float, float]]:
    """Images and pixel spacing with X toward the marked side and Y away from the transducer.

    The tag names the directions of the stored X and Y: M(arked) or U(nmarked) side, F(ar) or N(ear) (documentation of
    PLUS, "Ultrasound image orientation"). A third letter is about the third axis of volumes and does not concern 2D
    frames. PLUS states its calibrations for MF images, so the transforms stay as they are.
    """
    if not orientation:
        notes.append("The file does not name its image orientation; MF was assumed (--orientation says another).")
        return images, spacing
    letters = orientation.upper()
    tag = letters[:2] if len(letters) == 2 or letters[2:] in ("A", "D") else ""
    if tag not in ORIENTATIONS:
        raise DiffUSError(
            f"{path} has the image orientation {orientation}, which says nothing; give it (--orientation), one of "
            f"{', '.join(ORIENTATIONS)}: the directions of rows and columns, M(arked) or U(nmarked), F(ar) or N(ear)."
        )
    if tag[0] in "FN":
        images, spacing, tag = images.swapaxes(1, 2), spacing[::-1], tag[::-1]
    if tag[0] == "U":
        images = images[:, :, ::-1]
    if tag[1] == "N":
        images = images[:, ::-1, :]
    if letters[:2] != "MF":
        notes.append(f"Frames stored as {orientation} were turned upright (MF).")
    return images, spacing
