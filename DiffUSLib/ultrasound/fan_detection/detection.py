"""Find the fan of an ultrasound image or sequence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from DiffUSLib.errors import DiffUSError
from DiffUSLib.ultrasound.fan_detection.candidates import fans_of_region
from DiffUSLib.ultrasound.fan_detection.confidence import Judgement, judge, quick_score
from DiffUSLib.ultrasound.fan_detection.edges import drawn_to_edges
from DiffUSLib.ultrasound.fan_detection.evidence import Evidence, gather_evidence
from DiffUSLib.ultrasound.fan_detection.geometry import SURE, FanGeometry
from DiffUSLib.ultrasound.fan_detection.regions import is_disc, regions
from DiffUSLib.ultrasound.fan_detection.turning import QUARTERS, enlarged, turned_back

#: Below this confidence a detection is refused: the image is probably not an ultrasound image.
MINIMUM_CONFIDENCE = 0.3
BY_HAND = "give the fan geometry by hand (--fan FILE on the command line)"
_REFINED = 6, 2
"""Fans that are drawn to the full image: of the first side, and of each other one."""

_HOPELESS = 0.45
"""Scores of fans (see `quick_score`) below this need no closer look; right ones have 0.8 to 1.5."""
_MOST_REGIONS = 12


def detect_fan(image: np.ndarray, transducer_side: str = "auto") -> FanGeometry:
    """Find the fan of an ultrasound image or sequence.

    Args:
        image: (rows, columns) gray, (rows, columns, 3 or 4) with colors, or (frames, rows, columns) of one recording.
        transducer_side: "top", "left", "bottom" or "right" if known. "auto" decides by the shape; a linear fan has
            no shape that tells and is taken to have its transducer at the top.

    Raises:
        DiffUSError: if the image is empty or constant, or holds no fan.
    """
    frames = checked_frames(image)
    if transducer_side != "auto" and transducer_side not in QUARTERS:
        raise DiffUSError(f"transducer side '{transducer_side}' is unknown; use auto, {', '.join(QUARTERS)}.")
    judged = []
    for evidence in gather_evidence(frames):
        judged += judged_fans(evidence, transducer_side)
        if any(one.fan.confidence >= SURE for one in judged):
            break
    if not judged:
        raise DiffUSError(f"no fan was found: nothing in the image is bounded like one; {BY_HAND}.")
    best = _widened(max(judged, key=lambda one: one.rank), judged)
    if best.fan.confidence < MINIMUM_CONFIDENCE:
        raise DiffUSError(
            f"no fan was found (confidence {best.fan.confidence:.2f}): this does not look like an ultrasound image; "
            f"choose another image or {BY_HAND}."
        )
    return best.fan


def _widened(best: Judgement, judged: list[Judgement]) -> Judgement:
    """The best fan, or an equally sure one that holds it and is as full: the dim near field belongs to the fan."""
    wider = [
        one
        for one in judged
        if one.fan.kind == best.fan.kind
        and one.fan.confidence >= best.fan.confidence - 0.02
        and one.measures["cover"] >= best.measures["cover"] - 0.02
    ]
    mask = best.fan.mask
    wider = [one for one in wider if one is not best and _is_held(mask, one.fan.mask)]
    return max(wider, key=lambda one: one.rank, default=best)


def _is_held(inner: np.ndarray, outer: np.ndarray) -> bool:
    return (inner & outer).sum() > 0.98 * inner.sum() and outer.sum() > 1.02 * inner.sum()


def checked_frames(image: np.ndarray) -> np.ndarray:
    """(F, H, W) of an image or recording as `detect_fan` takes them.

    Raises:
        DiffUSError: if nothing can be seen in it.
    """
    frames = np.asarray(image)
    if frames.ndim == 3 and frames.shape[2] in (3, 4):
        frames = frames[..., :3].max(axis=2)
    frames = frames[None] if frames.ndim == 2 else frames
    if frames.ndim != 3 or not len(frames) or min(frames.shape[1:]) < 16:
        raise DiffUSError("the image is empty or smaller than 16 x 16 pixels; choose an ultrasound image.")
    if frames.dtype != np.uint8:
        frames = frames.astype(np.float32)
        if not np.isfinite(frames).all():
            raise DiffUSError("the image holds NaN or infinite pixels; choose another image.")
    if frames.max() == frames.min():
        raise DiffUSError("the image is constant, nothing can be seen on it; choose another frame.")
    return frames


def judged_fans(evidence: Evidence, transducer_side: str) -> list[Judgement]:
    """The best different fans in the evidence with their confidence, in pixels of the full image."""
    sides = list(QUARTERS) if transducer_side == "auto" else [transducer_side]
    found: list[np.ndarray] = []
    for density in evidence.maps:
        for region in regions(density):
            if len(found) < _MOST_REGIONS and all(_overlap(region, other) < 0.98 for other in found):
                found.append(region)
    if any(is_disc(region) for region in found):
        raise DiffUSError(
            "this is a radial image (360 degrees around the transducer), which DiffUS does not simulate; "
            "record with a probe that looks to one side."
        )
    judged = []
    for side in sides:
        view = evidence.turned(QUARTERS[side])
        turned = [np.rot90(region, QUARTERS[side]) for region in found]
        for fan in _rough_fans(turned, view, _REFINED[side != sides[0]]):
            # A rectangle does not tell its side.
            if fan.kind == "linear" and side != sides[0]:
                continue
            full = drawn_to_edges(enlarged(fan, view), view, 1.5 * view.factor + 3)
            one = judge(drawn_to_edges(full, view, 3), view, side != "top")
            judged.append(replace(one, fan=turned_back(one.fan, side, evidence.shape)))
        if any(one.fan.confidence >= SURE for one in judged):
            break  # most transducers are at the top, and a sure one needs no others
    return judged


def _rough_fans(found: list[np.ndarray], view: Evidence, count: int) -> list[FanGeometry]:
    """The `count` best different fans for regions, in pixels of the maps, the transducer at the top."""
    rows, columns = view.maps.shape[1:]
    grid = (np.arange(1, rows, 4)[:, None], np.arange(1, columns, 4)[None])
    different = {_rounded(fan): fan for region in found for fan in fans_of_region(region)}
    scored = [(quick_score(fan, view.maps, grid), fan) for fan in different.values()]
    scored.sort(key=lambda item: -item[0])
    kept: list[FanGeometry] = []
    masks: list[np.ndarray] = []
    for score, fan in scored:
        if score < _HOPELESS:
            break
        mask = fan.contains(grid[1], grid[0])
        if all(_overlap(mask, other) < 0.97 for other in masks):
            kept.append(fan)
            masks.append(mask)
        if len(kept) == count:
            break
    return kept


def _rounded(fan: FanGeometry) -> tuple:
    """Equal for fans that are too alike to look at both."""
    lengths = (*fan.apex_px, fan.near_px, fan.far_px, fan.half_width_px, *fan.clip_px)
    angles = (fan.direction_deg, fan.half_angle_deg, fan.steer_deg)
    shape = (fan.kind, fan.flat_end)
    return (*shape, *(round(value / 2.5) for value in lengths), *(round(value / 1.2) for value in angles))


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / max((first | second).sum(), 1))
