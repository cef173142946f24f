"""Volumes from files and DICOM folders, with their place in the patient."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io.dicom_files import is_dicom_file
from DiffUSLib.io.dicom_volume import read_dicom_volume
from DiffUSLib.io.files import existing_file, file_ending, quiet_itk
from DiffUSLib.io.frames import check_right_angles, image_ijk_to_ras
from DiffUSLib.io.nifti import FREESURFER_ENDINGS, NIFTI_ENDINGS, read_freesurfer, read_nifti
from DiffUSLib.io.nifti_place import PLACES
from DiffUSLib.io.text_headers import TEXT_HEADER_ENDINGS, told_place

VOLUME_ENDINGS = (*TEXT_HEADER_ENDINGS[:2], *NIFTI_ENDINGS, *TEXT_HEADER_ENDINGS[2:], *FREESURFER_ENDINGS)

_NOT_NATIVE = {np.dtype(np.uint16): np.int32, np.dtype(np.uint32): np.int64, np.dtype(np.uint64): np.float64}
_PATIENT_MM = (3.0, 10_000.0)  # the longest side of what a scanner takes of a person lies between
_VOXEL_MM = (0.02, 50.0)
_CONVERT = {
    ".mnc": "convert it to NIfTI first (mnc2nii, or nibabel)",
    ".hdr": "convert the pair .hdr and .img to one .nii file first",
    ".img": "convert the pair .hdr and .img to one .nii file first",
    ".zip": "unpack it first",
    **dict.fromkeys((".dcm", ".ima", ".dicom"), "it is cut off, damaged or no DICOM: export it again"),
}


def read_volume(
    path: str | os.PathLike,
    series_uid: str | None = None,
    phase: int | None = None,
    prefer: str | None = None,
) -> Volume:
    """Read a scalar 3D volume.

    Args:
        path: .nrrd, .nhdr, .nii, .nii.gz, .mha, .mhd, .mgz or .mgh file, a folder with DICOM slices, or a DICOM file
            that holds a whole volume (enhanced CT or MR).
        series_uid: which series of a DICOM folder, by its UID or number; without it the one with most slices, with a
            warning that names the others.
        phase: which of several volumes in one file or series (phases, echoes, time points, orientations), from 1.
        prefer: "sform" or "qform": where a NIfTI file is, if the two differ.

    Returns:
        The volume with IJK-to-RAS in mm. Voxels keep their type where PyTorch computes with it; unsigned 16-, 32- and
        64-bit integers become int32, int64 and float64. A 4D file with a single volume counts as 3D.

    Raises:
        DiffUSError: if there is no such file, or it does not hold one finite scalar 3D volume on a rectangular grid.
    """
    path = Path(path)
    if prefer not in (None, *PLACES):
        raise DiffUSError(f"'{prefer}' is no place of a NIfTI file; prefer sform or qform.")
    ending = None
    if not path.is_dir():
        existing_file(path)
        ending = file_ending(path, VOLUME_ENDINGS)
    if prefer is not None and ending not in NIFTI_ENDINGS:
        raise DiffUSError(f"{path} is no NIfTI file, so it has no sform or qform; leave --prefer out.")
    if path.is_dir() or (ending is None and is_dicom_file(path)):
        voxels, matrix = read_dicom_volume(path, series_uid, phase)
    elif series_uid is not None:
        raise DiffUSError(f"{path} holds no DICOM series; leave the series out.")
    elif ending is None:
        kind, hint = next(((e, h) for e, h in _CONVERT.items() if file_ending(path, (e,))), ("", ""))
        known = ", ".join(VOLUME_ENDINGS)
        raise DiffUSError(
            f"{path} is of a kind that DiffUS does not read ({known}, or DICOM); "
            f"{hint if kind else 'convert it in Slicer first'}."
        )
    elif ending in NIFTI_ENDINGS:
        voxels, matrix = read_nifti(path, phase, prefer)
    elif ending in FREESURFER_ENDINGS:
        voxels, matrix = read_freesurfer(path, phase)
    else:
        voxels, matrix = _read_with_itk(path, phase)
    _check_size(path, voxels.shape, matrix)
    voxels = np.ascontiguousarray(voxels.astype(_NOT_NATIVE.get(voxels.dtype, voxels.dtype), copy=False))
    return Volume(torch.from_numpy(voxels), torch.from_numpy(matrix), path.name)


def _check_size(path: Path, shape: tuple[int, ...], matrix: np.ndarray) -> None:
    """Refuse lengths that cannot be mm: a patient of the size of a fly, or of a house."""
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    longest = float((spacing * shape[::-1]).max())
    found = None
    if longest < _PATIENT_MM[0] and spacing.max() < _VOXEL_MM[0]:
        found = ("meters", 1000.0)
    elif longest > _PATIENT_MM[1] and spacing.min() > _VOXEL_MM[1]:
        found = ("micrometers", 0.001)
    if found is not None:
        raise DiffUSError(
            f"{path} is {longest:.3g} mm long by its header, which looks like {found[0]} that are called mm "
            f"(it would be {longest * found[1]:.0f} mm); correct its unit, or its spacing and origin."
        )


def _read_with_itk(path: Path, phase: int | None) -> tuple[np.ndarray, np.ndarray]:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    with quiet_itk():
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            raise _unreadable(path, error) from error
        _check_scalar(path, reader.GetNumberOfComponents(), reader.GetPixelID())
        _take_one_volume(path, reader, phase)
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise _unreadable(path, error) from error
    check_right_angles(np.reshape(image.GetDirection(), (3, 3)), str(path))
    return sitk.GetArrayFromImage(image), np.diag([told_place(path)] * 3 + [1.0]) @ image_ijk_to_ras(image)


def _check_scalar(path: Path, components: int, pixel_id: int) -> None:
    if components > 1 or pixel_id in (sitk.sitkComplexFloat32, sitk.sitkComplexFloat64):
        kind = f"{components} values" if components > 1 else "complex numbers"
        raise DiffUSError(f"{path} holds {kind} per voxel (colors, vectors, a time series); give a scalar 3D volume.")


def _take_one_volume(path: Path, reader: sitk.ImageFileReader, phase: int | None) -> None:
    size = reader.GetSize()
    count = int(np.prod(size[3:]))
    if len(size) < 3:
        raise DiffUSError(f"{path} is a {len(size)}D image; give a 3D volume.")
    if phase is None and count > 1:
        raise DiffUSError(
            f"{path} holds {count} volumes (4D or a time series); choose one with --phase 1 to --phase {count}."
        )
    if phase is not None and not 1 <= phase <= count:
        raise DiffUSError(f"{path} holds {count} volume{'s' * (count > 1)}; --phase {phase} is not among them.")
    if len(size) > 3:
        index = np.unravel_index((phase or 1) - 1, size[3:], order="F")
        reader.SetExtractSize([*size[:3], *[0] * (len(size) - 3)])
        reader.SetExtractIndex([0, 0, 0, *map(int, index)])


def _unreadable(path: Path, error: RuntimeError) -> DiffUSError:
    """The sentence for what SimpleITK says at length."""
    text = str(error).lower()
    if "orthonormal" in text or "orthogonal" in text or "determinant is 0" in text or "bad direction" in text:
        return DiffUSError(
            f"{path} has voxel axes that are not at right angles or span no space; resample it to a rectangular grid, "
            "or correct its direction matrix."
        )
    if "spacing" in text and "zero" in text:
        return DiffUSError(f"{path} has a voxel size of zero; correct its header.")
    if "spacing" in text and "withspace" in text:
        return DiffUSError(f"{path} has a space and plain spacings; write space directions instead of spacings.")
    return DiffUSError(f"{path} cannot be read as a volume: it is cut off, damaged or not what its name says.")
