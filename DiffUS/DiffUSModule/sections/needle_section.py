"""A needle in the patient, in the image and in 3D."""

from ..live.needle_placement import newNeedle
from .section import Section, setIfDifferent


class NeedleSection(Section):
    """Which transform the needle follows, and its size; the widgets are connected to the parameter node."""

    panel = "Needle"

    def __init__(self, ui, session):
        super().__init__(ui, session)
        ui.newNeedleButton.connect("clicked()", lambda: self.attempt(newNeedle, session))

    def update(self):
        if self.session.parameters is None:
            return
        hasNeedle = self.session.parameters.needle is not None
        for name in ("needleCheckBox", "needleLengthSlider", "needleDiameterSlider"):
            setIfDifferent(getattr(self.ui, name), "enabled", hasNeedle)
        setIfDifferent(self.ui.newNeedleButton, "enabled", self.session.transducer is not None)
