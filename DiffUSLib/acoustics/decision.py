"""What was decided about a volume on the way to its acoustic maps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from DiffUSLib.acoustics.anchors import Anchor

_NAMES = {
    "ct": "CT",
    "t1": "T1",
    "t1c": "contrast T1 (t1c)",
    "t2": "T2",
    "flair": "FLAIR",
    "labels": "label map",
}


@dataclass(frozen=True)
class VolumeDecision:
    """What was decided about a volume, for people and for a report.

    Args:
        modality: one of `MODALITIES`.
        confidence: 0.5 to 1 where the modality was recognized; None where it was given.
        reason: what was seen in the voxels, as the end of a sentence; "" where the modality was given.
        skull: of an MRI: "present" or "stripped"; else "".
        anchors: of an MRI: the intensities that stand for tissues, in the units of the volume.
        anchors_given: whether they were given, not measured.
        label_set: of a label map: the set or the file that names its labels; else "".
        rescaling: of a CT: slope and intercept that made HU of the stored values; (1, 0) if they were HU.
        clamped_voxels: of a CT: how many voxels lay beyond what HU can be.
        lumen: of a CT or a label map: "fluid" where air inside the body was declared fluid, else "air"; "" of an MRI.
    """

    modality: str
    confidence: float | None = None
    reason: str = ""
    skull: str = ""
    anchors: tuple[Anchor, ...] = field(default=())
    anchors_given: bool = False
    label_set: str = ""
    rescaling: tuple[float, float] = (1.0, 0.0)
    clamped_voxels: int = 0
    lumen: str = ""

    def sentences(self) -> tuple[str, ...]:
        """One or two sentences that say what the volume was taken for, and how it is read."""
        name = _NAMES[self.modality]
        if self.confidence is None:
            first = f"The volume is read as {name}, as asked."
        else:
            first = f"The volume is taken for {name} (confidence {self.confidence:.0%}): {self.reason}."
        details = []
        if self.anchors:
            listed = ", ".join(f"{anchor.tissue} {anchor.intensity:.4g}" for anchor in self.anchors)
            details.append(f"{'given' if self.anchors_given else 'measured'} anchors {listed}")
        if self.skull:
            details.append(f"skull {self.skull}")
        if self.label_set:
            details.append(f"label set {self.label_set}")
        if self.rescaling != (1.0, 0.0):
            details.append(f"HU = {self.rescaling[0]:g} x value {self.rescaling[1]:+g}")
        if self.clamped_voxels:
            details.append(f"{self.clamped_voxels} voxels clamped to what HU can be")
        if self.lumen == "fluid":
            details.append("air inside the body taken for fluid")
        second = "; ".join(details)
        return (first, f"{second[0].upper()}{second[1:]}.") if second else (first,)

    def report(self) -> dict:
        """The same as names and plain values that JSON can hold."""
        return {
            "modality": self.modality,
            "modality_given": self.confidence is None,
            "confidence": self.confidence,
            "reason": self.reason,
            "skull": self.skull or None,
            "anchors": [
                {
                    "tissue": anchor.tissue,
                    "intensity": anchor.intensity,
                    "spread": anchor.spread,
                    "impedance_mrayl": anchor.impedance,
                }
                for anchor in self.anchors
            ],
            "anchors_given": self.anchors_given,
            "label_set": self.label_set or None,
            "rescaling": {"slope": self.rescaling[0], "intercept": self.rescaling[1]},
            "clamped_voxels": self.clamped_voxels,
            "lumen": self.lumen or None,
        }
