"""Poses of a tracker as people log them: a table of text with named columns."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.files import existing_file
from DiffUSLib.io.pose_columns import PoseColumns, find_columns
from DiffUSLib.io.timestamps import seconds_of

QUATERNION_ORDERS = ("xyzw", "wxyz")
LENGTH_UNITS = {"mm": 1.0, "m": 1000.0}
_LIKE_METERS = 5.0
_UNIT_TOLERANCE, _SCALE_TOLERANCE = 0.05, 0.02
_SMALLEST_PIXEL_MM = 0.005
_LOST_WORDS = (
    "0", "false", "no", "invalid", "lost", "missing", "error", "disabled", "out_of_view", "out of view",
    "out of volume", "nan", "none", "",
)  # fmt: skip
_EPOCHS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))  # since 1970, in ns, us and ms


@dataclass(frozen=True)
class PoseTable:
    """Poses as a tracker logged them.

    Attributes:
        poses: (R, 4, 4) rigid, in mm; meaningless where a row is not valid.
        scale: lengths of the three axes of the logged matrices, where they are not 1: they take pixels, not mm.
        problems: index of a row -> why it cannot be used, in words that follow "line 5".
        times_s: (R,) seconds, or None.
        images: (R) names of images, or None.
        frames: (R) numbers of images, -1 where there is none, or None.
        transform: what the table calls the poses ("ProbeToTracker"), or "".
        lines: (R) numbers of the lines in the file.
        notes: what was assumed, in sentences.
    """

    poses: np.ndarray
    scale: tuple[float, float, float] | None
    problems: dict[int, str]
    times_s: np.ndarray | None
    images: list[str] | None
    lines: list[int]
    notes: tuple[str, ...]
    frames: np.ndarray | None = None
    transform: str = ""


def read_pose_table(
    path: str | os.PathLike, units: str | None = None, quaternion: str | None = None, prefix: str | None = None
) -> PoseTable:
    """Read a table of poses, one a line, with the names of its columns in the first line; see `find_columns`.

    Args:
        path: text file; columns are parted by commas, semicolons, tabs or spaces.
        units: "mm" or "m" of the translations, where their names do not say it; without it mm, unless that cannot be.
        quaternion: order of q0 ... q3, "xyzw" or "wxyz".
        prefix: start of the names of the pose, where a table holds several.

    Raises:
        DiffUSError: if there is no such file, it is no such table, a unit or order is open, or no row can be used.
    """
    header, rows, lines, comma = _read_rows(existing_file(path))
    try:
        columns = find_columns(header, prefix)
    except DiffUSError as error:
        raise DiffUSError(f"{path}: {error}") from None
    if columns.order_needed and quaternion is None:
        raise DiffUSError(
            f"{path} numbers the parts of its quaternions, and their order is not known; say which it is "
            "(--quaternion xyzw or wxyz)."
        )
    notes: list[str] = []
    numbers = np.array([[_number(cell, comma) for cell in row] for row in rows])
    poses, problems = _poses(columns, rows, numbers, quaternion or "xyzw", notes)
    if columns.status is not None:
        for index, row in enumerate(rows):
            if row[columns.status].strip().lower() in _LOST_WORDS:
                problems.setdefault(index, f"the tracker says '{row[columns.status].strip()}'")
    good = [index for index in range(len(rows)) if index not in problems]
    if not good:
        reason = f"line {lines[0]}: {problems[0]}" if rows else "it has no rows"
        raise DiffUSError(f"{path} holds no pose that can be used ({reason}); correct or export it again.")
    scale = _take_scale(poses, problems, good)
    good = [index for index in good if index not in problems]
    worth = _millimeters(columns, poses[good], units, str(path), notes)
    poses[:, :3, 3] *= worth
    if scale is not None and max(scale) < _SMALLEST_PIXEL_MM:
        scale = (scale[0] * worth, scale[1] * worth, scale[2] * worth)  # matrices that are in meters as a whole
    times = None
    if columns.time is not None:
        times = _times(columns, rows, numbers, notes)
    if times is not None:
        for row in np.flatnonzero(~np.isfinite(times)).tolist():
            problems.setdefault(row, "its time cannot be read")
    images = None if columns.image is None else [row[columns.image].strip() for row in rows]
    frames = None
    if columns.frame is not None and np.isfinite(numbers[:, columns.frame]).any():
        frames = np.nan_to_num(numbers[:, columns.frame], nan=-1).round().astype(int)
    return PoseTable(poses, scale, problems, times, images, lines, tuple(notes), frames, columns.transform)


def _read_rows(path: Path) -> tuple[list[str], list[list[str]], list[int], bool]:
    """Names of the columns, cells, numbers of the lines, and whether numbers may have a decimal comma."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DiffUSError(f"{path} is no table of text; give a CSV file with named columns.") from None
    listed = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    while listed and listed[0][1].lstrip().startswith("#") and len(listed) > 1:
        if not listed[1][1].lstrip().startswith("#") and _is_numbers(listed[1][1]):
            break  # the names themselves stand behind a '#'
        listed.pop(0)
    listed = listed[:1] + [(number, line) for number, line in listed[1:] if not line.lstrip().startswith("#")]
    if len(listed) < 2:
        raise DiffUSError(f"{path} holds no table; give names of columns in the first line and one pose a line.")
    first = listed[0][1].lstrip("# %")
    delimiter = next((mark for mark in (";", "\t", ",") if mark in first), None)
    if delimiter is None and len(first.split()) == 1:  # one column, of matrices
        table = [[line.strip().strip('"')] for line in (first, *(line for _, line in listed[1:]))]
    elif delimiter is None:
        table = [line.split() for line in (first, *(line for _, line in listed[1:]))]
    else:
        joined = "\n".join([first, *(line for _, line in listed[1:])])
        table = list(csv.reader(io.StringIO(joined), delimiter=delimiter, skipinitialspace=True))
    header = table[0]
    if _is_numbers(first):
        raise DiffUSError(f"{path} has no names of columns; put them in its first line (time_s, tx_mm, ..., qw).")
    for number, row in zip((number for number, _ in listed), table, strict=True):
        if len(row) != len(header):
            raise DiffUSError(f"line {number} of {path} has {len(row)} cells where {len(header)} columns are named.")
    return header, table[1:], [number for number, _ in listed[1:]], delimiter != ","


def _is_numbers(line: str) -> bool:
    cells = line.replace(";", " ").replace(",", " ").split()
    return all(np.isfinite(_number(cell, False)) or cell.lower() == "nan" for cell in cells)


def _number(cell: str, comma: bool) -> float:
    try:
        return float(cell.strip().replace(",", ".") if comma else cell)
    except ValueError:
        return float("nan")


def _poses(columns: PoseColumns, rows, numbers, order: str, notes) -> tuple[np.ndarray, dict[int, str]]:
    poses = np.tile(np.eye(4), (len(rows), 1, 1))
    problems: dict[int, str] = {}
    if columns.form == "quaternion":
        axes = order if columns.order_needed else "xyzw"
        listed = {axis: numbers[:, index] for axis, index in zip(axes, columns.rotation.values(), strict=False)}
        if not columns.order_needed:
            listed = {axis: numbers[:, columns.rotation[axis]] for axis in "xyzw"}
        quaternions = np.stack([listed[axis] for axis in "xyzw"], axis=1)
        lengths = np.linalg.norm(quaternions, axis=1)
        good = np.isfinite(lengths) & (np.abs(lengths - 1) <= _UNIT_TOLERANCE)
        poses[good, :3, :3] = Rotation.from_quat(quaternions[good]).as_matrix() if good.any() else np.empty((0, 3, 3))
        for bad in np.flatnonzero(~good).tolist():
            problems[bad] = f"its quaternion has the length {lengths[bad]:.3g} instead of 1"
    elif columns.form == "elements":
        for (row, column), index in columns.rotation.items():
            poses[:, row, column] = numbers[:, index]
    elif columns.form == "flat":
        poses = numbers[:, [columns.rotation[index] for index in range(16)]].reshape(-1, 4, 4)
    else:
        for index, cells in enumerate(rows):
            words = cells[columns.rotation[0]].replace(",", " ").replace(";", " ").strip("[] ").split()
            values = [_number(word.strip("[]"), False) for word in words if word.strip("[]")]
            poses[index] = np.reshape(values, (4, 4)) if len(values) == 16 else np.nan
    for axis, index in enumerate(columns.translation.values()):
        poses[:, axis, 3] = numbers[:, index]
    if columns.form in ("flat", "text"):
        _turn_columns(poses, notes)
    _check_matrices(poses, problems)
    return poses, problems


def _turn_columns(poses: np.ndarray, notes) -> None:
    """Matrices that are written column by column end in a column 0 0 0 1 that is no row; turn them in place."""
    finite = poses[np.isfinite(poses).all((1, 2))]
    last = (0, 0, 0, 1)
    if len(finite) and not np.allclose(finite[:, 3], last) and np.allclose(finite[:, :, 3], last):
        poses[:] = poses.swapaxes(1, 2).copy()
        notes.append("The matrices are written column by column.")


def _check_matrices(poses: np.ndarray, problems: dict[int, str]) -> None:
    for index, matrix in enumerate(poses):
        if index in problems:
            continue
        if not np.isfinite(matrix).all():
            problems[index] = "it holds something that is no finite number"
        elif not np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-6):
            problems[index] = "its matrix does not end in the row 0 0 0 1"
        elif np.linalg.det(matrix[:3, :3]) < 1e-9:
            problems[index] = "its matrix is singular or mirrored"
    for index in problems:
        poses[index] = np.eye(4)


def _take_scale(poses: np.ndarray, problems: dict[int, str], good: list[int]) -> tuple[float, float, float] | None:
    """Make the poses rigid in place; the lengths of their axes, or None where these are 1."""
    axes = poses[good, :3, :3]
    lengths = np.linalg.norm(axes, axis=1)
    usual = np.median(lengths, axis=0)
    turned = axes / lengths[:, None]
    skew = np.abs(turned.swapaxes(1, 2) @ turned - np.eye(3)).max((1, 2))
    for index, length, worst in zip(good, lengths, skew, strict=True):
        if np.abs(length / usual - 1).max() > _SCALE_TOLERANCE:
            problems[index] = "its matrix has another scale than the others"
        elif worst > _SCALE_TOLERANCE:
            problems[index] = "the axes of its matrix are not at right angles"
    poses[good, :3, :3] = Rotation.from_matrix(turned).as_matrix()
    if np.abs(usual - 1).max() <= _SCALE_TOLERANCE:
        return None
    return float(usual[0]), float(usual[1]), float(usual[2])


def _millimeters(columns: PoseColumns, poses, units: str | None, path: str, notes) -> float:
    """What the unit of the translations is worth in mm.

    Raises:
        DiffUSError: if it is not told and mm cannot be.
    """
    if columns.millimeters is not None:
        if units is not None and LENGTH_UNITS[units] != columns.millimeters:
            raise DiffUSError(f"the columns of {path} name another unit than --units {units}; leave that out.")
        return columns.millimeters
    if units is not None:
        return LENGTH_UNITS[units]
    largest = float(np.linalg.norm(poses[:, :3, 3], axis=1).max())
    if largest < _LIKE_METERS:
        raise DiffUSError(
            f"the translations of {path} (up to {largest:.3g}) look like meters; say which unit they have "
            "(--units m or mm)."
        )
    notes.append("The translations were taken for mm (--units m says another).")
    return 1.0


def _times(columns: PoseColumns, rows, numbers, notes) -> np.ndarray | None:
    assert columns.time is not None
    times = numbers[:, columns.time].copy()
    if not np.isfinite(times).any():
        times = np.array([seconds_of(row[columns.time]) for row in rows])
        if np.isfinite(times).any():
            return times
        notes.append(f"The times ('{rows[0][columns.time]}') cannot be read and are not used.")
        return None
    if columns.time_seconds is not None:
        return times * columns.time_seconds
    finite = times[np.isfinite(times)]
    for start, worth in _EPOCHS:
        if np.median(finite) > start:
            return times * worth
    if len(finite) > 2 and np.median(np.diff(finite)) >= 5:
        step = np.median(np.diff(finite))
        notes.append(f"The times step by {step:g} and were taken for ms (name the column time_s if not).")
        return times * 1e-3
    return times
