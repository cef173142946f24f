"""The live image for other programs, and the transducer's pose from them."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from ..live.image_stream import ImageStream, connectorClass
from .section import Section, setIfDifferent, setShown


class StreamSection(Section):
    """Start, stop and state of the stream."""

    panel = "Stream"

    def __init__(self, ui, session):
        super().__init__(ui, session)
        self._isUpdating = False
        self.stream = ImageStream()
        self.stream.changed.connect(self.update)
        self.stream.posed.connect(self.onPose)
        session.image.shown.connect(self.onImageShown)
        ui.streamButton.connect("toggled(bool)", self.onStream)
        ui.streamSection.connect("contentsCollapsed(bool)", lambda: self.update())

    def update(self):
        ui, stream = self.ui, self.stream
        if self.session.parameters is None:
            return
        isPossible, isRunning = connectorClass() is not None, stream.isRunning
        self._isUpdating = True
        setIfDifferent(ui.streamButton, "checked", isRunning)
        self._isUpdating = False
        setIfDifferent(ui.streamButton, "text", _("Stop") if isRunning else _("Start"))
        canStart = isPossible and self.session.transducer is not None
        setIfDifferent(ui.streamButton, "enabled", isRunning or canStart)
        setIfDifferent(ui.portSpinBox, "enabled", isPossible and not isRunning)
        setIfDifferent(ui.streamFollowCheckBox, "enabled", isPossible)
        text = self._statusText(isPossible)
        setIfDifferent(ui.streamStatus, "text", text)
        setShown(ui.streamStatus, bool(text), ui.streamSection)

    def _statusText(self, isPossible):
        if not isPossible:
            return _(
                "Streaming needs the extension SlicerOpenIGTLink: install it in the Extensions Manager, then restart."
            )
        if self.stream.isLost:
            return _("Port {port} is closed: another program may have it. Choose another one.").format(
                port=self.stream.port
            )
        if not self.stream.isRunning:
            return ""
        return _("A program is connected.") if self.stream.isConnected else _("Waiting for a program.")

    def onStream(self, isOn):
        if self._isUpdating:
            return
        if isOn:
            self.attempt(self._start)
        else:
            self.stream.stop()

    def _start(self):
        self.stream.start(self.session.parameters.streamPort)
        self.session.image.renderer.request()  # programs get an image even if nothing moves

    def onImageShown(self, pixels, pose):
        if self.stream.isRunning:
            imageToTransducer = vtk.vtkMatrix4x4()
            self.session.transducer.image.GetIJKToRASMatrix(imageToTransducer)
            self.stream.send(pixels, np.asarray(pose) @ slicer.util.arrayFromVTKMatrix(imageToTransducer))

    def onPose(self, transform):
        """The transducer hangs below the transform from the first pose on: before that it stays where it is."""
        parameters = self.session.parameters
        if parameters is not None and parameters.streamFollows and self.session.transducer is not None:
            parameters.trackedTransform = transform

    def close(self):
        self.stream.stop()
