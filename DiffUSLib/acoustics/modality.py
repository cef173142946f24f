"""Which modality a volume is, from its voxels alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from DiffUSLib.acoustics.anchors import measure
from DiffUSLib.acoustics.head import find_head
from DiffUSLib.acoustics.histogram import sample_voxels, share_of
from DiffUSLib.acoustics.hounsfield import hounsfield_signs, likely_rescaling, unscaled_ct
from DiffUSLib.acoustics.label_signs import label_signs
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume, check_not_constant

MODALITIES = ("ct", "t1", "t1c", "t2", "labels")
LEAST_CONFIDENCE = 0.5
_ENHANCING = 1.6  # times white matter
_ENHANCING_SHARE = 0.001


@dataclass(frozen=True)
class ModalityGuess:
    """What a volume was taken for.

    Args:
        modality: one of `MODALITIES`.
        reason: what was seen in the voxels, as the end of a sentence.
        confidence: 0.5 (barely) to 1.
    """

    modality: str
    reason: str
    confidence: float = 1.0


def detect_modality(volume: Volume) -> ModalityGuess:
    """Tell whether a volume is a label map, a CT in HU, or which MRI of the head.

    Labels are few whole numbers that neighbors share. In a CT, air, fat, soft tissue and bone lie where HU put them,
    with little between air and fat. An MRI is recognized by shape, whatever the offset and scale of its intensities:
    in T1 fluid is darker than brain, so the intensities of the brain tail off to the dark side, in T2 to the bright
    side. Contrast shows only where enough of the brain enhances; else contrast T1 is told as T1.

    Raises:
        DiffUSError: if the volume is constant, or is none of these for certain; the message names the choices.
    """
    check_not_constant(volume)
    name = volume.name or "the volume"
    labels = label_signs(volume)
    if labels.confidence >= LEAST_CONFIDENCE:
        if not labels.whole:
            raise DiffUSError(
                f"{name} looks like a label map ({labels.distinct} values, which {labels.equal:.0%} of the neighbors "
                "share), but its values are no whole numbers; save it again as whole numbers, without interpolation."
            )
        equal = f", and {labels.equal:.0%} of the neighboring voxels share theirs" if labels.distinct > 6 else ""
        return ModalityGuess("labels", f"{labels.distinct} whole numbers{equal}", labels.confidence)
    array = sample_voxels(volume)
    hounsfield = hounsfield_signs(array)
    if hounsfield.confidence >= LEAST_CONFIDENCE:
        return ModalityGuess("ct", hounsfield.reason, hounsfield.confidence)
    found = unscaled_ct(array)
    if found:
        slope, intercept = likely_rescaling(*found)
        raise DiffUSError(
            f"{name} looks like a CT whose values are not HU (air at {found[0]:.4g}, soft tissue at {found[1]:.4g}); "
            f"HU would likely be {slope:g} x value {intercept:+g}: choose modality ct with the rescaling "
            f"{slope:g},{intercept:g}, or export it in HU."
        )
    _refuse_probabilities(array, name)
    return _guess_contrast(volume)


def _refuse_probabilities(array: np.ndarray, name: str) -> None:
    """A probability map is mostly 0, else mostly near its highest value, and little lies between."""
    low, high = float(array.min()), float(array.max())
    inner = (array[array > low] - low) / (high - low)
    middle = share_of((inner > 0.2) & (inner < 0.8))
    if low == 0.0 and high in (1.0, 100.0, 255.0) and share_of(inner > 0.9) > 0.15 and middle < 0.45:
        raise DiffUSError(
            f"{name} looks like a probability map or a blurred mask; choose the image that it was made from."
        )


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
            f"the brightest brain voxels, as fluid in T2, lie {tail:.1f} times as far from the middle as the darkest",
        )
    reason = (
        f"the darkest brain voxels, as fluid in T1, lie {1 / max(tail, 1e-12):.1f} times as far from the middle as "
        "the brightest"
    )
    try:
        anchors, bias = measure(volume, "t1", head)
    except DiffUSError:
        return ModalityGuess("t1", reason)
    white = anchors[-1].intensity - head.zero
    enhancing = head.brain & (head.intensities / bias > _ENHANCING * white)
    share = float(enhancing.sum() / head.brain.sum())
    if share > _ENHANCING_SHARE:
        return ModalityGuess("t1c", f"{reason}, and {share:.1%} of the brain is far brighter than white matter")
    return ModalityGuess("t1", f"{reason}; contrast agent, if there is any, does not show")
