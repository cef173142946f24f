"""Which pose belongs to which image: by row, by the name of the image, or by time."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.image_streams import ImageStream
from DiffUSLib.io.pose_table import PoseTable

MATCHES = ("auto", "time", "name", "number", "row")
_LEAST_GAP_S, _GAP_STEPS = 0.1, 3.0
_STALE = 1e-9


@dataclass(frozen=True)
class MatchedPoses:
    """A pose for each image.

    Attributes:
        poses: (N, 4, 4) in mm; meaningless where there is a problem.
        problems: index of an image -> why it has no pose, in words that follow "image 3".
        way: "time", "name", "number" or "row".
    """

    poses: np.ndarray
    problems: dict[int, str]
    way: str


def match_poses(
    images: ImageStream,
    table: PoseTable,
    way: str = "auto",
    latency_s: float = 0.0,
    first_image_s: float | None = None,
) -> MatchedPoses:
    """Give every image its pose.

    Args:
        images: the images, with their times if they are to be matched by time.
        table: the poses.
        way: one of `MATCHES`. "auto" takes the names of the images where the table has them, else times where both
            have them, else the numbers of images, if all in the table are, else rows where there are as many.
        latency_s: how much later than the pose an image is stamped, in s; only by time.
        first_image_s: time of the first image on the clock of the poses in s; without it both have one clock.

    Raises:
        DiffUSError: if they do not fit together.
    """
    count, rows = len(images.images), len(table.poses)
    if way == "auto":
        timed = images.times_s is not None and table.times_s is not None
        if table.images is not None:
            way = "name"
        elif timed and (count != rows or first_image_s is not None or _same_clock(images.times_s, table.times_s)):
            way = "time"
        elif table.frames is not None and set(table.frames.tolist()) <= set(_image_numbers(images, table) or ()):
            way = "number"  # a tracker that counts its own poses has other ones
        else:
            way = "row"
    if way != "time" and (latency_s or first_image_s is not None):
        raise DiffUSError("a latency or start shifts times, and images are matched by " + way + "; match by time.")
    if way == "name":
        return _by_name(images, table)
    if way == "number":
        return _by_number(images, table)
    if way == "row":
        if count != rows:
            raise DiffUSError(
                f"there are {count} images and {rows} poses, so rows do not tell which belong together; give times of "
                "both (a column 'time' and --fps or times of the images) or a column 'image' with the names of files."
            )
        return MatchedPoses(table.poses, _of_lines(table, range(rows)), "row")
    return _by_time(images, table, latency_s, first_image_s)


def interpolate_poses(times_s: np.ndarray, poses: np.ndarray, at_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Poses at other times, turned and shifted evenly between the nearest two.

    A pose that repeats exactly is taken for one that the tracker did not renew: the first of them counts.

    Args:
        times_s: (R,) ascending.
        poses: (R, 4, 4).
        at_s: (N,) wanted times.

    Returns:
        (N, 4, 4), and (N,) bool: between two poses that are near enough in time, 0.1 s or three usual steps apart.
    """
    new = np.ones(len(poses), dtype=bool)
    new[1:] = np.abs(np.diff(poses, axis=0)).max((1, 2)) > _STALE
    usual = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
    times, kept = times_s[new], poses[new]
    found = np.tile(np.eye(4), (len(at_s), 1, 1))
    if len(times) < 2:
        near = np.abs(at_s - times[0]) < 1e-6
        found[near] = kept[0]
        return found, near
    after = np.clip(np.searchsorted(times, at_s), 1, len(times) - 1)
    gap = times[after] - times[after - 1]
    inside = (at_s >= times[0] - 1e-6) & (at_s <= times[-1] + 1e-6)
    hit = np.minimum(np.abs(at_s - times[after]), np.abs(at_s - times[after - 1])) < 1e-6
    good = inside & (hit | (gap <= max(_LEAST_GAP_S, _GAP_STEPS * usual)))
    at = np.clip(at_s, times[0], times[-1])
    found[:, :3, :3] = Slerp(times, Rotation.from_matrix(kept[:, :3, :3]))(at).as_matrix()
    for axis in range(3):
        found[:, axis, 3] = np.interp(at, times, kept[:, axis, 3])
    return found, good


def _of_lines(table: PoseTable, rows) -> dict[int, str]:
    return {
        index: f"the pose in line {table.lines[row]}: {table.problems[row]}"
        for index, row in enumerate(rows)
        if row in table.problems
    }


def _by_name(images: ImageStream, table: PoseTable) -> MatchedPoses:
    assert table.images is not None
    told = {_stem(name): row for row, name in enumerate(table.images)}
    if len(told) < len(table.images):
        raise DiffUSError("the table of poses names an image twice; keep one line for each.")
    rows = [told.get(_stem(name)) for name in images.names]
    missing = {index: "no line of the table names it" for index, row in enumerate(rows) if row is None}
    if len(missing) == len(rows):
        raise DiffUSError(
            f"none of the images is named in the table, which has {table.images[0]} where the first image is "
            f"{images.names[0]}; correct its column of names, or match by --match row or time."
        )
    poses = np.stack([np.eye(4) if row is None else table.poses[row] for row in rows])
    return MatchedPoses(poses, missing | _of_lines(table, rows), "name")


def _image_numbers(images: ImageStream, table: PoseTable) -> list[int] | None:
    """By the numbers at the end of the names of images, else by their places, from 0 or 1 as the table counts."""
    named = [re.search(r"(\d+)$", _stem(name)) for name in images.names]
    numbers = [int(match[1]) for match in named if match is not None]
    if len(set(numbers)) == len(images.names):
        return numbers
    count = len(images.images)
    if table.frames is None or len(np.unique(table.frames)) < len(table.frames):
        return None
    first, last = int(table.frames.min()), int(table.frames.max())
    fits = (first == 0 and last < count) or (first == 1 and last == count)
    return list(range(first, first + count)) if fits else None


def _by_number(images: ImageStream, table: PoseTable) -> MatchedPoses:
    numbers = _image_numbers(images, table)
    if table.frames is None or numbers is None:
        raise DiffUSError(
            "the table of poses needs a column 'frame' with a number for each image, counted from 0 or 1; match by "
            "time or row."
        )
    row_of = {int(number): row for row, number in enumerate(table.frames)}
    rows = [row_of.get(number) for number in numbers]
    missing = {index: "no line of the table has its number" for index, row in enumerate(rows) if row is None}
    if len(missing) == len(rows):
        raise DiffUSError(f"none of the images has a number of the table; the first is {images.names[0]}.")
    poses = np.stack([np.eye(4) if row is None else table.poses[row] for row in rows])
    return MatchedPoses(poses, missing | _of_lines(table, rows), "number")


def _stem(name: str) -> str:
    """Name without folder and ending; numbers without leading zeros."""
    stem = os.path.splitext(name.replace("\\", "/").rsplit("/", 1)[-1])[0]
    return str(int(stem)) if stem.isdigit() else stem


def _same_clock(images_s: np.ndarray | None, poses_s: np.ndarray | None) -> bool:
    if images_s is None or poses_s is None:
        return False
    finite = poses_s[np.isfinite(poses_s)]
    return len(finite) > 0 and images_s[0] <= finite.max() and images_s[-1] >= finite.min()


def _by_time(images: ImageStream, table: PoseTable, latency_s: float, first_image_s: float | None) -> MatchedPoses:
    if images.times_s is None:
        raise DiffUSError("nothing tells when the images were taken; give --fps, or match by row.")
    if table.times_s is None:
        raise DiffUSError("the table of poses has no column of times; name it 'time_s', or match by row.")
    good = [row for row in range(len(table.poses)) if row not in table.problems]
    times = table.times_s[good]
    order = np.argsort(times, kind="stable")
    times, poses = times[order], table.poses[good][order]
    distinct = np.r_[True, np.diff(times) > 0]
    times, poses = times[distinct], poses[distinct]
    at = images.times_s - (0.0 if first_image_s is None else images.times_s[0] - first_image_s) - latency_s
    found, inside = interpolate_poses(times, poses, at)
    if not inside.any():
        raise DiffUSError(
            f"images (from {at[0]:.3f} to {at[-1]:.3f} s) and poses (from {times[0]:.3f} to {times[-1]:.3f} s) have "
            "no time in common; say when the first image was taken on the clock of the poses (--first-image SECONDS)."
        )
    return MatchedPoses(found, {int(index): "no pose is near in time" for index in np.flatnonzero(~inside)}, "time")
