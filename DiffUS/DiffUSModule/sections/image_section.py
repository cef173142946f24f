"""The live image and how it looks."""

from slicer.i18n import tr as _

from ..parameters.parameter_node import Look
from .section import Section, setIfDifferent

CLINICAL_ONLY = (
    "gainSlider", "dynamicRangeSlider", "timeGainSlider", "propagationCombo", "beamPlanesSpinBox", "detailCombo",
    "speckleCheckBox",
)  # fmt: skip


class ImageSection(Section):
    """Live, look and layout; the widgets themselves are connected to the parameter node."""

    panel = "Image"

    def __init__(self, ui, session):
        super().__init__(ui, session)
        session.image.shown.connect(self.onImageShown)

    def update(self):
        parameters = self.session.parameters
        if parameters is None:
            return
        hasTransducer = self.session.transducer is not None
        for widget in (self.ui.liveButton, self.ui.layoutCheckBox):
            setIfDifferent(widget, "enabled", hasTransducer)
        setIfDifferent(self.ui.liveButton, "text", _("Live") if parameters.live else _("Frozen"))
        for name in CLINICAL_ONLY:
            setIfDifferent(getattr(self.ui, name), "enabled", parameters.look == Look.CLINICAL)

    def onImageShown(self, pixels, pose):
        rate = self.session.image.renderer.framesPerSecond()
        setIfDifferent(self.ui.rateLabel, "text", _("{rate:.0f} images/s").format(rate=rate) if rate else "")
