"""Which columns of a table of poses hold what, by their names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from DiffUSLib.errors import DiffUSError

_TIMES = (
    "timestamp", "time", "time_stamp", "stamp", "header_stamp", "timestamps", "date_time", "datetime", "time_of_day",
    "elapsed", "ts", "t",
)  # fmt: skip
_IMAGES = ("image", "file", "filename", "file_name", "image_file", "image_name", "frame_file", "path", "name")
_FRAMES = ("frame", "frame_number", "frame_index", "frame_id", "frame_no", "frame_nr", "image_number", "image_index")
_STATUSES = ("status", "tracking_status", "valid", "is_valid", "tracked", "tracking", "visible", "state", "ok")
_UNITS = {
    "um": 1e-3, "mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "cm": 10.0, "m": 1000.0, "meter": 1000.0,
    "meters": 1000.0, "metre": 1000.0, "metres": 1000.0,
}  # fmt: skip
_TIME_UNITS = {
    "s": 1.0, "sec": 1.0, "secs": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "us": 1e-6, "usec": 1e-6, "ns": 1e-9,
    "nsec": 1e-9,
}  # fmt: skip

_QUATERNION = re.compile(
    r"(?P<set>.*?_)??(?:q|quat|quaternion|rot|rotation|r|ori|orient|orientation)_?(?P<axis>[xyzw])"
)
_IMAGINARY = re.compile(r"(?P<set>.*?_)??(?:q|quat|quaternion)_?(?P<axis>[rijk0xyz])")
_NUMBERED_QUATERNION = re.compile(r"(?P<set>.*?_)??(?:q|quat|quaternion)_?(?P<axis>[0-4])")
_TRANSLATION = re.compile(r"(?P<set>.*?_)??(?:t|p|pos|position|trans|translation|loc|location)_?(?P<axis>[xyz])")
_BARE = re.compile(r"(?P<set>.*?_)??(?P<axis>[xyzw])")
_NUMBERED_TRANSLATION = re.compile(r"(?P<set>.*?_)??(?:t|p|pos|position|trans|translation)_?(?P<axis>[0-3])")
_ELEMENT = re.compile(r"(?P<set>(?:.*?_)??[a-z]*)_?(?P<row>[0-4])_?(?P<column>[0-4])")
_FLAT = re.compile(r"(?P<set>.*?_)??(?:m|t|mat|matrix|transform|pose)_?(?P<index>1[0-6]|[0-9])")
_WHOLE = re.compile(r"(?P<set>(?:.*_)?(?:matrix|transform|pose)|\w+to[a-z_]+)")
_NAME = re.compile(r"([A-Za-z]\w*?To[A-Z]\w*?|[a-z]+_to_[a-z]+?)(?:_?[Tt]ransform)?(?:[\s_.:/-].*)?")
_ANGLES = re.compile(r".*(?:roll|pitch|yaw|euler|azimuth|^r[xyz]$|_r[xyz]$|rot_?[xyz]$).*")


@dataclass(frozen=True)
class PoseColumns:
    """Indices of the columns of a table of poses.

    Attributes:
        form: "quaternion", "elements" (named by row and column), "flat" (16 in a row) or "text" (16 in one cell).
        rotation: of (x, y, z, w), or as `form` says: (row, column) -> index, flat number -> index, or the one cell.
        translation: of (x, y, z); empty where the matrix holds it.
        millimeters: what the unit in the names of the translation is worth; None where they do not say it.
        order_needed: whether the names of the quaternion (q0 ... q3) leave its order open.
        time, time_seconds: column of times, and what its unit is worth in s where its name says it.
        image, status: columns of the name of the image, and of what the tracker said.
        frame: column of the number of the image.
        transform: what the columns call the pose ("ProbeToTracker"), or "".
    """

    form: str
    rotation: dict
    translation: dict[str, int]
    millimeters: float | None
    order_needed: bool = False
    time: int | None = None
    time_seconds: float | None = None
    image: int | None = None
    status: int | None = None
    frame: int | None = None
    transform: str = ""


def find_columns(header: list[str], prefix: str | None = None) -> PoseColumns:
    """Find the columns of times, images and poses by their names.

    Known are x, tx, pos_x, translation.x ... with a unit in the name (tx_mm, "x [m]") or without; qx, quat_x,
    orientation.x ...; m00 ... m33 or r11 ... r33 with a translation; m0 ... m15; one column with 16 numbers.

    Args:
        header: names of the columns.
        prefix: start of the names of the pose, where a table holds several ("probe" of probe_tx, ...).

    Raises:
        DiffUSError: if they hold no pose, or several, or angles.
    """
    names, units = zip(*(_split_unit(text) for text in header), strict=True)
    used = [index for index, name in enumerate(names) if prefix is None or name.startswith(_plain(prefix))]
    if prefix is not None and not used:
        raise DiffUSError(f"no column starts with '{prefix}'; the table has {', '.join(header)}.")
    # A pose's own times stand without its prefix, too.
    every = range(len(names))
    time, image, frame = _named(names, _TIMES, every), _first(names, _IMAGES, every), _first(names, _FRAMES, every)
    status = _named(names, _STATUSES, used)
    status = _first(names, _STATUSES, every) if status is None else status
    used = [index for index in used if index not in (time, image, frame, status)]
    found = _quaternion(names, units, used) or _matrix(names, units, used)
    if found is None:
        angles = [header[index] for index in used if _ANGLES.fullmatch(names[index])]
        if angles:
            raise DiffUSError(
                f"the poses turn by angles ({', '.join(angles)}), whose order and axes a table does not say; give "
                "quaternions (qx, qy, qz, qw) or matrices (m00 ... m33)."
            )
        raise DiffUSError(
            f"the columns {', '.join(header)} hold no pose; name them tx, ty, tz, qx, qy, qz, qw, or m00 to m33, or "
            "give one column 'matrix' of 16 numbers."
        )
    form, rotation, translation, order_needed = found
    scales = {units[index] for index in translation.values()} & set(_UNITS)
    if len(scales) > 1:
        raise DiffUSError(f"the translation is in several units ({', '.join(sorted(scales))}); give one.")
    return PoseColumns(
        form,
        rotation,
        translation,
        _UNITS[scales.pop()] if scales else None,
        order_needed,
        time,
        None if time is None else _TIME_UNITS.get(units[time]),
        image,
        status,
        frame,
        _transform_name(header[next(iter(rotation.values()))]),
    )


def _plain(text: str) -> str:
    return re.sub(r"[^0-9a-z]+", "_", text.lower()).strip("_")


def _split_unit(text: str) -> tuple[str, str]:
    """("tx", "mm") of "Tx [mm]" or "tx_mm"; no unit where the name has none."""
    start, _, last = _plain(text).rpartition("_")
    return (start, last) if start and last in {**_UNITS, **_TIME_UNITS} else (_plain(text), "")


def _transform_name(title: str) -> str:
    """ProbeToTracker of ProbeToTracker_qx or ProbeToTrackerTransform; "" where the column names no transform."""
    match = _NAME.fullmatch(title.strip())
    return match[1] if match else ""


def _first(names, known, indices) -> int | None:
    """The column of the first of the known names."""
    return next((index for name in known for index in indices if names[index] == name), None)


def _named(names, known, indices) -> int | None:
    """The same, or else the only one that ends in a known name ("field_header_stamp", "unix_time")."""
    found = _first(names, known, indices)
    ends = tuple(f"_{name}" for name in known if len(name) > 3)
    others = [index for index in indices if names[index].endswith(ends)]
    return others[0] if found is None and len(others) == 1 else found


def _grouped(pattern, names, used, key) -> dict[str, dict]:
    """Columns whose names fit the pattern, by what stands before."""
    groups: dict[str, dict] = {}
    for index in used:
        match = pattern.fullmatch(names[index])
        if match is not None:
            groups.setdefault((match["set"] or "").strip("_"), {})[key(match)] = index
    return groups


def _only(groups: dict[str, dict], wanted: set) -> dict | None:
    whole = {name: columns for name, columns in groups.items() if wanted <= columns.keys()}
    if len(whole) > 1:
        first = next(iter(whole))
        raise DiffUSError(f"the table holds several poses ({', '.join(whole)}); choose one (--columns {first}).")
    return next(iter(whole.values()), None)


def _translation(names, used, besides=()) -> dict[str, int]:
    used = [index for index in used if index not in besides]
    for pattern in (_TRANSLATION, _BARE):
        found = _only(_grouped(pattern, names, used, lambda match: match["axis"]), set("xyz"))
        if found is not None:
            return {axis: found[axis] for axis in "xyz"}
    numbered = _grouped(_NUMBERED_TRANSLATION, names, used, lambda match: int(match["axis"]))
    for start in (0, 1):
        found = _only(numbered, set(range(start, start + 3)))
        if found is not None:
            return {axis: found[start + place] for place, axis in enumerate("xyz")}
    return {}


def _quaternion(names, units, used):
    rotation, order_needed = _only(_grouped(_QUATERNION, names, used, lambda match: match["axis"]), set("xyzw")), False
    for real, imaginary in (("r", "ijk"), ("0", "xyz")) if rotation is None else ():  # NDI writes Q0, Qx, Qy, Qz
        found = _only(_grouped(_IMAGINARY, names, used, lambda match: match["axis"]), {real, *imaginary})
        if found is not None:
            rotation = {axis: found[key] for axis, key in zip("wxyz", (real, *imaginary), strict=True)}
    if rotation is None:
        numbered = _grouped(_NUMBERED_QUATERNION, names, used, lambda match: int(match["axis"]))
        found = _only(numbered, {0, 1, 2, 3}) or _only(numbered, {1, 2, 3, 4})
        if found is not None:
            rotation, order_needed = {str(place): found[key] for place, key in enumerate(sorted(found)[:4])}, True
    if rotation is None:
        rotation = _only(_grouped(_BARE, names, used, lambda match: match["axis"]), set("xyzw"))
    if rotation is None:
        return None
    translation = _translation(names, used, set(rotation.values()))
    return ("quaternion", rotation, translation, order_needed) if translation else None


def _matrix(names, units, used):
    elements = _grouped(_ELEMENT, names, used, lambda match: (int(match["row"]), int(match["column"])))
    for start in (0, 1):
        cells = {(row, column): (row + start, column + start) for row in range(4) for column in range(4)}
        top = {key: cell for key, cell in cells.items() if key[0] < 3}
        found = _only(elements, set(top.values()))
        if found is not None:
            return "elements", {key: found[cell] for key, cell in cells.items() if cell in found}, {}, False
    for start in (0, 1):
        turn = {(row, column): (row + start, column + start) for row in range(3) for column in range(3)}
        found = _only(elements, set(turn.values()))
        translation = _translation(names, used, set(found.values())) if found is not None else {}
        if found is not None and translation:
            return "elements", {key: found[cell] for key, cell in turn.items()}, translation, False
    flat = _grouped(_FLAT, names, used, lambda match: int(match["index"]))
    for start in (0, 1):
        found = _only(flat, set(range(start, start + 16)))
        if found is not None:
            return "flat", {index: found[index + start] for index in range(16)}, {}, False
    whole = _grouped(_WHOLE, names, used, lambda match: 0)
    found = _only(whole, {0})
    return ("text", found, {}, False) if found is not None else None
