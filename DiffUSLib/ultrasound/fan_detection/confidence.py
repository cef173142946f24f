"""How sure a fan is: what of its outline is seen, what lies inside and around it, and whether another explains it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from DiffUSLib.ultrasound.fan_detection.edges import EDGES, SEEN_STEP, edge_points, lit_shares, steps_seen
from DiffUSLib.ultrasound.fan_detection.evidence import Evidence
from DiffUSLib.ultrasound.fan_detection.geometry import FanGeometry

_QUICK_POINTS = 24
_WORDS = {
    "left": "a side",
    "right": "the other side",
    "near": "the transducer's face",
    "far": "the deep end",
    "window": "the cut edge",
}
_SHARP = {"near": (0.15, 0.5), "far": (0.25, 0.65)}


@dataclass(frozen=True)
class Judgement:
    """A fan with its confidence, and the measures behind it by name (shares from 0 to 1)."""

    fan: FanGeometry
    measures: dict[str, float]

    @property
    def rank(self) -> float:
        """For the choice among fans: the confidence, between equal ones the closer fit, and the commoner kind."""
        is_common = self.fan.kind != "trapezoid" and not self.fan.steer_deg
        fit = 0.1 * self.measures.get("fit", 0.0) + 0.15 * self.measures.get("step_close", 0.0)
        return self.fan.confidence * (0.75 + fit + 0.005 * is_common)


def quick_score(fan: FanGeometry, maps: np.ndarray, grid: tuple[np.ndarray, np.ndarray]) -> float:
    """How well a fan fits the maps of lit shares, in their pixels; more is better.

    Args:
        grid: rows and columns (broadcasting) of the pixels that are looked at inside.
    """
    inside = fan.contains(grid[1], grid[0])
    if not inside.any():
        return -1.0
    at = edge_points(fan, _QUICK_POINTS)
    if not len(at.points):
        return -1.0
    _, strength = steps_seen(maps[:: max(1, len(maps) - 1)], at, 1, 2)
    outside = lit_shares(maps[0], at, np.array([2.0, 3.0, 4.0]))
    good = np.where(strength > SEEN_STEP, 1.0, np.where(outside > 0.3, -1.0, 0.0))
    edges = [good[at.edge == index].mean() for index in range(4) if (at.edge == index).any()]
    window = good[at.edge == EDGES.index("window")]
    missed = 1 - window.mean() if len(window) else 0.0
    lit = (maps[0][grid] > 0.05)[inside].mean()
    return float(np.sum(edges) / 4 + 0.5 * lit - 0.25 * missed)


def judge(fan: FanGeometry, evidence: Evidence, is_turned: bool = False) -> Judgement:
    """What speaks for a fan, in pixels of the full image, which `is_turned` if the transducer was not at the top."""
    measures = {}
    at = edge_points(fan)
    factor = evidence.factor
    reach = 4 + factor
    shift, strength = steps_seen(evidence.smooth, at, reach, 3 + factor // 2)
    seen = strength > SEEN_STEP
    crisp = seen & (np.abs(shift) <= 1.0 + 0.25 * factor)
    outside = lit_shares(evidence.smooth[0], at, np.arange(3.0, 6.0 + 2 * factor, 1.0))
    if len(at.points):
        measures["fit"] = float((seen & (np.abs(shift) <= 0.75)).mean())
    # An edge of the image is a step; where the echoes only fade away, they grow steadily inward.
    depths = [-np.arange(first, last + 1.0) * max(1.0, 0.5 * factor) for first, last in ((1, 3), (6, 10))]
    shallow, deep = (lit_shares(evidence.deviation, at, depth) for depth in depths)
    for index, name in enumerate(EDGES):
        mine = at.edge == index
        measures[f"{name}_shown"] = float(at.shown[index])
        if mine.sum() < 4:
            continue
        measures[f"{name}_seen"] = float(seen[mine].mean())
        measures[f"{name}_crisp"] = float(crisp[mine].mean())
        places = np.nonzero(crisp[mine])[0]
        measures[f"{name}_span"] = float((places[-1] - places[0] + 1) / mine.sum()) if len(places) else 0.0
        on = mine & crisp
        measures[f"{name}_sharp"] = float(np.median(shallow[on]) / max(np.median(deep[on]), 1e-9)) if on.any() else 0.0
        measures[f"{name}_lit_outside"] = float((~crisp[mine] & (outside[mine] > 0.3)).mean())
    rows, columns = np.indices(evidence.maps.shape[1:])
    inside = fan.contains(columns * factor + (factor - 1) / 2, rows * factor + (factor - 1) / 2)
    lit = evidence.maps[0]
    if inside.sum() > 20:
        measures["share"] = float(inside.mean())
        measures["cover"] = float((lit[inside] > 0.1).mean())
        for name, width in (("close", 5), ("around", 14)):
            ring = ndimage.binary_dilation(inside, iterations=width) & ~ndimage.binary_dilation(inside, iterations=1)
            if ring.sum() > 20:
                steps = [float(one[inside].mean() - one[ring].mean()) for one in evidence.maps]
                measures[f"step_{name}"] = max(steps)
        measures["faint_before"] = _faint_beyond(fan, lit, rows * factor, columns * factor, inside, is_near=True)
        measures["cut"] = _straight_cut(lit, inside)
        measures["beside"] = _lit_beside(fan, lit, rows * factor, columns * factor, inside)
        measures["gap"] = max(_black_gap(one, inside) for one in evidence.maps) if fan.kind == "linear" else 0.0
        measures["faint_beyond"] = _faint_beyond(fan, lit, rows * factor, columns * factor, inside)
    if "step_close" not in measures or fan.half_angle_deg > 88:
        return Judgement(replace(fan, confidence=0.0), measures)
    factors = _doubts(fan, measures, is_turned)
    doubts = tuple(words for factor, words in sorted(factors) if factor < 0.9)
    confidence = float(np.prod([factor for factor, _ in factors]))
    return Judgement(replace(fan, confidence=confidence, doubts=doubts[:3]), measures)


def _faint_beyond(
    fan: FanGeometry, lit: np.ndarray, y: np.ndarray, x: np.ndarray, inside: np.ndarray, is_near: bool = False
) -> float:
    """How much more is lit beyond the deep end, or before the face, than elsewhere outside, as where echoes sink into
    the noise or the near field is black."""
    depth = fan.far_px - fan.near_px

    def longer(share: float) -> np.ndarray:
        if is_near:
            return replace(fan, near_px=max(fan.near_px - share * depth, 0.0)).contains(x, y)
        return replace(fan, far_px=fan.far_px + share * depth).contains(x, y)

    beyond = longer(0.25) & ~longer(0.04)
    elsewhere = ~ndimage.binary_dilation(inside | beyond, iterations=3)
    if beyond.sum() < 30 or elsewhere.sum() < 30:
        return 0.0
    # Texts beyond count little: they are bright, but few.
    return float(np.minimum(lit[beyond], 0.3).mean() - np.median(lit[elsewhere]))


def _lit_beside(fan: FanGeometry, lit: np.ndarray, y: np.ndarray, x: np.ndarray, inside: np.ndarray) -> float:
    """How much is lit beside the fan, at its depths, on the side where more is: the other part of a fan that black
    scan lines divide. Texts and bars fill less."""
    if fan.kind == "linear" or fan.half_angle_deg > 60:
        return 0.0
    near = ndimage.binary_dilation(inside, iterations=2)
    most = 0.0
    for side in (-1, 1):
        wider = replace(
            fan,
            direction_deg=fan.direction_deg + 0.6 * side * fan.half_angle_deg,
            half_angle_deg=1.4 * fan.half_angle_deg,
        )
        beside = wider.contains(x, y) & ~near
        if beside.sum() > 30:
            most = max(most, float((lit[beside] > 0.5).mean()))
    return most


def _black_gap(lit: np.ndarray, inside: np.ndarray) -> float:
    """1 if a column in the outer fifth of a linear fan is black from end to end, and what lies beyond it is lit: a
    ruler or a bar of grays, taken for the side."""
    columns = np.nonzero(inside.any(axis=0))[0]
    if len(columns) < 10:
        return 0.0
    count = inside.sum(axis=0)[columns]
    share = (inside & (lit > 0.1)).sum(axis=0)[columns] / np.maximum(count, 1)
    outer = len(columns) // 5
    for part in (share[:outer], share[::-1][:outer]):
        lit_ones, black = np.nonzero(part > 0.03)[0], np.nonzero(part < 0.02)[0]
        if len(lit_ones) and len(black) and lit_ones[0] < black[-1]:
            return 1.0
    return 0.0


def _straight_cut(lit: np.ndarray, inside: np.ndarray) -> float:
    """How much of a row or column, beyond which all of the fan is black, is lit at once, as where a window cuts it.

    Sides that are dark for want of contact end along scan lines and fade.
    """
    most = 0.0
    for quarters in range(4):
        fan, is_lit = np.rot90(inside, quarters), np.rot90(lit > 0.1, quarters)
        total = np.cumsum(fan.sum(axis=0))
        black = np.cumsum((fan & is_lit).sum(axis=0)) <= 0.01 * total
        first = int(np.max(np.nonzero(black)[0], initial=-1)) + 1  # columns before the fan are black, too
        if 0 < first < fan.shape[1] - 3 and 0.02 * total[-1] < total[first - 1] < 0.5 * total[-1]:
            rows = fan[:, first - 1] & fan[:, first + 2]
            if rows.sum() >= 0.1 * np.sqrt(total[-1]):
                most = max(most, float(is_lit[rows, first + 2].mean()))
    return most


def _ramp(value: float, low: float, high: float, least: float) -> float:
    """`least` up to `low`, 1 from `high` on."""
    return float(least + (1 - least) * np.clip((value - low) / (high - low), 0, 1))


# The limits below were chosen on the synthetic screens of Testing/measure_fan_detection.py, seeds from 1000 on.
def _doubts(fan: FanGeometry, measures: dict[str, float], is_turned: bool) -> list[tuple[float, str]]:
    """Factors of the confidence, each with what it means for people."""
    factors = []
    for name, words in _WORDS.items():
        if f"{name}_crisp" in measures:
            seen, sharp, beyond = (measures[f"{name}_{what}"] for what in ("crisp", "sharp", "lit_outside"))
            # Where echoes sink into black, some of that arc is crisp by chance: more of a deep end must be seen.
            enough = 0.75 if name == "far" else 0.55
            factors.append((_ramp(seen, 0.1, enough, 0.4), f"{words} is hardly seen"))
            factors.append((_ramp(sharp, *_SHARP.get(name, (0.2, 0.55)), 0.4), f"the echoes fade away toward {words}"))
            factors.append((_ramp(-beyond, -0.4, -0.05, 0.4), f"something bright lies beyond {words}"))
        elif name != "window" and not (name == "near" and fan.kind == "sector"):
            factors.append((0.7, f"{words} is not in the picture"))
    factors.append((_ramp(-measures["faint_beyond"], -0.08, -0.02, 0.5), "faint echoes lie beyond the deep end"))
    factors.append((_ramp(-measures["faint_before"], -0.08, -0.02, 0.5), "faint echoes lie before the face"))
    factors.append((_ramp(measures["share"], 0.005, 0.025, 0.2), "it is small"))
    factors.append((_ramp(measures["step_close"], 0.2, 0.55, 0.2), "it hardly differs from what is around it"))
    factors.append((_ramp(measures["cover"], 0.2, 0.7, 0.2), "most of it is black"))
    factors.append((_ramp(-measures["beside"], -0.35, -0.2, 0.6), "something as large lies beside it"))
    factors.append((_ramp(-measures["gap"], -1.0, 0.0, 0.6), "a black gap divides it"))
    if fan.kind != "linear":
        factors.append((_ramp(-measures["cut"], -0.7, -0.4, 0.5), "a straight cut runs through it"))
        sides = sorted(measures.get(f"{name}_sharp", 0.0) for name in ("left", "right"))
        if abs(fan.direction_deg - 90) > 1.5 and sides[1] > 0:
            # Scanners draw fans upright: one that leans away from its softer side has lost scan lines there.
            factors.append((_ramp(sides[0] / sides[1], 0.6, 0.8, 0.75), "a side may be black"))
    if fan.kind == "trapezoid" and is_turned:
        factors.append((0.85, "such fans are rarely turned"))
    if fan.kind == "curvilinear":
        # A face longer than the image is deep is rare: a dark near field looks like that, too. With the opening of a
        # phased array it is suspicious earlier.
        depths = (fan.far_px - fan.near_px) / (2 * fan.near_px * np.deg2rad(fan.half_angle_deg))
        usual = (1.4, 1.7) if 36 < fan.half_angle_deg < 50 else (0.9, 1.15)
        factors.append((_ramp(depths, *usual, 0.7), "the near field may be black"))
    return factors
