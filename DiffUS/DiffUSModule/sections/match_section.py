"""A look fitted to real ultrasound, and looks as files."""

import os
import tempfile

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _

from DiffUSLib import DiffUSError

from ..alignment import alignment_job
from ..alignment.fan_shape import fanByHand
from ..alignment.ultrasound_source import imageNodeOf, isThreeDimensional, readUltrasound
from ..live import torch_status
from ..looks.chosen_look import chosenAppearance, shippedLooks
from ..looks.match_job import MOST_FRAMES
from ..looks.match_run import MatchRun
from ..looks.scene_looks import addLook, appearanceOf, lookNodes
from .section import Section, setIfDifferent, setShown

FILTERS = "DiffUS look (*.json)"
PICTURE_HEIGHT_PX = 150


class MatchSection(Section):
    """Choice of the ultrasound, the fit, what came of it, and where it is kept."""

    panel = "Match"

    def __init__(self, ui, session):
        super().__init__(ui, session)
        self.fit = MatchRun(session)
        self.fit.changed.connect(self.update)
        self.fit.failed.connect(session.say)
        session.thumbnails.changed.connect(self.update)
        self._shownMatch, self._isUpdating = None, False
        ui.matchUltrasoundSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onUltrasound)
        ui.matchButton.connect("clicked()", lambda: self.attempt(self.onMatch))
        ui.keepLookButton.connect("clicked()", lambda: self.attempt(self.onKeep))
        ui.saveLookButton.connect("clicked()", lambda: self.attempt(self.onSave))
        ui.loadLookButton.connect("clicked()", lambda: self.attempt(self.onLoad))
        ui.matchSection.connect("contentsCollapsed(bool)", lambda: self.update())

    def update(self):
        ui, parameters, run = self.ui, self.session.parameters, self.fit
        isInstalled = torch_status.isTorchInstalled()
        setIfDifferent(ui.matchSection, "enabled", isInstalled)
        if parameters is None or not isInstalled:
            return
        isOpen = self.session.isActive and not ui.matchSection.collapsed
        own = [node.GetText() for node in lookNodes()]
        if isOpen or (self.session.isActive and own):
            self.session.thumbnails.want([name for name, _text in shippedLooks(isOpen)] + own)
        if ui.matchSection.collapsed:
            return
        self._isUpdating = True
        if ui.matchUltrasoundSelector.currentNode() is not parameters.ultrasound:
            ui.matchUltrasoundSelector.setCurrentNode(parameters.ultrasound)
        self._isUpdating = False
        setIfDifferent(ui.matchButton, "enabled", run.isBusy or parameters.ultrasound is not None)
        setIfDifferent(ui.matchButton, "text", _("Cancel") if run.isBusy else _("Fit"))
        for widget in (ui.matchUltrasoundSelector, ui.matchVolumeCheckBox, ui.matchNameEdit):
            setIfDifferent(widget, "enabled", not run.isBusy)
        step, steps = run.progress
        setIfDifferent(ui.matchProgress, "maximum", steps)  # 0 of 0 shows that it works, not how far it is
        setIfDifferent(ui.matchProgress, "value", step)
        setShown(ui.matchProgress, run.isBusy, ui.matchSection)
        setIfDifferent(ui.matchState, "text", run.stateText() if run.isBusy else self._resultText())
        setShown(ui.matchState, bool(ui.matchState.text), ui.matchSection)
        self._showPictures()
        setIfDifferent(ui.keepLookButton, "enabled", run.match is not None)
        setIfDifferent(ui.saveLookButton, "enabled", run.match is not None or parameters.ownLook is not None)

    def _resultText(self):
        match = self.fit.match
        if match is None:
            return ""
        if not match.likeness:
            return _("Gain, shading, resolution and speckle are those of the frames; tissues are as before.")
        text = _("Correlation with the frame {before:.2f} before, {after:.2f} after; {explained:.2f} explained by the "
                 "anatomy in parts kept back.")  # fmt: skip
        before, after, explained = match.likeness
        return text.format(before=before, after=after, explained=explained)

    def _showPictures(self):
        """The real frame, before and after, in one row."""
        match, ui = self.fit.match, self.ui
        for widget in (ui.matchPicture, ui.matchCaption):
            setShown(widget, match is not None, ui.matchSection)
        if match is self._shownMatch:
            return
        self._shownMatch = match
        if match is None:
            return
        from DiffUSLib import write_image

        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "match.png")
            write_image(path, np.clip(np.hstack(list(match.pictures)), 0, 1))
            pixmap = qt.QPixmap(path)
        ui.matchPicture.setPixmap(pixmap.scaledToHeight(PICTURE_HEIGHT_PX, qt.Qt.SmoothTransformation))
        isAlone = len(match.pictures) == 1
        ui.matchCaption.text = _("The frame") if isAlone else _("The frame, the look before, and the fitted look")

    # --- the buttons -------------------------------------------------------------------------------------------------

    def onUltrasound(self, node):
        """The ultrasound of the alignment, too: a parameter can be connected to one widget only."""
        isChanging = slicer.mrmlScene.IsClosing() or slicer.mrmlScene.IsImporting()
        if not self._isUpdating and not isChanging and self.session.parameters is not None:
            self.session.parameters.ultrasound = node

    def onMatch(self):
        """Fit, starting from the look that is chosen; cancel while it runs."""
        if self.fit.isBusy:
            self.fit.cancel()
            return
        parameters = self.session.parameters
        node, withVolume = parameters.ultrasound, parameters.matchWithVolume
        if withVolume and parameters.volume is None:
            raise DiffUSError(_("Choose the volume behind the ultrasound in the section Volume, or match without it."))
        start = chosenAppearance(parameters)
        if start is None:
            raise DiffUSError(_("The look of the paper has nothing to fit; choose another look to start from."))
        source = readUltrasound(node, parameters.volume)
        if isThreeDimensional(imageNodeOf(node)):
            makeSlices = alignment_job.planesOf(source, None)
        else:
            count = min(parameters.alignFrames, MOST_FRAMES)
            makeSlices = alignment_job.framesOf(source, fanByHand(source, parameters), count)
        name = self.ui.matchNameEdit.text.strip() or node.GetName()
        self.fit.start(makeSlices, withVolume, start, name)

    def onKeep(self):
        """The fitted look joins those of the scene, and is shown."""
        self._choose(addLook(self.fit.match.appearance))

    def _choose(self, node):
        self.session.parameters.ownLook = node
        self.session.say(_("The image has the look {name} now.").format(name=node.GetName()))

    def onSave(self):
        """The fitted look, or the one of the scene that is chosen."""
        from DiffUSLib import save_appearance

        match = self.fit.match
        appearance = match.appearance if match is not None else appearanceOf(self.session.parameters.ownLook)
        path = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), _("Save look"), "", FILTERS)
        if path:
            save_appearance(appearance, path)
            self.session.say(_("Written: {path}").format(path=path))

    def onLoad(self):
        from DiffUSLib import load_appearance

        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Load look"), "", FILTERS)
        if path:
            self._choose(addLook(load_appearance(path)))

    # --- life --------------------------------------------------------------------------------------------------------

    def close(self):
        """Nothing runs while the module is closed."""
        self.fit.cancel()
        self.session.thumbnails.cancel()

    def end(self):
        self.fit.changed.disconnect(self.update)
        self.session.thumbnails.changed.disconnect(self.update)
