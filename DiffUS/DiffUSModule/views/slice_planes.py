"""Puts slice views into the plane of the image."""

import numpy as np
import slicer

from ..scene.volume_source import ijkToRasOf

MARGIN = 1.04
"""Room around the fitted fan."""


def sliceToRas(transducerToRas, imageCenterMm):
    """(4, 4) SliceToRAS with the probe at the top: X to the marked side, up toward the transducer.

    Args:
        transducerToRas: (4, 4) pose.
        imageCenterMm: X and Y of the middle of the view in the Transducer frame.
    """
    matrix = np.eye(4)
    matrix[:3, 0] = transducerToRas[:3, 0]
    matrix[:3, 1] = -transducerToRas[:3, 1]
    matrix[:3, 2] = -transducerToRas[:3, 2]
    matrix[:3, 3] = (transducerToRas @ [*imageCenterMm, 0.0, 1.0])[:3]
    return matrix


def alignSlice(sliceNode, transducerToRas, extentMm):
    """Show the fan of a transducer in a slice node, upright; the zoom stays. Returns False if it was so already.

    Args:
        extentMm: left, right, top, bottom of the fan in the Transducer frame.
    """
    if isAligned(sliceNode, transducerToRas, extentMm):
        return False
    matrix = _sliceToRasOfFan(transducerToRas, extentMm)
    sliceNode.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(matrix))
    sliceNode.UpdateMatrices()
    return True


def isAligned(sliceNode, transducerToRas, extentMm):
    """True if a slice node shows the fan of a transducer as alignSlice would have it."""
    current = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
    return np.allclose(current, _sliceToRasOfFan(transducerToRas, extentMm), atol=1e-9)


def _sliceToRasOfFan(transducerToRas, extentMm):
    left, right, top, bottom = extentMm
    return sliceToRas(transducerToRas, ((left + right) / 2, (top + bottom) / 2))


def fitSlice(sliceNode, extentMm):
    """Zoom a slice node so that the whole fan is in the view."""
    left, right, top, bottom = extentMm
    width, height = sliceNode.GetDimensions()[:2]
    if width < 1 or height < 1:
        return
    mmPerPixel = MARGIN * max((right - left) / width, (bottom - top) / height)
    sliceNode.SetFieldOfView(width * mmPerPixel, height * mmPerPixel, sliceNode.GetFieldOfView()[2])
    sliceNode.SetXYZOrigin(0.0, 0.0, 0.0)


def imagePlane(volumeNode):
    """(pose, extentMm) of a flat image wherever it stands, for alignSlice and fitSlice; its first row is at the top.

    Args:
        volumeNode: volume of one slice.
    """
    pose = ijkToRasOf(volumeNode)
    columns, rows = volumeNode.GetImageData().GetDimensions()[:2]
    width, height = np.linalg.norm(pose[:3, :2], axis=0) * (columns - 1, rows - 1)
    pose[:3, 0] /= np.linalg.norm(pose[:3, 0])
    pose[:3, 1] -= (pose[:3, 1] @ pose[:3, 0]) * pose[:3, 0]  # a calibration may be askew; a slice view may not
    pose[:3, 1] /= np.linalg.norm(pose[:3, 1])
    pose[:3, 2] = np.cross(pose[:3, 0], pose[:3, 1])
    return pose, (0.0, width, 0.0, height)


def poseFromSlice(sliceNode, radialShiftMm=0.0):
    """(4, 4) pose of a transducer whose image lies in the plane of a slice view, face at the top of the view's middle.

    Args:
        radialShiftMm: how far below the middle of the view's upper edge the face sits.
    """
    sliceToRasMatrix = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
    height = sliceNode.GetFieldOfView()[1]
    pose = np.eye(4)
    pose[:3, 0] = sliceToRasMatrix[:3, 0]
    pose[:3, 1] = -sliceToRasMatrix[:3, 1]
    pose[:3, 2] = np.cross(pose[:3, 0], pose[:3, 1])
    pose[:3, 3] = (sliceToRasMatrix @ [0.0, height / 2 - radialShiftMm, 0.0, 1.0])[:3]
    return pose
