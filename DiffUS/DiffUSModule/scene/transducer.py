"""A transducer in the scene: a transform with the probe's body, the outline of its fan and its image below it."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from ..parameters.probe_settings import storeProbe
from .handles import showHandles, showIn
from .image_pixels import setPixels
from .probe_models import bodyPolyData, outlinePolyData

ROLE_ATTRIBUTE = "DiffUS.Role"
BODY_ROLE, OUTLINE_ROLE, IMAGE_ROLE = "DiffUS.Body", "DiffUS.Outline", "DiffUS.Image"
BODY_COLOR = (0.93, 0.90, 0.82)
OUTLINE_COLOR = (1.0, 0.80, 0.20)


def isTransducer(node):
    """True for a transform that a Transducer was made of."""
    return node is not None and node.GetAttribute(ROLE_ATTRIBUTE) == "Transducer"


def transducersOf(scene):
    """The transforms of all transducers in a scene."""
    nodes = slicer.util.getNodesByClass("vtkMRMLLinearTransformNode", scene)
    return [node for node in nodes if isTransducer(node)]


def showAsUltrasound(volume):
    """Give an image volume its display: gray 0 to 255, and what lies outside of the fan (0) transparent."""
    volume.CreateDefaultDisplayNodes()
    display = volume.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(255.0, 127.5)
    display.SetThreshold(1, 255)
    display.SetApplyThreshold(True)


class Transducer:
    """The nodes of one transducer; parts that somebody deleted are made again when they are needed.

    Attributes:
        transform: vtkMRMLLinearTransformNode TransducerToRas (or to the frame of its parent).
    """

    def __init__(self, transform):
        self.transform = transform

    @classmethod
    def create(cls, preset, probe):
        """Add a transducer to the scene, at the origin."""
        name = slicer.mrmlScene.GenerateUniqueName(_("Transducer"))
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
        transform.SetAttribute(ROLE_ATTRIBUTE, "Transducer")
        transducer = cls(transform)
        transducer._putInFolder(transform, name)
        transducer.setProbe(preset, probe)
        transducer.showHandles(True)
        return transducer

    @property
    def name(self):
        return self.transform.GetName()

    @property
    def body(self):
        return self._part(BODY_ROLE, self._makeBody)

    @property
    def outline(self):
        return self._part(OUTLINE_ROLE, self._makeOutline)

    @property
    def image(self):
        return self._part(IMAGE_ROLE, self._makeImage)

    def existingImage(self):
        """The image volume, or None if there is none now."""
        return self.transform.GetNodeReference(IMAGE_ROLE)

    def _part(self, role, make):
        node = self.transform.GetNodeReference(role)
        if node is None:
            node = make()
            node.SetAttribute(ROLE_ATTRIBUTE, role)
            node.SetAndObserveTransformNodeID(self.transform.GetID())
            self.transform.SetNodeReferenceID(role, node.GetID())
            self._putInFolder(node, self.name)
        return node

    def _putInFolder(self, node, folderName):
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        own = hierarchy.GetItemByDataNode(self.transform)
        if node is self.transform:
            folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), folderName)
        else:
            folder = hierarchy.GetItemParent(own)
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), folder)

    def _makeModel(self, suffix, color):
        model = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", f"{self.name} {suffix}")
        model.CreateDefaultDisplayNodes()
        display = model.GetDisplayNode()
        display.SetColor(*color)
        display.SetScalarVisibility(False)
        display.SetVisibility2D(True)
        return model

    def _makeBody(self):
        model = self._makeModel(_("probe"), BODY_COLOR)
        model.GetDisplayNode().SetOpacity(0.9)
        model.GetDisplayNode().SetSliceIntersectionThickness(2)
        return model

    def _makeOutline(self):
        model = self._makeModel(_("fan"), OUTLINE_COLOR)
        display = model.GetDisplayNode()
        display.SetLineWidth(3)
        display.SetLighting(False)
        display.SetVisibility2D(False)  # a line seldom lies in a slice; the image itself shows there
        return model

    def _makeImage(self):
        image = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"{self.name} {_('image')}")
        slicer.util.updateVolumeFromArray(image, np.zeros((1, 8, 8), np.uint8))
        showAsUltrasound(image)
        return image

    def setProbe(self, preset, probe):
        """Store the probe and give body and outline its shape."""
        storeProbe(self.transform, preset, probe)
        self.body.SetAndObservePolyData(bodyPolyData(probe))
        self.outline.SetAndObservePolyData(outlinePolyData(probe))

    def setImage(self, pixels, imageToTransducer):
        """Take over (H, W) uint8 pixels at their place; imageToTransducer is (4, 4). Views are not told."""
        setPixels(self.image, pixels, imageToTransducer)

    def pose(self):
        """(4, 4) array TransducerToRas, all parents included.

        Raises:
            DiffUSError: if a parent transform bends space.
        """
        from DiffUSLib import DiffUSError

        if not self.transform.IsTransformToWorldLinear():
            raise DiffUSError(
                _("{name} is under a transform that bends space; move it out of that transform.").format(
                    name=self.name
                )
            )
        return slicer.util.arrayFromTransformMatrix(self.transform, toWorld=True)

    def setPose(self, transducerToRas):
        """Move it to a (4, 4) TransducerToRas, whatever its parents are."""
        parent = self.transform.GetParentTransformNode()
        matrix = np.asarray(transducerToRas, dtype=float)
        if parent is not None:
            parentToWorld = vtk.vtkMatrix4x4()
            parent.GetMatrixTransformToWorld(parentToWorld)
            matrix = np.linalg.inv(slicer.util.arrayFromVTKMatrix(parentToWorld)) @ matrix
        slicer.util.updateTransformMatrixFromArray(self.transform, matrix)

    def showHandles(self, isVisible, viewIDs=()):
        """Interaction handles for turns and shifts, without scaling; in these views, or in all."""
        showHandles(self.transform, isVisible, viewIDs)
        showIn(self.body.GetDisplayNode(), viewIDs)

    def follow(self, parent):
        """Hang it under a tracked transform, as the image of a tracked probe; None lets it stand where it is."""
        if parent is self.transform.GetParentTransformNode():
            return
        if parent is None:
            pose = self.pose()
            self.transform.SetAndObserveTransformNodeID(None)
            slicer.util.updateTransformMatrixFromArray(self.transform, pose)
        else:
            slicer.util.updateTransformMatrixFromArray(self.transform, np.eye(4))
            self.transform.SetAndObserveTransformNodeID(parent.GetID())

    def remove(self):
        """Take all its nodes and its folder out of the scene."""
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(self.transform))
        nodes = [self.transform.GetNodeReference(role) for role in (BODY_ROLE, OUTLINE_ROLE, IMAGE_ROLE)]
        for node in [*nodes, self.transform]:
            if node is not None:
                slicer.mrmlScene.RemoveNode(node)
        if folder != hierarchy.GetSceneItemID():
            hierarchy.RemoveItem(folder)
