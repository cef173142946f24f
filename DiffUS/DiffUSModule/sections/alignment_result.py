"""What came of an alignment, and what the user does with it."""

import numpy as np
from slicer.i18n import tr as _

from ..alignment.alignment_run import State
from ..alignment.report_table import addReportTable
from .section import Section, setIfDifferent, setShown

VERDICT_STYLE = "background: {pale}; color: #202020"
VERDICT_COLORS = {"accept": ("#2e7d32", "#e3f2e4"), "check": ("#e69100", "#fdf1d8"), "reject": ("#c62828", "#fbe3e3")}


class AlignmentResult(Section):
    """State, verdict, figures, and the buttons below them.

    Args:
        run: AlignmentRun.
        ultrasound: ChosenUltrasound.
        onChanged: called without arguments when a button changed what the panel shows.
    """

    def __init__(self, ui, session, run, ultrasound, onChanged):
        super().__init__(ui, session)
        self._run, self._ultrasound, self._onChanged = run, ultrasound, onChanged
        ui.beforeAfterButton.connect("clicked()", lambda: run.setApplied(not run.isApplied))
        ui.acceptButton.connect("clicked()", lambda: self.attempt(run.accept))
        ui.revertButton.connect("clicked()", lambda: self.attempt(self.onRevert))
        ui.reportButton.connect("clicked()", lambda: self.attempt(self.onReport))

    def update(self):
        ui, run = self.ui, self._run
        setIfDifferent(ui.alignState, "text", self._stateText())
        setShown(ui.alignState, bool(ui.alignState.text), ui.alignSection)
        outcome, isOpen = run.outcome, run.state is State.DONE
        for widget in (ui.alignVerdict, ui.alignFigures):
            setShown(widget, outcome is not None, ui.alignSection)
        if outcome is not None:
            self._showVerdict(outcome.result)
            setIfDifferent(ui.alignFigures, "text", _figures(outcome.result))
        isRejected = outcome is not None and outcome.result.verdict == "reject"
        setIfDifferent(ui.beforeAfterButton, "enabled", isOpen)
        setIfDifferent(ui.beforeAfterButton, "text", _("Show before") if run.isApplied else _("Show after"))
        setIfDifferent(ui.acceptButton, "enabled", isOpen and not isRejected)
        canRevert = isOpen or (not run.isBusy and self._ultrasound.acceptedCorrection() is not None)
        setIfDifferent(ui.revertButton, "enabled", canRevert)
        setIfDifferent(ui.reportButton, "enabled", outcome is not None)

    def _showVerdict(self, result):
        title = {"accept": _("Accept"), "check": _("Check"), "reject": _("Reject")}[result.verdict]
        if self._run.state is State.ACCEPTED:
            title = _("Accepted by you")
        strong, pale = VERDICT_COLORS[result.verdict]
        setIfDifferent(self.ui.alignVerdict, "styleSheet", VERDICT_STYLE.format(pale=pale))
        text = f'<b style="color: {strong}">{title}.</b> {" ".join(result.reasons)}'
        setIfDifferent(self.ui.alignVerdict, "text", text)

    def _stateText(self):
        run = self._run
        if run.state is State.WAITING:
            return _("Preparing the volume...")
        if run.state is State.RUNNING:
            return self._runningText()
        if self._ultrasound.node is not None and self.session.parameters.volume is None:
            return _("Choose the MRI or CT in the section Volume.")
        if run.outcome is not None:
            text = _("{count} frames in {seconds:.1f} s on {device}")
            report = run.outcome.report
            return text.format(count=len(report["frames_used"]), seconds=run.seconds, device=report["device"])
        return ""

    def _runningText(self):
        run = self._run
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

    def onRevert(self):
        if self._run.outcome is not None:
            self._run.revert()
        else:
            self._ultrasound.acceptedCorrection().remove()
            self._onChanged()

    def onReport(self):
        node = addReportTable(self._ultrasound.node.GetName(), self._run.outcome.report)
        self.session.say(_("Report: table {name}").format(name=node.GetName()))


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
