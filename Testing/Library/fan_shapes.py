"""Analytic fans for synthetic ultrasound screens, drawn with complex numbers; knows nothing of the detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shape:
    """A fan with the transducer at the top, in pixels, before it is turned to the screen's side.

    Args:
        kind: "curvilinear", "sector", "linear", "trapezoid" (flat face, spreading lines) or "steered".
        inside: (H, W) bool.
        depth, side: (H, W) place inside: 0 at the face to 1 at the end, -1 to 1 from the left to the right.
    """

    kind: str
    inside: np.ndarray
    depth: np.ndarray
    side: np.ndarray


def random_shape(rng: np.random.Generator, kind: str, shape: tuple[int, int], room) -> Shape:
    """A fan of a kind that fills most of `room` (left, top, right, bottom); one in five is cut by it."""
    draw = {"linear": _box, "steered": _box, "trapezoid": _trapezoid}.get(kind, _circular)
    return draw(rng, kind, shape, room)


def _circular(rng, kind, shape, room) -> Shape:
    left, top, right, bottom = room
    half, near = {
        "curvilinear": (rng.uniform(25, 40), rng.uniform(0.15, 0.42)),
        "microconvex": (rng.uniform(30, 55), rng.uniform(0.06, 0.2)),
        "endocavity": (rng.uniform(55, 85), rng.uniform(0.08, 0.25)),
        "sector": (rng.uniform(30, 48), 0.0),
    }[kind]
    half = np.radians(half)
    width, height = 2 * np.sin(half), 1 - near * np.cos(half)
    fit = min((right - left) / width, (bottom - top) / height)
    is_cut = kind in ("curvilinear", "sector") and rng.random() < 0.25
    far = fit * (rng.uniform(1.05, 1.25) if is_cut else rng.uniform(0.8, 0.99))
    near *= far
    spare_x, spare_y = (right - left) - far * width, (bottom - top) - far * height
    apex_x = (left + right) / 2 + (rng.uniform(-0.5, 0.5) * spare_x if spare_x > 0 else 0.0)
    face_top = top + (rng.uniform(0, 1) * spare_y if spare_y > 0 else 0.0)
    apex_y = face_top - near * np.cos(half)
    rows, columns = np.indices(shape)
    place = (columns - apex_x) + 1j * (rows - apex_y)
    angle, radius = np.angle(place * -1j), np.abs(place)
    inside = (radius >= near) & (radius <= far) & (np.abs(angle) <= half)
    if is_cut:
        inside &= (columns >= left) & (columns <= right) & (rows <= bottom)
    name = "sector" if kind == "sector" else "curvilinear"
    return Shape(name, inside, (radius - near) / (far - near), -angle / half)


def _box(rng, kind, shape, room) -> Shape:
    left, top, right, bottom = room
    slope = rng.choice([-1, 1]) * np.tan(np.radians(rng.uniform(8, 22))) if kind == "steered" else 0.0
    aspect = rng.uniform(0.55, 1.6)  # width over depth
    reach = aspect + abs(slope)
    depth = min((right - left) / reach, bottom - top) * rng.uniform(0.75, 1.0)
    width = aspect * depth
    spare_x, spare_y = (right - left) - reach * depth, (bottom - top) - depth
    first_x = left + rng.uniform(0.2, 0.8) * spare_x + (depth * -slope if slope < 0 else 0.0)
    first_y = top + rng.uniform(0, 1) * spare_y
    rows, columns = np.indices(shape)
    down = (rows - first_y) / depth
    across = (columns - first_x - slope * (rows - first_y)) / width
    inside = (down >= 0) & (down <= 1) & (across >= 0) & (across <= 1)
    return Shape(kind, inside, down, 2 * across - 1)


def _trapezoid(rng, kind, shape, room) -> Shape:
    left, top, right, bottom = room
    half = np.radians(rng.uniform(9, 24))
    start = rng.uniform(0.45, 1.2) / 2 / np.tan(half)  # virtual apex above the face, in depths
    reach = 2 * np.tan(half) * (start + 1)
    depth = min((right - left) / reach, bottom - top) * rng.uniform(0.8, 0.99)
    spare_x, spare_y = (right - left) - reach * depth, (bottom - top) - depth
    middle = (left + right) / 2 + rng.uniform(-0.4, 0.4) * spare_x
    face = top + rng.uniform(0, 1) * spare_y
    rows, columns = np.indices(shape)
    dx, dy = columns - middle, rows - face + start * depth
    angle = np.arctan2(dx, dy)
    end = np.hypot(dx, dy) if rng.random() < 0.6 else dy
    depth_share = (end - start * depth) / depth
    inside = (dy >= start * depth) & (depth_share <= 1) & (np.abs(angle) <= half)
    return Shape(kind, inside, depth_share, angle / half)
