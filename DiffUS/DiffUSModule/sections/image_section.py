"""The live image and how it looks."""

import qt
from slicer.i18n import tr as _

from ..looks.chosen_look import isPaper, lookName, shippedLooks
from ..looks.scene_looks import lookNodes
from .section import Section, setIfDifferent

NOT_PAPER = (
    "gainSlider", "scaleByHandCheckBox", "propagationCombo", "beamPlanesSpinBox", "detailCombo", "speckleCheckBox",
)  # fmt: skip
BY_HAND = ("dynamicRangeSlider", "timeGainSlider")


class ImageSection(Section):
    """Live, look and layout; most widgets are connected to the parameter node."""

    panel = "Image"

    def __init__(self, ui, session):
        super().__init__(ui, session)
        self._choices, self._isUpdating = [], False
        session.image.shown.connect(self.onImageShown)
        session.thumbnails.changed.connect(self._showThumbnails)
        ui.lookCombo.connect("currentIndexChanged(int)", self.onLook)

    def update(self):
        parameters = self.session.parameters
        if parameters is None:
            return
        hasTransducer = self.session.transducer is not None
        for widget in (self.ui.liveButton, self.ui.layoutCheckBox):
            setIfDifferent(widget, "enabled", hasTransducer)
        setIfDifferent(self.ui.liveButton, "text", _("Live") if parameters.live else _("Frozen"))
        isClinical = not isPaper(parameters)
        for names, isUsed in ((NOT_PAPER, isClinical), (BY_HAND, isClinical and parameters.scaleByHand)):
            for name in names:
                setIfDifferent(getattr(self.ui, name), "enabled", isUsed)
        self._updateLooks(parameters, hasTransducer)

    def _updateLooks(self, parameters, hasTransducer):
        """Shipped looks, then those of the scene; the fitted ones need torch, which is there with a transducer."""
        nodes = lookNodes()
        choices = [(name, None, text) for name, text in shippedLooks(hasTransducer)]
        choices += [(None, node, node.GetName()) for node in nodes]
        self._isUpdating = True
        try:
            if choices != self._choices:
                self._choices = choices
                self.ui.lookCombo.clear()
                self.ui.lookCombo.addItems([text for _name, _node, text in choices])
                self._showThumbnails()
            own, name = parameters.ownLook, lookName(parameters)
            chosen = [i for i, (n, node, _t) in enumerate(choices) if (node is own if own is not None else n == name)]
            setIfDifferent(self.ui.lookCombo, "currentIndex", chosen[0] if chosen else -1)
        finally:
            self._isUpdating = False

    def _showThumbnails(self):
        for index, (name, node, _text) in enumerate(self._choices):
            path = self.session.thumbnails.path(name if node is None else node.GetText())
            if path is not None:
                self.ui.lookCombo.setItemIcon(index, qt.QIcon(qt.QPixmap(path)))

    def onLook(self, index):
        if self._isUpdating or not 0 <= index < len(self._choices):
            return
        parameters, (name, node, _text) = self.session.parameters, self._choices[index]
        wasModified = parameters.StartModify()
        parameters.ownLook = node
        if node is None:
            parameters.look = name
        parameters.EndModify(wasModified)

    def onImageShown(self, pixels, pose):
        rate = self.session.image.renderer.framesPerSecond()
        setIfDifferent(self.ui.rateLabel, "text", _("{rate:.0f} images/s").format(rate=rate) if rate else "")
