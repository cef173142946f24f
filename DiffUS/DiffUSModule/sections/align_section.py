"""Alignment of tracked ultrasound to the patient's volume."""

import qt
import slicer
from slicer.i18n import tr as _

from ..alignment import alignment_job, fan_shape
from ..alignment.alignment_run import State
from ..alignment.chosen_ultrasound import ChosenUltrasound
from ..alignment.ultrasound_source import readUltrasound
from ..live import torch_status
from ..live.transducer_placement import sliceViewNames
from ..looks.chosen_look import chosenAppearance
from ..parameters.parameter_node import OverlayStyle, ProbeKind
from ..views.slice_planes import poseFromSlice
from .alignment_result import AlignmentResult
from .section import Section, setIfDifferent, setShown

FAN_ROWS = {
    "fanOpening": (ProbeKind.CURVILINEAR, ProbeKind.SECTOR),
    "fanRadius": (ProbeKind.CURVILINEAR,),
    "fanWidth": (ProbeKind.LINEAR,),
}


class AlignSection(Section):
    """Choice of the ultrasound, its fan, and the start of an alignment; what comes of it is AlignmentResult's."""

    panel = "Align"

    def __init__(self, ui, session):
        super().__init__(ui, session)
        self.run = session.alignment
        self.run.changed.connect(self.update)
        self.run.failed.connect(session.say)
        self._ultrasound, self._shownVolume = ChosenUltrasound(), None
        self._ultrasound.changed.connect(self._onFan)
        self._ultrasound.moved.connect(self._onMoved)
        self._result = AlignmentResult(ui, session, self.run, self._ultrasound, self.update)
        ui.loadSweepButton.connect("clicked()", lambda: self.attempt(self.onLoadSweep))
        ui.detectFanButton.connect("clicked()", lambda: self.attempt(self.onDetect))
        ui.alignButton.connect("clicked()", lambda: self.attempt(self.onAlign))
        # Expanding a section shows all its rows, also those that are not for this ultrasound.
        for section in (ui.alignSection, ui.fanSection, ui.alignAdvancedSection, ui.brainShiftSection):
            section.connect("contentsCollapsed(bool)", lambda: self.update())

    # --- what the panel shows ----------------------------------------------------------------------------------------

    def update(self):
        ui, parameters = self.ui, self.session.parameters
        isInstalled = torch_status.isTorchInstalled()
        setIfDifferent(ui.alignSection, "enabled", isInstalled)
        if parameters is None or not isInstalled:
            return
        self._follow(parameters.ultrasound)
        if ui.alignSection.collapsed:
            return
        self._updateChoice(parameters)
        self._updateFan(parameters)
        self._updateRun(parameters)
        self._result.update()

    @property
    def _isOpen(self):
        """The views of an alignment are also those of the brain shift after it."""
        isExpanded = not (self.ui.alignSection.collapsed and self.ui.brainShiftSection.collapsed)
        return self.session.isActive and isExpanded

    def _follow(self, node):
        """Another ultrasound was chosen, or the section was opened or closed."""
        if node is not self._ultrasound.node:
            self._ultrasound.choose(node)
            self.run.stop()  # last: it says that something changed
        if not self._isOpen or node is None:
            self.run.view.hide()
            return
        volume = self.session.parameters.volume
        if not self.run.view.isShown:
            self.run.view.show()
            self._showImage()
        elif volume is not self._shownVolume:
            self._showImage()
        self.run.view.namePatient(volume, self.session.patient.modality)
        if not self._ultrasound.wasRead:
            self._lookForFan()

    def _lookForFan(self):
        self._showImage()
        self._ultrasound.lookForFan()

    def _onFan(self):
        found, parameters = self._ultrasound.found, self.session.parameters
        if found is not None and found.fan is not None and not parameters.fanByHand:
            self.attempt(fan_shape.writeFan, parameters.fan, found.fan, self._ultrasound.pixelMm)
        self.update()

    def _onMoved(self):
        if self._isOpen and self.session.parameters is not None:
            self._updateChain(self.session.parameters)

    def _showImage(self):
        """The ultrasound, or what an alignment shows, in the views."""
        self._shownVolume = self.session.parameters.volume
        if self.run.state is not State.IDLE:
            self.run.draw()
            return
        image = self._ultrasound.imageNode()
        if image is not None:
            self.run.view.showImage(image, self.session.parameters.volume)

    def _updateChain(self, parameters):
        pending = self.run.correctionNode if self.run.isPending else None
        setIfDifferent(self.ui.alignChain, "text", self._ultrasound.chainText(parameters.volume, pending))

    def _updateChoice(self, parameters):
        ui, node = self.ui, parameters.ultrasound
        isVolume = node is not None and self._ultrasound.isVolume
        isFlat = node is not None and not isVolume
        for widget in (ui.alignPlaneLabel, ui.alignPlaneCombo):
            setShown(widget, isVolume, ui.alignSection)
        for widget in (ui.fanLabel, ui.fanNote, ui.detectFanButton, ui.fanSection):
            setShown(widget, isFlat, ui.alignSection)
        for widget in (ui.alignFramesLabel, ui.alignFramesSpinBox):
            setShown(widget, isFlat, ui.alignAdvancedSection)
        names = [_("Along its axes"), *(_("Slice view {name}").format(name=name) for name in sliceViewNames())]
        if names != [ui.alignPlaneCombo.itemText(index) for index in range(ui.alignPlaneCombo.count)]:
            ui.alignPlaneCombo.clear()
            ui.alignPlaneCombo.addItems(names)
        self._updateChain(parameters)

    def _updateFan(self, parameters):
        ui, ultrasound = self.ui, self._ultrasound
        setIfDifferent(ui.fanNote, "text", ultrasound.fanText(parameters.fanByHand))
        canDetect = ultrasound.wasRead and not ultrasound.isLooking and not self.run.isBusy
        setIfDifferent(ui.detectFanButton, "enabled", canDetect)
        for name, kinds in FAN_ROWS.items():
            for suffix in ("Slider", "Label"):
                setShown(getattr(ui, name + suffix), parameters.fan.kind in kinds, ui.fanSection)
        for name in ("Kind", "Across", "Down", "Direction", "Opening", "Radius", "Width", "Depth"):
            widget = getattr(ui, f"fan{name}Combo" if name == "Kind" else f"fan{name}Slider")
            setIfDifferent(widget, "enabled", parameters.fanByHand)
        ultrasound.drawFan(ultrasound.fan(parameters) if self._isOpen else None, self.run.view.viewIDs())

    def _updateRun(self, parameters):
        ui, run = self.ui, self.run
        isReady = parameters.volume is not None and parameters.ultrasound is not None
        setIfDifferent(ui.alignButton, "enabled", isReady)
        setIfDifferent(ui.alignButton, "text", _("Cancel") if run.isBusy else _("Align"))
        for widget in (ui.ultrasoundSelector, ui.loadSweepButton, ui.fanSection, ui.alignPreset,
                       ui.alignAdvancedSection, ui.alignPlaneCombo):  # fmt: skip
            setIfDifferent(widget, "enabled", not run.isBusy)
        run.setOverlay(parameters.overlayStyle.value, parameters.overlayShare)
        isSeen = run.state is not State.IDLE
        setShown(ui.overlayShareSlider, isSeen and parameters.overlayStyle == OverlayStyle.BLEND, ui.alignSection)
        for widget in (ui.overlayLabel, ui.overlayCombo):
            setShown(widget, isSeen, ui.alignSection)

    # --- the buttons -------------------------------------------------------------------------------------------------

    def onDetect(self):
        """Find the fan again, and take what is found."""
        self.session.parameters.fanByHand = False
        self._lookForFan()
        self.update()

    def onLoadSweep(self):
        """Ask for a file; reading it takes seconds: in the background."""
        from ..scene.tracked_sweep import addTrackedSweep, readTrackedSweep, sweepAndCalibration

        filters = _("Tracked ultrasound, and its calibration (*.mha *.nrrd *.xml)")
        title = _("Load tracked ultrasound")
        paths = qt.QFileDialog.getOpenFileNames(slicer.util.mainWindow(), title, "", filters)
        if not paths:
            return
        sweepPath, calibrationPath = sweepAndCalibration(paths)

        def choose(sweep):
            browser = addTrackedSweep(sweep)
            self.session.parameters.ultrasound = browser
            self.session.say(browser.GetDescription())

        activity = _("Loading tracked ultrasound...")
        self.session.errands.inBackground(activity, lambda: readTrackedSweep(sweepPath, calibrationPath), choose)

    def onAlign(self):
        if self.run.isBusy:
            self.run.stop()
            return
        parameters = self.session.parameters
        node = parameters.ultrasound
        self.run.stop()
        source = readUltrasound(node, parameters.volume)
        settings = {"preset": parameters.alignPreset.value, "degrees_of_freedom": parameters.freedom.value}
        if self._ultrasound.isVolume:
            makeSlices, numbers = alignment_job.planesOf(source, self._plane()), ()
        else:
            makeSlices = alignment_job.framesOf(source, self._ultrasound.fan(parameters), parameters.alignFrames)
            numbers = source.numbers
        self.run.start(node, parameters.volume, makeSlices, numbers, settings, chosenAppearance(parameters))

    def _plane(self):
        """(1, 4, 4) array of the chosen slice view's plane, or None for planes along the axes."""
        index = self.ui.alignPlaneCombo.currentIndex
        if index < 1:
            return None
        widget = slicer.app.layoutManager().sliceWidget(sliceViewNames()[index - 1])
        return poseFromSlice(widget.mrmlSliceNode())[None]

    # --- life --------------------------------------------------------------------------------------------------------

    def close(self):
        """Nothing runs while the module is closed; a result that is not decided on waits."""
        if self.run.isBusy or slicer.mrmlScene.IsClosing():
            self.run.stop()
        self._ultrasound.close()
        self.run.view.hide()

    def end(self):
        self.run.changed.disconnect(self.update)
        self._ultrasound.choose(None)
        self.run.stop()
