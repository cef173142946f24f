"""Stand-ins for slicer.ScriptedLoadableModule: the base classes of module, widget, logic and test."""

import importlib
import os
import unittest

import qt
import slicer


def _folderOf(path):
    return os.path.join(os.path.dirname(path), "Resources")


class ScriptedLoadableModule:
    """Base of the module class; `parent` takes title, categories, help."""

    def __init__(self, parent):
        self.parent = parent
        self.moduleName = type(self).__name__
        for ending in (".svg", ".png"):
            icon = os.path.join(_folderOf(parent.path), "Icons", self.moduleName + ending)
            if os.path.isfile(icon):
                parent.icon = qt.QIcon(icon)
                break
        if not hasattr(slicer, "selfTests"):
            slicer.selfTests = {}
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, filename):
        return os.path.join(_folderOf(self.parent.path), filename)

    def getDefaultModuleDocumentationLink(self, docPage=None):
        return ""

    def runTest(self, msec=100, **kwargs):
        testClass = getattr(importlib.import_module(self.__module__), f"{self.moduleName}Test")
        test = testClass()
        test.messageDelay = msec
        test.runTest(**kwargs)


class ScriptedLoadableModuleWidget:
    """Base of the panel; `layout` is the layout of the parent widget."""

    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        self.layout = parent.layout()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename):
        return os.path.join(_folderOf(slicer.util.modulePath(self.moduleName)), filename)

    def cleanup(self):
        pass

    def _onModuleAboutToBeUnloaded(self, moduleName):
        if moduleName == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def setup(self):
        pass

    def onReload(self):
        slicer.util.reloadScriptedModule(self.moduleName)


class ScriptedLoadableModuleLogic:
    """Base of the logic: finds or makes the module's parameter node."""

    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        if self.isSingletonParameterNode:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if node:
                node.SetAttribute("ModuleName", self.moduleName)
        else:
            node = next(iter(self.getAllParameterNodes()), None)
        return node or slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self):
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self):
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Base of the module's own test."""

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        slicer.app.processEvents()

    def runTest(self):
        for name in dir(self):
            if name.startswith("test"):
                getattr(self, name)()
