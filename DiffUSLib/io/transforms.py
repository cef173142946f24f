"""Linear transforms in files as Slicer saves them.

A transform file of Slicer (and of ITK) holds LPS coordinates and the map *from* the parent: resampling needs that
direction. Slicer shows the map *to* the parent in RAS. Both conversions are made here and nowhere else.
"""

from __future__ import annotations

import os

import numpy as np
import SimpleITK as sitk
import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.files import check_folder, existing_file, file_ending, quiet_itk, written_whole
from DiffUSLib.io.frames import as_matrix, transform_lps_to_ras

TRANSFORM_ENDINGS = (".tfm", ".txt", ".h5", ".mat")


def read_transform(path: str | os.PathLike) -> torch.Tensor:
    """Read a linear transform as the matrix that Slicer shows for it.

    Args:
        path: .tfm, .txt, .h5 or .mat file of ITK, as Slicer saves linear transforms. A composite of linear transforms
            counts as their product.

    Returns:
        (4, 4) float64 tensor, the matrix to the parent, in RAS mm: for a transform named XToRas, from X to RAS.

    Raises:
        DiffUSError: if there is no such file, or it holds no invertible linear 3D transform.
    """
    ending = _known_ending(path)
    existing_file(path)
    if ending in (".tfm", ".txt"):
        _check_text_is_whole(path)
    with quiet_itk():
        try:
            transform = sitk.ReadTransform(str(path))
        except RuntimeError as error:
            raise DiffUSError(f"{path} cannot be read as a transform: it is damaged or of another kind.") from error
    if transform.GetDimension() != 3:
        raise DiffUSError(f"{path} holds a {transform.GetDimension()}D transform; give a 3D one.")
    if not transform.IsLinear():
        raise DiffUSError(f"{path} holds a deformation (B-spline, displacement field); give a linear transform.")
    from_parent_lps = np.eye(4)
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    from_parent_lps[:3, 3] = origin
    for axis, unit in enumerate(np.eye(3)):
        from_parent_lps[:3, axis] = np.array(transform.TransformPoint(unit.tolist())) - origin
    return torch.from_numpy(np.linalg.inv(transform_lps_to_ras(_invertible(from_parent_lps, str(path)))))


def write_transform(path: str | os.PathLike, matrix) -> None:
    """Write a linear transform so that Slicer loads it as this matrix. Whole or not at all.

    Args:
        path: .tfm, .txt, .h5 or .mat file.
        matrix: (4, 4) tensor or array, to the parent, in RAS mm.

    Raises:
        DiffUSError: if the matrix cannot be inverted or the file cannot be written.
    """
    _known_ending(path)
    to_parent = _invertible(as_matrix(matrix, "the transform"), "the transform")
    from_parent_lps = transform_lps_to_ras(np.linalg.inv(to_parent))
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(from_parent_lps[:3, :3].ravel().tolist())
    transform.SetTranslation(from_parent_lps[:3, 3].tolist())
    with written_whole(path) as temporary, quiet_itk():
        sitk.WriteTransform(transform, str(temporary))


def check_transform_path(path: str | os.PathLike) -> None:
    """Make sure that `write_transform` can write to a path; to be asked before a transform is computed.

    Raises:
        DiffUSError: if the ending is not one of `TRANSFORM_ENDINGS` or the folder does not exist.
    """
    _known_ending(path)
    check_folder(path)


def _known_ending(path: str | os.PathLike) -> str:
    ending = file_ending(path, TRANSFORM_ENDINGS)
    if ending is None:
        known = ", ".join(TRANSFORM_ENDINGS)
        raise DiffUSError(f"{path} has an ending that DiffUS does not know for transforms; use one of {known}.")
    return ending


def _check_text_is_whole(path: str | os.PathLike) -> None:
    """ITK reads a text that is cut off within its numbers as the identity."""
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    if not lines or not lines[0].startswith("#Insight Transform File"):
        raise DiffUSError(f"{path} is not a transform as Slicer saves it (an Insight Transform File); save it again.")
    starts = sum(line.startswith("Transform:") for line in lines)
    ends = sum(line.startswith("FixedParameters:") for line in lines)
    composites = sum(line.startswith("Transform: Composite") for line in lines)
    if starts == 0 or ends < starts - composites:
        raise DiffUSError(f"{path} is cut off: the numbers of its transform are not complete; save it again.")


def _invertible(matrix: np.ndarray, what: str) -> np.ndarray:
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.isfinite(matrix).all() or (lengths < 1e-9).any() or abs(np.linalg.det(matrix[:3, :3] / lengths)) < 1e-9:
        raise DiffUSError(f"{what} cannot be inverted: its matrix is singular; save the transform again.")
    return matrix
