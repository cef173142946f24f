"""Rendered frames as DICOM Ultrasound Multi-frame Image, with the pixel size where viewers look for it."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.dicom_files import quiet_pydicom, read_header
from DiffUSLib.io.files import check_folder, existing_file, written_whole
from DiffUSLib.io.images import to_uint8
from DiffUSLib.io.ultrasound_dicom import CENTIMETERS, TISSUE, TWO_DIMENSIONAL

if TYPE_CHECKING:
    from pydicom import Dataset

DICOM_ENDING = ".dcm"
FRAMES_PER_SECOND = 12.5

_ULTRASOUND_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"
# Of a template: who the patient is and which study this belongs to (PS3.3 C.7.1.1, C.7.2.1); the study's UID, too.
_PATIENT = {"PatientName": "DiffUS^Simulated", "PatientID": "DIFFUS", "PatientBirthDate": "", "PatientSex": ""}
_STUDY = {"StudyDate": "", "StudyTime": "", "ReferringPhysicianName": "", "StudyID": "1", "AccessionNumber": ""}


def write_ultrasound_dicom(
    path: str | os.PathLike,
    frames,
    spacing_mm: float | tuple[float, float],
    face_px: tuple[float, float] | None = None,
    frames_per_second: float = FRAMES_PER_SECOND,
    template: str | os.PathLike | None = None,
    description: str = "",
    frequency_mhz: float | None = None,
) -> None:
    """Write frames as one DICOM Ultrasound Multi-frame Image, whole or not at all; marked as derived and simulated.

    The whole image is one two-dimensional tissue region in centimeters (US Region Calibration, PS3.3 C.8.5.5). Poses
    have no place in this kind of file.

    Args:
        path: .dcm file.
        frames: (N, H, W) or (H, W) tensor or array, floats in [0, 1] or uint8.
        spacing_mm: pixel size, or its size along X and Y.
        face_px: (column, row) of the middle of the transducer's face: the region's reference pixel.
        frames_per_second: of the clip.
        template: DICOM file whose patient and study the clip joins; without it both are made up.
        description: of the series.
        frequency_mhz: of the transducer.

    Raises:
        DiffUSError: if the frames or the template do not fit, or the file cannot be written.
    """
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

    check_dicom_output(path, template)
    pixels = to_uint8(frames)
    pixels = pixels[None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.size == 0:
        raise DiffUSError(f"images of shape {tuple(pixels.shape)} are no clip; give (N, H, W).")
    spacing = np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), 2)
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = UID(_ULTRASOUND_MULTI_FRAME)
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.SpecificCharacterSet = "ISO_IR 192"
    now = datetime.datetime.now()
    _set_patient_and_study(image, template, now)
    image.SeriesInstanceUID = generate_uid()
    image.SeriesNumber, image.InstanceNumber = 9001, 1
    image.SeriesDescription = description[:64] or "DiffUS simulated ultrasound"
    image.ContentDate = image.SeriesDate = f"{now:%Y%m%d}"
    image.ContentTime = image.SeriesTime = f"{now:%H%M%S}"
    image.Modality, image.Manufacturer, image.ManufacturerModelName = "US", "DiffUS", "DiffUS (simulated)"
    image.ImageType = ["DERIVED", "SECONDARY"]
    image.DerivationDescription = "Simulated from a volume by DiffUS. Not for clinical use."
    image.PatientOrientation, image.LossyImageCompression, image.BurnedInAnnotation = "", "00", "NO"
    image.Laterality, image.TransducerData = "", "simulated"
    image.NumberOfFrames, image.Rows, image.Columns = pixels.shape
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit = 7
    image.FrameTime = f"{1000 / frames_per_second:.6g}"
    image.FrameIncrementPointer = 0x00181063  # Frame Time
    image.CineRate = image.RecommendedDisplayFrameRate = max(1, round(frames_per_second))
    # Not part of this kind of file, but where GDCM looks (a Standard Extended SOP Class, PS3.2 3.11).
    image.PixelSpacing = [f"{spacing[1]:.10g}", f"{spacing[0]:.10g}"]
    image.SequenceOfUltrasoundRegions = [_region(pixels.shape[1:], spacing, face_px, frequency_mhz)]
    image.PixelData = pixels.tobytes() + b"\0" * (pixels.size % 2)
    with written_whole(path) as temporary, quiet_pydicom():
        try:
            image.save_as(temporary, enforce_file_format=True)
        except ValueError as error:  # a value of the template
            raise DiffUSError(f"{template} names its patient or study in a way that DICOM does not allow.") from error


def check_dicom_output(path: str | os.PathLike, template: str | os.PathLike | None = None) -> None:
    """Check a path to write and a template, before frames are computed.

    Raises:
        DiffUSError: if the file cannot be there, or the template is no DICOM file.
    """
    if Path(path).suffix.lower() != DICOM_ENDING:
        raise DiffUSError(f"{path} must end in {DICOM_ENDING}.")
    check_folder(path)
    header = None if template is None else read_header(existing_file(template))
    if template is not None and (header is None or "PatientID" not in header or "StudyInstanceUID" not in header):
        raise DiffUSError(f"{template} is no DICOM file with a patient; name an image of the patient as template.")


def _set_patient_and_study(image: Dataset, template: str | os.PathLike | None, now: datetime.datetime) -> None:
    from pydicom.uid import generate_uid

    made_up = _PATIENT | _STUDY | {"StudyDate": f"{now:%Y%m%d}", "StudyTime": f"{now:%H%M%S}"}
    source = None if template is None else read_header(Path(template))
    with quiet_pydicom():
        for name, value in made_up.items():
            setattr(image, name, value if source is None else str(source.get(name) or ""))
    image.StudyInstanceUID = str(source.get("StudyInstanceUID") if source is not None else generate_uid())


def _region(
    shape: tuple[int, ...], spacing: np.ndarray, face_px: tuple[float, float] | None, frequency_mhz: float | None
) -> Dataset:
    from pydicom import Dataset

    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = TWO_DIMENSIONAL, TISSUE, 0
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = shape[1] - 1, shape[0] - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = CENTIMETERS
    region.PhysicalDeltaX, region.PhysicalDeltaY = (float(value) / 10 for value in spacing)
    if face_px is not None:
        column, row = (round(value) for value in face_px)
        region.ReferencePixelX0, region.ReferencePixelY0 = column, row
        region.ReferencePixelPhysicalValueX = (column - face_px[0]) * float(spacing[0]) / 10
        region.ReferencePixelPhysicalValueY = (row - face_px[1]) * float(spacing[1]) / 10
    if frequency_mhz is not None:
        region.TransducerFrequency = round(frequency_mhz * 1000)  # kHz
    return region
