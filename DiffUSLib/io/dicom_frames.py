"""Slices of a DICOM series: one for each classic file, or for each frame of an enhanced one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from DiffUSLib.errors import DiffUSError

if TYPE_CHECKING:
    from pydicom import Dataset

# What may tell volumes at the same place apart, the most telling first (PS3.3).
_PHASE_KEYWORDS = (
    "TemporalPositionIdentifier", "TemporalPositionIndex", "NominalPercentageOfCardiacPhase", "TriggerTime",
    "EchoNumbers", "EchoTime", "EffectiveEchoTime", "InversionTime", "FlipAngle", "DiffusionBValue",
    "ConvolutionKernel", "SliceThickness", "KVP", "StackID", "FrameType", "ImageType", "ComplexImageComponent",
    "AcquisitionNumber", "FrameAcquisitionNumber", "AcquisitionTime", "FrameAcquisitionDateTime", "ContentTime",
)  # fmt: skip
_FRAME_MACROS = (
    "FrameContentSequence", "MREchoSequence", "MRDiffusionSequence", "CTImageFrameTypeSequence",
    "MRImageFrameTypeSequence", "CTReconstructionSequence", "MRTimingAndRelatedParametersSequence",
    "CardiacSynchronizationSequence", "PixelMeasuresSequence",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice: where it is (PS3.3 C.7.6.2) and how stored values become intensities (C.11.1).

    Args:
        path, frame: the file, and which frame of it, from 0.
        number: Instance Number.
        shape: (rows, columns, samples per pixel).
        placed: whether the file says where the slice is; without that, the next three are no use.
        position_lps_mm: (3,) middle of the first pixel.
        axes_lps: (2, 3) unit vectors along a row and along a column.
        spacing_mm: between rows and between columns.
        slope, intercept: of the rescaling.
        inverted: whether the lowest value is white in arbitrary units (MONOCHROME1 without a physical scale).
        bits, signed: of the stored values.
        labels: what may tell volumes at the same place apart.
    """

    path: Path
    frame: int
    number: int
    shape: tuple[int, int, int]
    placed: bool
    position_lps_mm: np.ndarray
    axes_lps: np.ndarray
    spacing_mm: tuple[float, float]
    slope: float = 1.0
    intercept: float = 0.0
    inverted: bool = False
    bits: int = 16
    signed: bool = False
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the file, with the number of the frame where it holds several."""
        return self.path.name if self.frame == 0 else f"{self.path.name} frame {self.frame + 1}"

    @property
    def is_localizer(self) -> bool:
        """Whether the scanner calls it one."""
        return any(word in self.labels.get("ImageType", "").upper() for word in ("LOCALIZER", "SCOUT"))

    def intensities(self, stored: np.ndarray) -> np.ndarray:
        """Rescaled values: integers as int32 where the scale is one, else float32."""
        values = stored
        if self.inverted:
            values = (-1 if self.signed else (1 << self.bits) - 1) - stored.astype(np.int64)
        if self.slope == 1.0 and self.intercept.is_integer() and values.dtype.kind in "iu":
            return (values.astype(np.int64) + int(self.intercept)).astype(np.int32)
        return (values.astype(np.float64) * self.slope + self.intercept).astype(np.float32)


def count_slices(header: Dataset) -> int:
    """How many slices a file holds; one where its number is damaged."""
    try:
        return max(1, int(header.get("NumberOfFrames") or 1))
    except (TypeError, ValueError):
        return 1


def slices_of(header: Dataset) -> list[Slice]:
    """The slices of a file.

    Raises:
        DiffUSError: if it is of a kind without places (ultrasound clips, Siemens mosaics, screenshots), or damaged.
    """
    path = Path(header.filename)
    try:
        if "MOSAIC" in str(header.get("ImageType", "")):
            raise DiffUSError(
                f"{path} is a Siemens mosaic: all slices as tiles of one image; convert the series by dcm2niix first."
            )
        if "PerFrameFunctionalGroupsSequence" in header:
            return [_slice(header, path, frame) for frame in range(count_slices(header))]
        if count_slices(header) > 1:
            kind = "an ultrasound clip" if header.get("Modality") == "US" else "several frames without their places"
            raise DiffUSError(f"{path} holds {kind}; that is no volume. Give an MRI or CT series.")
        return [_slice(header, path, 0)]
    except DiffUSError:
        raise
    except (TypeError, ValueError, AttributeError, KeyError, IndexError, OverflowError) as error:
        raise DiffUSError(f"the header of {path} is damaged; export the series again.") from error


def _slice(header: Dataset, path: Path, frame: int) -> Slice:
    groups = [header]
    if "PerFrameFunctionalGroupsSequence" in header:
        shared = header.get("SharedFunctionalGroupsSequence") or [None]
        groups = [header.PerFrameFunctionalGroupsSequence[frame], *([shared[0]] if shared[0] is not None else [])]

    def macro(sequence: str, keyword: str):
        """A value of a functional group, of this frame or shared; a classic header holds the values itself."""
        for group in groups:
            if group is header:
                return header.get(keyword)
            if group.get(sequence):
                return group[sequence][0].get(keyword)
        return None

    position = macro("PlanePositionSequence", "ImagePositionPatient")
    axes = macro("PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = macro("PixelMeasuresSequence", "PixelSpacing")
    slope = macro("PixelValueTransformationSequence", "RescaleSlope")
    intercept = macro("PixelValueTransformationSequence", "RescaleIntercept")
    if header.get("ModalityLUTSequence") or groups[0].get("ModalityLUTSequence"):
        raise DiffUSError(f"{path} keeps its intensities in a table (Modality LUT); export it with plain rescaling.")
    placed = bool(position) and bool(axes) and bool(spacing)
    physical = header.get("Modality") == "CT" or macro("PixelValueTransformationSequence", "RescaleType") == "HU"
    return Slice(
        path,
        frame,
        int(header.get("InstanceNumber") or 0),
        (int(header.Rows), int(header.Columns), int(header.get("SamplesPerPixel", 1))),
        placed,
        np.array([float(value) for value in position]).reshape(3) if placed else np.zeros(3),
        _unit_axes(axes, path) if placed else np.eye(3)[:2],
        (float(spacing[0]), float(spacing[1])) if placed else (1.0, 1.0),
        1.0 if slope is None else float(slope),
        0.0 if intercept is None else float(intercept),
        header.get("PhotometricInterpretation") == "MONOCHROME1" and not physical,
        int(header.get("BitsStored", 16)),
        bool(header.get("PixelRepresentation", 0)),
        _labels(header, groups),
    )


def _unit_axes(values, path: Path) -> np.ndarray:
    axes = np.array([float(value) for value in values]).reshape(2, 3)
    lengths = np.linalg.norm(axes, axis=1)
    if not np.isfinite(axes).all() or (np.abs(lengths - 1) > 0.01).any() or abs(axes[0] @ axes[1]) > 0.01:
        raise DiffUSError(f"{path} has rows and columns that are not at right angles; export the series again.")
    return axes / lengths[:, None]


def _labels(header: Dataset, groups: list[Dataset]) -> dict[str, str]:
    sources = [header]
    for group in groups if groups[0] is not header else []:
        sources += [group[name][0] for name in _FRAME_MACROS if group.get(name)]
    found = {
        word: "\\".join(map(str, value)) if _is_list(value := source.get(word)) else str(value)
        for source in sources
        for word in _PHASE_KEYWORDS
        if source.get(word) not in (None, "")
    }
    return {word: found[word] for word in _PHASE_KEYWORDS if word in found}


def _is_list(value) -> bool:
    return not isinstance(value, str) and hasattr(value, "__len__")
