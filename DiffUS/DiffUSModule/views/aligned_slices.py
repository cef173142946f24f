"""Slice views that stay in a plane, whatever else moves them."""

import time

import qt
from slicer.util import VTKObservationMixin
from vtk import vtkCommand

from .slice_planes import alignSlice, isAligned

MOST_PER_SECOND = 10
"""If something else moves a view more often than this, it is left alone until the plane moves again."""


class AlignedSlices(VTKObservationMixin):
    """Puts slice nodes back in their plane in the next turn of the event loop after something moved them.

    A new slice view moves by itself: the slider of its bar clamps the offset when the first volume gives it a range.
    """

    def __init__(self):
        VTKObservationMixin.__init__(self)
        self._planes, self._moments = {}, []
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._alignAgain)

    def align(self, sliceNode, pose, extentMm):
        """Turn a slice node into a plane and keep it there; returns what slice_planes.alignSlice does."""
        if sliceNode not in self._planes:
            self.addObserver(sliceNode, vtkCommand.ModifiedEvent, self._onModified)
        self._planes[sliceNode] = (pose, extentMm)
        self._moments = []
        return alignSlice(sliceNode, pose, extentMm)

    def release(self):
        """Leave the views as they are."""
        self._timer.stop()
        self.removeObservers()
        self._planes = {}

    def _onModified(self, caller, event):
        if caller in self._planes and not isAligned(caller, *self._planes[caller]):
            self._timer.start()

    def _alignAgain(self):
        now = time.monotonic()
        self._moments = [moment for moment in self._moments if moment > now - 1.0]
        if len(self._moments) < MOST_PER_SECOND:
            self._moments.append(now)
            for sliceNode, plane in self._planes.items():
                alignSlice(sliceNode, *plane)
