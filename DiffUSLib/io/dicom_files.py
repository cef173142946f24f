"""DICOM files on disk: which they are, which series they belong to, and their pixels."""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.dicom_frames import count_slices
from DiffUSLib.io.files import quiet_itk

if TYPE_CHECKING:
    from pydicom import Dataset

# PS3.6 annex A: kinds that have rows and columns and yet are no image of a patient.
_NO_IMAGES = {
    "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "label map segmentation",
    "1.2.840.10008.5.1.4.1.1.481.2": "radiotherapy dose",
    "1.2.840.10008.5.1.4.1.1.30": "parametric map",
}


@contextlib.contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom from warning of values that its standard does not allow and that files have all the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_dicom_file(path: Path) -> bool:
    """Whether a file starts as DICOM does: PS3.10's preamble, or bare elements as old archives keep them."""
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        return False
    return start[128:] == b"DICM" or (start[:2] in (b"\x08\x00", b"\x02\x00", b"\x10\x00") and start[3:4] == b"\x00")


def read_header(path: Path) -> Dataset | None:
    """The header of a DICOM file without its pixels; None if it is none."""
    import pydicom

    if not is_dicom_file(path):
        return None
    with quiet_pydicom():
        try:
            return pydicom.dcmread(path, stop_before_pixels=True, force=True)
        except (OSError, EOFError, ValueError, NotImplementedError, AttributeError, KeyError):
            return None


def other_kind(header: Dataset) -> str | None:
    """What a DICOM object with rows and columns is, if it is no image of a patient."""
    return _NO_IMAGES.get(str(header.get("SOPClassUID", "")))


def read_headers(folder: Path) -> tuple[list[Dataset], set[str]]:
    """Headers of the images in a folder, or also in its folders where itself holds no two; and what else was there."""
    headers: list[Dataset] = []
    others: set[str] = set()
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            header = read_header(Path(place) / name)
            if header is None:
                continue
            kind = other_kind(header)
            if kind is not None:
                others.add(kind)
            elif "Rows" in header:
                headers.append(header)
        if Path(place) == folder and sum(map(count_slices, headers)) > 1:
            break
    return headers, others


class StoredPixels:
    """Decodes the stored values of images; keeps the last file, because an enhanced one holds many frames."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._frames = np.empty(0)

    def __call__(self, path: Path, frame: int) -> np.ndarray:
        """(rows, columns) or (rows, columns, channels) stored values of a frame, from 0.

        Raises:
            DiffUSError: if the pixels are damaged or compressed in a way that nothing here decodes.
        """
        if path != self._path:
            self._frames, self._path = decode(path), path
        return self._frames[frame]


def decode(path: Path) -> np.ndarray:
    """(frames, rows, columns) or (frames, rows, columns, channels) stored values of a DICOM file, without rescaling.

    pydicom decodes what is not compressed, RLE, and with Pillow JPEG; GDCM, in SimpleITK, the other kinds of JPEG.

    Raises:
        DiffUSError: if neither can.
    """
    import pydicom

    with quiet_pydicom():
        try:
            header = pydicom.dcmread(path, force=True)
            syntax = header.file_meta.get("TransferSyntaxUID", pydicom.uid.ImplicitVRLittleEndian)
            header.file_meta.TransferSyntaxUID = syntax
            if pydicom.pixels.get_decoder(syntax).is_available:
                pixels = header.pixel_array
            else:
                pixels = _decode_with_gdcm(header)
        except (RuntimeError, OSError, EOFError, ValueError, NotImplementedError, AttributeError, KeyError) as error:
            raise DiffUSError(
                f"the pixels of {path} cannot be decoded: cut off, damaged, or compressed in a way that is not read; "
                "export it again, uncompressed."
            ) from error
    single = int(header.get("NumberOfFrames", 1) or 1) == 1
    return pixels[None] if single else pixels


def _decode_with_gdcm(header: Dataset) -> np.ndarray:
    """Stored values by ITK's reader, which would rescale and invert them: so it gets a copy that does not say to."""
    import pydicom

    bare = pydicom.Dataset()
    for name in (
        "SOPInstanceUID", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns",
        "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration", "PixelData",
    ):  # fmt: skip
        if name in header:
            bare[name] = header[name]
    bare.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"  # secondary capture
    if bare.PhotometricInterpretation == "MONOCHROME1":
        bare.PhotometricInterpretation = "MONOCHROME2"
    bare.file_meta = pydicom.dataset.FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = header.file_meta.TransferSyntaxUID
    bare.file_meta.MediaStorageSOPClassUID = bare.SOPClassUID
    bare.file_meta.MediaStorageSOPInstanceUID = bare.SOPInstanceUID
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bare.dcm"
        bare.save_as(path, enforce_file_format=True)
        with quiet_itk():
            pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
    return pixels if int(header.get("NumberOfFrames", 1) or 1) > 1 else pixels[0]
