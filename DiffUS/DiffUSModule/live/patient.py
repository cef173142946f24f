"""The patient: the chosen volume, its acoustic maps, and what they were made from."""

import numpy as np
import slicer
import vtk
from slicer.util import VTKObservationMixin

from ..scene.volume_source import computeMaps, copyVolume, movedMaps, placeOf, voxelsTime
from .background import BackgroundTask
from .messages import explain
from .signal import Signal


class Patient(VTKObservationMixin):
    """Follows one volume node: computes its acoustic maps in the background, moves them when the node is moved.

    Attributes:
        changed: signal without arguments: maps, notes, error or activity are new.
        maps: DiffUSLib's AcousticMaps, or None.
        notes: sentences on what was decided.
        error: a sentence, or "".
        isBusy: True while maps are computed.
    """

    def __init__(self):
        VTKObservationMixin.__init__(self)
        self.changed = Signal()
        self.maps, self.notes, self.error = None, (), ""
        self._node = self._modality = self._anchors = self._task = self._place = self._window = None
        self._voxelsTime = 0
        self._isOutdated = False

    @property
    def isBusy(self):
        return self._task is not None

    @property
    def node(self):
        return self._node

    @property
    def modality(self):
        """DiffUSLib's name of what the intensities mean, "auto" until it was found."""
        return self.maps.modality if self.maps is not None else self._modality

    def setNode(self, node, modality, anchors=None, window=None):
        """Choose the volume, what its intensities mean (DiffUSLib's name), and anchors instead of measured ones.

        Computes nothing yet.

        Args:
            window: of a craniotomy, see parameters.craniotomy; None leaves the skull closed.
        """
        if node is self._node and (modality, anchors, window) == (self._modality, self._anchors, self._window):
            return
        self._endTask()  # without a word: who listens might ask for the maps of the node before
        self.removeObservers()
        self._node, self._modality, self._anchors, self._window = node, modality, anchors, window
        self._forget()
        self._voxelsTime = voxelsTime(node) if node is not None else 0
        if node is not None:
            self.addObserver(node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._onMoved)
            if node.IsA("vtkMRMLSegmentationNode"):
                events = slicer.vtkSegmentation
                for event in (events.SourceRepresentationModified, events.SegmentAdded, events.SegmentRemoved):
                    self.addObserver(node, event, self._onVoxelsChanged)
            else:
                self.addObserver(node, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, self._onVoxelsChanged)
                self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._onNodeModified)
        self.changed.emit()

    def _forget(self):
        self.maps, self.notes, self.error = None, (), ""
        self._isOutdated = True

    def prepare(self):
        """Compute the maps if they are not there; the result comes with `changed`."""
        if self._node is None or self.isBusy or not self._isOutdated:
            return
        self._isOutdated = False
        try:
            copy, self._place = copyVolume(self._node), placeOf(self._node)
            self._voxelsTime = voxelsTime(self._node)
        except Exception as error:
            self._onError(error)
            return
        modality, anchors = self._modality, self._anchors
        window = None if self._window is None else self._place @ np.array(self._window)
        self._task = BackgroundTask(lambda: computeMaps(copy, modality, anchors, window), self._onMaps, self._onError)
        self.changed.emit()

    def cancel(self):
        """Stop waiting for maps that are being computed."""
        if self.isBusy:
            self._endTask()
            self.changed.emit()

    def release(self):
        """Let go of the maps, which may take a part of a GB; they are computed again when they are needed."""
        self.cancel()
        if self.maps is not None:
            self._forget()
            self.changed.emit()

    def _endTask(self):
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self._isOutdated = True

    def close(self):
        """Let go of the node."""
        self.setNode(None, self._modality)

    def _onMaps(self, maps):
        self._task = None
        self.maps, self.notes, self.error = maps, maps.notes, ""
        self._onMoved()

    def _onError(self, error):
        self._task = None
        self.maps, self.notes, self.error = None, (), explain(error)
        self.changed.emit()

    def _onVoxelsChanged(self, caller=None, event=None):
        self._endTask()
        self._forget()
        self.changed.emit()

    def _onNodeModified(self, caller=None, event=None):
        """Spacing, origin and directions have no event of their own; a new name or display changes no place."""
        if voxelsTime(self._node) != self._voxelsTime:
            self._voxelsTime = voxelsTime(self._node)
            self._onVoxelsChanged()
        elif self.maps is not None and not np.array_equal(placeOf(self._node), self._place):
            self._onMoved()

    def _onMoved(self, caller=None, event=None):
        """Maps go where their volume goes."""
        if self.maps is None:
            if self.error:  # perhaps the place was what was wrong
                self._forget()
                self.changed.emit()
            return
        try:
            place = placeOf(self._node)
        except Exception as error:
            self._forget()
            self._onError(error)
            return
        ijkToRas = place @ np.linalg.inv(self._place) @ self.maps.ijk_to_ras.numpy()
        self._place = place
        self.maps = movedMaps(self.maps, ijkToRas)
        self.changed.emit()
