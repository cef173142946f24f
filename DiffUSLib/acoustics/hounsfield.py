"""Signs of CT: where Hounsfield units put air, fat, soft tissue and bone, and what the histogram is shaped like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from DiffUSLib.acoustics.histogram import between, find_background, share_of, shorth, spikes

_AIR = (-1060.0, -940.0)
_SOFT = (-150.0, 150.0)  # fat to muscle and fresh blood, with the noise of the scanner
_CORE = (-60.0, 160.0)  # where the mode of soft tissue is sought
_BONE = 200.0
_LOWEST_CLIP, _HIGHEST_CLIP = -940.0, -30.0  # lower ends of windows about soft tissue
_LEAST_SPIKE = 0.003

# (no, yes) of `between`; chosen on the variants of Testing/what_a_volume_is.py.
_AIR_SHARE = (0.002, 0.01)
_SOFT_SHARE = (0.35, 0.5)
_VALLEY = (0.33, 0.2)  # between air and fat: partial volume and lung, at most 0.06; tissues of an MRI, at least 0.38
_BONE_SHARE = (0.002, 0.01)


@dataclass(frozen=True)
class HounsfieldSigns:
    """What speaks for a CT in HU.

    Args:
        confidence: 0 to 1.
        reason: what was seen, as the end of a sentence.
        doubt: why it may be a CT although it cannot be read as one, and what to do, as the end of a sentence; else "".
    """

    confidence: float
    reason: str = ""
    doubt: str = ""


def hounsfield_signs(array: np.ndarray) -> HounsfieldSigns:
    """Look for signs of a CT in voxels (K, J, I): at the places of HU first, then anywhere else."""
    values = array.ravel()
    lowest, highest = float(values.min()), float(values.max())
    ends = [value for value in spikes(array, _LEAST_SPIKE) if value in (lowest, highest)]
    low_end, high_end = lowest in ends, highest in ends
    seen = values[~np.isin(values, ends)] if ends else values
    if not seen.size:
        return HounsfieldSigns(0.0)
    dense = seen[seen > -250]
    soft = share_of((dense > _SOFT[0]) & (dense < _SOFT[1]))
    core = dense[(dense > _CORE[0]) & (dense < _CORE[1])]
    center, width = shorth(core, 0.3)
    valley = share_of((seen > -700) & (seen < -250)) / max(share_of(seen > -700), 1e-9)
    air = share_of((values > _AIR[0]) & (values < _AIR[1]))
    bone = (share_of(dense > _BONE) * dense.size + high_end * (values == highest).sum()) / max(dense.size, 1)
    top = float(np.percentile(seen, 99.9)) if not high_end else highest
    tissue = min(between(soft, *_SOFT_SHARE), between(valley, *_VALLEY))
    reason = f"values from {lowest:.0f} to {highest:.0f} with soft tissue about {center:.0f}"
    natural_air = share_of((seen > _AIR[0]) & (seen < _AIR[1]))
    with_air = min(tissue, between(natural_air, *_AIR_SHARE))
    if with_air >= 0.5:  # noise melts fat and soft tissue into one mode below zero
        return HounsfieldSigns(with_air, f"{reason}, and {air:.0%} of the voxels are air, as in HU")
    tissue = min(tissue, float(10 <= center <= 85))
    fat = share_of((seen > -150) & (seen < -40))
    has_bone = min(between(bone, *_BONE_SHARE), between(top, 250, 350))
    if low_end and lowest <= _LOWEST_CLIP:
        more = max(has_bone, between(fat, 0.01, 0.03))
        return HounsfieldSigns(min(tissue, more), f"{reason}, as in HU, around it {lowest:.0f} was filled in")
    if low_end and _LOWEST_CLIP < lowest <= _HIGHEST_CLIP and lowest % 5 == 0:
        more = max(float(high_end and highest % 5 == 0 and highest >= 150), between(top, 500, 700))
        return HounsfieldSigns(
            min(tissue, more, between(width, 80, 60)),
            f"{reason}, as in HU, clipped to {lowest:.0f} to {highest:.0f}",
        )
    if not low_end and share_of(seen < -40) > 0.02:
        narrow = between(width, 80, 60)
        return HounsfieldSigns(
            0.8 * min(tissue, has_bone, narrow, between(top, 300, 400)), f"{reason} and bone, as in HU"
        )
    return HounsfieldSigns(0.0)


def unscaled_ct(array: np.ndarray) -> tuple[float, float] | None:
    """Air and soft tissue in the units of the volume if its histogram has the shape of a CT at any scale, else None.

    In a CT nearly all of the body lies within a tenth of the way from air to soft tissue, little lies between them,
    and bone reaches to twice the way. In an MRI the tissues spread from the background to the brightest.
    """
    background = find_background(array)
    if background.value is not None and background.zero != background.value:
        return None
    signal = (array - background.zero).ravel()
    bright = signal[signal > 0.25 * np.percentile(signal, 99.5)]
    body = bright[bright > 0.5 * np.median(bright)] if bright.size else bright
    if body.size < 50:
        return None
    middle, _ = shorth(body, 0.3)
    relative = signal / middle
    core = relative[(relative > 0.8) & (relative < 1.2)]
    seen = relative[relative > 0.08]
    signs = (
        between(core.size / max(seen.size, 1), 0.62, 0.7),
        between(share_of((seen > 0.12) & (seen < 0.75)), 0.2, 0.12),
        between(shorth(core, 0.5)[1], 0.16, 0.13),
        between(share_of(relative[relative > 0.8] > 1.25), 0.01, 0.03),
        between(float(np.percentile(relative, 99.9)), 1.5, 1.8),
    )
    if min(signs) < 0.5:
        return None
    near_zero = signal[(relative < 0.08) & (array.ravel() != background.value)]
    air = shorth(near_zero, 0.3)[0] if near_zero.size > 0.002 * signal.size else 0.0  # not the padding
    below, above = share_of((seen > 0.83) & (seen < 0.92)), share_of((seen > 1.09) & (seen < 1.22))
    # Most of a body may be fat, 0.87 of the way from air to soft tissue.
    tissue = seen[(seen > 1.09) & (seen < 1.22)] if above > max(0.1, below) else core[core > 0.97]
    soft = shorth(tissue, 0.4)[0] if tissue.size > 0.2 * core.size else 1.0
    return background.zero + air, background.zero + soft * middle


def is_unshifted(air: float, soft: float) -> bool:
    """Whether air and soft tissue, as `unscaled_ct` found them, lie where HU put them."""
    return _AIR[0] < air < _AIR[1] and _CORE[0] < soft < 100.0


def looks_like_brain_ct(array: np.ndarray) -> bool:
    """Whether it is all in the HU of a brain with negative values in it, in a background that was set."""
    background = find_background(array)
    if background.value not in (0.0, -1000.0, -1024.0):
        return False
    anatomy = array[array != background.value]
    low, middle, high = np.percentile(anatomy, [1, 50, 99])
    return low > -80 and 15 < middle < 60 and high < 150 and high - low > 15 and share_of(anatomy < 0) > 0.001


def likely_rescaling(air: float, soft: float) -> tuple[float, float]:
    """Slope and intercept that bring air to -1000 and soft tissue to 40 HU; plain shifts where these explain it."""
    if 960 < soft - air < 1100:
        # By the air, where it is no lowest value that was clipped; else by soft tissue, 30 to 60 HU.
        is_shifted_by_1024 = air > 12 if abs(air) > 2 else soft > 1057
        return 1.0, -1024.0 if is_shifted_by_1024 else -1000.0
    slope = 1040.0 / (soft - air)
    return float(f"{slope:.3g}"), float(round(-1000.0 - slope * air))
