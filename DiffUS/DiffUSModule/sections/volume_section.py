"""Choice of the patient's volume."""

import textwrap

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..parameters.first_volume import takeFirstVolume
from ..scene import impedance_volume
from .section import Section, setIfDifferent, setShown

LONGEST_NOTE = 130
"""Characters below the modality; the tooltip has the rest."""


class VolumeSection(Section, VTKObservationMixin):
    """Volume, modality, and why."""

    panel = "Volume"

    def __init__(self, ui, session):
        Section.__init__(self, ui, session)
        VTKObservationMixin.__init__(self)
        ui.sampleButton.connect("clicked()", lambda: self.attempt(self.onSample))
        ui.volumeSection.connect("contentsCollapsed(bool)", lambda: self.update())
        ui.impedanceButton.connect("toggled(bool)", lambda isOn: self.attempt(self.onImpedance, isOn))
        self._hiddenIDs = []
        self._shownNode = self._shownMaps = None  # of the impedance

    def update(self):
        patient = self.session.patient
        self._hideOwnVolumes()
        setIfDifferent(self.ui.impedanceButton, "enabled", patient.node is not None)
        if self._shownNode is not None:
            self._updateImpedance(patient)
        if patient.node is None:
            text = _("Load an MRI or CT, or take the sample head.")
        else:
            text = textwrap.shorten(patient.notes[0], LONGEST_NOTE, placeholder="...") if patient.notes else ""
        self.ui.modalityNote.toolTip = "\n".join(patient.notes)
        setIfDifferent(self.ui.modalityNote, "text", text)
        setShown(self.ui.modalityNote, bool(text), self.ui.volumeSection)

    def _hideOwnVolumes(self):
        """Live images and what else the module made are no patients; snapshots may be looked at."""
        volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        identifiers = [node.GetID() for node in volumes if node.GetAttribute("DiffUS.Role") is not None]
        if identifiers != self._hiddenIDs:
            self._hiddenIDs = identifiers
            self.ui.volumeSelector.sortFilterProxyModel().hiddenNodeIDs = identifiers

    # --- impedance as a volume ---------------------------------------------------------------------------------------

    def _updateImpedance(self, patient):
        """It follows the maps, and goes with its volume."""
        if patient.node is not self._shownNode:
            self.ui.impedanceButton.checked = False
        elif patient.maps is None:
            self._shownMaps = None
        elif patient.maps is not self._shownMaps:
            impedance_volume.updateImpedance(patient.node, patient.maps, self._shownMaps)
            self._shownMaps = patient.maps

    def onImpedance(self, isOn):
        if isOn:
            self.session.errands.withMaps(self._showImpedance)
        elif self._shownNode is not None:
            node, self._shownNode, self._shownMaps = self._shownNode, None, None
            if slicer.mrmlScene.IsNodePresent(node):
                self.session.actions.overImage(lambda: impedance_volume.hideImpedance(node))

    def _showImpedance(self):
        patient = self.session.patient
        self._shownNode, self._shownMaps = patient.node, patient.maps
        impedance_volume.updateImpedance(patient.node, patient.maps)
        self.session.actions.overImage(lambda: impedance_volume.showImpedance(patient.node))
        impedance_volume.showLegend(patient.node)

    def open(self):
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAddedEvent, self.onNodeAdded)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, caller, event, node):
        """A volume that is loaded while none is chosen is taken, as soon as it has its voxels."""
        if node.IsA("vtkMRMLScalarVolumeNode") and not caller.IsImporting():
            qt.QTimer.singleShot(0, self.takeVolume)

    def takeVolume(self):
        if self.session.isActive and self.session.parameters is not None:
            takeFirstVolume(self.session.parameters)

    def close(self):
        self.removeObservers()
        setIfDifferent(self.ui.impedanceButton, "checked", False)

    def onSample(self):
        """Making the head takes seconds: in the background."""
        from ..scene.sample_data import addSampleHead, makeSampleHead

        def choose(phantom):
            self.session.parameters.volume = addSampleHead(phantom, "t1")

        self.session.errands.inBackground(_("Making the sample head..."), makeSampleHead, choose)
