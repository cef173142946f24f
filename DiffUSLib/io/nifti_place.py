"""Where a NIfTI file is: its header may name two places, one, or none, in meters, mm or micrometers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.io.frames import check_right_angles

if TYPE_CHECKING:
    import nibabel

PLACES = ("sform", "qform")

_DIFFERENCE_VOXELS = 0.1
_MM_OF_UNIT = {0: 1.0, 1: 1e3, 2: 1.0, 3: 1e-3}  # nifti1.h: NIFTI_UNITS_UNKNOWN, _METER, _MM, _MICRON
_SCANNER_ANATOMY = 1  # nifti1.h: NIFTI_XFORM_SCANNER_ANAT


def nifti_place(header: nibabel.Nifti1Header, path: Path, prefer: str | None) -> np.ndarray:
    """The (4, 4) IJK-to-RAS matrix in mm that the header's sform and qform name; `prefer` is for where both are there.

    Raises:
        DiffUSError: if the voxel axes are not at right angles.
    """
    forms = _forms(header, path)
    if prefer is not None and prefer not in forms:
        if forms:
            _note(f"{path} has no {prefer} (its code is 0); its {next(iter(forms))} was taken.")
        prefer = None
    unit = int(header["xyzt_units"]) & 7
    if unit not in _MM_OF_UNIT:
        raise DiffUSError(f"{path} names an unknown unit of length ({unit}); correct xyzt_units.")
    to_mm = np.diag([_MM_OF_UNIT[unit]] * 3 + [1.0])
    if not forms:
        _note(
            f"{path} does not say where it is in the patient (sform and qform codes are 0): I was taken as to the "
            "left, J to the back, K up, as Slicer does; left and right may be swapped."
        )
        zooms = np.abs(header["pixdim"][1:4]).astype(np.float64)
        matrix = to_mm @ np.diag([-zooms[0], -zooms[1], zooms[2], 1.0])
        _check_angles(matrix, f"the grid of {path}")
        return matrix
    taken = prefer or next(iter(forms))
    if prefer is None and len(forms) == 2:
        _check_angles(forms["sform"], f"the sform of {path}", "or take the qform, if that is right: --prefer qform")
        taken = _choose_form(header, forms, path)
    _check_angles(forms[taken], f"the {taken} of {path}")
    return to_mm @ forms[taken]


def _check_angles(matrix: np.ndarray, what: str, way_out: str = "") -> None:
    try:
        check_right_angles(matrix[:3, :3], what)
    except DiffUSError as error:
        raise DiffUSError(f"{str(error).removesuffix('.')}{', ' if way_out else ''}{way_out}.") from None


def _forms(header: nibabel.Nifti1Header, path: Path) -> dict[str, np.ndarray]:
    import nibabel

    forms = {}
    if int(header["sform_code"]) > 0:
        forms["sform"] = np.asarray(header.get_sform(), dtype=np.float64)
    if int(header["qform_code"]) > 0:
        try:
            forms["qform"] = np.asarray(header.get_qform(), dtype=np.float64)
        except (ValueError, nibabel.spatialimages.HeaderDataError) as error:
            if "sform" not in forms:
                raise DiffUSError(f"{path} has a damaged qform and no sform; correct its header.") from error
            _note(f"{path} has a damaged qform; its sform was taken.")
    return forms


def _choose_form(header: nibabel.Nifti1Header, forms: dict[str, np.ndarray], path: Path) -> str:
    """Which of two places to take; where they differ, that is told.

    nibabel takes the sform. ITK, and so Slicer, takes it if its code is "scanner" and otherwise the qform
    (itkNiftiImageIO.cxx, SetImageIOOrientationFromNIfTI).
    """
    sform, qform = forms["sform"], forms["qform"]
    sizes = np.array([int(size) for size in header["dim"][1:4]])
    corners = np.array([[*corner, 1] for corner in np.ndindex(2, 2, 2)]) * [*(sizes - 1), 1]
    apart = float(np.linalg.norm((corners @ (sform - qform).T)[:, :3], axis=1).max())
    if apart <= _DIFFERENCE_VOXELS * float(np.linalg.norm(qform[:3, :3], axis=0).min()):
        return "sform"
    codes = [int(header[f"{name}_code"]) for name in PLACES]
    taken = "sform" if codes[0] == _SCANNER_ANATOMY else "qform"
    other = PLACES[1 - PLACES.index(taken)]
    who = "as nibabel, ITK and Slicer do" if taken == "sform" else "as ITK and Slicer do; nibabel takes the sform"
    mirrored = " and mirrored" if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0 else ""
    unit = _MM_OF_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    _note(
        f"{path} names two places: its sform (code {codes[0]}) and qform (code {codes[1]}) are up to "
        f"{apart * unit:.1f} mm apart{mirrored}. The {taken} was taken ({who}); --prefer {other} takes the other."
    )
    return taken


def _note(text: str) -> None:
    warnings.warn(text, DiffUSWarning, stacklevel=5)
