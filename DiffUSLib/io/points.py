"""Point lists as Slicer saves them: Markups JSON (.mrk.json) and the older .fcsv."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from DiffUSLib.errors import DiffUSError

_SYSTEMS = {"0": "RAS", "1": "LPS", "RAS": "RAS", "LPS": "LPS"}


@dataclass(frozen=True)
class PointList:
    """Named points.

    Args:
        labels: N names, as shown in Slicer; may be empty or repeat.
        points_ras_mm: (N, 3) float64.
        name: of the file.
    """

    labels: tuple[str, ...]
    points_ras_mm: np.ndarray
    name: str = ""


def read_points(path: str | Path) -> PointList:
    """Read a point list; points that were not placed yet are left out.

    Raises:
        DiffUSError: if the file is missing, is neither format, or holds no points.
    """
    path = Path(path)
    if not path.is_file():
        raise DiffUSError(f"{path} does not exist; save the point list from Slicer as .mrk.json or .fcsv.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        read = _read_fcsv if path.suffix.lower() == ".fcsv" else _read_json
        rows = read(text)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise DiffUSError(f"{path.name} is no point list of Slicer (.mrk.json or .fcsv); save it again.") from None
    if not rows:
        raise DiffUSError(f"{path.name} holds no placed points.")
    labels, points = zip(*rows, strict=True)
    array = np.array(points, dtype=np.float64)
    if array.shape[1:] != (3,) or not np.isfinite(array).all():
        raise DiffUSError(f"a point of {path.name} has no three finite coordinates; place it again.")
    return PointList(tuple(labels), array, path.name)


def point_pairs(first: PointList, second: PointList) -> tuple[np.ndarray, np.ndarray]:
    """Points of two lists that belong together, each (N, 3): by label if the labels are the same, else by order.

    Raises:
        DiffUSError: if the lists differ in length and in labels.
    """
    unique = len(set(first.labels)) == len(first.labels) and len(set(second.labels)) == len(second.labels)
    if unique and set(first.labels) == set(second.labels):
        order = [second.labels.index(label) for label in first.labels]
        return first.points_ras_mm, second.points_ras_mm[order]
    if len(first.labels) != len(second.labels):
        raise DiffUSError(
            f"{first.name} and {second.name} hold {len(first.labels)} and {len(second.labels)} points; they must be "
            "pairs, with the same labels or in the same order."
        )
    return first.points_ras_mm, second.points_ras_mm


def _read_json(text: str) -> list[tuple[str, list[float]]]:
    """See Slicer's markups-schema-v1.0.3: positions are in the list's coordinate system, LPS if none is named."""
    rows = []
    for markup in json.loads(text)["markups"]:
        sign = _sign(str(markup.get("coordinateSystem", "LPS")))
        for point in markup["controlPoints"]:
            if point.get("positionStatus", "defined") == "defined":
                rows.append((str(point.get("label", "")), [s * float(x) for s, x in _zip3(sign, point["position"])]))
    return rows


def _read_fcsv(text: str) -> list[tuple[str, list[float]]]:
    """Lines `id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,...` after comments that name the coordinate system."""
    sign, columns, rows = _sign("RAS"), [], []
    for line in text.splitlines():
        if line.startswith("#"):
            key, _, value = line[1:].partition("=")
            if key.strip() == "CoordinateSystem":
                sign = _sign(value.strip())
            if key.strip() == "columns":
                columns = [name.strip() for name in value.split(",")]
        elif line.strip():
            cells = next(csv.reader([line]))
            where = [columns.index(axis) for axis in "xyz"] if columns else [1, 2, 3]
            label = columns.index("label") if "label" in columns else 11
            name = cells[label] if label < len(cells) else ""
            rows.append((name, [s * x for s, x in _zip3(sign, [float(cells[n]) for n in where])]))
    return rows


def _sign(system: str) -> tuple[float, float, float]:
    if system not in _SYSTEMS:
        raise ValueError(system)
    return (1.0, 1.0, 1.0) if _SYSTEMS[system] == "RAS" else (-1.0, -1.0, 1.0)


def _zip3(sign: tuple[float, float, float], values: list) -> list[tuple[float, float]]:
    if len(values) != 3 or not all(math.isfinite(float(value)) for value in values):
        raise ValueError(values)
    return list(zip(sign, values, strict=True))
