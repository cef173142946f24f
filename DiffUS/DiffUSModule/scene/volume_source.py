"""From a node of the scene to a volume of DiffUSLib."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from DiffUSLib import DiffUSError

MAXIMUM_VOXELS = 2**25
"""Larger volumes are used with fewer voxels: 32 million, as 320 x 320 x 320, take 0.4 GB as acoustic maps."""


def _refuseBent(node):
    if not node.GetParentTransformNode().IsTransformToWorldLinear():
        text = _("{name} is under a transform that bends space; harden the transform on a copy and choose the copy.")
        raise DiffUSError(text.format(name=node.GetName()))


def ijkToRasOf(volumeNode):
    """(4, 4) array: voxel indices to world RAS in mm, parent transforms included.

    Raises:
        DiffUSError: if a parent transform bends space.
    """
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    ijkToParent = slicer.util.arrayFromVTKMatrix(matrix)
    parent = volumeNode.GetParentTransformNode()
    if parent is None:
        return ijkToParent
    _refuseBent(volumeNode)
    parent.GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix) @ ijkToParent


def voxelsTime(node):
    """Grows when voxels change, also where Slicer sends no event for it; 0 for a segmentation."""
    image = node.GetImageData() if node.IsA("vtkMRMLVolumeNode") else None
    if image is None or image.GetPointData().GetScalars() is None:
        return 0
    return max(image.GetMTime(), image.GetPointData().GetScalars().GetMTime())


def placeOf(node):
    """(4, 4) array that changes as the node moves: voxels to world, or segmentation to world.

    Raises:
        DiffUSError: if a parent transform bends space.
    """
    if node.IsA("vtkMRMLVolumeNode"):
        return ijkToRasOf(node)
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    _refuseBent(node)
    return slicer.util.arrayFromTransformMatrix(parent, toWorld=True)


class VolumeCopy:
    """Voxels and place of a volume node, apart from the scene, for use in a thread.

    The voxels are the node's own until a thread reads them: copying a large volume would hold up the panel. Whoever
    changes them meanwhile has the maps computed anew. The NumPy array holds VTK's: while it does, VTK puts voxels of
    another size or type elsewhere and leaves these as they are.

    Attributes:
        name: of the node.
        labels: tissue-like segment names by label value, for a segmentation; else None.
        note: what was done to a huge volume, as a sentence; "" until it was read.
    """

    def __init__(self, voxels, ijkToRas, name, labels=None):
        self.name, self.labels, self.note = name, labels, ""
        self._voxels, self._ijkToRas = voxels, ijkToRas.copy()

    def toLibrary(self):
        """DiffUSLib's Volume, with fewer voxels if the node has more than the memory takes."""
        import torch

        from DiffUSLib import Volume, shrink_volume

        voxels = self._voxels
        if voxels.dtype.kind == "u" and voxels.dtype != np.uint8:  # torch computes with few unsigned types
            voxels = voxels.astype(np.int64)
        elif voxels.size <= MAXIMUM_VOXELS:
            voxels = np.array(voxels)
        volume = Volume(torch.from_numpy(voxels), torch.from_numpy(self._ijkToRas), self.name)
        small = shrink_volume(volume, MAXIMUM_VOXELS)
        if small is not volume:
            text = _("{name} is large: it is used at {sizes} mm; crop it around the transducer for more detail.")
            sizes = " x ".join(f"{size:.2g}" for size in small.spacing_mm)
            self.note = text.format(name=self.name, sizes=sizes)
        return small


def copyVolume(node):
    """Copy a scalar volume, a label map or a segmentation out of the scene.

    Raises:
        DiffUSError: if the node has no voxels, several values per voxel, or a parent transform that bends space.
    """
    if node.IsA("vtkMRMLSegmentationNode"):
        return _copySegmentation(node)
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0:
        raise DiffUSError(
            _("{name} has no voxels; load it again or choose another volume.").format(name=node.GetName())
        )
    if image.GetNumberOfScalarComponents() != 1:
        raise DiffUSError(
            _("{name} has several values per voxel; choose a volume with one.").format(name=node.GetName())
        )
    return VolumeCopy(slicer.util.arrayFromVolume(node), ijkToRasOf(node), node.GetName())


def _copySegmentation(node):
    """Rasterize all segments, later ones on top, in a label map that leaves the scene again."""
    segmentIDs = vtk.vtkStringArray()
    node.GetSegmentation().GetSegmentIDs(segmentIDs)
    if segmentIDs.GetNumberOfValues() == 0:
        raise DiffUSError(_("{name} has no segments; draw some or choose a volume.").format(name=node.GetName()))
    labelmap = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    labelmap.SetHideFromEditors(True)
    try:
        logic = slicer.modules.segmentations.logic()
        if not logic.ExportAllSegmentsToLabelmapNode(node, labelmap, slicer.vtkSegmentation.EXTENT_UNION_OF_SEGMENTS):
            raise DiffUSError(_("{name} cannot be turned into labels.").format(name=node.GetName()))
        names = {}
        for index in range(segmentIDs.GetNumberOfValues()):
            segment = node.GetSegmentation().GetSegment(segmentIDs.GetValue(index))
            names[index + 1] = segment.GetName()
        return VolumeCopy(slicer.util.arrayFromVolume(labelmap), ijkToRasOf(labelmap), node.GetName(), names)
    finally:
        slicer.mrmlScene.RemoveNode(labelmap)


def computeMaps(copy, modality, anchors=None, windowToRas=None):
    """DiffUSLib's AcousticMaps of a VolumeCopy; touches no node.

    Args:
        anchors: DiffUSLib's Anchors in the place of measured ones, for an MRI.
        windowToRas: (4, 4) pose that looks through a craniotomy, or None.

    Raises:
        DiffUSError: if the volume cannot be used with this modality, or has no bone to open.
    """
    from dataclasses import replace

    import torch

    from DiffUSLib import acoustic_maps

    if copy.labels is None:
        maps = acoustic_maps(copy.toLibrary(), modality, **({"anchors": anchors} if anchors else {}))
        notes = ()
    else:
        mapping, notes = _tissuesOf(copy.labels)
        maps = acoustic_maps(copy.toLibrary(), "labels", mapping=mapping)
    if windowToRas is not None:
        from DiffUSLib import open_craniotomy

        maps = open_craniotomy(maps, torch.from_numpy(windowToRas))
    return replace(maps, notes=(*((copy.note,) if copy.note else ()), *notes, *maps.notes))


def _tissuesOf(labels):
    """(label -> tissue name, notes): segments are tissues by their names, and soft tissue if the name says nothing."""
    from DiffUSLib import tissue

    mapping, unknown = {}, []
    for label, name in labels.items():
        try:
            tissue(name.strip().lower())
            mapping[label] = name.strip().lower()
        except DiffUSError:
            mapping[label] = "soft tissue"
            unknown.append(name)
    if not unknown:
        return mapping, ()
    return mapping, (_("Taken for soft tissue: {names}.").format(names=", ".join(unknown)),)


def movedMaps(maps, ijkToRas):
    """The same maps at another place."""
    import torch

    return maps.at(torch.from_numpy(np.ascontiguousarray(ijkToRas)))
