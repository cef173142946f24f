"""slicer.modules, the module manager, and the loading of a scripted module as Slicer does it."""

import importlib.util
import os
import sys

import slicer
from PySide6 import QtWidgets

from .stand_in import StandIn


class LoadedModule(StandIn, realClass="qSlicerLoadableModule"):
    """A module of Slicer itself: its name and its real logic."""

    def __init__(self, name, logic):
        super().__init__()
        self._name, self._logic = name, logic

    @property
    def name(self):
        return self._name

    def logic(self):
        return self._logic


class ScriptedModule(StandIn, realClass="qSlicerScriptedLoadableModule"):
    """qSlicerScriptedLoadableModule: what the module's Python class gets as `parent`."""

    def __init__(self, name, path):
        super().__init__()
        self._name, self._path, self._widget = name, path, None
        for text in ("title", "helpText", "acknowledgementText"):
            setattr(self, text, "")
        for items in ("categories", "contributors", "dependencies", "associatedNodeTypes"):
            setattr(self, items, [])
        self.icon, self.hidden, self.index = None, False, -1
        self.widgetRepresentationCreationEnabled = True

    @property
    def name(self):
        return self._name

    @property
    def path(self):
        return self._path

    def widgetRepresentation(self):
        """The module's panel; made at the first call."""
        if self._widget is None:
            self._widget = self.createNewWidgetRepresentation()
        return self._widget

    def createNewWidgetRepresentation(self):
        parent = slicer.qSlicerScriptedLoadableModuleWidget()
        parent._host_module = self
        parent.moduleName = self._name
        QtWidgets.QVBoxLayout(parent)
        parent.setMRMLScene(slicer.mrmlScene)
        self.hostMakePanel(parent)
        return parent

    def hostMakePanel(self, parent):
        """Make the module's widget object in its parent, as at the first opening and as at reload."""
        widgetClass = getattr(sys.modules[self._name], f"{self._name}Widget")
        widget = widgetClass(parent)
        parent._host_self = widget
        setattr(slicer.modules, f"{self._name}Widget", widget)
        widget.setup()
        return widget


class ModuleManager(StandIn, realClass="qSlicerModuleManager"):
    """qSlicerModuleManager."""

    def __init__(self):
        super().__init__()
        self._modules = {}

    def hostAdd(self, module):
        """Known from now on, also as slicer.modules.<lower case name>."""
        self._modules[module.name] = module
        setattr(slicer.modules, module.name.lower(), module)

    def module(self, name):
        return self._modules.get(name)

    def modulesNames(self):
        return tuple(self._modules)


class Modules:
    """slicer.modules; a module that is not there raises AttributeError."""


def loadScriptedModule(path, name, moduleManager):
    """Load `path/name.py` as Slicer loads a scripted module at start; its panel is not made yet.

    Returns:
        the ScriptedModule.
    """
    fileName = os.path.join(str(path), f"{name}.py")
    if str(path) not in sys.path:  # Slicer puts the folders of additional modules on the path
        sys.path.insert(0, str(path))
    specification = importlib.util.spec_from_file_location(name, fileName)
    pythonModule = importlib.util.module_from_spec(specification)
    sys.modules[name] = pythonModule
    specification.loader.exec_module(pythonModule)
    module = ScriptedModule(name, fileName)
    instance = getattr(pythonModule, name)(module)
    setattr(slicer.modules, f"{name}Instance", instance)
    moduleManager.hostAdd(module)
    moduleManager.hostSignal("moduleLoaded(QString)")(name)
    return module
