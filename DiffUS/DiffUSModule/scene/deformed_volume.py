"""A scan with its tissue where the ultrasound has it; the user's own node stays as it is."""

import slicer

from .volume_source import ijkToRasOf


def addDeformed(volumeNode, warpNode, name):
    """Add a volume node that shows another one's voxels under a transform; they take no more memory.

    Args:
        volumeNode: where it stands in the world is kept, whatever it is under.
        warpNode: the transform in the world.
    """
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetAndObserveImageData(volumeNode.GetImageData())
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijkToRasOf(volumeNode)))
    node.CreateDefaultDisplayNodes()
    if volumeNode.GetDisplayNode() is not None:
        node.GetDisplayNode().CopyContent(volumeNode.GetDisplayNode())
    node.SetAndObserveTransformNodeID(warpNode.GetID())
    return node


def addHardened(deformedNode, name):
    """Add a volume node with voxels of its own, resampled through the transform that `deformedNode` is under.

    Args:
        name: a number is added if there is one of that name.
    """
    node = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, deformedNode, name)
    node.SetAndObserveTransformNodeID(deformedNode.GetTransformNodeID())
    node.HardenTransform()
    return node
