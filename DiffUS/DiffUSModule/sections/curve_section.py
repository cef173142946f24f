"""From intensity to impedance: the curve as a plot, its anchors as a table to edit."""

import qt
from slicer.i18n import tr as _

from ..parameters.edited_anchors import editedAnchors, storeAnchors
from ..views.curve_layout import CurveLayout
from .section import Section, setIfDifferent

TISSUE_COLUMN, INTENSITY_COLUMN, IMPEDANCE_COLUMN = range(3)


class CurveSection(Section):
    """Closed at first: nothing is computed for it before it is opened or the plot is asked for."""

    def __init__(self, ui, session):
        super().__init__(ui, session)
        self._layout = CurveLayout(session.image.layout)
        self._node = self._plotted = None
        self._shown = ()
        ui.anchorTable.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        ui.anchorTable.connect("cellChanged(int,int)", self.onCell)
        ui.curveButton.connect("toggled(bool)", lambda isOn: self.attempt(self.onShow, isOn))
        ui.addAnchorButton.connect("clicked()", lambda: self.attempt(self.onAdd))
        ui.removeAnchorButton.connect("clicked()", lambda: self.attempt(self.onRemove))
        ui.resetAnchorsButton.connect("clicked()", lambda: self.attempt(self._store, None))
        ui.curveSection.connect("contentsCollapsed(bool)", self.onCollapsed)

    # --- what is shown -----------------------------------------------------------------------------------------------

    def update(self):
        ui, patient = self.ui, self.session.patient
        setIfDifferent(ui.curveButton, "enabled", patient.node is not None)
        if patient.node is None:
            setIfDifferent(ui.curveButton, "checked", False)
        isWaiting = patient.maps is None and not patient.error and patient.node is self._node
        anchors = self._shown if isWaiting else self._anchors()  # a table that vanishes while one edits it is no help
        self._node = patient.node
        parameters = self.session.parameters
        isEdited = bool(anchors) and parameters is not None and editedAnchors(parameters) is not None
        setIfDifferent(ui.curveNote, "text", self._noteText(isEdited))
        if not ui.curveSection.collapsed:
            for widget in (ui.anchorTable, ui.addAnchorButton, ui.removeAnchorButton, ui.resetAnchorsButton,
                           ui.tissueCombo):  # fmt: skip
                widget.setVisible(bool(anchors))
                setIfDifferent(widget, "enabled", not isWaiting)
            self._fillTissues()
        setIfDifferent(ui.resetAnchorsButton, "enabled", isEdited and not isWaiting)
        if anchors != self._shown:
            self._shown = anchors
            self._fillTable(anchors)
        self._updatePlot()

    def _anchors(self):
        """Anchors of the maps in use; () where there are none."""
        maps = self.session.patient.maps
        return maps.network.anchors if maps is not None and maps.network is not None else ()

    def _noteText(self, isEdited):
        maps = self.session.patient.maps
        if maps is None:
            return (
                _("The curve shows when the volume is prepared.") if not self._shown else _("Preparing the curve...")
            )
        if maps.modality == "ct":
            return _("CT: the impedance follows the Hounsfield units; nothing to edit.")
        if maps.modality == "labels":
            return _("Labels take their impedance from the table of tissues; there is no curve.")
        if isEdited:
            return _("Edited by hand.")
        return _("Measured in the volume; double-click a number to edit it.")

    def _fillTissues(self):
        from DiffUSLib import tissue_names

        if self.ui.tissueCombo.count == 0:
            self.ui.tissueCombo.addItems(sorted(tissue_names()))
            self.ui.tissueCombo.currentText = "tumor"

    def _fillTable(self, anchors):
        table = self.ui.anchorTable
        wasBlocked = table.blockSignals(True)
        table.rowCount = len(anchors)
        for row, anchor in enumerate(anchors):
            texts = (anchor.tissue, f"{anchor.intensity:.4g}", f"{anchor.impedance:.3f}")
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                if column == TISSUE_COLUMN:
                    item.setFlags(qt.Qt.ItemIsSelectable | qt.Qt.ItemIsEnabled)
                else:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                table.setItem(row, column, item)
        table.blockSignals(wasBlocked)

    def _updatePlot(self):
        """The plot follows the maps while it is shown."""
        maps = self.session.patient.maps
        if not self.ui.curveButton.checked or maps is None:
            return
        key = maps.modality, maps.network, self.session.patient.node.GetName()
        if key != self._plotted or not self._layout.isShown:
            self._plotted = key
            if not self._layout.show(maps, self.session.patient.node.GetName()):
                self.ui.curveButton.checked = False

    # --- what the user does ------------------------------------------------------------------------------------------

    def onCollapsed(self, isCollapsed):
        self.update()  # expanding shows all widgets, also those that are not for this volume
        if not isCollapsed and self.session.patient.node is not None and self.session.isActive:
            self.session.errands.withMaps(self.update)

    def onShow(self, isOn):
        if not isOn:
            self._layout.hide()
        elif self.session.patient.node is not None:
            self._plotted = None
            self.session.errands.withMaps(self.update)

    def onCell(self, row, column):
        self.attempt(self._edit, row, column)
        self._fillTable(self._shown)  # as it is stored, also after a mistake

    def _edit(self, row, column):
        from dataclasses import replace

        from DiffUSLib import DiffUSError

        text = self.ui.anchorTable.item(row, column).text()
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            raise DiffUSError(_("{text} is not a number.").format(text=text)) from None
        name = "intensity" if column == INTENSITY_COLUMN else "impedance_mrayl"
        anchors = list(self._shown)
        anchors[row] = replace(anchors[row], **{name: value})
        self._store(tuple(anchors))

    def onAdd(self):
        """One more anchor, beyond the brightest; the user gives it its intensity."""
        from DiffUSLib import Anchor, DiffUSError

        if len(self._shown) < 2:
            raise DiffUSError(_("There is no curve to add an anchor to; reset to the measured anchors first."))
        below, last = self._shown[-2:]
        intensity = last.intensity + (last.intensity - below.intensity) / 2
        self._store((*self._shown, Anchor(self.ui.tissueCombo.currentText, intensity, last.spread)))

    def onRemove(self):
        row = self.ui.anchorTable.currentRow()
        if 0 <= row < len(self._shown):
            self._store(self._shown[:row] + self._shown[row + 1 :])

    def _store(self, anchors):
        storeAnchors(self.session.parameters, anchors)
        self.session.errands.withMaps(self.update)

    def close(self):
        setIfDifferent(self.ui.curveButton, "checked", False)
