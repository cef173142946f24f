"""Displacements of tissue in files as Slicer loads them.

ITK's transforms map the points of the output to those of the input, in LPS: from where the ultrasound has tissue to
where the volume has it, which is how a `Warp` is stated (in RAS). Under such a transform Slicer shows the volume where
the ultrasound has it. All files here hold that direction.
"""

from __future__ import annotations

import os

import numpy as np
import SimpleITK as sitk

from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.bspline import Warp
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io.files import check_folder, file_ending, quiet_itk, written_whole
from DiffUSLib.io.frames import set_image_ijk_to_ras

WARP_ENDINGS = (".h5", ".tfm")
_TO_LPS = np.array([-1.0, -1.0, 1.0])
_BORDER = 3  # zeros around the coefficients: ITK's grid ends where not all four splines are there


def itk_transform(warp: Warp) -> sitk.BSplineTransform:
    """The displacement as ITK's B-spline transform: exactly, as both have the same splines."""
    grid = warp.coefficients_mm.reshape(*warp.knots.shape, 3) * _TO_LPS
    grid = np.pad(grid, [(_BORDER, _BORDER)] * 3 + [(0, 0)])[::-1, ::-1]
    first = np.array(warp.knots.first_ras_mm) - _BORDER * warp.knots.spacing_mm
    last = first + (np.array(grid.shape[:3]) - 1) * warp.knots.spacing_mm
    images = []
    for component in np.moveaxis(grid, -1, 0):
        image = sitk.GetImageFromArray(np.ascontiguousarray(component.transpose(2, 1, 0)))
        image.SetOrigin((-float(last[0]), -float(last[1]), float(first[2])))
        image.SetSpacing([warp.knots.spacing_mm] * 3)
        images.append(image)
    return sitk.BSplineTransform(images, 3)


def write_warp(path: str | os.PathLike, warp: Warp) -> None:
    """Write the displacement as a B-spline transform, whole or not at all.

    Args:
        path: .h5 or .tfm file.

    Raises:
        DiffUSError: if the ending is another or the file cannot be written.
    """
    if file_ending(path, WARP_ENDINGS) is None:
        raise DiffUSError(f"{path} has an ending that cannot hold a deformation; use {' or '.join(WARP_ENDINGS)}.")
    check_folder(path)
    with written_whole(path) as temporary, quiet_itk():
        sitk.WriteTransform(itk_transform(warp), str(temporary))


def write_displacement(path: str | os.PathLike, displacement_ras_mm: np.ndarray, ijk_to_ras) -> None:
    """Write displacements (K, J, I, 3) in RAS mm as vectors in LPS, as ITK and Slicer read them (.nrrd)."""
    image = sitk.GetImageFromArray((displacement_ras_mm * _TO_LPS).astype(np.float32), isVector=True)
    set_image_ijk_to_ras(image, ijk_to_ras, "the place of the displacement")
    with written_whole(path) as temporary, quiet_itk():
        sitk.WriteImage(image, str(temporary), useCompression=True)


def write_volume(path: str | os.PathLike, volume: Volume) -> None:
    """Write a volume as 32-bit floats (.nrrd, .nii, .nii.gz, .mha), whole or not at all."""
    image = sitk.GetImageFromArray(volume.voxels.detach().cpu().float().numpy())
    set_image_ijk_to_ras(image, volume.ijk_to_ras, "the place of the volume")
    with written_whole(path) as temporary, quiet_itk():
        sitk.WriteImage(image, str(temporary), useCompression=True)
