"""A slice view that stays in the plane of a moving image: in any other plane the image shows as a line."""

import slicer
from slicer.util import VTKObservationMixin

from .slice_alignment import alignSlice, fitSlice, imagePlane

OPACITY = 0.7
"""Of the image over the volume that the view showed before."""


class SweepView(VTKObservationMixin):
    """Shows the image of a sweep in a slice view and turns the view with it as the sweep plays."""

    def __init__(self):
        VTKObservationMixin.__init__(self)
        self._image = self._sliceNode = None

    def show(self, imageNode, viewName="Red"):
        """Follow a flat image in this view; does nothing without views."""
        self.stop()
        manager = slicer.app.layoutManager()
        widget = manager.sliceWidget(viewName) if manager is not None else None
        if widget is None:
            return
        self._image, self._sliceNode = imageNode, widget.mrmlSliceNode()
        composite = widget.mrmlSliceCompositeNode()
        if composite.GetBackgroundVolumeID() is None:
            composite.SetBackgroundVolumeID(imageNode.GetID())
        elif composite.GetBackgroundVolumeID() != imageNode.GetID():
            composite.SetForegroundVolumeID(imageNode.GetID())
            composite.SetForegroundOpacity(OPACITY)
        self._sliceNode.SetSliceVisible(True)
        self.addObserver(imageNode, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._align)
        self._align()
        fitSlice(self._sliceNode, imagePlane(imageNode)[1])

    def stop(self):
        """Leave the view as it is."""
        self.removeObservers()
        self._image = self._sliceNode = None

    def _align(self, caller=None, event=None):
        alignSlice(self._sliceNode, *imagePlane(self._image))
