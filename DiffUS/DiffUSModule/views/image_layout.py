"""The layout with live image, reslice, 3D view and an axial slice; the user's own layout comes back."""

import slicer

from .aligned_slices import AlignedSlices
from .layout_switch import LayoutSwitch
from .layouts import IMAGE_LAYOUT, IMAGE_VIEW, OVERLAY_VIEW, PATIENT_VIEW, RESLICE_VIEW
from .slice_planes import fitSlice
from .view_names import nameOfVolume


class ImageLayout:
    """Switches the layout on and off and keeps its slice views in the plane of the image. Does nothing without views.

    The image view shows the live image alone; the reslice view the volume with the image over it.
    """

    def __init__(self):
        self._switch = LayoutSwitch(IMAGE_LAYOUT)
        self._slices = AlignedSlices()

    @property
    def isShown(self):
        return self._switch.isShown

    def show(self):
        """Switch to the layout; the one before is remembered."""
        if self.isShown or slicer.app.layoutManager() is None:
            return
        self._switch.show()
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        self._previousCrosshair = crosshair.GetCrosshairMode()
        crosshair.SetCrosshairMode(slicer.vtkMRMLCrosshairNode.ShowSmallBasic)

    def hide(self):
        """Back to the user's layout, unless the user has chosen another one meanwhile."""
        if not self.isShown:
            return
        self._slices.release()
        self._switch.hide()
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        if crosshair is not None:
            crosshair.SetCrosshairMode(self._previousCrosshair)
        self._setVisibleIn3D(False)

    def _widgets(self):
        return self._switch.sliceWidgets((IMAGE_VIEW, RESLICE_VIEW))

    def _setVisibleIn3D(self, isVisible):
        for widget in self._widgets()[:1]:
            widget.mrmlSliceNode().SetSliceVisible(isVisible)

    def setVolumes(self, imageNode, volumeNode, overlay, modality):
        """Say what the views show.

        Args:
            imageNode: the live image, or None.
            volumeNode: the patient's node, or None.
            overlay: opacity of the image over the volume, 0 to 1.
            modality: DiffUSLib's name of what the volume's intensities mean, or "auto".
        """
        if not self.isShown:
            return
        imageID = imageNode.GetID() if imageNode is not None else None
        isVolume = volumeNode is not None and volumeNode.IsA("vtkMRMLScalarVolumeNode")
        volumeID = volumeNode.GetID() if isVolume else None
        for widget, background, foreground in zip(self._widgets(), (imageID, volumeID), (None, imageID), strict=False):
            composite = widget.mrmlSliceCompositeNode()
            composite.SetBackgroundVolumeID(background)
            composite.SetForegroundVolumeID(foreground)
            composite.SetForegroundOpacity(overlay)
        for widget in self._widgets()[1:]:
            widget.mrmlSliceNode().SetLayoutLabel(nameOfVolume(volumeNode, modality))
        self._setVisibleIn3D(imageNode is not None)

    def showImage(self, imageNode):
        """The image view shows the image and nothing else."""
        for widget in self._widgets()[:1] if self.isShown else ():
            composite = widget.mrmlSliceCompositeNode()
            composite.SetBackgroundVolumeID(imageNode.GetID())
            composite.SetForegroundVolumeID(None)

    def viewsForHandles(self):
        """IDs of the views in which handles may show: all but the live image and those of an alignment."""
        without = (IMAGE_VIEW, OVERLAY_VIEW, PATIENT_VIEW)
        views = slicer.util.getNodesByClass("vtkMRMLSliceNode") + slicer.util.getNodesByClass("vtkMRMLViewNode")
        return [view.GetID() for view in views if view.GetLayoutName() not in without]

    def align(self, transducerToRas, extentMm):
        """Follow the transducer; returns the slice nodes that were turned."""
        nodes = [widget.mrmlSliceNode() for widget in self._widgets()] if self.isShown else []
        return [node for node in nodes if self._slices.align(node, transducerToRas, extentMm)]

    def fit(self, extentMm):
        """Zoom to the whole fan."""
        for widget in self._widgets() if self.isShown else ():
            fitSlice(widget.mrmlSliceNode(), extentMm)
