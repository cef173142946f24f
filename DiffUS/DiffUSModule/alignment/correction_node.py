"""The correction of an alignment: a transform of its own in the hierarchy; the tracking stays as it is."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from .transform_chain import ACCEPTED_ATTRIBUTE, CORRECTION_ROLE, chainOf, isCorrection

ANCHOR_ROLE = "DiffUS.Corrected"


class Correction:
    """A linear transform node that stands above the ultrasound's chain, or is kept beside it for comparison.

    Attributes:
        node: vtkMRMLLinearTransformNode; it references the node that it moves.
    """

    def __init__(self, node):
        self.node = node

    @classmethod
    def create(cls, anchor, name):
        """Add one above `anchor` that corrects nothing yet."""
        node = slicer.mrmlScene.AddNewNodeByClass(
            "vtkMRMLLinearTransformNode", slicer.mrmlScene.GenerateUniqueName(f"{name} {_('correction')}")
        )
        node.SetAttribute("DiffUS.Role", CORRECTION_ROLE)
        parent = anchor.GetParentTransformNode()
        node.SetAndObserveTransformNodeID(parent.GetID() if parent else None)
        node.SetNodeReferenceID(ANCHOR_ROLE, anchor.GetID())
        correction = cls(node)
        correction.apply(True)
        return correction

    @classmethod
    def above(cls, imageNode):
        """The highest correction in the chain of an image, or None."""
        found = [transform for transform in chainOf(imageNode) if isCorrection(transform)]
        return cls(found[-1]) if found else None

    @property
    def anchor(self):
        """What it moves; None if somebody deleted that."""
        return self.node.GetNodeReference(ANCHOR_ROLE)

    @property
    def isApplied(self):
        return self.anchor is not None and self.anchor.GetParentTransformNode() is self.node

    @property
    def isInScene(self):
        return slicer.mrmlScene.IsNodePresent(self.node) != 0

    def setMatrix(self, correctionRas):
        """Move the ultrasound by a (4, 4) correction in RAS, whatever stands above."""
        matrix, parent = np.asarray(correctionRas, dtype=float), self.node.GetParentTransformNode()
        if parent is not None:
            toWorld = vtk.vtkMatrix4x4()
            parent.GetMatrixTransformToWorld(toWorld)
            toWorld = slicer.util.arrayFromVTKMatrix(toWorld)
            matrix = np.linalg.inv(toWorld) @ matrix @ toWorld
        slicer.util.updateTransformMatrixFromArray(self.node, matrix)

    def apply(self, isApplied):
        """Put it into the hierarchy, or take it out: the ultrasound is then where the tracking has it."""
        if self.anchor is None or not self.isInScene or isApplied == self.isApplied:
            return
        parent = self.node if isApplied else self.node.GetParentTransformNode()
        self.anchor.SetAndObserveTransformNodeID(parent.GetID() if parent else None)

    def accept(self):
        """Mark it as wanted by the user: a scene may be saved before."""
        self.node.SetAttribute(ACCEPTED_ATTRIBUTE, "1")

    def remove(self):
        """Everything as it was before."""
        if self.isInScene:
            self.apply(False)
            slicer.mrmlScene.RemoveNode(self.node)
