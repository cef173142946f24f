"""Signs of a label map: few values, which neighbors share, and no gradual steps from one to the next."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from DiffUSLib.acoustics.histogram import between
from DiffUSLib.geometry.volume import Volume

ROUNDING = 0.02
"""Stored labels may be off by this: 516 came back as 515.995 from a file with a scale."""

_MOST_LABELS = 2000
_SURELY_LABELS = 16  # so few values are no gray scale
# Of the variants of Testing/what_a_volume_is.py, images with at least 64 gray levels have at most
# 0.46 equal neighbors (CT after strong denoising, 64 levels), label maps at least 0.65 (a whole head at 4 mm).
_EQUAL = (0.47, 0.63)
# Where images have so few gray levels that neighbors are equal, 0.87 to 1.0 of the steps lead to the next level;
# in label maps of more than six labels at most 0.78.
_STEPS_TO_NEXT = (0.9, 0.76)


@dataclass(frozen=True)
class LabelSigns:
    """What speaks for labels.

    Args:
        confidence: 0 to 1.
        distinct: how many values there are (of a sample).
        equal: share of neighbors with equal values, where neither has the commonest, lowest or highest value; 1 where
            it was not needed.
        to_next: share of the steps between unequal neighbors that lead to the next value that exists.
        whole: whether the values are whole numbers but for rounding.
    """

    confidence: float
    distinct: int
    equal: float
    to_next: float
    whole: bool


def label_signs(volume: Volume) -> LabelSigns:
    """Look for signs of a label map in a sample of the voxels."""
    voxels = volume.voxels.detach()
    voxels = voxels.movedim(max((2, 1, 0), key=lambda axis: min(voxels.shape[axis], 64)), -1)
    steps = [max(1, n // 64) for n in voxels.shape]
    sample = voxels[:: steps[0], :: steps[1]].to("cpu")  # neighbors along the last axis stay neighbors
    whole = not sample.is_floating_point() or bool(((sample - sample.round()).abs() <= ROUNDING).all())
    if whole:
        sample = sample.round()
    values, ranks, counts = torch.unique(sample, return_inverse=True, return_counts=True)
    distinct = len(values)
    if distinct <= _SURELY_LABELS:
        return LabelSigns(1.0, distinct, 1.0, 0.0, whole)
    ordinary = torch.ones(distinct, dtype=torch.bool)
    # Background, and the ends of a clipped range: there also neighbors in images are equal.
    ordinary[[int(counts.argmax()), 0, distinct - 1]] = False
    left, right = ranks[..., :-1], ranks[..., 1:]
    both = ordinary[left] & ordinary[right]
    unequal = (left != right) & both
    equal = float((left == right)[both].double().mean()) if bool(both.any()) else 0.0
    to_next = float(((left - right).abs() == 1)[unequal].double().mean()) if bool(unequal.any()) else 0.0
    confidence = min(between(equal, *_EQUAL), between(to_next, *_STEPS_TO_NEXT))
    return LabelSigns(0.0 if distinct > _MOST_LABELS else confidence, distinct, equal, to_next, whole)


def looks_like_labels(volume: Volume) -> bool:
    """Whether the voxels are few values that neighbors share."""
    return label_signs(volume).confidence >= 0.5
