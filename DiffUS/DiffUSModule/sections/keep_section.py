"""Snapshots, recorded sweeps, and files."""

import qt
import slicer
from slicer.i18n import tr as _

from ..live.background import BackgroundTask
from ..live.messages import explain
from ..scene import exports
from ..scene.sweep_recorder import SweepRecorder
from .section import Section, setIfDifferent, setShown


class KeepSection(Section):
    """What stays when the transducer has moved on."""

    panel = "Keep"

    def __init__(self, ui, session):
        super().__init__(ui, session)
        self.recorder = SweepRecorder()
        self._export = None
        session.image.shown.connect(self.onImageShown)
        ui.snapshotButton.connect("clicked()", lambda: self.attempt(self.onSnapshot))
        ui.exportImageButton.connect("clicked()", lambda: self.attempt(self.onExportImage))
        ui.recordButton.connect("toggled(bool)", lambda isOn: self.attempt(self.onRecord, isOn))
        ui.exportSweepButton.connect("clicked()", lambda: self.attempt(self.onExportSweep))
        ui.keepSection.connect("contentsCollapsed(bool)", lambda: self._note(ui.keepNote.text))

    def update(self):
        ui, transducer = self.ui, self.session.transducer
        hasImage = transducer is not None and transducer.existingImage() is not None
        isExporting = self._export is not None
        for widget in (ui.snapshotButton, ui.exportImageButton):
            setIfDifferent(widget, "enabled", hasImage)
        setIfDifferent(ui.recordButton, "enabled", hasImage and not isExporting)
        if not hasImage and self.recorder.isRecording:
            ui.recordButton.checked = False
        canExport = self.recorder.frameCount > 0 and not self.recorder.isRecording
        setIfDifferent(ui.exportSweepButton, "enabled", isExporting or canExport)
        setIfDifferent(ui.exportSweepButton, "text", _("Cancel") if isExporting else _("Export..."))
        setIfDifferent(ui.recordButton, "text", _("Stop") if self.recorder.isRecording else _("Record"))

    def _note(self, text):
        self.ui.keepNote.text = text
        setShown(self.ui.keepNote, bool(text), self.ui.keepSection)

    def onImageShown(self, pixels, pose):
        if self.recorder.isRecording:
            self.recorder.add(pixels, pose)
            self._note(_("Recording: {count} images").format(count=self.recorder.frameCount))

    def onSnapshot(self):
        node = exports.snapshot(self.session.transducer)
        self._note(_("Snapshot: {name}").format(name=node.GetName()))

    def onRecord(self, isOn):
        self.session.image.renderer.allowsPreviews = not isOn
        if isOn:
            self.recorder.start(self.session.transducer)
        else:
            browser = self.recorder.stop()
            if browser is not None:
                text = _("{name}: {count} images")
                self._note(text.format(name=browser.GetName(), count=self.recorder.frameCount))
        self.update()

    def close(self):
        self._endExport()
        if self.ui.recordButton.checked:
            self.ui.recordButton.checked = False

    def _askPath(self, title, filters):
        return qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, "", filters)

    def onExportImage(self):
        path = self._askPath(_("Export image"), _("Images (*.png *.nrrd *.nii.gz *.nii *.mha)"))
        if path:
            exports.exportImage(self.session.transducer, path)
            self._note(_("Written: {path}").format(path=path))

    def onExportSweep(self):
        """Takes seconds: in the background; the button cancels meanwhile."""
        if self._export is not None:
            self._endExport()
            self._note(_("Cancelled; no file was written."))
            return
        path = self._askPath(_("Export sweep"), _("Tracked ultrasound (*.igs.mha);;Animation (*.gif)"))
        if not path:
            return
        frames = self.recorder.frames

        def finish(result):
            self._endExport()
            self._note(_("Written: {path}").format(path=path))

        def fail(error):
            self._endExport()
            self._note("")
            self.session.say(explain(error))

        self._note(_("Writing {count} images...").format(count=self.recorder.frameCount))
        self._export = BackgroundTask(
            lambda: exports.sweepSteps(path, frames), finish, fail, onProgress=lambda step: None
        )
        self.update()

    def _endExport(self):
        if self._export is not None:
            self._export.cancel()
            self._export = None
            self.update()
