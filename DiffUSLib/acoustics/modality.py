"""Which modality a volume is, from its voxels alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from DiffUSLib.acoustics.anchors import measure
from DiffUSLib.acoustics.head import find_head
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume, check_not_constant

MODALITIES = ("ct", "t1", "t1c", "t2", "labels")
_MOST_LABELS = 1000
_EQUAL_NEIGHBORS = 0.6
_AIR_SHARE = 0.03
_ENHANCING = 1.6  # times white matter
_ENHANCING_SHARE = 0.001


@dataclass(frozen=True)
class ModalityGuess:
    """A modality ("ct", "t1", "t1c", "t2" or "labels") and the reason for it in a sentence."""

    modality: str
    reason: str


def detect_modality(volume: Volume) -> ModalityGuess:
    """Tell whether a volume is a CT, a label map, a T1, contrast T1 or T2 MRI of the head.

    Labels are few whole numbers that neighbors share. CT has air near -1000 HU. In T1 fluid is darker than brain, so
    the intensities of the brain tail off to the dark side, in T2 to the bright side. Contrast shows only where enough
    of the brain enhances; else contrast T1 is told as T1, which differs in the enhancing parts only.

    Raises:
        DiffUSError: if the volume is constant or no head is found in an MRI.
    """
    check_not_constant(volume)
    sample = _sample(volume)
    reason = _why_labels(sample)
    if reason:
        return ModalityGuess("labels", reason)
    values = sample.to("cpu", torch.float32)
    air = float(((values > -1100) & (values < -850)).double().mean())
    if air > _AIR_SHARE or float(values.min()) < -500:
        return ModalityGuess(
            "ct",
            f"values from {float(values.min()):.0f} to {float(values.max()):.0f} look like HU; "
            f"{air:.0%} of the voxels are air.",
        )
    return _guess_contrast(volume)


def looks_like_labels(volume: Volume) -> bool:
    """Whether the voxels are few whole numbers that neighbors share."""
    return bool(_why_labels(_sample(volume)))


def _sample(volume: Volume) -> torch.Tensor:
    voxels = volume.voxels.detach()
    strides = [max(1, n // 128) for n in voxels.shape]
    return voxels[:: strides[0], :: strides[1]]  # neighbors along I stay neighbors


def _why_labels(sample: torch.Tensor) -> str:
    """The reason to take a sample of a volume for labels, or "" if there is none."""
    if sample.is_floating_point() and not bool((sample == sample.round()).all()):
        return ""
    distinct = len(torch.unique(sample))
    left, right = sample[..., :-1], sample[..., 1:]
    both = (left != 0) & (right != 0)
    equal = float((left == right)[both].double().mean()) if bool(both.any()) else 1.0
    if distinct > _MOST_LABELS or equal <= _EQUAL_NEIGHBORS:
        return ""
    return f"{distinct} whole numbers, and {equal:.0%} of the neighboring voxels share theirs."


def _guess_contrast(volume: Volume) -> ModalityGuess:
    head = find_head(volume)
    brain = head.intensities[head.brain]
    brain = brain[brain > 0.02 * np.percentile(brain, 95)]
    if len(brain) < 100:
        raise DiffUSError(f"no brain stands out in {volume.name or 'the volume'}; choose the modality yourself.")
    low, middle, high = np.percentile(brain, [4, 50, 98])
    tail = (high - middle) / max(middle - low, 1e-12)
    if tail > 2.0:
        return ModalityGuess(
            "t2",
            f"the brightest brain voxels, as fluid in T2, lie {tail:.1f} times as far from the middle as the darkest.",
        )
    reason = (
        f"the darkest brain voxels, as fluid in T1, lie {1 / max(tail, 1e-12):.1f} times as far from the middle as "
        "the brightest"
    )
    try:
        anchors, bias = measure(volume, "t1", head)
    except DiffUSError:
        return ModalityGuess("t1", f"{reason}.")
    enhancing = head.brain & (head.intensities / bias > _ENHANCING * anchors[-1].intensity)
    share = float(enhancing.sum() / head.brain.sum())
    if share > _ENHANCING_SHARE:
        return ModalityGuess("t1c", f"{reason}, and {share:.1%} of the brain is far brighter than white matter.")
    return ModalityGuess("t1", f"{reason}; contrast agent, if there is any, does not show.")
