"""Stand-ins for the MRML widgets that the module uses, bound to the real scene."""

import shiboken6
import slicer
from PySide6 import QtCore, QtWidgets

from .ctk_widgets import qtProperty
from .pythonqt import Conventions, converted, emit
from .stand_in import StandIn


class qMRMLWidget(Conventions, QtWidgets.QWidget):
    """A widget that knows the scene and tells it to what is connected to mrmlSceneChanged, to nothing else."""

    mrmlSceneChanged = QtCore.Signal(object)
    _hostMade = True

    def setMRMLScene(self, scene):
        """Slot of the real class."""
        if scene is not self.mrmlScene():
            self._host_scene = scene
            self.mrmlSceneChanged(scene)

    def mrmlScene(self):
        """Slot of the real class."""
        return getattr(self, "_host_scene", None)


class qSlicerWidget(Conventions, QtWidgets.QWidget):
    """Top of many module panels."""

    mrmlSceneChanged = QtCore.Signal(object)
    _hostMade = True

    def setMRMLScene(self, scene):
        """Slot of the real class."""
        self._host_scene = scene
        self.mrmlSceneChanged(scene)


class SortFilterProxyModel(StandIn, realClass="qMRMLSortFilterProxyModel"):
    """What a qMRMLNodeComboBox filters its nodes by, beyond its own properties."""

    def __init__(self, onChanged):
        super().__init__()
        self._onChanged, self._hiddenNodeIDs = onChanged, ()

    @property
    def hiddenNodeIDs(self):
        return self._hiddenNodeIDs

    @hiddenNodeIDs.setter
    def hiddenNodeIDs(self, nodeIDs):
        self._hiddenNodeIDs = tuple(converted(nodeIDs, "QStringList"))
        self._onChanged()


class qMRMLNodeComboBox(Conventions, QtWidgets.QWidget):
    """Lists the nodes of the scene; empty until it is given a scene."""

    currentNodeChanged = QtCore.Signal(object)
    _hostValidNodeChanged = QtCore.Signal(bool)
    currentNodeIDChanged = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    currentNodeRenamed = QtCore.Signal(str)
    _hostOverloads = {"currentNodeChanged(bool)": "_hostValidNodeChanged"}
    _hostMade = True

    def _hostOptionChanged(self, value=None):
        self._hostRefresh()

    nodeTypes = qtProperty("nodeTypes", "QStringList", [], _hostOptionChanged)
    hideChildNodeTypes = qtProperty("hideChildNodeTypes", "QStringList", [], _hostOptionChanged)
    showHidden = qtProperty("showHidden", bool, False, _hostOptionChanged)
    showChildNodeTypes = qtProperty("showChildNodeTypes", bool, True, _hostOptionChanged)
    noneEnabled = qtProperty("noneEnabled", bool, False, _hostOptionChanged)
    noneDisplay = qtProperty("noneDisplay", str, "None", _hostOptionChanged)
    baseName = qtProperty("baseName", str, "")
    addEnabled = qtProperty("addEnabled", bool, True)
    removeEnabled = qtProperty("removeEnabled", bool, True)
    renameEnabled = qtProperty("renameEnabled", bool, False)
    editEnabled = qtProperty("editEnabled", bool, False)
    selectNodeUponCreation = qtProperty("selectNodeUponCreation", bool, True)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._host_ids, self._host_id, self._host_scene, self._host_tags = [], "", None, []
        self._host_attributes = []
        self._host_filter = SortFilterProxyModel(self._hostRefresh)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._host_box = QtWidgets.QComboBox()
        self._host_box.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._host_box.setMinimumContentsLength(8)
        self._host_box.setSizeAdjustPolicy(QtWidgets.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        row.addWidget(self._host_box)
        self._host_box.activated.connect(self._hostActivated)

    def setMRMLScene(self, scene):
        """Slot of the real class."""
        if scene is self._host_scene:
            return
        for tag in self._host_tags:
            self._host_scene.RemoveObserver(tag)
        self._host_scene, self._host_tags = scene, []
        if scene:
            events = slicer.vtkMRMLScene
            for event, react in (
                (events.NodeAddedEvent, self._hostOnNodes),
                (events.NodeRemovedEvent, self._hostOnNodes),
                (events.EndImportEvent, self._hostOnOtherScene),
                (events.EndCloseEvent, self._hostOnOtherScene),
            ):
                self._host_tags.append(scene.AddObserver(event, react))
        self._hostRefresh()

    def _hostOnNodes(self, caller, event):
        """While a scene is read or closed, the real model looks away."""
        if shiboken6.isValid(self) and not caller.IsImporting() and not caller.IsClosing():
            self._hostRefresh()

    def _hostOnOtherScene(self, caller, event):
        """The real model (qMRMLSceneModel::updateScene) takes all rows away and puts them back: nothing stays chosen.

        IsImporting() is False by now, and these observers were added before those of the module.
        """
        if not shiboken6.isValid(self):  # a destroyed widget has no connections in the real class
            return
        self._host_ids = [""] if self.noneEnabled else []
        self._hostSelect("")
        self._hostRefresh()

    def mrmlScene(self):
        """Invokable of the real class."""
        return self._host_scene

    def currentNode(self):
        """Invokable of the real class."""
        return self._host_scene.GetNodeByID(self._host_id) if self._host_scene and self._host_id else None

    def setCurrentNode(self, node):
        """Slot of the real class: takes a node or its ID."""
        self._hostSelect(node if isinstance(node, str) else node.GetID() if node else "")

    def setCurrentNodeID(self, nodeID):
        """Slot of the real class."""
        self._hostSelect(nodeID or "")

    def nodeCount(self):
        """Invokable of the real class."""
        return len([nodeID for nodeID in self._host_ids if nodeID])

    def addAttribute(self, nodeType, name, value=None):
        """Invokable of the real class: only nodes with this attribute (and value) are offered."""
        self._host_attributes.append((nodeType, name, value))
        self._hostRefresh()

    def sortFilterProxyModel(self):
        """Invokable of the real class."""
        return self._host_filter

    def removeCurrentNode(self):
        """Slot of the real class."""
        self._host_scene.RemoveNode(self.currentNode())

    def addNode(self, nodeType=None):
        """Slot of the real class."""
        className = nodeType or self.nodeTypes[0]
        node = self._host_scene.CreateNodeByClass(className)
        node.UnRegister(None)
        node.SetName(self._host_scene.GenerateUniqueName(self.baseName))
        for wantedType, name, value in self._host_attributes:
            if wantedType == className:
                node.SetAttribute(name, value or "")
        self._host_scene.AddNode(node)
        if self.selectNodeUponCreation:
            self._hostSelect(node.GetID())
        self.nodeAddedByUser(node)
        return node

    def _hostWriteNodeID(self, nodeID):
        self._hostSelect(nodeID)

    currentNodeID = QtCore.Property(str, lambda self: self._host_id, _hostWriteNodeID)

    def _hostOffers(self, node, nodeType):
        if node.GetID() in self._host_filter.hiddenNodeIDs:
            return False
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if node.GetClassName() in self.hideChildNodeTypes:
            return False
        if not self.showChildNodeTypes and node.GetClassName() != nodeType:
            return False
        for wantedType, name, value in self._host_attributes:
            found = node.GetAttribute(name)
            if node.IsA(wantedType) and (found is None or value not in (None, found)):
                return False
        return True

    def _hostRefresh(self):
        if not hasattr(self, "_host_box"):
            return
        ids, names = ([""], [self.noneDisplay]) if self.noneEnabled else ([], [])
        for nodeType in self.nodeTypes if self._host_scene else ():
            for index in range(self._host_scene.GetNumberOfNodesByClass(nodeType)):
                node = self._host_scene.GetNthNodeByClass(index, nodeType)
                if node.GetID() not in ids and self._hostOffers(node, nodeType):
                    ids.append(node.GetID())
                    names.append(node.GetName() or node.GetID())
        self._host_ids = ids
        wasBlocked = self._host_box.blockSignals(True)
        self._host_box.clear()
        self._host_box.addItems(names)
        self._host_box.blockSignals(wasBlocked)
        fallback = ids[0] if ids else ""
        self._hostSelect(self._host_id if self._host_id in ids else fallback)

    def _hostActivated(self, index):
        self._hostSelect(self._host_ids[index])
        self.nodeActivated(self.currentNode())

    def _hostSelect(self, nodeID):
        if nodeID and nodeID not in self._host_ids:
            nodeID = ""
        if nodeID in self._host_ids:
            wasBlocked = self._host_box.blockSignals(True)
            self._host_box.setCurrentIndex(self._host_ids.index(nodeID))
            self._host_box.blockSignals(wasBlocked)
        else:
            self._host_box.setCurrentIndex(-1)
        if nodeID != self._host_id:
            self._host_id = nodeID
            self.currentNodeChanged(self.currentNode())
            emit(self._hostValidNodeChanged, bool(nodeID))
            self.currentNodeIDChanged(nodeID)


class qSlicerScriptedLoadableModuleWidget(Conventions, QtWidgets.QWidget):
    """The widget that Slicer makes around a scripted module's panel."""

    mrmlSceneChanged = QtCore.Signal(object)
    _hostMade = True
    moduleName = qtProperty("moduleName", str, "")

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._host_self, self._host_entered, self._host_scene = None, False, None

    isEntered = QtCore.Property(bool, lambda self: self._host_entered)

    def setMRMLScene(self, scene):
        """Slot of the real class."""
        self._host_scene = scene
        self.mrmlSceneChanged(scene)

    def self(self):
        """Invokable of the real class: the module's Python widget object."""
        return self._host_self

    def reload(self):
        """Invokable of the real class: a new widget object in the same parent."""
        self._host_module.hostMakePanel(self)

    def enter(self):
        """Slot of the real class."""
        if not self._host_entered:
            self._host_entered = True
            getattr(self._host_self, "enter", lambda: None)()

    def exit(self):
        """Slot of the real class."""
        if self._host_entered:
            self._host_entered = False
            getattr(self._host_self, "exit", lambda: None)()


WIDGETS = (qMRMLWidget, qSlicerWidget, qMRMLNodeComboBox, qSlicerScriptedLoadableModuleWidget)


def install():
    """Offer the widgets as slicer.<name>."""
    for widget in WIDGETS:
        setattr(slicer, widget.__name__, widget)
