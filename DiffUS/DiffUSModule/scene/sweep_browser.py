"""Images and poses as two sequences of the scene that one browser plays."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from .transducer import ROLE_ATTRIBUTE, showAsUltrasound

SWEEP_ROLE = "DiffUS.Sweep"
SHORTEST_STEP_S = 0.002
"""Sequences take index values that are a millisecond apart for the same."""


def addSweepBrowser(name, images, ijkToPose, poses, times):
    """Add a sequence of images, one of poses, and a browser; the image that it shows stands under the pose.

    Args:
        name: of the browser; the other nodes start with it.
        images: (N, H, W) uint8.
        ijkToPose: (4, 4) from pixels to the frame that the poses map.
        poses: (N, 4, 4) in mm.
        times: (N,) seconds; where they are missing or do not increase, the frames are numbered.

    Returns:
        the vtkMRMLSequenceBrowserNode; see imageOf and poseOf.
    """
    imageSequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", f"{name} {_('image')}")
    poseSequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", f"{name} {_('pose')}")
    indexName, unit, values = _index(times)
    for sequence in (imageSequence, poseSequence):
        sequence.SetIndexName(indexName)
        sequence.SetIndexUnit(unit)
    volume, transform = slicer.vtkMRMLScalarVolumeNode(), slicer.vtkMRMLLinearTransformNode()
    volume.SetAttribute(ROLE_ATTRIBUTE, SWEEP_ROLE)  # of each frame: playing a frame replaces all attributes
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijkToPose))
    for pixels, pose, value in zip(images, poses, values, strict=True):
        slicer.util.updateVolumeFromArray(volume, np.asarray(pixels)[None])
        slicer.util.updateTransformMatrixFromArray(transform, pose)
        imageSequence.SetDataNodeAtValue(volume, value)
        poseSequence.SetDataNodeAtValue(transform, value)
    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", name)
    browser.SetAndObserveMasterSequenceNodeID(imageSequence.GetID())
    browser.AddSynchronizedSequenceNode(poseSequence)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    image = imageOf(browser)
    image.SetAndObserveTransformNodeID(poseOf(browser).GetID())
    showAsUltrasound(image)
    return browser


def imageOf(browser):
    """The volume node that shows the selected image of a sweep."""
    return browser.GetProxyNode(browser.GetMasterSequenceNode())


def poseOf(browser):
    """The transform node that holds the selected pose of a sweep."""
    sequences = vtk.vtkCollection()
    browser.GetSynchronizedSequenceNodes(sequences)
    return browser.GetProxyNode(sequences.GetItemAsObject(0))


def _index(times):
    """Name, unit and values of the index."""
    times = np.asarray(times, dtype=float)
    if np.isfinite(times).all() and (np.diff(times) > SHORTEST_STEP_S).all():
        return "time", "s", [f"{seconds:.4f}" for seconds in times]
    return "frame", "", [str(number) for number in range(len(times))]
