"""How tissue moved since the scan, where to trust that, and what the user does with it."""

from slicer.i18n import tr as _

from ..live import torch_status
from ..scene import warp_transform
from ..scene.error_volume import errorAt, showLegend
from ..views.crosshair import Crosshair
from .section import Section, setIfDifferent, setShown


class BrainShiftSection(Section):
    """Hidden until there is an alignment, or a scene brought a brain shift of an earlier day."""

    panel = "BrainShift"

    def __init__(self, ui, session):
        super().__init__(ui, session)
        self._shift, self._alignment = session.shift, session.alignment
        self._crosshair, self._isUpdating = Crosshair(), False
        self._shift.changed.connect(self.update)
        self._shift.failed.connect(session.say)
        self._alignment.changed.connect(self.update)
        self._crosshair.moved.connect(self._showError)
        for name, action in (
            ("shiftButton", self.onFind),
            ("shiftSwitchButton", lambda: self._shift.setDeformed(not self._shift.isDeformed)),
            ("shiftAcceptButton", self._shift.accept),
            ("shiftRevertButton", self._shift.revert),
            ("shiftHardenButton", self.onHarden),
        ):
            getattr(ui, name).connect("clicked()", lambda action=action: self.attempt(action))
        ui.shiftAmountSlider.connect("valueChanged(double)", self.onAmount)
        ui.shiftArrowsCheckBox.connect("toggled(bool)", self.onArrows)
        ui.shiftMapCheckBox.connect("toggled(bool)", lambda isChecked: self.update())
        ui.brainShiftSection.connect("contentsCollapsed(bool)", lambda isCollapsed: self.update())

    # --- what the panel shows ----------------------------------------------------------------------------------------

    def update(self):
        ui, shift = self.ui, self._shift
        nodes, isInstalled = shift.nodes, torch_status.isTorchInstalled()
        isWanted = isInstalled and (self._alignment.outcome is not None or nodes is not None)
        if not isWanted:
            ui.brainShiftSection.collapsed = True
        ui.brainShiftSection.setVisible(isWanted)
        if self.session.parameters is None or not isInstalled:
            return
        self._isUpdating = True
        self._updateSearch()
        self._updateResult(nodes)
        self._isUpdating = False
        self._showLayers(nodes)
        self._showError()

    def _updateSearch(self):
        ui, shift, outcome = self.ui, self._shift, self._alignment.outcome
        isRejected = outcome is not None and outcome.result.verdict == "reject"
        setIfDifferent(ui.shiftButton, "text", _("Cancel") if shift.isBusy else _("Find brain shift"))
        setIfDifferent(ui.shiftButton, "enabled", shift.isBusy or (outcome is not None and not isRejected))
        text = self._runningText() if shift.isBusy else ""
        if not shift.isBusy and outcome is None:
            text = _("To find another one, align first.")
        elif not shift.isBusy and isRejected:
            text = _("The rigid correction was rejected: no brain shift is looked for.")
        setIfDifferent(ui.shiftState, "text", text)
        setShown(ui.shiftState, bool(text), ui.brainShiftSection)

    def _runningText(self):
        progress = self._shift.progress
        if progress is None:
            return _("Preparing the volume...")
        stage = {
            "halves": _("Halves of the frames predict each other"),
            "together": _("All frames"),
            "map": _("Map of the error"),
        }[progress.stage]
        text = _("{stage}, step {step} · {seconds:.0f} s")
        return text.format(stage=stage, step=progress.iteration + 1, seconds=self._shift.seconds)

    def _updateResult(self, nodes):
        ui, shift = self.ui, self._shift
        isShown = nodes is not None and not shift.isBusy
        warp = nodes.warp if isShown else None
        hasMap = isShown and nodes.errors is not None
        for widget in (ui.shiftSwitchButton, ui.shiftAmountSlider, ui.shiftArrowsCheckBox):
            setShown(widget, warp is not None, ui.brainShiftSection)
        for widget in (ui.shiftSentences, ui.shiftMapCheckBox):
            setShown(widget, hasMap, ui.brainShiftSection)
        for widget in (ui.shiftAcceptButton, ui.shiftRevertButton, ui.shiftHardenButton):
            setShown(widget, isShown, ui.brainShiftSection)
        if not isShown:
            return
        setIfDifferent(ui.shiftSentences, "text", nodes.sentences)
        setIfDifferent(ui.shiftSwitchButton, "text", _("Show rigid") if shift.isDeformed else _("Show deformed"))
        setIfDifferent(ui.shiftSwitchButton, "enabled", nodes.deformed is not None)
        if warp is not None:
            setIfDifferent(ui.shiftAmountSlider, "value", 100 * warp_transform.amountOf(warp))
            setIfDifferent(ui.shiftArrowsCheckBox, "checked", warp_transform.areArrowsShown(warp))
        setIfDifferent(ui.shiftAmountSlider, "enabled", shift.isOpen)
        setIfDifferent(ui.shiftAcceptButton, "enabled", shift.isOpen)
        setIfDifferent(ui.shiftHardenButton, "enabled", warp is not None and nodes.deformed is not None)

    def _showLayers(self, nodes):
        """The patient's view shows the deformed volume, and the map over it."""
        background = foreground = None
        if nodes is not None and self.session.isActive:
            background = nodes.deformed if self._shift.isDeformed else None
            foreground = nodes.errors if self._isMapWanted else None
        self._alignment.view.showOnPatient(background, foreground)
        if nodes is not None and nodes.errors is not None:
            showLegend(nodes.errors, foreground is not None)  # last: it looks for views that show its volume
        self._crosshair.follow(foreground is not None)

    @property
    def _isMapWanted(self):
        return self.ui.shiftMapCheckBox.checked and not self.ui.brainShiftSection.collapsed

    def _showError(self):
        """The predicted error under the mouse."""
        ui, nodes = self.ui, self._shift.nodes
        errors = nodes.errors if nodes is not None and self._isMapWanted and not self._shift.isBusy else None
        setShown(ui.shiftError, errors is not None, ui.brainShiftSection)
        if errors is None:
            return
        position = self._crosshair.positionRasMm()
        error = errorAt(errors, position) if position is not None else None
        if error is None:
            text = _("Point at the map: 9 of 10 errors are expected below its value.")
        else:
            text = _("At the mouse: 9 of 10 errors below {error:.1f} mm").format(error=error)
        setIfDifferent(ui.shiftError, "text", text)

    # --- the buttons -------------------------------------------------------------------------------------------------

    def onFind(self):
        if self._shift.isBusy:
            self._shift.drop()
        else:
            self._shift.start()

    def onAmount(self, percent):
        if not self._isUpdating:
            self._shift.setAmount(percent / 100)

    def onArrows(self, isChecked):
        nodes = self._shift.nodes
        if not self._isUpdating and nodes is not None and nodes.warp is not None:
            warp_transform.showArrows(nodes.warp, isChecked, nodes.errors)

    def onHarden(self):
        node = self._shift.nodes.addHardened()
        self.session.say(_("Resampled copy: volume {name}").format(name=node.GetName()))

    # --- life --------------------------------------------------------------------------------------------------------

    def close(self):
        """Nothing runs while the module is closed; a result that is not decided on waits."""
        if self._shift.isBusy:
            self._shift.drop()
        self._crosshair.follow(False)

    def end(self):
        self._shift.changed.disconnect(self.update)
        self._alignment.changed.disconnect(self.update)
        self._shift.end()
