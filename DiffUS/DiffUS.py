"""The DiffUS module of 3D Slicer: a virtual ultrasound transducer on MRI, CT and segmentations."""

import slicer
from DiffUSModule.library_path import ensureLibrary, forgetModules
from DiffUSModule.parameters.first_volume import takeFirstVolume
from DiffUSModule.parameters.gui_connection import GuiConnection
from DiffUSModule.parameters.parameter_node import DiffUSParameterNode
from DiffUSModule.parameters.parameter_sets import ParameterSetSelector, activate, activeSet
from DiffUSModule.scene.sample_data import registerSampleData
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class DiffUS(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("DiffUS")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Ultrasound")]
        parent.dependencies = ["Markups", "Segmentations", "Sequences"]
        parent.contributors = ["The DiffUS developers"]
        parent.helpText = _(
            "Places a virtual ultrasound transducer on an MRI, CT or segmentation and renders its B-mode image live. "
            "Not for clinical use."
        )
        parent.acknowledgementText = _("DiffUS renders ultrasound differentiably, after the paper of the same name.")
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)

    def onStartupCompleted(self):
        registerSampleData(self.resourcePath("Icons"))
        if slicer.app.layoutManager() is not None:
            ensureLibrary()
            from DiffUSModule.views.layouts import registerLayouts

            registerLayouts(slicer.app.layoutManager().layoutLogic().GetLayoutNode())


class DiffUSWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: it makes the sections, and passes on what Slicer tells."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.sections, self.panels = [], []
        self._parameterNode = None
        self._guiConnection = None

    def setup(self):
        ensureLibrary()
        from DiffUSModule.sections import SECTIONS

        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = self.loadPanels(section.panel for section in SECTIONS if section.panel)
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        self.logic = DiffUSLogic()
        self.session = self.logic.session
        self.sections = [section(self.ui, self.session) for section in SECTIONS]
        self.sets = ParameterSetSelector(self.ui.parameterSetSelector, self.logic, self.onParameterSet)
        for panel in (uiWidget, *self.panels):
            panel.setMRMLScene(slicer.mrmlScene)
        self.session.changed.connect(self.updatePanel)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartImportEvent, self.onSceneStartImport)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.initializeParameterNode()

    def loadPanels(self, names):
        """The frame with the panels of all sections in it, one below the other."""
        frame = slicer.util.loadUI(self.resourcePath("UI/DiffUS.ui"))
        self.panels = [slicer.util.loadUI(self.resourcePath(f"UI/{name}.ui")) for name in names]
        for panel in self.panels:
            frame.layout().addWidget(panel)
        frame.layout().addStretch(1)
        return frame

    def cleanup(self):
        self.closeSections()
        for section in self.sections:
            section.end()
        self.setParameterNode(None)
        self.session.close()
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()
        self.session.activate()
        for section in self.sections:
            section.open()
        self.updatePanel()

    def exit(self):
        self.closeSections()
        self.session.deactivate()

    def closeSections(self):
        for section in self.sections:
            section.close()

    def onReload(self):
        """Read the package and the library again, too."""
        forgetModules()
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller, event):
        """The user's layout comes back now: at the end of the closing Slicer restores the one that it finds here."""
        self.closeSections()
        self.session.image.layout.hide()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneStartImport(self, caller, event):
        """From here to our end of the import, node selectors show what they like: nothing of it reaches a set."""
        self.sets.beforeImport(self._parameterNode.parameterNode if self._parameterNode is not None else None)
        self.setParameterNode(None)

    def onSceneEndImport(self, caller, event):
        """A scene was read: it may have brought other parameter nodes."""
        self.sets.afterImport()
        if self.parent.isEntered:
            self.initializeParameterNode()
            self.session.activate()

    def onParameterSet(self):
        """Another set of settings is active."""
        self.setParameterNode(None)
        self.initializeParameterNode()

    def initializeParameterNode(self):
        """Make sure that there is a parameter node, and take the first volume if none is chosen."""
        parameterNode = self.logic.getParameterNode()
        if self._parameterNode is None or parameterNode.parameterNode is not self._parameterNode.parameterNode:
            self.setParameterNode(parameterNode)
        takeFirstVolume(self._parameterNode)

    def setParameterNode(self, parameterNode):
        """Connect panel and session to a parameter node; None disconnects them."""
        if self._guiConnection is not None:
            self._guiConnection.close()
        self._parameterNode, self._guiConnection = parameterNode, None
        if parameterNode is not None:
            self._guiConnection = GuiConnection(parameterNode, self.ui)
            self.sets.show(parameterNode.parameterNode)
        self.session.setParameters(parameterNode)

    def updatePanel(self):
        for section in self.sections:
            section.update()


class DiffUSLogic(ScriptedLoadableModuleLogic):
    """The module without its panel, for scripts: parameters, and the session that follows them."""

    def __init__(self):
        ScriptedLoadableModuleLogic.__init__(self)
        self.isSingletonParameterNode = False
        ensureLibrary()
        from DiffUSModule.session import Session

        self.session = Session()

    def getParameterNode(self):
        """The active set of settings; one is made if there is none."""
        node = activeSet(self.getAllParameterNodes()) or super().getParameterNode()
        activate(node, self.getAllParameterNodes())
        return DiffUSParameterNode(node)


class DiffUSTest(ScriptedLoadableModuleTest):
    """The module's own test, for Slicer's Reload and Test."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_imageOfTheSampleHead()

    def test_imageOfTheSampleHead(self):
        """A transducer on the sample head shows an image that is neither black nor white."""
        from DiffUSModule.self_test import checkImageOfSampleHead

        checkImageOfSampleHead(self)
