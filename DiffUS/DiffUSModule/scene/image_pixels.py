"""Puts a rendered image into a volume node."""

import numpy as np
import slicer
import vtk


def setPixels(volume, pixels, ijkToRas):
    """Take over (H, W) uint8 pixels at their (4, 4) place.

    Where only the pixels are new, only one ImageDataModifiedEvent says so; views are to be drawn by `redrawSlices`.
    """
    current = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(current)
    wasModified = volume.StartModify()
    if not np.allclose(slicer.util.arrayFromVTKMatrix(current), ijkToRas):
        volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijkToRas))
    data = volume.GetImageData()
    shown = slicer.util.arrayFromVolume(volume)
    if shown.shape == (1, *pixels.shape) and shown.dtype == pixels.dtype:
        shown[0] = pixels
        volume.StorableModified()
        data.GetPointData().GetScalars().Modified()
        data.Modified()
    else:
        slicer.util.updateVolumeFromArray(volume, pixels[None])
    volume.EndModify(wasModified)
