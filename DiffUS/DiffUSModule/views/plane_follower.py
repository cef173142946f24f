"""Slice views that stay in the plane of a moving image: in any other plane the image shows as a line."""

import slicer
from slicer.util import VTKObservationMixin

from DiffUSLib import DiffUSError

from .slice_planes import imagePlane


class PlaneFollower(VTKObservationMixin):
    """Turns slice views with a flat image, for instance as the sweep that it belongs to plays.

    Args:
        slices: see aligned_slices.AlignedSlices.
    """

    def __init__(self, slices):
        VTKObservationMixin.__init__(self)
        self._slices = slices
        self._image, self._sliceNodes = None, ()

    def follow(self, imageNode, sliceNodes):
        """Keep these slice nodes in the plane of the image from now on; their zoom stays."""
        self.stop()
        self._image, self._sliceNodes = imageNode, tuple(sliceNodes)
        self.addObserver(imageNode, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._align)
        self._align()

    def stop(self):
        """Leave the views as they are."""
        self.removeObservers()
        self._image, self._sliceNodes = None, ()

    def _align(self, caller=None, event=None):
        try:
            plane = imagePlane(self._image)
        except DiffUSError:  # under a transform that bends space; the panel says so
            return
        for sliceNode in self._sliceNodes:
            self._slices.align(sliceNode, *plane)
