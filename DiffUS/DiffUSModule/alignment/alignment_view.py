"""What a person watches: both images in one, the same plane of the patient, 3D, and the score."""

import numpy as np
import slicer
from slicer.i18n import tr as _

from DiffUSLib import DiffUSError

from ..scene.own_nodes import addNodeOfRole, nodeOfRole
from ..scene.transducer import showAsUltrasound
from ..views.aligned_slices import AlignedSlices
from ..views.layout_switch import LayoutSwitch
from ..views.layouts import ALIGNMENT_LAYOUT, OVERLAY_VIEW, PATIENT_VIEW, SCORE_VIEW
from ..views.plane_follower import PlaneFollower
from ..views.slice_planes import fitSlice, imagePlane
from ..views.view_names import nameOfVolume
from .ultrasound_source import isThreeDimensional

OVERLAY_ROLE = "DiffUS.Overlay"


class AlignmentView:
    """The layout of an alignment. Without views only the overlay's node is there.

    The overlay view shows the ultrasound, or both images in one; the patient view the same plane of the volume with
    the ultrasound over it.
    """

    def __init__(self):
        self._slices = AlignedSlices()
        self._follower = PlaneFollower(self._slices)
        self._switch = LayoutSwitch(ALIGNMENT_LAYOUT)
        self._layers, self._onPatient = None, (None, None)

    @property
    def isShown(self):
        return self._switch.isShown

    def show(self):
        """Switch to the layout."""
        self._switch.show()
        self._setVisibleIn3D(True)

    def showScore(self, chart):
        """The score view shows this chart node."""
        view = slicer.mrmlScene.GetSingletonNode(SCORE_VIEW, "vtkMRMLPlotViewNode")
        if view is not None:
            view.SetPlotChartNodeID(chart.GetID())

    def hide(self):
        """Back to the user's layout."""
        self._follower.stop()
        self._slices.release()
        self._layers = None
        if self.isShown:
            self._setVisibleIn3D(False)
        self._switch.hide()

    def removeOverlay(self):
        """The overlay leaves the scene."""
        overlay = self.overlay()
        if overlay is not None:
            slicer.mrmlScene.RemoveNode(overlay)

    def _setVisibleIn3D(self, isVisible):
        for widget in self._widgets()[1:]:
            widget.mrmlSliceNode().SetSliceVisible(isVisible)

    def viewIDs(self):
        """IDs of the views that the fan's outline belongs in."""
        nodes = [widget.mrmlSliceNode() for widget in self._widgets()]
        return [node.GetID() for node in (*nodes, *slicer.util.getNodesByClass("vtkMRMLViewNode"))]

    def overlay(self):
        """The volume node of the overlay, or None."""
        return nodeOfRole("vtkMRMLScalarVolumeNode", OVERLAY_ROLE)

    def namePatient(self, patientNode, modality):
        """Call the patient's view by what it shows; see view_names.nameOfVolume."""
        for widget in self._widgets()[1:]:
            widget.mrmlSliceNode().SetLayoutLabel(nameOfVolume(patientNode, modality))

    def showOnPatient(self, background, foreground):
        """Show other volumes in the patient's view, in the place of the patient and the ultrasound; None for these."""
        if (background, foreground) != self._onPatient:
            self._onPatient = (background, foreground)
            if self._layers is not None:
                self._setLayers(*self._layers)

    def showImage(self, imageNode, patientNode):
        """The ultrasound alone, also as it moves; a volume as the views happen to cut it."""
        self._follower.stop()
        self._slices.release()
        if imageNode.GetImageData() is None:
            return
        self._setLayers(imageNode, patientNode, imageNode)
        if self.isShown and not isThreeDimensional(imageNode):  # views that are hidden are not ours to turn
            try:
                pose, extentMm = imagePlane(imageNode)
            except DiffUSError:  # under a transform that bends space; the alignment says so
                return
            self._align(pose, extentMm, extentMm)
            self._follower.follow(imageNode, [widget.mrmlSliceNode() for widget in self._widgets()])

    def showOverlay(self, pixels, imageToRas, imageNode, patientNode):
        """Show (H, W) uint8 pixels that stand at a (4, 4) matrix, and the plane that they lie in.

        Where two images stand side by side, W is 2 H; the patient's view shows the place of the first.
        """
        self._follower.stop()
        node = self.overlay() or self._makeOverlay()
        wasModified = node.StartModify()
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(imageToRas))
        slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(pixels[None]))
        node.EndModify(wasModified)
        self._setLayers(node, patientNode, imageNode)
        pose, (left, right, top, bottom) = imagePlane(node)
        share = pixels.shape[0] / pixels.shape[1]
        self._align(pose, (left, right, top, bottom), (left, left + share * (right - left), top, bottom))

    def _makeOverlay(self):
        node = addNodeOfRole("vtkMRMLScalarVolumeNode", OVERLAY_ROLE, _("Ultrasound and rendered image"))
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        slicer.util.updateVolumeFromArray(node, np.zeros((1, 8, 8), np.uint8))
        showAsUltrasound(node)
        node.GetDisplayNode().SetSaveWithScene(False)
        return node

    def _widgets(self):
        return self._switch.sliceWidgets((OVERLAY_VIEW, PATIENT_VIEW))

    def _setLayers(self, shownNode, patientNode, imageNode):
        self._layers = (shownNode, patientNode, imageNode)
        background, foreground = self._onPatient
        layers = ((shownNode, None), (background or patientNode, foreground or imageNode))
        for widget, (background, foreground) in zip(self._widgets(), layers, strict=False):
            composite = widget.mrmlSliceCompositeNode()
            composite.SetBackgroundVolumeID(background.GetID() if background is not None else None)
            composite.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
            composite.SetForegroundOpacity(0.5)

    def _align(self, pose, overlayMm, patientMm):
        """Turn both views into a plane, each with its own extent (left, right, top, bottom) in it."""
        for widget, extentMm in zip(self._widgets() if self.isShown else (), (overlayMm, patientMm), strict=False):
            self._slices.align(widget.mrmlSliceNode(), pose, extentMm)
            fitSlice(widget.mrmlSliceNode(), extentMm)
