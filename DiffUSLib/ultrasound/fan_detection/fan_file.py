"""Fans as small JSON files, to be kept, corrected by hand, and given instead of looking for one.

    {
      "kind": "curvilinear",              curvilinear, sector, linear or trapezoid
      "image_size_px": [739, 593],        columns, rows
      "apex_px": [370.1, -139.5],         x, y where the scan lines meet; of a linear fan the middle of the face
      "direction_deg": 90.2,              where the transducer looks: 90 down, 0 right, -90 up, 180 left
      "opening_deg": 60.6,                between the outer scan lines (not linear)
      "near_px": 161.0, "far_px": 733.9,  from the apex to the face and to the deepest sample; of a linear fan 0 and
                                          the depth, of a trapezoid along the direction
      "width_px": 444.0,                  of the face (linear)
      "steer_deg": 0,                     how far the scan lines are turned (linear; may be left out)
      "flat_end": false,                  ends at a straight line, not at an arc (trapezoid; may be left out)
      "window_px": [0, 0, 738, 592]       left, top, right, bottom that the scanner cut it to (may be left out)
    }

Every length may be given in mm (`apex_mm`, ...), from the center of the upper left pixel, where the image's pixel size
is known.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.files import existing_file, written_whole
from DiffUSLib.probes.probe import load_probe
from DiffUSLib.ultrasound.fan_detection.geometry import KINDS, FanGeometry
from DiffUSLib.ultrasound.fan_detection.placement import place_probe

_LENGTHS = {"apex": 2, "near": 0, "far": 0, "width": 0, "window": 4}  # how many numbers; 0 is a lone one
_OTHERS = {"direction_deg": 0, "opening_deg": 0, "steer_deg": 0, "image_size_px": 2}
_TOLD = ("confidence", "found")  # written for people; not read


def write_fan(path: str | os.PathLike, fan: FanGeometry) -> None:
    """Write a fan as a JSON file in pixels and degrees.

    Raises:
        DiffUSError: if the file cannot be written.
    """
    values: dict[str, Any] = {"kind": fan.kind, "image_size_px": [fan.shape[1], fan.shape[0]]}
    values["apex_px"] = [round(float(value), 2) for value in fan.apex_px]
    values["direction_deg"] = round(fan.direction_deg, 3)
    if fan.kind == "linear":
        values |= {"width_px": round(2 * fan.half_width_px, 2), "steer_deg": round(fan.steer_deg, 3)}
    else:
        values["opening_deg"] = round(2 * fan.half_angle_deg, 3)
    values |= {"near_px": round(fan.near_px, 2), "far_px": round(fan.far_px, 2)}
    if fan.kind == "trapezoid":
        values["flat_end"] = fan.flat_end
    values["window_px"] = [round(float(edge), 2) for edge in fan.clip_px]
    values |= {"confidence": round(fan.confidence, 3), "found": not fan.is_given}
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def read_fan(path: str | os.PathLike, images: np.ndarray, pixel_mm: float | None = None) -> FanGeometry:
    """The fan of a file, for images.

    Args:
        path: JSON with a fan (see this module), or with a probe as `load_probe` reads it; where the image of the probe
            lies is then looked for.
        images: (H, W) or (F, H, W) gray that the fan is of.
        pixel_mm: size of their square pixels; needed for a probe and for lengths in mm.

    Raises:
        DiffUSError: if the file describes neither, or not a fan of such images.
    """
    path = existing_file(Path(path))
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DiffUSError(f"the fan file {path} cannot be read as JSON ({error}).") from None
    if not isinstance(values, dict):
        raise DiffUSError(f"the fan file {path} must hold one JSON object; `diffus fan` writes one to start from.")
    if "depth_mm" in values:
        if pixel_mm is None:
            raise DiffUSError(
                f"{path} describes a probe in mm, but the pixel size of the image is not known; give it."
            )
        return place_probe(images, load_probe(path), pixel_mm)
    rows, columns = (int(length) for length in images.shape[-2:])
    return _fan_of_values(_checked(values, path, pixel_mm), path, (rows, columns))


def _checked(values: dict[str, Any], path: Path, pixel_mm: float | None) -> dict[str, Any]:
    """The values with all lengths in pixels under names without a unit."""
    checked: dict[str, Any] = {}
    counts = {**_OTHERS, **{f"{name}_{unit}": count for name, count in _LENGTHS.items() for unit in ("px", "mm")}}
    for name, value in values.items():
        if name in ("kind", "flat_end", *_TOLD):
            checked[name] = value
            continue
        if name not in counts:
            raise DiffUSError(
                f"the fan file {path} has an unknown entry '{name}'; it knows {', '.join(counts)}, kind."
            )
        numbers = value if isinstance(value, list) else [value]
        if len(numbers) != max(counts[name], 1) or not all(_is_number(number) for number in numbers):
            wanted = f"{counts[name]} numbers in brackets" if counts[name] else "one number"
            raise DiffUSError(f"'{name}' in the fan file {path} must be {wanted}.")
        base, unit = name.rsplit("_", 1)
        scale = 1.0
        if unit == "mm":
            if pixel_mm is None:
                raise DiffUSError(
                    f"'{name}' in {path} is in mm, but the pixel size of the image is not known; use px."
                )
            scale = 1 / pixel_mm
        checked[base] = [float(number) * scale for number in numbers] if counts[name] else float(value) * scale
    return checked


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _fan_of_values(values: dict[str, Any], path: Path, shape: tuple[int, int]) -> FanGeometry:
    kind = values.get("kind")
    if kind not in KINDS:
        raise DiffUSError(f"the kind in the fan file {path} is '{kind}'; use one of {', '.join(KINDS)}.")
    needed = {"apex", "direction", "far", "width" if kind == "linear" else "opening"}
    needed |= {"near"} if kind in ("curvilinear", "trapezoid") else set()
    missing = sorted(needed - set(values))
    if missing:
        raise DiffUSError(f"the fan file {path} lacks {', '.join(missing)} (with its unit, for instance far_px).")
    columns, rows = values.get("image_size", [shape[1], shape[0]])
    if (rows, columns) != shape:
        raise DiffUSError(
            f"the fan file {path} is for images of {columns:g} x {rows:g} pixels, but these have "
            f"{shape[1]} x {shape[0]}; take the fan of such images."
        )
    near, far = values.get("near", 0.0), values["far"]
    opening, width, steer = (values.get(name, 0.0) for name in ("opening", "width", "steer"))
    limit = 120 if kind == "trapezoid" else 178
    is_wide = width > 0 and abs(steer) < 60 if kind == "linear" else 1 <= opening <= limit
    if not 0 <= near < far or not is_wide or (kind in ("curvilinear", "trapezoid") and near == 0):
        raise DiffUSError(
            f"the fan file {path} describes no fan: near must be at least 0 and less than far (more than 0 for "
            f"curvilinear and trapezoid), an opening 1 to {limit} degrees, a width positive."
        )
    fan = FanGeometry(
        kind=kind,
        apex_px=(values["apex"][0], values["apex"][1]),
        direction_deg=values["direction"],
        half_angle_deg=0.0 if kind == "linear" else opening / 2,
        near_px=0.0 if kind == "sector" else near,
        far_px=far,
        half_width_px=width / 2 if kind == "linear" else 0.0,
        shape=shape,
        clip_px=tuple(values.get("window", (0.0, 0.0, shape[1] - 1.0, shape[0] - 1.0))),
        confidence=1.0,
        steer_deg=steer if kind == "linear" else 0.0,
        flat_end=kind == "trapezoid" and bool(values.get("flat_end", False)),
        is_given=True,
    )
    if fan.mask.mean() < 0.005:
        raise DiffUSError(
            f"the fan in {path} covers hardly any pixel of the image; check apex, direction and lengths."
        )
    return fan


def fan_report(fan: FanGeometry, pixel_mm: float) -> dict[str, Any]:
    """The fan in mm and degrees, as names and plain values that JSON can hold.

    Args:
        pixel_mm: size of the square pixels.
    """
    report: dict[str, Any] = {
        "kind": fan.kind,
        "found": not fan.is_given,
        "confidence": round(fan.confidence, 3),
        "apex_mm": [value * pixel_mm for value in fan.apex_px],
        "direction_deg": fan.direction_deg,
        "depth_mm": (fan.far_px - fan.near_px) * pixel_mm,
    }
    if fan.kind == "linear":
        report |= {"width_mm": 2 * fan.half_width_px * pixel_mm, "steer_deg": fan.steer_deg}
    else:
        report |= {"opening_deg": 2 * fan.half_angle_deg, "radius_mm": fan.near_px * pixel_mm}
    return report | {"pixel_mm": pixel_mm, "sentence": fan.sentence}
