"""The edges of a fan in an image: points on them, what is seen there, and a fan drawn to them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.optimize import least_squares

from DiffUSLib.ultrasound.fan_detection.evidence import Evidence
from DiffUSLib.ultrasound.fan_detection.geometry import FanGeometry

EDGES = ("left", "right", "near", "far", "window")
_POINTS = 60  # on each edge
SEEN_STEP = 0.3
"""Step of the share of lit pixels from which on an edge counts as seen."""


@dataclass(frozen=True)
class EdgePoints:
    """Points on the edges of a fan that lie within the image.

    Args:
        points: (N, 2) x, y.
        normals: (N, 2) outward.
        edge: (N,) index into `EDGES`.
        shown: (5,) share of each edge that lies within image and window; the window's own share of the outline last.
    """

    points: np.ndarray
    normals: np.ndarray
    edge: np.ndarray
    shown: np.ndarray


def edge_points(fan: FanGeometry, count: int = _POINTS, margin_px: float = 1.0) -> EdgePoints:
    """`count` points on each edge; without those closer than `margin_px` to the borders of image and window."""
    direction, half = np.deg2rad(fan.direction_deg), np.deg2rad(fan.half_angle_deg)
    along = np.array([np.cos(direction), np.sin(direction)])
    across = np.array([along[1], -along[0]])
    apex, t = np.asarray(fan.apex_px), (np.arange(count) + 0.5) / count
    corners = fan.corners_px()  # face +, face -, deep -, deep +
    parts = []
    for name, start, end, sign in (("left", 1, 2, -1), ("right", 0, 3, 1)):
        points = corners[start] + t[:, None] * (corners[end] - corners[start])
        step = corners[end] - corners[start]
        normal = np.array([step[1], -step[0]]) / (np.linalg.norm(step) + 1e-9)
        normal *= 1 if sign * (normal @ across) > 0 else -1
        parts.append((name, points, np.broadcast_to(normal, points.shape)))
    angles = half * (2 * t - 1)
    rays = along * np.cos(angles)[:, None] + across * np.sin(angles)[:, None]
    flat_near, flat_far = fan.kind in ("linear", "trapezoid"), fan.kind == "linear" or fan.flat_end
    if flat_near:
        parts.append(("near", corners[1] + t[:, None] * (corners[0] - corners[1]), np.tile(-along, (count, 1))))
    elif fan.near_px > 0:
        parts.append(("near", apex + fan.near_px * rays, -rays))
    if flat_far:
        parts.append(("far", corners[2] + t[:, None] * (corners[3] - corners[2]), np.tile(along, (count, 1))))
    else:
        parts.append(("far", apex + fan.far_px * rays, rays))
    low = np.maximum(fan.clip_px[:2], 0) + margin_px
    high = np.minimum(fan.clip_px[2:], [fan.shape[1] - 1.0, fan.shape[0] - 1.0]) - margin_px
    points, normals, edge, shown = [], [], [], np.zeros(len(EDGES))
    for name, at, normal in parts:
        within = ((at >= low) & (at <= high)).all(axis=1)
        index = EDGES.index(name)
        shown[index] = within.mean()
        points.append(at[within])
        normals.append(normal[within])
        edge.append(np.full(int(within.sum()), index))
    at, normal = _window_points(fan, count)
    if len(at):
        points.append(at)
        normals.append(normal)
        edge.append(np.full(len(at), EDGES.index("window")))
        shown[-1] = 1.0
    return EdgePoints(np.concatenate(points), np.concatenate(normals), np.concatenate(edge), shown)


def _window_points(fan: FanGeometry, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and outward normals where the window cuts the fan inside the image."""
    left, top, right, bottom = fan.clip_px
    rows, columns = fan.shape
    t = (np.arange(count) + 0.5) / count
    points, normals = [], []
    for is_inner, start, end, normal in (
        (left > 1, (left, top), (left, bottom), (-1, 0)),
        (right < columns - 2, (right, top), (right, bottom), (1, 0)),
        (top > 1, (left, top), (right, top), (0, -1)),
        (bottom < rows - 2, (left, bottom), (right, bottom), (0, 1)),
    ):
        if not is_inner:
            continue
        at = np.asarray(start) + t[:, None] * np.subtract(end, start)
        at = at[fan.outside_px(at[:, 0], at[:, 1]) < -2]
        points.append(at + 0.5 * np.asarray(normal))
        normals.append(np.tile(np.asarray(normal, dtype=float), (len(at), 1)))
    return (np.concatenate(points), np.concatenate(normals)) if points else (np.zeros((0, 2)), np.zeros((0, 2)))


def steps_seen(maps: np.ndarray, at: EdgePoints, reach_px: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Where along its normal each edge point sees the strongest step, and how strong that is.

    Args:
        maps: (T, H, W) lit shares.
        at: the points.
        reach_px: how far a step may lie from the point.
        width: pixels inside and outside that are compared.

    Returns:
        (N,) distance of the step in pixels, positive outward, and (N,) step of the lit share, the best of all T.
    """
    offsets = np.arange(-(reach_px + width), reach_px + width + 1, dtype=float)
    # Along an edge the speckle averages out: neighbors on the same edge are smoothed together.
    profiles = ndimage.gaussian_filter1d(_profiles(maps, at, offsets), 1.0, axis=1)
    sums = np.concatenate([np.zeros((*profiles.shape[:2], 1)), np.cumsum(profiles, axis=2)], axis=2)
    count = len(offsets) - 2 * width + 1
    inside = (sums[..., width : width + count] - sums[..., :count]) / width
    outside = (sums[..., 2 * width : 2 * width + count] - sums[..., width : width + count]) / width
    # Of equal steps the one of the higher threshold is truer: compression blurs the faint ones.
    preference = 1 + 0.03 * np.arange(len(maps))[:, None, None]
    contrast = ((inside - outside) * preference).max(axis=0)
    place = contrast.argmax(axis=1)
    # The step lies between the last sample inside and the first one outside.
    return offsets[width] - 0.5 + place, contrast.max(axis=1)


def lit_shares(one: np.ndarray, at: EdgePoints, distances: np.ndarray) -> np.ndarray:
    """(N,) mean of a map (H, W) at distances along the outward normals."""
    return _profiles(one[None], at, distances)[0].mean(axis=1)


def _profiles(maps: np.ndarray, at: EdgePoints, offsets: np.ndarray) -> np.ndarray:
    """(T, N, offsets) lit shares along the outward normals; outside the image nothing is lit."""
    places = at.points[:, None] + offsets[:, None] * at.normals[:, None]
    x, y = places[..., 0], places[..., 1]
    return np.stack([ndimage.map_coordinates(one, [y, x], order=1, mode="nearest") for one in maps])


def drawn_to_edges(fan: FanGeometry, evidence: Evidence, reach_px: float) -> FanGeometry:
    """The fan with its edges drawn to the steps in the full image within `reach_px`; itself where none is seen."""
    at = edge_points(fan)
    if len(at.points) < 20:
        return fan
    shift, strength = steps_seen(evidence.smooth, at, round(reach_px), max(3, round(0.5 * reach_px)))
    seen = strength > SEEN_STEP
    points = at.points + shift[:, None] * at.normals
    fan = _with_window(fan, at, shift, seen)
    use = seen & (at.edge < 4)
    if use.sum() < 20:
        return fan
    return _fitted(fan, points[use], at.edge[use])


def moved_to_edges(fan: FanGeometry, evidence: Evidence) -> FanGeometry:
    """The fan, moved but not changed, so that its edges lie on the steps in the full image."""
    for reach in (2 * evidence.factor + 3, 4):
        at = edge_points(fan)
        shift, strength = steps_seen(evidence.smooth, at, reach, max(3, reach // 2))
        seen = (strength > SEEN_STEP) & (at.edge < 4)
        if seen.sum() < 10:
            return fan
        normals, shift = at.normals[seen], shift[seen]
        result = least_squares(lambda move, n=normals, s=shift: n @ move - s, np.zeros(2), loss="soft_l1")
        fan = replace(fan, apex_px=(fan.apex_px[0] + float(result.x[0]), fan.apex_px[1] + float(result.x[1])))
    return fan


def _with_window(fan: FanGeometry, at: EdgePoints, shift: np.ndarray, seen: np.ndarray) -> FanGeometry:
    clip = list(fan.clip_px)
    for index, normal in enumerate(((-1, 0), (0, -1), (1, 0), (0, 1))):
        mine = seen & (at.edge == 4) & (at.normals == normal).all(axis=1)
        if mine.sum() >= 5:
            clip[index] += float(np.median(shift[mine])) * sum(normal)
    left, top, right, bottom = clip
    return replace(fan, clip_px=(left, top, right, bottom))


def _fitted(fan: FanGeometry, points: np.ndarray, edge: np.ndarray) -> FanGeometry:
    """The fan whose edges pass through points, each on the edge that it was found at; outliers hardly count."""
    is_linear = fan.kind == "linear"
    start = np.array([
        *fan.apex_px, fan.direction_deg, fan.half_width_px if is_linear else fan.half_angle_deg,
        fan.near_px, fan.far_px, fan.steer_deg,
    ])  # fmt: skip
    unit = np.array([1.0, 1.0, 0.5, 1.0 if is_linear else 0.5, 1.0, 1.0, 0.5])
    free = np.ones(7, dtype=bool)
    free[4] = not is_linear and fan.kind != "sector"
    free[6] = is_linear and fan.steer_deg != 0
    free[2] = not free[6]  # a parallelogram keeps its face
    for index, parameters in ((0, ()), (2, (4,)), (3, (5,))):
        if not (edge == index).any():
            for parameter in parameters:
                free[parameter] = False

    def residual(step):
        values = start.copy()
        values[free] += step * unit[free]
        return _edge_residual(with_values(fan, values), points, edge)

    prior = 0.02  # keeps what no point holds

    def regularized(step):
        return np.concatenate([residual(step), prior * step])

    result = least_squares(regularized, np.zeros(int(free.sum())), loss="soft_l1", max_nfev=12, xtol=1e-4, ftol=1e-4)
    values = start.copy()
    values[free] += result.x * unit[free]
    fitted = with_values(fan, values)
    is_sound = fitted.far_px > fitted.near_px >= 0 and 0 <= fitted.half_angle_deg < 89 and values[3] > 0
    return fitted if is_sound else fan


def with_values(fan: FanGeometry, values: np.ndarray) -> FanGeometry:
    x, y, direction, lateral, near, far, steer = (float(value) for value in values)
    moved = replace(fan, apex_px=(x, y), direction_deg=direction, near_px=near, far_px=far, steer_deg=steer)
    if fan.kind == "linear":
        return replace(moved, half_width_px=lateral)
    return replace(moved, half_angle_deg=lateral)


def _edge_residual(fan: FanGeometry, points: np.ndarray, edge: np.ndarray) -> np.ndarray:
    """Distance in pixels of points from the line or circle of their edge, positive outside."""
    direction = np.deg2rad(fan.direction_deg)
    along = np.array([np.cos(direction), np.sin(direction)])
    across = np.array([along[1], -along[0]])
    offset = points - fan.apex_px
    depth, side = offset @ along, offset @ across
    radius = np.hypot(depth, side)
    if fan.kind == "linear":
        steer = np.deg2rad(fan.steer_deg)
        middle = side + depth * np.tan(steer)
        left = (-middle - fan.half_width_px) * np.cos(steer)
        right = (middle - fan.half_width_px) * np.cos(steer)
        near, far = fan.near_px - depth, depth - fan.far_px
    else:
        half = np.deg2rad(fan.half_angle_deg)
        left = -side * np.cos(half) - depth * np.sin(half)
        right = side * np.cos(half) - depth * np.sin(half)
        near = fan.near_px - (depth if fan.kind == "trapezoid" else radius)
        far = (depth if fan.flat_end else radius) - fan.far_px
    return np.choose(edge, [left, right, near, far])
