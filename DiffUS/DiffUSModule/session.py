"""Joins parameter node, patient, transducer, live image and views."""

import qt
import vtk
from slicer.util import VTKObservationMixin

from .alignment.alignment_run import AlignmentRun
from .alignment.shift_run import ShiftRun
from .live import torch_status
from .live.active_needle import ActiveNeedle
from .live.active_transducer import ActiveTransducer
from .live.background import endAll
from .live.errands import Errands
from .live.live_image import LiveImage
from .live.patient import Patient
from .live.patient_view import PatientView
from .live.signal import Signal
from .live.transducer_actions import TransducerActions
from .looks.thumbnails import Thumbnails
from .parameters.craniotomy import windowOf
from .parameters.edited_anchors import editedAnchors
from .views.image_layout import ImageLayout

LONGEST_WAIT_S = 20.0
"""For threads when the module goes away, so that none is within torch when Python ends."""


class Session(VTKObservationMixin):
    """The life of the running module, without its panel: which parts work, and on what.

    Attributes:
        changed: signal without arguments: something that the panel shows is new.
        parameters: DiffUSParameterNode, or None while no scene is open.
        patient: Patient.
        active: ActiveTransducer.
        needle: ActiveNeedle.
        image: LiveImage.
        errands: Errands.
        actions: TransducerActions.
        thumbnails: Thumbnails.
        alignment: AlignmentRun.
        shift: ShiftRun.
        message: a sentence for the user, or "".
        isActive: True while the module is open.
    """

    def __init__(self):
        VTKObservationMixin.__init__(self)
        self.changed = Signal()
        self.parameters, self.message, self.isActive = None, "", False
        self._isUpdating = False
        self.patient = Patient()
        self.patient.changed.connect(self._onPatientChanged)
        layout = ImageLayout()
        self.active = ActiveTransducer(layout.viewsForHandles)
        self.active.moved.connect(self._onMoved)
        self.needle = ActiveNeedle()
        self.needle.moved.connect(self._onMoved)
        self.image = LiveImage(layout, self.active, self.needle, self.say)
        self.errands = Errands(self.patient, self.say, self._goOn)
        self.errands.changed.connect(self.changed.emit)
        self.actions = TransducerActions(self)
        self.thumbnails = Thumbnails(self.say)
        self.alignment = AlignmentRun(self)
        self.shift = ShiftRun(self, self.alignment)
        self._patientView = PatientView(self.patient, self.say)

    @property
    def transducer(self):
        """The active Transducer, or None."""
        return self.active.transducer

    def setParameters(self, parameters):
        """Work on these parameters; None lets go of every node."""
        event = vtk.vtkCommand.ModifiedEvent
        if self.parameters is not None:
            self.removeObserver(self.parameters.parameterNode, event, self._onParameters)
        self.parameters = parameters
        if parameters is None:
            self.errands.cancel()
            self.active.choose(None)
            self.needle.update(None)
            self._patientView.close()
            self.patient.close()
            self.image.close()
        else:
            # After the parameter node wrapper's own observers: before them it may hold values from before the event.
            self.addObserver(parameters.parameterNode, event, self._onParameters, priority=-1.0)
            self._onParameters()
        self.changed.emit()

    def activate(self):
        """The module is open."""
        self.isActive = True
        if self.parameters is not None:
            self._onParameters()

    def deactivate(self):
        """The module is closed: nothing runs, the user's layout is back, memory is free."""
        self.isActive = False
        self.errands.endTask()
        self.patient.release()
        self.image.renderer.stop()
        self.image.layout.hide()
        self._patientView.close()
        qt.QTimer.singleShot(0, torch_status.releaseMemory)  # takes as long as the rest: in a turn of its own

    def close(self):
        """Before the module goes away."""
        self.deactivate()
        self.setParameters(None)
        endAll(LONGEST_WAIT_S)
        self.active.close()
        self.needle.close()
        self.removeObservers()

    def say(self, text):
        """Show a sentence to the user; "" takes it away."""
        if text != self.message:
            self.message = text
            self.changed.emit()

    def cancelPreparation(self):
        """The user does not want to wait for what is being done."""
        self.errands.cancel()
        self.patient.cancel()
        if self.transducer is not None:
            self.parameters.live = False

    def updateViews(self):
        """Show in the module's views what the parameters want."""
        if self.isActive and self.parameters is not None:
            self._patientView.update(self.parameters.showPatient and self.transducer is not None)
            self.image.updateLayout(self.parameters, self.patient.modality)

    def _onParameters(self, caller=None, event=None):
        """Bring everything in line with the parameter node; each part does nothing if nothing changed for it."""
        if self._isUpdating or self.parameters is None or not torch_status.isTorchInstalled():
            return
        self._isUpdating = True
        try:
            parameters = self.parameters
            anchors, window = editedAnchors(parameters), windowOf(parameters)
            self.patient.setNode(parameters.volume, parameters.modality.value, anchors, window)
            self.active.choose(parameters)
            self.needle.update(parameters)
            self.image.update(parameters)
            self.updateViews()
            self.active.update(parameters)
        finally:
            self._isUpdating = False
        self._goOn()
        self.changed.emit()

    def _onPatientChanged(self):
        self.image.renderer.setMaps(self.patient.maps)
        if not self._isUpdating:
            self.updateViews()  # views are called by the modality that was found
        self.errands.onPatientChanged()
        self._goOn()
        self.changed.emit()

    def _onMoved(self):
        if self.parameters.live and self.isActive:
            self.image.renderer.request()
        self.changed.emit()

    def _goOn(self):
        """Compute maps if they are needed, else render if live."""
        if not self.isActive or self.parameters is None:
            return
        isLive = self.transducer is not None and self.parameters.live
        if self.patient.maps is None and (isLive or self.errands.needsMaps):
            self.patient.prepare()
        elif isLive:
            self.image.renderer.request()
