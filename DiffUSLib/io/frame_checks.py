"""Frames of a sweep that cannot be used although they are marked as valid: dark or repeated images, stale poses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

_SCALE_TOLERANCE = 0.02
_STALE_MM = 1e-6  # a measured pose never repeats to this
_STAND_OFF_MM, _STAND_OFF_STEPS = 10.0, 5.0
_GLITCH_MM, _GLITCH_STEPS = 50.0, 20.0
_SAMPLED_PIXELS = 128  # per side: enough to tell a dark image, quick for thousands
_LIT, _DARK_SHARE = 0.1, 0.1
_LOST = "its tracking is the identity, as if it were lost"


@dataclass(frozen=True)
class SkippedFrame:
    """A frame that is left out.

    Attributes:
        number: the frame's own number in its file.
        reason: in words that follow "frame 3".
    """

    number: int
    reason: str


def frame_problems(
    images: np.ndarray,
    image_to_patient: np.ndarray,
    numbers: Iterable[int] | None = None,
    tracking: Sequence[np.ndarray] = (),
    usable: np.ndarray | None = None,
) -> dict[int, str]:
    """Find frames of a sweep that would spoil it.

    Checked are: a matrix that is not finite, singular, of another scale or mirrored against the others; a pose that is
    the identity while its neighbors stand elsewhere, that leaps away for one frame, or that repeats exactly (frozen
    tracking); an image that is dark but for what is burnt in, or repeats although the pose moved.

    Args:
        images: (N, H, W) gray.
        image_to_patient: (N, 4, 4) from (column, row, 0, 1) to mm.
        numbers: of the frames in their file, to name them; 0 to N - 1 without it.
        tracking: (N, 4, 4) links between image and patient, the nearest to the image first, of which some may be
            constant; without it `image_to_patient`.
        usable: (N,) bool, the frames to look at; all without it.

    Returns:
        index of each bad frame -> what is wrong, in words that follow "frame 3".
    """
    images, matrices = np.asarray(images), np.asarray(image_to_patient, dtype=np.float64)
    numbers = list(range(len(images)) if numbers is None else numbers)
    left = [index for index in range(len(images)) if usable is None or usable[index]]
    links = _moving_links([np.asarray(link, dtype=np.float64) for link in tracking], left) or [matrices]
    lost = np.any([np.abs(link - np.eye(4)).max((1, 2)) < 1e-9 for link in links], axis=0)
    problems: dict[int, str] = {}
    for check in (_broken_matrices, _standing_off, _leaping):
        problems |= check(images.shape[1:], matrices, lost, [index for index in left if index not in problems])
    left = [index for index in left if index not in problems]
    problems |= _repeated_poses(images, links[0], left, numbers)
    left = [index for index in left if index not in problems]
    problems |= _dark_images(images, left)
    left = [index for index in left if index not in problems]
    return problems | _repeated_images(images, left, numbers)


def summarize_skipped(skipped: Iterable[SkippedFrame]) -> list[str]:
    """One phrase for each reason: "frames 2, 3, 4: the image is dark"."""
    by_reason: dict[str, list[int]] = {}
    for frame in skipped:
        by_reason.setdefault(frame.reason, []).append(frame.number)
    return [
        f"frame{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}: {reason}"
        for reason, numbers in by_reason.items()
    ]


def _moving_links(links: list[np.ndarray], left: list[int]) -> list[np.ndarray]:
    """The links that differ between frames: first the one that follows the probe.

    That is the first from the image which moves; one that changes in single frames only is a constant with bad frames.
    """
    changes = [int((np.abs(np.diff(link[left], axis=0)).max((1, 2), initial=0) > 1e-9).sum()) for link in links]
    likely = [index for index, count in enumerate(changes) if count > min(2, 0.1 * max(changes))]
    moving = sorted(np.flatnonzero(changes).tolist(), key=lambda index: index != next(iter(likely), None))
    return [links[index] for index in moving]


def _broken_matrices(shape, matrices, lost, left) -> dict[int, str]:
    problems, scales = {}, {}
    for index in left:
        axes = matrices[index, :3, :2]
        lengths = np.linalg.norm(axes, axis=0)
        if not np.isfinite(matrices[index]).all():
            problems[index] = "its matrix holds NaN or infinite numbers"
        elif min(lengths) < 1e-9 or np.linalg.norm(np.cross(*axes.T)) < 1e-6 * lengths.prod():
            problems[index] = "its matrix is singular"
        else:
            scales[index] = lengths
    if not scales:
        return problems
    usual = np.median(list(scales.values()), axis=0)
    for index, lengths in scales.items():
        if np.abs(lengths / usual - 1).max() > _SCALE_TOLERANCE:
            if lost[index]:
                problems[index] = _LOST
            else:
                x, y = (f"{now:.3g} instead of {then:.3g}" for now, then in zip(lengths, usual, strict=True))
                problems[index] = f"its matrix has another scale than the other frames ({x}, {y} mm per pixel)"
    return problems


def _standing_off(shape, matrices, lost, left) -> dict[int, str]:
    """Frames whose tracking is exactly the identity, unless that lies on the way of the others."""
    real = [index for index in left if not lost[index]]
    if not real:
        return {}
    corners = _corners_mm(shape, matrices)
    limit = max(_STAND_OFF_MM, _STAND_OFF_STEPS * _usual_step(corners, real))
    problems = {}
    for index in left:
        if lost[index]:
            near = real[int(np.abs(np.subtract(real, index)).argmin())]
            if _distance(corners, index, near) > limit:
                problems[index] = _LOST
    return problems


def _leaping(shape, matrices, lost, left) -> dict[int, str]:
    """Single frames far from the frame before and the frame after, which are near each other."""
    corners = _corners_mm(shape, matrices)
    limit = max(_GLITCH_MM, _GLITCH_STEPS * _usual_step(corners, left))
    problems = {}
    for before, index, after in zip(left, left[1:], left[2:], strict=False):
        away = min(_distance(corners, before, index), _distance(corners, index, after))
        if away > limit and _distance(corners, before, after) < 0.25 * away:
            problems[index] = f"it leaps {away:.0f} mm away from the frames before and after it"
    return problems


def _repeated_poses(images, tracking, left, numbers) -> dict[int, str]:
    problems = {}
    kept = None
    for index in left:
        if kept is not None and np.abs(tracking[index] - tracking[kept]).max() <= _STALE_MM:
            if np.array_equal(images[index], images[kept]):
                problems[index] = f"it repeats frame {numbers[kept]}"
            else:
                problems[index] = f"it has exactly the pose of frame {numbers[kept]} (frozen tracking)"
        else:
            kept = index
    return problems


def _repeated_images(images, left, numbers) -> dict[int, str]:
    problems = {}
    kept = None
    for index in left:
        if kept is not None and np.array_equal(images[index], images[kept]):
            problems[index] = f"it repeats the image of frame {numbers[kept]} at another pose"
        else:
            kept = index
    return problems


def _dark_images(images, left) -> dict[int, str]:
    """Images that show next to nothing where the others show something; what never changes is burnt in."""
    problems = {index: "its image is constant" for index in left if images[index].max() == images[index].min()}
    left = [index for index in left if index not in problems]
    if len(left) < 2:
        return problems
    step = max(1, min(images.shape[1:]) // _SAMPLED_PIXELS)
    sample = np.stack([images[index, ::step, ::step] for index in left])
    highest, lowest = sample.max(0), sample.min(0)
    changing = highest > lowest
    if not changing.any():
        return problems
    base = float(np.quantile(lowest, 0.05))
    top = float(np.quantile(sample[:, changing], 0.99))
    lit = (sample[:, changing] > base + _LIT * (top - base)).mean(1)
    usual = float(lit.max())
    return problems | {
        index: "its image is dark" for index, share in zip(left, lit, strict=True) if share < _DARK_SHARE * usual
    }


def _corners_mm(shape, matrices) -> np.ndarray:
    """(N, 4, 3) corners of the images in mm."""
    height, width = shape
    corners = np.array([[0, 0, 0, 1], [width, 0, 0, 1], [0, height, 0, 1], [width, height, 0, 1]], dtype=np.float64)
    return np.einsum("nij,cj->nci", matrices, corners)[..., :3]


def _distance(corners: np.ndarray, one: int, other: int) -> float:
    """How far the corner that moves most moves between two frames, in mm."""
    return float(np.linalg.norm(corners[one] - corners[other], axis=-1).max())


def _usual_step(corners: np.ndarray, frames: list[int]) -> float:
    """Lower quartile of the distances between successive frames in mm (leaps do not count); 0 for fewer than two."""
    steps = [_distance(corners, one, other) for one, other in pairwise(frames)]
    return float(np.quantile(steps, 0.25)) if steps else 0.0
