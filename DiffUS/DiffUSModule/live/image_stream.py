"""Sends the live image to other programs by OpenIGTLink, and takes the transducer's pose from them.

All by the connector node of the extension SlicerOpenIGTLink, as its header documents it (vtkMRMLIGTLConnectorNode.h).
"""

import numpy as np
import qt
import slicer
from slicer.util import VTKObservationMixin

from ..scene.image_pixels import setPixels
from .signal import Signal

IMAGE_NAME, POSE_NAME = "Image_Reference", "ProbeToReference"
"""As PLUS names them; the names of the nodes are the device names of the messages."""


def connectorClass():
    """The extension's class of connector nodes, or None where it is not installed."""
    return getattr(slicer, "vtkMRMLIGTLConnectorNode", None)


class ImageStream(VTKObservationMixin):
    """A server for any number of programs; its nodes are in the scene while it runs, and not saved with it.

    Attributes:
        changed: signal without arguments: the state is another.
        posed: signal with the transform node ProbeToReference whenever a program has set it.
        port: where it runs or ran last, or None.
        isLost: True if it ended by itself: most likely another program has the port.
    """

    def __init__(self):
        VTKObservationMixin.__init__(self)
        self.changed, self.posed = Signal(), Signal()
        self.port, self.isLost = None, False
        self._connector = self._image = self._pose = None

    @property
    def isRunning(self):
        return self._connector is not None and not self.isLost

    @property
    def isConnected(self):
        """True if a program is connected."""
        return self.isRunning and self._connector.GetState() == connectorClass().StateConnected

    def start(self, port):
        """Wait for programs at a port."""
        self.stop()
        self.port = port
        connector = connectorClass()()
        connector.SetName("DiffUS stream")
        connector.SetSaveWithScene(False)
        self._connector = slicer.mrmlScene.AddNode(connector)
        self._image, self._pose = _makeImage(), _poseNode()
        connector.SetTypeServer(port)
        connector.RegisterOutgoingMRMLNode(self._image)
        connector.RegisterIncomingMRMLNode(self._pose)
        for event in (connector.ConnectedEvent, connector.DisconnectedEvent):
            self.addObserver(connector, event, self._onState)
        self.addObserver(connector, connector.DeactivatedEvent, self._onDeactivated)
        self.addObserver(self._pose, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._onPose)
        connector.Start()
        self.changed.emit()

    def stop(self):
        """Programs are disconnected; the pose's node stays, because the transducer may follow it."""
        self.isLost = False
        if self._connector is not None:
            self._remove(self._connector)
            self.changed.emit()

    def send(self, pixels, imageToRas):
        """Send (H, W) uint8 pixels with their (4, 4) place. The reference is RAS, or what ProbeToReference is below.

        The connector watches for the image's ImageDataModifiedEvent, and sends image and place then.
        """
        if not self.isRunning:
            return
        if self._connector.GetScene() is None or self._image.GetScene() is None:  # somebody removed it
            self._onDeactivated()
            return
        setPixels(self._image, pixels, np.linalg.inv(self._referenceToRas()) @ imageToRas)

    def _referenceToRas(self):
        parent = self._pose.GetParentTransformNode()
        return np.eye(4) if parent is None else slicer.util.arrayFromTransformMatrix(parent, toWorld=True)

    def _onPose(self, caller=None, event=None):
        self.posed.emit(self._pose)

    def _onState(self, caller=None, event=None):
        self.changed.emit()

    def _onDeactivated(self, caller=None, event=None):
        """It ended by itself. Its node may be what calls, so that it leaves the scene a little later."""
        if not self.isRunning:
            return
        self.isLost, connector = True, self._connector
        qt.QTimer.singleShot(0, lambda: self._remove(connector))
        self.changed.emit()

    def _remove(self, connector):
        if connector is not self._connector:  # another start came first
            return
        self.removeObservers()
        connector.Stop()
        for node in (connector, self._image):
            if node.GetScene() is not None:
                slicer.mrmlScene.RemoveNode(node)
        self._connector = self._image = self._pose = None


def _makeImage():
    image = slicer.vtkMRMLScalarVolumeNode()
    image.SetName(IMAGE_NAME)
    image.SetAttribute("DiffUS.Role", "DiffUS.Stream")
    image.SetAttribute("OpenIGTLinkIF.pushOnConnect", "true")
    image.SetHideFromEditors(True)
    image.SetSaveWithScene(False)
    slicer.mrmlScene.AddNode(image)
    slicer.util.updateVolumeFromArray(image, np.zeros((1, 8, 8), np.uint8))
    return image


def _poseNode():
    """The transform of that name; an incoming message would find it, too."""
    found = slicer.mrmlScene.GetFirstNode(POSE_NAME, "vtkMRMLLinearTransformNode")
    return found or slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", POSE_NAME)
