"""What computes the images; installation of PyTorch; messages."""

import sys

from slicer.i18n import tr as _

from ..live import torch_status
from .section import Section, setIfDifferent


class StatusSection(Section):
    """The first lines of the panel."""

    def __init__(self, ui, session):
        super().__init__(ui, session)
        ui.installButton.connect("clicked()", self.onInstall)
        ui.cancelButton.connect("clicked()", session.cancelPreparation)

    def update(self):
        ui, patient = self.ui, self.session.patient
        isInstalled = torch_status.isTorchInstalled()
        setIfDifferent(ui.statusLabel, "text", self._statusText(isInstalled, patient))
        ui.installButton.setVisible(not isInstalled)
        ui.cancelButton.setVisible(patient.isBusy or bool(self.session.errands.activity))
        message = patient.error or self.session.message
        setIfDifferent(ui.messageLabel, "text", message)
        ui.messageLabel.setVisible(bool(message))
        for name in ("volumeSection", "transducerSection", "imageSection", "needleSection", "keepSection"):
            setIfDifferent(getattr(ui, name), "enabled", isInstalled)

    def _statusText(self, isInstalled, patient):
        if not isInstalled:
            return _("DiffUS needs PyTorch to compute images; it is not installed.")
        if self.session.errands.activity:
            return self.session.errands.activity
        if patient.isBusy:
            return _("Preparing {name}...").format(name=patient.node.GetName())
        version = torch_status.torchVersion()
        if "torch" not in sys.modules:  # importing it takes seconds; the first image does
            return _("Ready. PyTorch {version}").format(version=version)
        return f"{torch_status.describeDevice()}. PyTorch {version}"

    def onInstall(self):
        self.attempt(torch_status.installTorch)
        self.session.activate()
        self.session.changed.emit()
