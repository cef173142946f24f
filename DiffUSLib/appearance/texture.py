"""Statistics of a frame's texture, which need no anatomy: gray, its spread, grain, and how they run over the fan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.probes.probe import Probe
from DiffUSLib.ultrasound.observation import UltrasoundSlices, observe

LINES, STEP_MM = 192, 0.25
DEPTHS = 3
_LEVELS, _PROFILE = 64, 10
_PATCH_MM = 6.0
_SEEN = 0.04  # gray below which a patch shows nothing
_LEAST_PATCHES = 5


@dataclass(frozen=True)
class Texture:
    """Of one frame.

    Args:
        histogram: (64,) share of the fan that is at most as bright as k / 63.
        depth_profile, line_profile: (10,) mean gray from the face to the full depth, and from the first to the last
            line.
        axial_mm, lateral_mm: (3,) width of the grain (where the autocorrelation within a patch falls to one half, both
            sides) at three depths, in mm; NaN where nothing is seen.
        grain: standard deviation of gray within even patches.
        contrast: standard deviation of the means of patches over that within them.
    """

    histogram: np.ndarray
    depth_profile: np.ndarray
    line_profile: np.ndarray
    axial_mm: np.ndarray
    lateral_mm: np.ndarray
    grain: float
    contrast: float


def frame_textures(slices: UltrasoundSlices) -> list[Texture]:
    """The texture of each frame; gray from 0 to 255.

    Raises:
        DiffUSError: if a frame shows nothing.
    """
    samples = round(slices.probe.depth_mm / STEP_MM)
    observation = observe(slices, LINES, samples, 0.0)
    gray = observation.values.numpy() * (float(slices.images.max()) / 255)
    return [texture_of(g, w > 0, observation.probe) for g, w in zip(gray, observation.weights.numpy(), strict=True)]


def texture_of(gray: np.ndarray, seen: np.ndarray, probe: Probe) -> Texture:
    """The texture of gray (L, N) in [0, 1] along the scan lines of a probe with L lines, where `seen` (L, N).

    Raises:
        DiffUSError: if too little is seen.
    """
    lines, samples = gray.shape
    step_mm = probe.depth_mm / samples
    depth_mm = (np.arange(samples) + 0.5) * step_mm
    spacing_mm = replace(probe, lines=lines).line_spacing_mm(torch.from_numpy(depth_mm)).numpy()
    area = np.broadcast_to(spacing_mm, gray.shape) * seen
    if area.sum() == 0:
        raise DiffUSError("the frame shows nothing inside its fan; leave it out.")
    counts, _ = np.histogram(gray, bins=_LEVELS, range=(0, 1), weights=area)
    patches = _patches(gray, seen, step_mm, spacing_mm)
    if len(patches) < _LEAST_PATCHES:
        raise DiffUSError("too little of the frame shows tissue to measure its texture; choose another frame.")
    means = np.array([patch.mean for patch in patches])
    spreads = np.array([patch.spread for patch in patches])
    even = spreads <= np.quantile(spreads / np.sqrt(means), 0.4) * np.sqrt(means)
    grain = float(np.median(spreads[even]))
    widths = np.full((2, DEPTHS), np.nan)
    for part in range(DEPTHS):
        here = [patch for patch, ok in zip(patches, even, strict=True) if ok and _third(patch, samples) == part]
        if here:
            widths[:, part] = np.median([(patch.axial_mm, patch.lateral_mm) for patch in here], axis=0)
    return Texture(
        np.cumsum(counts) / counts.sum(),
        _profile(gray, area, axis=1),
        _profile(gray, area, axis=0),
        widths[0],
        widths[1],
        grain,
        float(means.std() / max(grain, 1e-6)),
    )


@dataclass(frozen=True)
class _Patch:
    sample: int
    mean: float
    spread: float
    axial_mm: float
    lateral_mm: float


def _third(patch: _Patch, samples: int) -> int:
    return min(DEPTHS - 1, patch.sample * DEPTHS // samples)


def _patches(gray: np.ndarray, seen: np.ndarray, step_mm: float, spacing_mm: np.ndarray) -> list[_Patch]:
    """Patches of about 6 mm that show something."""
    lines, samples = gray.shape
    deep = max(8, round(_PATCH_MM / step_mm))
    found = []
    for first in range(0, samples - deep + 1, deep):
        pitch = float(spacing_mm[first + deep // 2])
        wide = int(np.clip(round(_PATCH_MM / pitch), 6, lines))
        for left in range(0, lines - wide + 1, wide):
            part = (slice(left, left + wide), slice(first, first + deep))
            values = gray[part]
            if not seen[part].all() or values.mean() < _SEEN:
                continue
            flat = values - _plane(values)
            widths = (_half_width(flat, 1) * step_mm, _half_width(flat, 0) * pitch)
            found.append(_Patch(first + deep // 2, float(values.mean()), float(flat.std()), *widths))
    return found


def _plane(values: np.ndarray) -> np.ndarray:
    """The slow part of a patch: linear along both axes."""
    rows, columns = (np.linspace(-1, 1, n) for n in values.shape)
    basis = np.stack([np.ones_like(values), rows[:, None] + 0 * values, columns[None] + 0 * values], axis=-1).reshape(
        -1, 3
    )
    fit, *_ = np.linalg.lstsq(basis, values.ravel(), rcond=None)
    return (basis @ fit).reshape(values.shape)


def _half_width(values: np.ndarray, axis: int) -> float:
    """Full width in samples at which the autocorrelation along an axis falls to one half."""
    moved = np.moveaxis(values, axis, -1)
    size = moved.shape[-1]
    spectrum = np.abs(np.fft.rfft(moved, 2 * size, axis=-1)) ** 2
    lags = np.fft.irfft(spectrum.sum(axis=0))[:size] / (size - np.arange(size))
    if lags[0] <= 0:
        return 0.0
    falling = lags / lags[0]
    below = int(np.argmax(falling < 0.5)) or size - 1
    above = falling[below - 1]
    return 2 * (below - 1 + (above - 0.5) / max(above - falling[below], 1e-6))


def _profile(gray: np.ndarray, area: np.ndarray, axis: int) -> np.ndarray:
    """(10,) mean gray in ten equal parts along an axis."""
    other = 1 - axis
    total, shown = area.sum(axis=other), (gray * area).sum(axis=other)
    parts = zip(np.array_split(shown, _PROFILE), np.array_split(total, _PROFILE), strict=True)
    return np.array([part.sum() / max(weight.sum(), 1e-9) for part, weight in parts])


def texture_distances(first: Texture, second: Texture) -> dict[str, float]:
    """How far two textures are apart, by property; each is 0 for equal ones, in a unit of its own."""
    return {
        "histogram": float(np.abs(first.histogram - second.histogram).mean()),
        "gray over depth": float(np.abs(first.depth_profile - second.depth_profile).mean()),
        "gray over lines": float(np.abs(first.line_profile - second.line_profile).mean()),
        "axial grain": _log_ratio(first.axial_mm, second.axial_mm),
        "lateral grain": _log_ratio(first.lateral_mm, second.lateral_mm),
        "contrast": abs(float(np.log(first.contrast / second.contrast))),
    }


def _log_ratio(first: np.ndarray, second: np.ndarray) -> float:
    known = np.isfinite(first) & np.isfinite(second) & (first > 0) & (second > 0)
    return float(np.abs(np.log(first[known] / second[known])).mean()) if known.any() else float("nan")
