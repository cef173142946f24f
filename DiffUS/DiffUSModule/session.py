"""Joins parameter node, patient, transducer, live image and views."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from .parameters.edited_anchors import editedAnchors
from .parameters.probe_settings import (
    probeFromParameters,
    renderSettingsFromParameters,
    storedProbe,
    writeProbeToParameters,
)
from .scene.pose_history import PoseHistory
from .scene.sample_data import knownStartPose
from .scene.transducer import Transducer, isTransducer
from .views.image_layout import ImageLayout
from .work import torch_status
from .work.background import BackgroundTask, endAll
from .work.live_renderer import LiveRenderer
from .work.messages import explain
from .work.patient import Patient
from .work.signal import Signal

LONGEST_WAIT_S = 5.0
"""For threads when the module goes away, so that none is within torch when Python ends."""


class Session(VTKObservationMixin):
    """The running module, without its panel.

    Attributes:
        changed: signal without arguments: something that the panel shows is new.
        imageShown: signal with (pixels, pose): a new image is in the scene.
        parameters: DiffUSParameterNode, or None while no scene is open.
        patient: Patient.
        live: LiveRenderer.
        layout: ImageLayout.
        history: PoseHistory of the active transducer.
        message: a sentence for the user, or "".
        activity: what is being done in the background, as a sentence, or "".
    """

    def __init__(self):
        VTKObservationMixin.__init__(self)
        self.changed, self.imageShown = Signal(), Signal()
        self.parameters, self.transducer, self.message = None, None, ""
        self.patient = Patient()
        self.patient.changed.connect(self._onPatientChanged)
        self.live = LiveRenderer(lambda: self.transducer.pose())
        self.live.rendered.connect(self._onRendered)
        self.live.failed.connect(self._onFailed)
        self.layout = ImageLayout()
        self.history = PoseHistory()
        self._probe = self._settings = self._whenReady = self._tracked = self._handles = None
        self._isUpdating = False
        self._task = None
        self.activity = ""
        self.isActive = False
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAddedEvent, self._onNodeAdded)

    # --- life --------------------------------------------------------------------------------------------------------

    def setParameters(self, parameters):
        """Work on these parameters; None lets go of every node."""
        if self.parameters is not None:
            self.removeObserver(self.parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParameters)
        self.parameters = parameters
        if parameters is None:
            self._whenReady = None
            self._endTask()
            self._setTransducer(None)
            self.patient.close()
            self.live.stop()
            self.live.setMaps(None)
            self._probe = self._settings = None
        else:
            # After the parameter node wrapper's own observers: before them it may hold values from before the event.
            event = vtk.vtkCommand.ModifiedEvent
            self.addObserver(parameters.parameterNode, event, self._onParameters, priority=-1.0)
            self._onParameters()
        self.changed.emit()

    def activate(self):
        """The module is open."""
        self.isActive = True
        if self.parameters is not None:
            self._onParameters()

    def deactivate(self):
        """The module is closed: nothing runs, the user's layout is back, memory of the device is free."""
        self.isActive = False
        self._endTask()
        self.patient.cancel()
        self.live.stop()
        self.layout.hide()
        torch_status.releaseMemory()

    def close(self):
        """Before the module goes away."""
        self.deactivate()
        self.setParameters(None)
        endAll(LONGEST_WAIT_S)
        self.removeObservers()

    def say(self, text):
        """Show a sentence to the user; "" takes it away."""
        if text != self.message:
            self.message = text
            self.changed.emit()

    # --- parameters --------------------------------------------------------------------------------------------------

    def _onParameters(self, caller=None, event=None):
        """Bring everything in line with the parameter node; each part does nothing if nothing changed for it."""
        if self._isUpdating or self.parameters is None or not torch_status.isTorchInstalled():
            return
        self._isUpdating = True
        try:
            anchors = editedAnchors(self.parameters)
            self.patient.setNode(self.parameters.volume, self.parameters.modality.value, anchors)
            self._setTransducer(self.parameters.transducer)
            self._updateProbe()
            self._updateSettings()
            self._updateLayout()
            self._updateTransducer()
        finally:
            self._isUpdating = False
        self._goOn()
        self.changed.emit()

    def _setTransducer(self, transform):
        current = self.transducer.transform if self.transducer else None
        if transform is current:
            return
        if current is not None:
            self.removeObserver(current, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._onMoved)
        self.transducer = Transducer(transform) if isTransducer(transform) else None
        if self.transducer is None:
            self.history.clear()
            return
        self.addObserver(transform, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._onMoved)
        self.history.clear(slicer.util.arrayFromTransformMatrix(transform))
        self._tracked = transform.GetParentTransformNode()
        self.parameters.trackedTransform = self._tracked
        stored = storedProbe(transform)
        if stored:
            writeProbeToParameters(self.parameters, *stored)

    def _updateProbe(self):
        try:
            probe = probeFromParameters(self.parameters)
        except ValueError as error:
            self.say(explain(error))
            return
        if probe != self._probe:
            self._probe = probe
            self.live.setProbe(probe)
            self.layout.fit(probe.extent_mm())
        if self.transducer and storedProbe(self.transducer.transform) != (self.parameters.preset, probe):
            self.transducer.setProbe(self.parameters.preset, probe)

    def _updateSettings(self):
        if self.transducer is None:  # settings need torch, whose import takes seconds: not before the first image
            return
        settings = renderSettingsFromParameters(self.parameters)
        if settings != self._settings:
            self._settings = settings
            self.live.setSettings(settings)

    def _updateTransducer(self):
        if self.transducer is None:
            return
        self._updateHandles()
        tracked = self.parameters.trackedTransform
        # A parent that the user chose elsewhere stays until this choice changes.
        if tracked is not self._tracked and tracked is not self.transducer.transform:
            self._tracked = tracked
            self.transducer.follow(tracked)

    def _updateHandles(self):
        handles = (self.transducer.transform, self.parameters.showHandles, *self.layout.viewsForHandles())
        if handles != self._handles:
            self._handles = handles
            self.transducer.showHandles(self.parameters.showHandles, self.layout.viewsForHandles())

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, caller, event, node):
        """A new view gets handles, too."""
        if node.IsA("vtkMRMLAbstractViewNode") and self.transducer is not None and not caller.IsImporting():
            self._updateHandles()

    def _updateLayout(self):
        if not self.isActive:
            return
        wanted = self.parameters.imageLayout and self.transducer is not None
        if wanted and not self.layout.isShown:
            self.layout.show()
            self.layout.fit(self._probe.extent_mm())
        elif not wanted:
            self.layout.hide()
        image = self.transducer.image if self.transducer else None
        self.layout.setVolumes(image, self.parameters.volume, self.parameters.overlay)

    # --- the running image -------------------------------------------------------------------------------------------

    @property
    def probe(self):
        """DiffUSLib's Probe as the panel describes it."""
        return self._probe

    def _goOn(self):
        """Compute maps if they are needed, else render if live."""
        if not self.isActive or self.parameters is None:
            return
        isWanted = self._whenReady is not None or (self.transducer is not None and self.parameters.live)
        if isWanted and self.patient.maps is None:
            self.patient.prepare()
        elif self.transducer is not None and self.parameters.live:
            self.live.request()

    def _onPatientChanged(self):
        self.live.setMaps(self.patient.maps)
        if self.patient.error:
            self._whenReady = None
        if self.patient.maps is not None and self._whenReady is not None:
            action, self._whenReady = self._whenReady, None
            try:
                action()
            except Exception as error:
                self.say(explain(error))
        self._goOn()
        self.changed.emit()

    def withMaps(self, action):
        """Call `action` when the acoustic maps of the volume are there; compute them first if necessary."""
        self.say("")
        if self.patient.maps is not None:
            self._whenReady = None
            try:
                action()
            except Exception as error:
                self.say(explain(error))
        else:
            self._whenReady = action
            self._goOn()
            if self.patient.error:
                self._whenReady = None
        self.changed.emit()

    def inBackground(self, activity, function, onResult):
        """Run a function that touches neither MRML nor Qt; then call `onResult` with what it returned.

        Args:
            activity: sentence for the user while it runs.
        """
        self._endTask()
        self.activity = activity

        def finish(result):
            self._endTask()
            try:
                onResult(result)
            except Exception as error:
                self.say(explain(error))

        def fail(error):
            self._endTask()
            self.say(explain(error))

        self._task = BackgroundTask(function, finish, fail)
        self.changed.emit()

    def _endTask(self):
        if self._task is not None:
            self._task.cancel()
            self._task, self.activity = None, ""
            self.changed.emit()

    def cancelPreparation(self):
        """The user does not want to wait for what is being done."""
        self._whenReady = None
        self._endTask()
        self.patient.cancel()
        if self.transducer is not None:
            self.parameters.live = False

    def _onMoved(self, caller=None, event=None):
        self.history.moved(slicer.util.arrayFromTransformMatrix(self.transducer.transform))
        if self.parameters.live and self.isActive:
            self.live.request()
        self.changed.emit()

    def _onRendered(self, pixels, imageToTransducer):
        pose = self.transducer.pose()
        self.transducer.setImage(pixels, imageToTransducer)
        self.layout.align(pose, self._probe.extent_mm())
        outside = _("The transducer does not look at the volume; move it or snap it to a surface.")
        self.say(outside if self.live.coverage < 0.01 else self.live.warning)
        self.imageShown.emit(pixels, pose)

    def _onFailed(self, error):
        self.say(explain(error))

    # --- what the user does ------------------------------------------------------------------------------------------

    def addTransducer(self, pose=None):
        """A new transducer, at a pose or where DiffUSLib finds a good place; it becomes the active one."""
        if pose is None:
            pose = knownStartPose(self.patient.node)
        if pose is None:
            from DiffUSLib import default_pose

            maps = self.patient.maps
            activity = _("Looking for a good place...")
            self.inBackground(activity, lambda: default_pose(maps).numpy(), self.addTransducer)
            return
        self._probe = self._probe or probeFromParameters(self.parameters)
        transducer = Transducer.create(self.parameters.preset, self._probe)
        transducer.setPose(pose)
        wasModified = self.parameters.StartModify()
        self.parameters.transducer = transducer.transform
        self.parameters.imageLayout = True
        self.parameters.EndModify(wasModified)
        self._showInSliceViews()

    def _showInSliceViews(self):
        volume = self.parameters.volume
        if volume is not None and volume.IsA("vtkMRMLScalarVolumeNode"):
            slicer.util.setSliceViewerLayers(
                background=volume, foreground=self.transducer.image, foregroundOpacity=self.parameters.overlay
            )
            self._updateLayout()

    def overImage(self, change):
        """Change what all slice views show; the live image keeps its own view."""
        change()
        if self.transducer is not None:
            self.layout.showImage(self.transducer.image)

    def setPose(self, pose):
        """Place the active transducer, or a new one if there is none."""
        if self.transducer is None:
            self.addTransducer(pose)
        else:
            self.transducer.setPose(np.asarray(pose))

    def undo(self):
        """Back to where the transducer stood before the last placement."""
        if self.transducer is not None and self.history.canUndo:
            slicer.util.updateTransformMatrixFromArray(self.transducer.transform, self.history.undo())
            self.changed.emit()

    def choosePreset(self, preset):
        """Take over the geometry of a shipped probe."""
        from DiffUSLib import load_probe

        writeProbeToParameters(self.parameters, preset, load_probe(preset))
