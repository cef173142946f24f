"""Which modality a volume is, from its voxels alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from DiffUSLib.acoustics.anchors import measure
from DiffUSLib.acoustics.contrast import tell_contrast
from DiffUSLib.acoustics.head import Head, find_head
from DiffUSLib.acoustics.histogram import sample_voxels, share_of
from DiffUSLib.acoustics.hounsfield import (
    hounsfield_signs,
    is_unshifted,
    likely_rescaling,
    looks_like_brain_ct,
    unscaled_ct,
)
from DiffUSLib.acoustics.label_signs import label_signs
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume, check_not_constant

MODALITIES = ("ct", "t1", "t1c", "t2", "flair", "labels")
LEAST_CONFIDENCE = 0.5
_CLIPPED = 0.012  # of the voxels: MRI is clipped at the 99 % quantile or above
_ENHANCING = 1.6  # times white matter
_ENHANCING_SHARE = 0.001


@dataclass(frozen=True)
class ModalityGuess:
    """What a volume was taken for.

    Args:
        modality: one of `MODALITIES`.
        reason: what was seen in the voxels, as the end of a sentence.
        confidence: 0.5 (barely) to 1.
        head: of an MRI, what was found on the way, so that it need not be looked for again.
    """

    modality: str
    reason: str
    confidence: float = 1.0
    head: Head | None = field(default=None, repr=False, compare=False)


def detect_modality(volume: Volume) -> ModalityGuess:
    """Tell whether a volume is a label map, a CT in HU, or which MRI of the head.

    Labels are few whole numbers that neighbors share. In a CT, air, fat, soft tissue and bone lie where HU put them,
    with little between air and fat. An MRI is recognized by shape, whatever the offset and scale of its intensities,
    see `tell_contrast`; contrast agent shows only where enough of the brain enhances, else contrast T1 is told as T1.

    Raises:
        DiffUSError: if the volume is constant, or is none of these for certain; the message names the choices.
    """
    check_not_constant(volume)
    name = volume.name or "the volume"
    labels = label_signs(volume)
    if labels.confidence >= LEAST_CONFIDENCE:
        shared = f", and {labels.equal:.0%} of the neighboring voxels share theirs" if labels.equal < 1 else ""
        if not labels.whole:
            raise DiffUSError(
                f"{name} looks like a label map ({labels.distinct} values{shared}), but these are no whole numbers; "
                "save it again as whole numbers, without interpolation."
            )
        return ModalityGuess("labels", f"{labels.distinct} whole numbers{shared}", labels.confidence)
    array = sample_voxels(volume)
    hounsfield = hounsfield_signs(array)
    if hounsfield.confidence >= LEAST_CONFIDENCE:
        return ModalityGuess("ct", hounsfield.reason, hounsfield.confidence)
    _refuse_window(array, name)
    found = unscaled_ct(array)
    if found and is_unshifted(*found):
        return ModalityGuess("ct", f"air at {found[0]:.0f} and soft tissue at {found[1]:.0f}, as in HU", 0.7)
    if found:
        slope, intercept = likely_rescaling(*found)
        raise DiffUSError(
            f"{name} looks like a CT whose values are not HU (air at {found[0]:.4g}, soft tissue at {found[1]:.4g}); "
            f"HU would likely be {slope:g} x value {intercept:+g}: choose modality ct with the rescaling "
            f"{slope:g},{intercept:g}, or export it in HU; if it is an MRI, choose t1, t1c, t2 or flair."
        )
    if looks_like_brain_ct(array):
        raise DiffUSError(
            f"{name} may be a CT of a brain without its skull (its values lie where HU put brain) or an MRI; choose "
            "the modality (ct, t1, t1c, t2 or flair)."
        )
    _refuse_probabilities(array, name)
    return _guess_contrast(volume)


def _refuse_probabilities(array: np.ndarray, name: str) -> None:
    """A probability map is mostly 0, else mostly near its highest value, and little lies between."""
    low, high = float(array.min()), float(array.max())
    inner = (array[array > low] - low) / (high - low)
    middle = share_of((inner > 0.2) & (inner < 0.8))
    is_share = low == 0.0 and (0.9 <= high <= 1.0 or high in (100.0, 255.0))
    if is_share and share_of(inner > 0.9) > 0.15 and middle < 0.45:
        raise DiffUSError(
            f"{name} looks like a probability map or a blurred mask; choose the image that it was made from."
        )


def _refuse_window(array: np.ndarray, name: str) -> None:
    """Many voxels at the lowest and at the highest value: bone, and an MRI does not clip so much of the head."""
    values = array.ravel()
    low, high = share_of(values == values.min()), share_of(values == values.max())
    if low > 0.05 and high > _CLIPPED:
        raise DiffUSError(
            f"{high:.1%} of the voxels of {name} have its highest value, as bone in a CT that was windowed: its HU "
            "are lost, so give the original CT; if it is an MRI, choose its modality (t1, t1c, t2 or flair)."
        )


def _guess_contrast(volume: Volume) -> ModalityGuess:
    """T1, contrast T1, T2 or FLAIR.

    Raises:
        DiffUSError: if it is none of them for certain.
    """
    head = find_head(volume)
    contrast = tell_contrast(head)
    if not contrast.modality:
        raise DiffUSError(
            f"{volume.name or 'the volume'} is not recognized for certain: {contrast.reason}; if you know it, choose "
            f"the modality ({', '.join(MODALITIES)}). PET and angiography cannot be used."
        )
    if contrast.modality != "t1":
        return ModalityGuess(contrast.modality, contrast.reason, contrast.confidence, head)
    try:
        anchors, bias = measure(volume, "t1", head)
    except DiffUSError:
        return ModalityGuess("t1", contrast.reason, contrast.confidence, head)
    white = anchors[-1].intensity - head.zero
    enhancing = head.brain & (head.intensities / bias > _ENHANCING * white)
    share = float(enhancing.sum() / head.brain.sum())
    if share > _ENHANCING_SHARE:
        reason = f"{contrast.reason}; {share:.1%} of it is far brighter than white matter"
        return ModalityGuess("t1c", reason, contrast.confidence, head)
    return ModalityGuess("t1", f"{contrast.reason}; contrast agent, if any, does not show", contrast.confidence, head)
