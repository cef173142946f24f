"""Volumes from files and DICOM folders, through SimpleITK."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io.files import existing_file, file_ending, nifti_is_finite, nifti_is_whole, quiet_itk
from DiffUSLib.io.frames import check_right_angles, image_ijk_to_ras

VOLUME_ENDINGS = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")

_NOT_NATIVE = {np.dtype(np.uint16): np.int32, np.dtype(np.uint32): np.int64, np.dtype(np.uint64): np.float64}


def read_volume(path: str | os.PathLike, series_uid: str | None = None) -> Volume:
    """Read a scalar 3D volume.

    Args:
        path: .nrrd, .nhdr, .nii, .nii.gz, .mha or .mhd file, or a folder with DICOM slices.
        series_uid: which series of a DICOM folder; without it the one with most slices, with a warning that names the
            others.

    Returns:
        The volume with IJK-to-RAS in mm. Voxels keep their type where PyTorch computes with it; unsigned 16-, 32- and
        64-bit integers become int32, int64 and float64. A 4D file with a single volume counts as 3D.

    Raises:
        DiffUSError: if there is no such file, or it does not hold one finite scalar 3D volume on a rectangular grid.
    """
    path = Path(path)
    if path.is_dir():
        image, name = _read_dicom_folder(path, series_uid), path.name
    else:
        if series_uid is not None:
            raise DiffUSError(f"{path} is not a folder, so it holds no DICOM series; leave the series out.")
        image, name = _read_file(path), path.name
    voxels = sitk.GetArrayFromImage(image)
    voxels = np.ascontiguousarray(voxels.astype(_NOT_NATIVE.get(voxels.dtype, voxels.dtype), copy=False))
    return Volume(torch.from_numpy(voxels), torch.from_numpy(image_ijk_to_ras(image)), name)


def _read_file(path: Path) -> sitk.Image:
    existing_file(path)
    ending = file_ending(path, VOLUME_ENDINGS)
    if ending is None:
        hint = "convert it to NIfTI first" if file_ending(path, (".mgz", ".mgh")) else "convert it in Slicer first"
        known = ", ".join(VOLUME_ENDINGS)
        raise DiffUSError(f"{path} is of a kind that DiffUS does not read ({known}, or a DICOM folder); {hint}.")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    with quiet_itk():
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            raise _unreadable(path, error) from error
        _check_scalar(path, reader.GetNumberOfComponents(), reader.GetPixelID())
        _take_one_volume(path, reader)
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise _unreadable(path, error) from error
    if ending in (".nii", ".nii.gz") and not nifti_is_whole(path):
        raise DiffUSError(f"{path} is cut off: voxels are missing at its end; copy or export it again.")
    if ending in (".nii", ".nii.gz") and not nifti_is_finite(path):
        raise DiffUSError(f"{path} holds NaN or infinite voxels; replace them (for instance by the background value).")
    check_right_angles(np.reshape(image.GetDirection(), (3, 3)), str(path))
    return image


def _check_scalar(path: Path, components: int, pixel_id: int) -> None:
    if components > 1 or pixel_id in (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64):
        kind = f"{components} values" if components > 1 else "complex numbers"
        raise DiffUSError(f"{path} holds {kind} per voxel (colors, vectors, a time series); give a scalar 3D volume.")


def _take_one_volume(path: Path, reader: sitk.ImageFileReader) -> None:
    size = reader.GetSize()
    extra = [length for length in size[3:] if length > 1]
    if len(size) < 3:
        raise DiffUSError(f"{path} is a {len(size)}D image; give a 3D volume.")
    if extra:
        count = " x ".join(map(str, extra))
        raise DiffUSError(f"{path} holds {count} volumes (4D or a time series); extract one volume and give that.")
    if len(size) > 3:
        reader.SetExtractSize([*size[:3], *[0] * (len(size) - 3)])


def _unreadable(path: Path, error: RuntimeError) -> DiffUSError:
    """The sentence for what SimpleITK says at length."""
    text = str(error).lower()
    if "orthonormal" in text or "orthogonal" in text or "determinant is 0" in text or "bad direction" in text:
        return DiffUSError(
            f"{path} has voxel axes that are not at right angles or span no space; resample it to a rectangular grid, "
            "or correct its direction matrix (in NIfTI: sform and qform)."
        )
    if "spacing" in text and "zero" in text:
        return DiffUSError(f"{path} has a voxel size of zero; correct its header.")
    note = " (NIfTI-2 is not read: convert it to NIfTI-1)" if file_ending(path, (".nii", ".nii.gz")) else ""
    return DiffUSError(f"{path} cannot be read as a volume: it is cut off, damaged or not what its name says{note}.")


def _read_dicom_folder(folder: Path, series_uid: str | None) -> sitk.Image:
    with quiet_itk():
        uids = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        series = {uid: sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid) for uid in uids}
    if not series:
        raise DiffUSError(f"{folder} is a folder without DICOM images; name a volume file or a DICOM folder.")
    uid = _choose_series(folder, series, series_uid)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(series[uid])
    reader.MetaDataDictionaryArrayUpdateOn()
    with quiet_itk():
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise DiffUSError(
                f"series {uid} of {folder} cannot be read: its slices are damaged or differ in size."
            ) from error
    _check_scalar(folder, image.GetNumberOfComponentsPerPixel(), image.GetPixelID())
    if image.GetDimension() != 3 or image.GetDepth() < 2:
        raise DiffUSError(f"series {uid} of {folder} has a single slice; choose a series that is a volume.")
    if len(series[uid]) > 1:
        _check_slice_positions(folder, uid, reader, len(series[uid]))
    return image


def _choose_series(folder: Path, series: dict[str, tuple[str, ...]], series_uid: str | None) -> str:
    listed = "; ".join(f"{uid} ({len(files)} slices)" for uid, files in series.items())
    if series_uid is not None:
        if series_uid not in series:
            raise DiffUSError(f"{folder} has no series {series_uid}; it has: {listed}.")
        return series_uid
    uid = max(series, key=lambda key: len(series[key]))
    if len(series) > 1:
        warnings.warn(
            f"{folder} holds {len(series)} series; the one with most slices, {uid}, was taken. There are: {listed}.",
            DiffUSWarning,
            stacklevel=4,
        )
    return uid


def _check_slice_positions(folder: Path, uid: str, reader: sitk.ImageSeriesReader, slices: int) -> None:
    """ITK lays slices on a regular upright grid whatever their positions say; so those are looked at here.

    Positions and orientation: DICOM PS3.3 C.7.6.2, Image Position (0020,0032) and Image Orientation (0020,0037).
    """
    if not all(reader.HasMetaDataKey(index, key) for index in range(slices) for key in ("0020|0032", "0020|0037")):
        warnings.warn(
            f"series {uid} of {folder} does not say where its slices are; their distance is a guess.",
            DiffUSWarning,
            stacklevel=4,
        )
        return
    numbers = [[float(n) for n in reader.GetMetaData(i, "0020|0032").split("\\")] for i in range(slices)]
    orientation = np.array([float(n) for n in reader.GetMetaData(0, "0020|0037").split("\\")])
    normal = np.cross(orientation[:3], orientation[3:])
    steps = np.diff(np.array(numbers), axis=0)
    along = steps @ normal
    sideways = np.linalg.norm(steps - along[:, None] * normal, axis=1)
    if sideways.max() > 0.02 * np.abs(along).max():
        raise DiffUSError(f"series {uid} of {folder} has sheared slices (gantry tilt); resample it to a box.")
    if np.ptp(along) > 0.02 * np.abs(along).max():
        warnings.warn(
            f"series {uid} of {folder} has slices {np.abs(along).min():.2f} to {np.abs(along).max():.2f} mm apart "
            "(missing slices?); they are taken as evenly spaced.",
            DiffUSWarning,
            stacklevel=4,
        )
