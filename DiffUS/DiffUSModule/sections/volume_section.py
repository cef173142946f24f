"""Choice of the patient's volume."""

from slicer.i18n import tr as _

from .section import Section, setIfDifferent


class VolumeSection(Section):
    """Volume, modality, and why."""

    def __init__(self, ui, session):
        super().__init__(ui, session)
        ui.sampleButton.connect("clicked()", lambda: self.attempt(self.onSample))

        ui.impedanceButton.connect("toggled(bool)", self.onImpedance)

    def update(self):
        patient = self.session.patient
        setIfDifferent(self.ui.impedanceButton, "enabled", patient.node is not None)
        if patient.node is None:
            setIfDifferent(self.ui.impedanceButton, "checked", False)
        if patient.node is None:
            text = _("Load an MRI or CT, or take the sample head.")
        else:
            text = patient.notes[0] if patient.notes else ""
        self.ui.modalityNote.toolTip = "\n".join(patient.notes)
        setIfDifferent(self.ui.modalityNote, "text", text)
        self.ui.modalityNote.setVisible(bool(text))

    def onImpedance(self, isOn):
        from ..impedance_volume import hideImpedance, showImpedance

        patient, session = self.session.patient, self.session
        if isOn:
            session.withMaps(lambda: self.attempt(lambda: session.overImage(lambda: showImpedance(patient))))
        else:
            self.attempt(lambda: session.overImage(lambda: hideImpedance(patient)))

    def close(self):
        setIfDifferent(self.ui.impedanceButton, "checked", False)

    def onSample(self):
        """Making the head takes seconds: in the background."""
        from ..sample_data import addSampleHead, makeSampleHead

        def choose(phantom):
            self.session.parameters.volume = addSampleHead(phantom, "t1")

        self.session.inBackground(_("Making the sample head..."), makeSampleHead, choose)
