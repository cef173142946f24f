"""The choice of how acoustic maps are computed from a volume."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace

from DiffUSLib.acoustics.ct import maps_from_ct
from DiffUSLib.acoustics.labels import maps_from_labels
from DiffUSLib.acoustics.maps import AcousticMaps
from DiffUSLib.acoustics.modality import MODALITIES, ModalityGuess, detect_modality
from DiffUSLib.acoustics.mri import maps_from_mri
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume


def acoustic_maps(volume: Volume, modality: str | ModalityGuess = "auto", **options) -> AcousticMaps:
    """Compute acoustic maps from a volume.

    Args:
        volume: a CT in HU, an MRI of the head, or a label map.
        modality: "auto", "ct", "t1", "t1c", "t2", "flair" or "labels", or what `detect_modality` said of the volume.
        options: passed to `maps_from_ct`, `maps_from_mri` or `maps_from_labels`.

    Raises:
        DiffUSError: if the modality is unknown or is not recognized for certain, the volume is constant, or an option
            does not belong to the modality.
    """
    guess = detect_modality(volume) if modality == "auto" else modality
    modality = guess.modality if isinstance(guess, ModalityGuess) else guess
    if modality not in MODALITIES:
        raise DiffUSError(f"modality '{modality}' is unknown; choose auto, {', '.join(MODALITIES)}.")
    of_mri = functools.partial(maps_from_mri, modality=modality)
    others: dict[str, Callable[..., AcousticMaps]] = {"ct": maps_from_ct, "labels": maps_from_labels}
    mapping = others.get(modality, of_mri)
    unknown = options.keys() - inspect.signature(mapping).parameters.keys()
    if unknown:
        raise DiffUSError(f"{min(unknown)} is no option of modality {modality}.")
    if isinstance(guess, ModalityGuess) and guess.head is not None:
        options["head"] = guess.head
    maps = mapping(volume, **options)
    decision = maps.decision
    assert decision is not None
    if isinstance(guess, ModalityGuess):
        decision = replace(decision, confidence=guess.confidence, reason=guess.reason)
    return replace(maps, notes=decision.sentences() + maps.notes, decision=decision)
