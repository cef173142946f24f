"""Choice, placement and shape of the transducer."""

import slicer

from ..live import transducer_placement
from ..parameters.craniotomy import windowOf
from ..parameters.parameter_node import ProbeKind
from ..parameters.probe_settings import presetNames
from ..scene.transducer import ROLE_ATTRIBUTE
from .section import Section, setIfDifferent


class TransducerSection(Section):
    """Which transducer, which preset, and where."""

    panel = "Transducer"

    def __init__(self, ui, session):
        super().__init__(ui, session)
        self._presets = [name for name, _text in presetNames()]
        ui.presetCombo.addItems([text for _name, text in presetNames()])
        ui.transducerSelector.addAttribute("vtkMRMLLinearTransformNode", ROLE_ATTRIBUTE, "Transducer")
        ui.presetCombo.connect("activated(int)", self.onPreset)
        ui.addButton.connect("clicked()", lambda: session.errands.withMaps(session.actions.add))
        ui.lineButton.connect("clicked()", lambda: self.attempt(self.onLine))
        ui.sliceButton.connect("clicked()", lambda: self.attempt(self.onSlice))
        ui.skinButton.connect("clicked()", lambda: self.onSnap(False))
        ui.brainButton.connect("clicked()", lambda: self.onSnap(True))
        ui.craniotomyButton.connect("toggled(bool)", self.onCraniotomy)
        ui.undoButton.connect("clicked()", lambda: self.attempt(session.actions.undo))
        # Expanding a section shows all its rows, also those that this fan does not have.
        ui.shapeSection.connect("contentsCollapsed(bool)", lambda: self.update())
        ui.transducerSection.connect("contentsCollapsed(bool)", lambda: self.update())
        self._line, self._isUpdating = None, False

    def update(self):
        ui, parameters = self.ui, self.session.parameters
        if parameters is None:
            return
        hasVolume, hasTransducer = parameters.volume is not None, self.session.transducer is not None
        for button in (ui.addButton, ui.lineButton, ui.sliceButton):
            setIfDifferent(button, "enabled", hasVolume)
        for button in (ui.skinButton, ui.brainButton):
            setIfDifferent(button, "enabled", hasVolume and hasTransducer)
        setIfDifferent(ui.craniotomyButton, "enabled", hasVolume)
        self._isUpdating = True
        setIfDifferent(ui.craniotomyButton, "checked", windowOf(parameters) is not None)
        self._isUpdating = False
        setIfDifferent(ui.undoButton, "enabled", self.session.active.history.canUndo)
        if parameters.preset in self._presets:
            setIfDifferent(ui.presetCombo, "currentIndex", self._presets.index(parameters.preset))
        kind = parameters.probe.kind
        for names, isUsed in (
            (("fieldOfViewSlider", "fieldOfViewLabel"), kind != ProbeKind.LINEAR),
            (("radiusSlider", "radiusLabel"), kind == ProbeKind.CURVILINEAR),
            (("widthSlider", "widthLabel"), kind == ProbeKind.LINEAR),
            (("rollSlider", "rollLabel"), parameters.line is not None),
        ):
            for name in names:
                getattr(ui, name).setVisible(isUsed)
        self._updateSliceNames()
        self._followLine(parameters)

    def _updateSliceNames(self):
        combo, names = self.ui.sliceCombo, transducer_placement.sliceViewNames()
        if names != [combo.itemText(index) for index in range(combo.count)]:
            combo.clear()
            combo.addItems(names)

    def _followLine(self, parameters):
        """A point of the line that moves, or another roll, places the transducer anew."""
        if parameters.line is not self._line:
            self._observeLine(parameters.line)
            self._roll = parameters.roll
        elif self._line is not None and parameters.roll != self._roll:
            self._roll = parameters.roll
            self.onLineMoved()

    def _observeLine(self, line):
        """Moved points and points that are placed have events of their own."""
        for node, observe in ((self._line, self.session.removeObserver), (line, self.session.addObserver)):
            if node is not None:
                observe(node, node.PointModifiedEvent, self.onLineMoved)
                observe(node, node.PointPositionDefinedEvent, self.onLineMoved)
        self._line = line

    def onLineMoved(self, caller=None, event=None):
        if slicer.mrmlScene.IsImporting():  # the points of a saved line come back; the saved pose counts
            return
        if self._line.GetNumberOfDefinedControlPoints() == 2:
            if self.session.transducer is None:
                self.session.errands.withMaps(lambda: transducer_placement.placeByLine(self.session))
            else:
                self.attempt(transducer_placement.placeByLine, self.session)

    def onCraniotomy(self, isOpen):
        if self._isUpdating:
            return
        actions = self.session.actions
        if isOpen:
            self.session.errands.withMaps(actions.openSkull)
        else:
            self.attempt(actions.closeSkull)

    def close(self):
        self._observeLine(None)

    def onPreset(self, index):
        self.attempt(self.session.actions.choosePreset, self._presets[index])

    def onLine(self):
        transducer_placement.startLine(self.session)

    def onSlice(self):
        name = self.ui.sliceCombo.currentText
        self.session.errands.withMaps(lambda: transducer_placement.placeFromSlice(self.session, name))

    def onSnap(self, beneathBone):
        self.session.errands.withMaps(lambda: transducer_placement.snapToSurface(self.session, beneathBone))
