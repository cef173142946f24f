"""The outline of the fan over the ultrasound image."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from ..scene.own_nodes import addModel, nodeOfRole, removeModel
from ..scene.probe_models import linePolyData

ROLE = "DiffUS.AlignmentFan"
COLOR = (1.0, 0.80, 0.20)


class FanOutline:
    """A line model under the image's own transform, so that it moves with it; it is not saved with the scene."""

    def show(self, imageNode, fan, pixelShare, views):
        """Draw a FanGeometry.

        Args:
            imageNode: volume node that the fan was found in.
            pixelShare: (2,) columns and rows of the image's own pixels for one of the fan's square pixels.
            views: IDs of the views to draw it in.
        """
        model = self._model()
        matrix = vtk.vtkMatrix4x4()
        imageNode.GetIJKToRASMatrix(matrix)
        toTransducer = fan.image_to_transducer((1.0, 1.0))  # in pixels
        outline = fan.to_probe((1.0, 1.0), 5.0).outline_mm().numpy()
        pixels = (np.linalg.inv(toTransducer) @ np.c_[outline, np.ones(len(outline))].T)[:2].T * pixelShare
        flat = np.c_[pixels, np.zeros(len(pixels)), np.ones(len(pixels))]
        model.SetAndObservePolyData(linePolyData((flat @ slicer.util.arrayFromVTKMatrix(matrix).T)[:, :3]))
        self.follow(imageNode)
        display = model.GetDisplayNode()
        display.RemoveAllViewNodeIDs()
        for view in views:
            display.AddViewNodeID(view)
        display.SetVisibility(True)

    def follow(self, imageNode):
        """Hang it, if it is there, under what the image hangs under now."""
        model = nodeOfRole("vtkMRMLModelNode", ROLE)
        if model is not None:
            model.SetAndObserveTransformNodeID(imageNode.GetTransformNodeID())

    def hide(self):
        """Take it out of the scene."""
        removeModel(ROLE)

    def _model(self):
        model = nodeOfRole("vtkMRMLModelNode", ROLE)
        if model is not None:
            return model
        model = addModel(ROLE, _("Ultrasound fan"), COLOR)
        model.SetHideFromEditors(True)
        display = model.GetDisplayNode()
        display.SetLineWidth(2)
        display.SetLighting(False)
        display.SetVisibility2D(True)
        display.SetSliceIntersectionThickness(2)
        # A flat line has no intersection with its own plane.
        display.SetSliceDisplayModeToProjection()
        return model
