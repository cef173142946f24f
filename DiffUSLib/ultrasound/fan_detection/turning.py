"""Fans are looked for with the transducer at the top and in reduced maps; here is the way back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from DiffUSLib.ultrasound.fan_detection.evidence import Evidence
from DiffUSLib.ultrasound.fan_detection.geometry import FanGeometry

QUARTERS = {"top": 0, "left": -1, "bottom": 2, "right": 1}
"""Turns of np.rot90 that bring a transducer from this side of the image to the top."""


def enlarged(fan: FanGeometry, view: Evidence) -> FanGeometry:
    """The fan of the maps in pixels of the full image."""
    f = view.factor
    rows, columns = view.shape
    left, top, right, bottom = fan.clip_px
    # A window that is the whole map is the whole image.
    clip = (
        0.0 if left <= 0 else left * f,
        0.0 if top <= 0 else top * f,
        columns - 1.0 if right >= fan.shape[1] - 1 else right * f + f - 1,
        rows - 1.0 if bottom >= fan.shape[0] - 1 else bottom * f + f - 1,
    )
    return replace(
        fan,
        apex_px=((fan.apex_px[0] + 0.5) * f - 0.5, (fan.apex_px[1] + 0.5) * f - 0.5),
        near_px=fan.near_px * f,
        far_px=fan.far_px * f,
        half_width_px=fan.half_width_px * f,
        shape=(rows, columns),
        clip_px=clip,
    )


def turned_back(fan: FanGeometry, side: str, shape: tuple[int, int]) -> FanGeometry:
    """The fan in the image as it was before it was turned with the transducer to the top."""
    rows, columns = shape

    def back(x: float, y: float) -> tuple[float, float]:
        return {
            "top": (x, y),
            "left": (y, rows - 1 - x),
            "bottom": (columns - 1 - x, rows - 1 - y),
            "right": (columns - 1 - y, x),
        }[side]

    left, top, right, bottom = fan.clip_px
    turned_rows, turned_columns = fan.shape
    # Edges of the window at the border of the (cut) image stay at the border of the whole one.
    corners = np.array([back(left, top), back(right, bottom)])
    clip = [*corners.min(axis=0), *corners.max(axis=0)]
    whole = (0.0, 0.0, columns - 1.0, rows - 1.0)
    at_border = (left <= 0, top <= 0, right >= turned_columns - 1, bottom >= turned_rows - 1)
    order = {"top": (0, 1, 2, 3), "left": (1, 2, 3, 0), "bottom": (2, 3, 0, 1), "right": (3, 0, 1, 2)}[side]
    clip = [whole[i] if at_border[order[i]] else float(clip[i]) for i in range(4)]
    turn = {"top": 0.0, "left": -90.0, "bottom": 180.0, "right": 90.0}[side]
    direction = (fan.direction_deg + turn + 180) % 360 - 180
    return replace(fan, apex_px=back(*fan.apex_px), direction_deg=direction, shape=shape, clip_px=tuple(clip))
