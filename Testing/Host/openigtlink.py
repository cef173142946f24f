"""Stand-in for the connector node of the extension SlicerOpenIGTLink, which is not in the wheel.

It believes what the extension's sources say (SlicerOpenIGTLink, OpenIGTLinkIF/MRML/vtkMRMLIGTLConnectorNode.h and
.cxx; OpenIGTLinkIO, Logic/igtlioConnector.cxx; November 2025), without a network:

- Public methods are those of DOCUMENTED, read from the header; another name on the stand-in fails at import.
- Start() returns at once; a thread opens the port. What happens there (a port that is taken, a client) is told by
  events in the main thread, when the extension's timer of 5 ms calls PeriodicProcess().
- An outgoing volume is sent when it says ImageDataModifiedEvent, to clients that are connected, under the name of its
  node, with its own IJKToRAS: no transform above it counts. With the attribute OpenIGTLinkIF.pushOnConnect it is sent
  as soon as the first client connects, too.
- An incoming transform goes into the node of that name: one that was registered, else the first of the scene, else a
  new one.
- A type that is not set, or a second Start(), is refused with 0.
"""

import numpy as np
import slicer
import vtk
from PySide6 import QtCore

_HEADER = """
SetTypeServer SetTypeClient SetType GetType GetServerHostname GetServerPort SetServerHostname SetServerPort
SetUseStreamingVolume GetUseStreamingVolume Start Stop PeriodicProcess ConnectEvents RegisterOutgoingMRMLNode
UnregisterOutgoingMRMLNode ProcessIOConnectorEvents ProcessIODeviceEvents ProcessIOCommandEvents AddDevice
RemoveDevice RegisterIncomingMRMLNode UnregisterIncomingMRMLNode GetNumberOfOutgoingMRMLNodes
GetOutgoingMRMLNode GetDeviceFromOutgoingMRMLNode GetDeviceFromIncomingMRMLNode CreateDeviceForOutgoingMRMLNode
GetNumberOfIncomingMRMLNodes GetIncomingMRMLNode GetState GetPersistent SetPersistent GetCheckCRC SetCheckCRC
SetRestrictDeviceName PushNode PushOnConnect PushQuery CancelQuery SendCommand SendCommandResponse CancelCommand
LockIncomingMRMLNode UnlockIncomingMRMLNode GetIGTLTimeStamp GetDeviceTypeFromMRMLNodeType
GetNodeTagFromDeviceType GetOutgoingMessageHeaderVersionMaximum SetOutgoingMessageHeaderVersionMaximum
ConnectedEvent DisconnectedEvent ActivatedEvent DeactivatedEvent NewDeviceEvent DeviceModifiedEvent
RemovedDeviceEvent CommandReceivedEvent CommandResponseReceivedEvent CommandCompletedEvent
StateOff StateWaitConnection StateConnected TypeNotDefined TypeServer TypeClient
"""
DOCUMENTED = frozenset(_HEADER.split())
"""Public methods and constants of vtkMRMLIGTLConnectorNode."""

TIMER_MS = 5


class vtkMRMLIGTLConnectorNode(slicer.vtkMRMLScriptedModuleNode):
    """The node. `host...` is what other programs do.

    Attributes:
        hostTakenPorts: ports that other programs have, for all nodes.
        hostSent: (name, pixels, (4, 4) IJKToRAS) of each image that was sent.
    """

    ConnectedEvent, DisconnectedEvent, ActivatedEvent, DeactivatedEvent = 118944, 118945, 118946, 118947
    StateOff, StateWaitConnection, StateConnected = range(3)
    TypeNotDefined, TypeServer, TypeClient = range(3)
    hostTakenPorts = frozenset()

    def __init__(self):
        self._type, self._port, self._state = self.TypeNotDefined, 0, self.StateOff
        self._outgoing, self._incoming, self._due = [], [], []
        self._isThreadAlive = False
        self.hostSent = []
        self._timer = QtCore.QTimer()
        self._timer.timeout.connect(self.PeriodicProcess)

    def SetTypeServer(self, port):
        self._type, self._port = self.TypeServer, port
        return 1

    def GetServerPort(self):
        return self._port

    def GetState(self):
        return self._state

    def Start(self):
        if self._type == self.TypeNotDefined or self._isThreadAlive:
            return 0
        self._isThreadAlive, self._state = True, self.StateWaitConnection
        if self._port in self.hostTakenPorts:  # the thread finds out, and ends
            self._isThreadAlive, self._state = False, self.StateOff
            self._due.append(self.DeactivatedEvent)
        self._timer.start(TIMER_MS)
        self.InvokeEvent(self.ActivatedEvent)
        self.Modified()
        return 1

    def Stop(self):
        wasAlive, self._isThreadAlive, self._state = self._isThreadAlive, False, self.StateOff
        if wasAlive:
            self._due.append(self.DeactivatedEvent)
        self.Modified()
        return int(wasAlive)

    def PeriodicProcess(self):
        if self.GetScene() is None:  # the extension's timer asks the connectors of the scene alone
            self._timer.stop()
            return
        due, self._due = self._due, []
        for event in due:
            if event == self.ConnectedEvent:
                self.PushOnConnect()
            self.InvokeEvent(event)

    def RegisterOutgoingMRMLNode(self, node):
        """A node that is registered twice is registered anew."""
        self.UnregisterOutgoingMRMLNode(node)
        tag = node.AddObserver(slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, lambda *_: self.PushNode(node))
        self._outgoing.append((node, tag))
        return 1

    def UnregisterOutgoingMRMLNode(self, node):
        for entry in [entry for entry in self._outgoing if entry[0] is node]:
            node.RemoveObserver(entry[1])
            self._outgoing.remove(entry)

    def RegisterIncomingMRMLNode(self, node):
        if node in self._incoming:
            return False
        self._incoming.append(node)
        return True

    def PushNode(self, node):
        if self._state == self.StateConnected and self.GetScene() is not None:
            matrix = vtk.vtkMatrix4x4()
            node.GetIJKToRASMatrix(matrix)
            pixels = slicer.util.arrayFromVolume(node).copy()
            self.hostSent.append((node.GetName(), pixels, slicer.util.arrayFromVTKMatrix(matrix)))
        return 0

    def PushOnConnect(self):
        for node, _tag in self._outgoing:
            if node.GetAttribute("OpenIGTLinkIF.pushOnConnect") == "true":
                self.PushNode(node)

    def hostConnect(self):
        """A program connects, if it can."""
        if self._isThreadAlive and self._state == self.StateWaitConnection:
            self._state = self.StateConnected
            self._due.append(self.ConnectedEvent)

    def hostDisconnect(self):
        """The last program goes."""
        if self._state == self.StateConnected:
            self._state = self.StateWaitConnection
            self._due.append(self.DisconnectedEvent)

    def hostReceive(self, name, matrix):
        """A program sends a TRANSFORM of this device name, (4, 4)."""
        registered = [node for node in self._incoming if node.GetName() == name]
        node = registered[0] if registered else slicer.mrmlScene.GetFirstNode(name, "vtkMRMLTransformNode")
        if node is None:
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
        node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.asarray(matrix)))
        node.Modified()


_undocumented = [
    name for name in vars(vtkMRMLIGTLConnectorNode) if not name.startswith(("_", "host")) and name not in DOCUMENTED
]
if _undocumented:
    raise TypeError(f"vtkMRMLIGTLConnectorNode documents no {', '.join(_undocumented)}")


def install():
    """The extension is there, as after an installation and a restart."""
    slicer.vtkMRMLIGTLConnectorNode = vtkMRMLIGTLConnectorNode
    vtkMRMLIGTLConnectorNode.hostTakenPorts = frozenset()


def connectorsOf(scene):
    """The connector nodes of a scene."""
    nodes = [scene.GetNodes().GetItemAsObject(index) for index in range(scene.GetNumberOfNodes())]
    return [node for node in nodes if isinstance(node, vtkMRMLIGTLConnectorNode)]


def remove():
    """The extension is not there."""
    if hasattr(slicer, "vtkMRMLIGTLConnectorNode"):
        del slicer.vtkMRMLIGTLConnectorNode
