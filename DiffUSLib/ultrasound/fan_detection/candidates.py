"""Fans that fit a bright region: supporting lines for the sides by RANSAC, then the range of depth that is lit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from DiffUSLib.ultrasound.fan_detection.geometry import FanGeometry

_HYPOTHESES = 400
_KEPT_LINES = 3
_SHORTEST_SIDE = 0.07  # of the image's diagonal
_LARGEST_TILT_DEG = 12.0
_PARALLEL_DEG = 4.0  # up to this opening a linear fan is tried, too
_LIT = (0.4, 0.12)  # shares of a line or arc that may have to be lit for its depth to belong to the fan


@dataclass(frozen=True)
class _Line:
    """A side: points p with normal . p = offset; the fan is where normal . p is less.

    `slant_deg` is 0 for an upright side and grows as the fan widens with depth.
    """

    normal: np.ndarray
    offset: float
    slant_deg: float

    def is_near(self, slant_deg: float, gap: float, point: np.ndarray) -> bool:
        """Whether a line with this slant and this distance from a point is nearly the same."""
        return abs(slant_deg - self.slant_deg) < 1.5 and abs(self.normal @ point - self.offset - gap) < 2.5


def fans_of_region(region: np.ndarray, seed: int = 0) -> list[FanGeometry]:
    """Fans with the transducer at the top that fit an (h, w) bool region, in its pixels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.nonzero(region.any(1))[0], np.nonzero(region.any(0))[0]
    box = (float(columns[0]), float(rows[0]), float(columns[-1]), float(rows[-1]))
    whole = (0.0, 0.0, region.shape[1] - 1.0, region.shape[0] - 1.0)
    points, normals = _outline(region)
    found = []
    for clip in (whole, box):
        # Where the region ends with the window or the image there is no edge of the fan.
        within = (points > np.add(clip[:2], 1.2)) & (points < np.subtract(clip[2:], 1.2))
        free = within.all(axis=1)
        if free.sum() < 20:
            continue
        sides = [_sides(points[free], normals[free], sign, np.hypot(*region.shape), rng) for sign in (-1, 1)]
        for left in sides[0]:
            for right in sides[1]:
                found += _between(region, left, right, clip)
    return found


def _outline(region: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) x, y of the region's border, and outward unit normals there."""
    inner = region & ~ndimage.binary_erosion(region, border_value=0)
    smooth = ndimage.gaussian_filter(region.astype(np.float32), 2.0)
    down, across = np.gradient(smooth)
    y, x = np.nonzero(inner)
    normals = -np.stack([across[y, x], down[y, x]], axis=1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    return np.stack([x, y], axis=1) + 0.5 * normals, normals


def _sides(points, normals, sign: int, size: float, rng) -> list[_Line]:
    """Lines that support the region from the left (sign -1) or the right (+1), the best first."""
    facing = np.nonzero(sign * normals[:, 0] > 0.03)[0]
    if len(facing) < 8:
        return []
    first, second = points[rng.choice(facing, (2, _HYPOTHESES))]
    step = second - first
    length = np.linalg.norm(step, axis=1)
    keep = length > 0.7 * _SHORTEST_SIDE * size
    first, step, length = first[keep], step[keep], length[keep]
    if not len(first):
        return []
    normal = np.stack([step[:, 1], -step[:, 0]], axis=1) / length[:, None]
    normal *= np.where(sign * normal[:, :1] < 0, -1, 1)
    offset = (normal * first).sum(axis=1)
    distance = points @ normal.T - offset  # (N, hypotheses)
    agrees = normals @ normal.T > 0.7
    inlier = (np.abs(distance) < 1.0) & agrees
    support = inlier.sum(axis=0) - 1.5 * (distance > 1.5).sum(axis=0)
    lines: list[_Line] = []
    middle = points[facing].mean(axis=0)
    slants, gaps = np.rad2deg(np.arctan2(-normal[:, 1], sign * normal[:, 0])), normal @ middle - offset
    support[(slants < -30) | (slants > 89)] = 0
    for index in np.argsort(-support):
        if support[index] < _SHORTEST_SIDE * size or len(lines) == _KEPT_LINES:
            break
        if any(line.is_near(slants[index], gaps[index], middle) for line in lines):
            continue
        on = points[inlier[:, index]]
        # Total least squares through the inliers.
        center = on.mean(axis=0)
        direction = np.linalg.svd(on - center, full_matrices=False)[2][0]
        n = np.array([direction[1], -direction[0]])
        n *= -1 if sign * n[0] < 0 else 1
        lines.append(_Line(n, float(n @ center), float(np.rad2deg(np.arctan2(-n[1], sign * n[0])))))
    return lines


def _between(region: np.ndarray, left: _Line, right: _Line, clip) -> list[FanGeometry]:
    opening, tilt = left.slant_deg + right.slant_deg, (right.slant_deg - left.slant_deg) / 2
    found = []
    if abs(opening) <= _PARALLEL_DEG:
        found += _linear(region, left, right, tilt, clip)
    if opening >= 0.7 * _PARALLEL_DEG and abs(tilt) <= _LARGEST_TILT_DEG:
        found += _spreading(region, left, right, opening / 2, tilt, clip)
    return found


def _linear(region, left: _Line, right: _Line, tilt: float, clip) -> list[FanGeometry]:
    """The rectangle or the parallelogram between nearly parallel sides; `tilt` > 0 leans to the right."""
    found = []
    y, x = np.mgrid[: region.shape[0], : region.shape[1]]
    leans = [(tilt, 0.0)] if abs(tilt) <= 5 else []
    if abs(tilt) > 3:
        leans.append((0.0, tilt))
    for turn, steer in leans:
        along = np.array([np.sin(np.deg2rad(turn)), np.cos(np.deg2rad(turn))])
        across = np.array([along[1], -along[0]])
        depth, side = x * along[0] + y * along[1], x * across[0] + y * across[1]
        rows = np.nonzero(region.any(1))[0]
        middle_y = (rows[0] + rows[-1]) / 2
        # Both sides at the middle row, in across coordinates.
        ends = [(line.offset - line.normal[1] * middle_y) / line.normal[0] for line in (left, right)]
        half = (ends[1] - ends[0]) / 2 * across[0]
        center = np.array([(ends[0] + ends[1]) / 2, middle_y])
        if half < 0.03 * region.shape[1]:
            continue
        lean = np.tan(np.deg2rad(steer))
        offset = side - center @ across - (depth - center @ along) * lean
        for near, far in _lit_ranges(region, depth, np.abs(offset) <= half, clip):
            shift = near - center @ along
            face = center + along * shift + across * shift * lean
            found.append(_fan("linear", face, turn, 0.0, 0.0, far - near, half, region.shape, clip, steer))
    return found


def _spreading(region, left: _Line, right: _Line, half: float, tilt: float, clip) -> list[FanGeometry]:
    """Sector, curvilinear and trapezoid between sides that meet above."""
    matrix = np.stack([left.normal, right.normal])
    if abs(np.linalg.det(matrix)) < 1e-6:
        return []
    apex = np.linalg.solve(matrix, [left.offset, right.offset])
    along = np.array([np.sin(np.deg2rad(tilt)), np.cos(np.deg2rad(tilt))])
    y, x = np.mgrid[: region.shape[0], : region.shape[1]]
    dx, dy = x - apex[0], y - apex[1]
    radius, depth = np.hypot(dx, dy), dx * along[0] + dy * along[1]
    wedge = depth >= radius * np.cos(np.deg2rad(half))
    found = []
    round_ranges = _lit_ranges(region, radius, wedge, clip)
    for near, far in round_ranges:
        kind, start = ("sector", 0.0) if near < 0.035 * far else ("curvilinear", near)
        found.append(_fan(kind, apex, tilt, half, start, far, 0.0, region.shape, clip))
    if half < 40:
        for near, flat_far in _lit_ranges(region, depth, wedge, clip):
            if near <= 0.15 * flat_far:
                continue
            found.append(_fan("trapezoid", apex, tilt, half, near, flat_far, 0.0, region.shape, clip, flat_end=True))
            for _, far in round_ranges:
                found.append(_fan("trapezoid", apex, tilt, half, near, far, 0.0, region.shape, clip))
    return found


def _lit_ranges(region, depth, inside, clip) -> list[tuple[float, float]]:
    """From and to which depths lines or arcs across the fan are lit, for each share in `_LIT`."""
    left, top, right, bottom = (int(edge) for edge in clip)
    window = np.zeros_like(region)
    window[top : bottom + 1, left : right + 1] = True
    use = inside & window
    if not use.any():
        return []
    first = int(np.floor(depth[use].min()))
    bins = np.floor(depth[use]).astype(int) - first
    total = np.bincount(bins)
    share = np.bincount(bins, weights=region[use]) / np.maximum(total, 1)
    ranges = []
    for needed in _LIT:
        # The run of depths whose lit shares together exceed what is needed most.
        gain = np.where(total > 0, share - needed, -needed)
        sums = np.concatenate([[0.0], np.cumsum(gain)])
        lowest = np.minimum.accumulate(sums)
        end = int(np.argmax(sums - lowest))
        start = int(np.argmin(sums[: end + 1]))
        found = (float(first + start), float(first + end))
        if end - start >= 6 and found not in ranges:
            ranges.append(found)
    return ranges


def _fan(kind, apex, tilt, half, near, far, half_width, shape, clip, steer=0.0, flat_end=False) -> FanGeometry:
    apex_px = (float(apex[0]), float(apex[1]))
    return FanGeometry(kind, apex_px, 90.0 - tilt, half, near, far, half_width, shape, clip, 0.0, -steer, flat_end)
