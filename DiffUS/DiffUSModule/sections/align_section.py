"""Alignment of tracked ultrasound to the patient's volume."""

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..alignment import alignment_job, fan_shape
from ..alignment.alignment_run import AlignmentRun, State
from ..alignment.correction_node import Correction
from ..alignment.fan_outline import FanOutline
from ..alignment.report_table import addReportTable
from ..alignment.transform_chain import checkChain, describeChain
from ..alignment.ultrasound_source import imageNodeOf, isThreeDimensional, readUltrasound
from ..parameters.parameter_node import OverlayStyle, ProbeKind
from ..scene.transducer_placement import sliceViewNames
from ..views.slice_planes import poseFromSlice
from ..work import torch_status
from ..work.background import BackgroundTask
from ..work.messages import explain
from .section import Section, setIfDifferent, setShown

VERDICT_STYLE = "background: {pale}; color: #202020"
VERDICT_COLORS = {"accept": ("#2e7d32", "#e3f2e4"), "check": ("#e69100", "#fdf1d8"), "reject": ("#c62828", "#fbe3e3")}
FAN_ROWS = {
    "fanOpening": (ProbeKind.CURVILINEAR, ProbeKind.SECTOR),
    "fanRadius": (ProbeKind.CURVILINEAR,),
    "fanWidth": (ProbeKind.LINEAR,),
}


class AlignSection(Section, VTKObservationMixin):
    """Choice of the ultrasound, its fan, the alignment, and what comes of it."""

    def __init__(self, ui, session):
        Section.__init__(self, ui, session)
        VTKObservationMixin.__init__(self)
        self.run = AlignmentRun(session)
        self.run.changed.connect(self.update)
        self.run.failed.connect(session.say)
        self._outline = FanOutline()
        self._chosen = self._found = self._task = self._drawnFan = None
        self._problem, self._wasRead = "", False
        ui.loadSweepButton.connect("clicked()", lambda: self.attempt(self.onLoadSweep))
        ui.detectFanButton.connect("clicked()", lambda: self.attempt(self.onDetect))
        ui.alignButton.connect("clicked()", lambda: self.attempt(self.onAlign))
        ui.beforeAfterButton.connect("clicked()", lambda: self.run.setApplied(not self.run.isApplied))
        ui.acceptButton.connect("clicked()", lambda: self.attempt(self.run.accept))
        ui.revertButton.connect("clicked()", lambda: self.attempt(self.onRevert))
        ui.reportButton.connect("clicked()", lambda: self.attempt(self.onReport))
        # Expanding a section shows all its rows, also those that are not for this ultrasound.
        for section in (ui.alignSection, ui.fanSection, ui.alignAdvancedSection):
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

    @property
    def _isOpen(self):
        return self.session.isActive and not self.ui.alignSection.collapsed

    def _follow(self, node):
        """Another ultrasound was chosen, or the section was opened or closed."""
        if node is not self._chosen:
            self._choose(node)
        if not self._isOpen or node is None:
            self.run.view.hide()
            return
        if not self.run.view.isShown:
            self.run.view.show()
            self._showImage()
        if not self._wasRead:
            self._lookForFan()

    def _choose(self, node):
        """Let go of what was chosen before."""
        self._chosen, self._found, self._problem, self._wasRead = node, None, "", False
        self.removeObservers()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._outline.hide()
        self._drawnFan = None
        try:
            image = imageNodeOf(node) if node is not None else None
        except ValueError as error:
            image, self._problem = None, explain(error)
        if image is not None:
            self.addObserver(image, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._onTransform)
        self.run.stop()  # last: it says that something changed

    def _onTransform(self, caller, event):
        """It may hang under other transforms now."""
        self._outline.follow(caller)
        if self._isOpen and self.session.parameters is not None:
            parameters = self.session.parameters
            setIfDifferent(self.ui.alignChain, "text", self._chainText(self._chosen, parameters.volume))

    def _showImage(self):
        """The ultrasound, or what an alignment shows, in the views."""
        if self.run.state is not State.IDLE:
            self.run.draw()
            return
        try:
            self.run.view.showImage(imageNodeOf(self._chosen), self.session.parameters.volume)
        except ValueError as error:
            self._problem = explain(error)

    def _updateChoice(self, parameters):
        ui, node = self.ui, parameters.ultrasound
        isVolume = node is not None and self._isVolume(node)
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
        setIfDifferent(ui.alignChain, "text", self._chainText(node, parameters.volume))

    @staticmethod
    def _isVolume(node):
        return not node.IsA("vtkMRMLSequenceBrowserNode") and isThreeDimensional(node)

    def _chainText(self, node, volume):
        if node is None:
            return _("Choose the ultrasound to be aligned to the volume above.")
        try:
            imageNode = imageNodeOf(node)
            checkChain(imageNode)
            return describeChain(imageNode, volume, self.run.correctionNode if self.run.isPending else None)
        except Exception as error:
            return explain(error)

    def _updateFan(self, parameters):
        ui = self.ui
        if self._found is None:
            text = _("Looking for the fan...") if self._task is not None else self._problem
        elif parameters.fanByHand:
            text = _("Set by hand")
        elif self._found.fan is None:
            text = explain(self._found.problem)
        else:
            text = fan_shape.describeFan(self._found.fan, fan_shape.pixelSize(self._found.imageToRas))
        setIfDifferent(ui.fanNote, "text", text)
        isIdle = self.run.state not in (State.WAITING, State.RUNNING)
        setIfDifferent(ui.detectFanButton, "enabled", self._wasRead and self._task is None and isIdle)
        for name, kinds in FAN_ROWS.items():
            for suffix in ("Slider", "Label"):
                setShown(getattr(ui, name + suffix), parameters.fan.kind in kinds, ui.fanSection)
        for name in ("Kind", "Across", "Down", "Direction", "Opening", "Radius", "Width", "Depth"):
            widget = getattr(ui, f"fan{name}Combo" if name == "Kind" else f"fan{name}Slider")
            setIfDifferent(widget, "enabled", parameters.fanByHand)
        self._drawFan()

    def _updateRun(self, parameters):
        ui, run = self.ui, self.run
        isBusy = run.state in (State.WAITING, State.RUNNING)
        isReady = parameters.volume is not None and parameters.ultrasound is not None
        setIfDifferent(ui.alignButton, "enabled", isReady)
        setIfDifferent(ui.alignButton, "text", _("Cancel") if isBusy else _("Align"))
        for widget in (ui.ultrasoundSelector, ui.loadSweepButton, ui.fanSection, ui.alignPreset,
                       ui.alignAdvancedSection, ui.alignPlaneCombo):  # fmt: skip
            setIfDifferent(widget, "enabled", not isBusy)
        setIfDifferent(ui.alignState, "text", self._stateText())
        setShown(ui.alignState, bool(ui.alignState.text), ui.alignSection)
        run.setOverlay(parameters.overlayStyle.value, parameters.overlayShare)
        isSeen = run.state is not State.IDLE
        setShown(ui.overlayShareSlider, isSeen and parameters.overlayStyle == OverlayStyle.BLEND, ui.alignSection)
        for widget in (ui.overlayLabel, ui.overlayCombo):
            setShown(widget, isSeen, ui.alignSection)
        self._updateResult()

    def _stateText(self):
        run = self.run
        if run.state is State.WAITING:
            return _("Preparing the volume...")
        if run.state is State.RUNNING:
            if run.isWaitingForAnother:
                return _("Waiting for the cancelled alignment to end...")
            stage = {
                "start": _("Looking around"),
                "coarse": _("Coarse search"),
                "middle": _("Finer search"),
                "fine": _("Fine search"),
                "trust": _("Checking the result"),
            }.get(run.stage, _("Starting"))
            text = _("{stage}, step {step} · {seconds:.0f} s")
            return text.format(stage=stage, step=run.iteration + 1, seconds=run.seconds)
        if self._chosen is not None and self.session.parameters.volume is None:
            return _("Choose the MRI or CT in the section Volume.")
        if run.outcome is not None:
            text = _("{count} frames in {seconds:.1f} s on {device}")
            report = run.outcome.report
            return text.format(count=len(report["frames_used"]), seconds=run.seconds, device=report["device"])
        return ""

    def _updateResult(self):
        ui, run = self.ui, self.run
        outcome, isOpen = run.outcome, run.state is State.DONE
        for widget in (ui.alignVerdict, ui.alignFigures):
            setShown(widget, outcome is not None, ui.alignSection)
        if outcome is not None:
            result = outcome.result
            title = {"accept": _("Accept"), "check": _("Check"), "reject": _("Reject")}[result.verdict]
            if run.state is State.ACCEPTED:
                title = _("Accepted by you")
            strong, pale = VERDICT_COLORS[result.verdict]
            setIfDifferent(ui.alignVerdict, "styleSheet", VERDICT_STYLE.format(pale=pale))
            text = f'<b style="color: {strong}">{title}.</b> {" ".join(result.reasons)}'
            setIfDifferent(ui.alignVerdict, "text", text)
            setIfDifferent(ui.alignFigures, "text", _figures(result))
        isRejected = outcome is not None and outcome.result.verdict == "reject"
        setIfDifferent(ui.beforeAfterButton, "enabled", isOpen)
        setIfDifferent(ui.beforeAfterButton, "text", _("Show before") if run.isApplied else _("Show after"))
        setIfDifferent(ui.acceptButton, "enabled", isOpen and not isRejected)
        setIfDifferent(ui.revertButton, "enabled", isOpen or self._acceptedCorrection() is not None)
        setIfDifferent(ui.reportButton, "enabled", outcome is not None)

    def _acceptedCorrection(self):
        """The correction in the chain of the chosen ultrasound, also one of an earlier day; None while aligning."""
        node = self._chosen
        if node is None or self.run.state in (State.WAITING, State.RUNNING):
            return None
        try:
            return Correction.above(imageNodeOf(node))
        except ValueError:
            return None

    # --- the fan -----------------------------------------------------------------------------------------------------

    def _lookForFan(self):
        """Read the ultrasound and find its fan in the background."""
        node, self._found, self._problem, self._wasRead = self._chosen, None, "", True
        self._showImage()
        if self._isVolume(node):
            return
        try:
            frames = readUltrasound(node, None)
        except Exception as error:
            self._problem = explain(error)
            return
        self._task = BackgroundTask(lambda: alignment_job.findFan(frames), self._onFan, self._onFanError)

    def _onFan(self, found):
        self._task, self._found = None, found
        parameters = self.session.parameters
        if found.fan is not None and not parameters.fanByHand:
            self.attempt(fan_shape.writeFan, parameters.fan, found.fan, fan_shape.pixelSize(found.imageToRas))
        self.update()

    def _onFanError(self, error):
        self._task, self._problem = None, explain(error)
        self.update()

    def _fan(self):
        """The FanGeometry to use, or None if there is none."""
        found, parameters = self._found, self.session.parameters
        if found is None or not parameters.fanByHand:
            return None if found is None else found.fan
        pixelMm = fan_shape.pixelSize(found.imageToRas)
        base = found.fan or fan_shape.wholeImage(found.images.shape[1:])
        return fan_shape.readFan(parameters.fan, base, pixelMm)

    def _drawFan(self):
        fan = self._fan() if self._isOpen else None
        if fan == self._drawnFan:
            return
        self._drawnFan = fan
        if fan is None:
            self._outline.hide()
        else:
            self._outline.show(imageNodeOf(self._chosen), fan, self._found.pixelShare, self.run.view.viewIDs())

    def onDetect(self):
        """Find the fan again, and take what is found."""
        self.session.parameters.fanByHand = False
        self._lookForFan()
        self.update()

    # --- the buttons -------------------------------------------------------------------------------------------------

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
        self.session.inBackground(activity, lambda: readTrackedSweep(sweepPath, calibrationPath), choose)

    def onAlign(self):
        if self.run.state in (State.WAITING, State.RUNNING):
            self.run.stop()
            return
        parameters = self.session.parameters
        node = parameters.ultrasound
        self.run.stop()
        source = readUltrasound(node, parameters.volume)
        settings = {"preset": parameters.alignPreset.value, "degrees_of_freedom": parameters.freedom.value}
        if self._isVolume(node):
            makeSlices, numbers = alignment_job.planesOf(source, self._plane()), ()
        else:
            makeSlices = alignment_job.framesOf(source, self._fan(), parameters.alignFrames)
            numbers = source.numbers
        self.run.start(node, parameters.volume, makeSlices, numbers, settings)

    def _plane(self):
        """(1, 4, 4) array of the chosen slice view's plane, or None for planes along the axes."""
        index = self.ui.alignPlaneCombo.currentIndex
        if index < 1:
            return None
        widget = slicer.app.layoutManager().sliceWidget(sliceViewNames()[index - 1])
        return poseFromSlice(widget.mrmlSliceNode())[None]

    def onRevert(self):
        if self.run.outcome is not None:
            self.run.revert()
        else:
            self._acceptedCorrection().remove()
            self.update()

    def onReport(self):
        node = addReportTable(self._chosen.GetName(), self.run.outcome.report)
        self.session.say(_("Report: table {name}").format(name=node.GetName()))

    # --- life --------------------------------------------------------------------------------------------------------

    def close(self):
        """Nothing runs while the module is closed; a result that is not decided on waits."""
        if self.run.state in (State.WAITING, State.RUNNING) or slicer.mrmlScene.IsClosing():
            self.run.stop()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._found is None:
            self._wasRead = False  # what was wrong may be put right elsewhere
        self.run.view.hide()
        self._outline.hide()
        self._drawnFan = None

    def end(self):
        self.run.changed.disconnect(self.update)
        self._choose(None)


def _figures(result):
    """What moved and how sure that is, in mm."""
    header = ("", _("lateral"), _("depth"), _("elevation"), _("mean length"))
    moved = [f"{value:+.1f}" for value in result.displacement_axes_mm]
    sure = [f"{value:.1f}" for value in result.uncertainty_mm]
    rows = (
        header,
        (_("Moves by (mm)"), *moved, f"{result.displacement_mm:.1f}"),
        (_("Uncertainty (mm)"), *sure, ""),
    )
    cells = ["".join(f'<td style="padding-right: 14px">{cell}</td>' for cell in row) for row in rows]
    text = "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"
    if not np.isclose(result.image_scale, 1.0):
        text += _("Image size: {scale:.3f} (in the overlay, not in the correction)").format(scale=result.image_scale)
    return text
