"""LPS and RAS: the one place where files' coordinates become the patient coordinates of DiffUS.

SimpleITK, DICOM, NRRD, MetaImage and ITK transform files hold LPS (x to the left, y to the back, z up); Slicer and
DiffUS hold RAS (x to the right, y to the front). Both are in mm; the two differ by the sign of x and y.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from DiffUSLib.errors import DiffUSError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
LPS_TO_RAS.setflags(write=False)

_RIGHT_ANGLE_TOLERANCE = 1e-3


def as_matrix(matrix, what: str) -> np.ndarray:
    """A (4, 4) tensor, array or nested list as affine float64 array.

    Raises:
        DiffUSError: if it is not one; `what` names it in the sentence.
    """
    if hasattr(matrix, "detach"):
        matrix = matrix.detach().cpu().numpy()
    try:
        array = np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape != (4, 4) or not np.isfinite(array).all():
        raise DiffUSError(f"{what} must be a matrix of 4 x 4 finite numbers.")
    if np.abs(array[3] - (0, 0, 0, 1)).max() > 1e-9:
        raise DiffUSError(f"{what} must end in the row 0 0 0 1.")
    return array


def transform_lps_to_ras(matrix) -> np.ndarray:
    """A (4, 4) map from LPS to LPS, as the same map from RAS to RAS. It is its own inverse."""
    return LPS_TO_RAS @ np.asarray(matrix, dtype=np.float64) @ LPS_TO_RAS


def image_ijk_to_ras(image: sitk.Image | sitk.ImageFileReader) -> np.ndarray:
    """(4, 4) float64 matrix from voxel index (I, J, K, 1) to RAS mm of a 3D SimpleITK image or a reader's header."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.asarray(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return LPS_TO_RAS @ matrix


def set_image_ijk_to_ras(image: sitk.Image, ijk_to_ras, what: str) -> None:
    """Give a 3D SimpleITK image the place that a (4, 4) matrix from voxel index to RAS mm says.

    Raises:
        DiffUSError: if the axes are not at right angles or have no length; `what` names the matrix in the sentence.
    """
    matrix = as_matrix(ijk_to_ras, what)
    check_right_angles(matrix[:3, :3], what)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    lps = LPS_TO_RAS @ matrix
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())


def check_right_angles(axes, what: str) -> None:
    """Check that the columns of a (3, 3) matrix have a length and are at right angles.

    Raises:
        DiffUSError: if not.
    """
    axes = np.asarray(axes, dtype=np.float64)
    lengths = np.linalg.norm(axes, axis=0)
    if not np.isfinite(axes).all() or (lengths <= 0).any():
        raise DiffUSError(f"{what} is singular: an axis has no length; correct its spacing and direction matrix.")
    cosines = (axes / lengths).T @ (axes / lengths) - np.eye(3)
    worst = float(np.abs(cosines).max())
    if worst > _RIGHT_ANGLE_TOLERANCE:
        angle = 90.0 - np.degrees(np.arcsin(min(worst, 1.0)))
        raise DiffUSError(
            f"{what} has axes that are not at right angles (down to {angle:.1f} degrees); "
            "resample it to a rectangular grid first (in Slicer: Resample Scalar/Vector/DWI Volume)."
        )
