"""Builds the module `qt`: PySide6's classes with PythonQt's conventions, all in one namespace."""

import sys
import types

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

from . import pythonqt
from .ui_loader import UiLoader

_NOT_IN_PYTHONQT = {"Signal", "Slot", "Property", "QVariant", "ClassInfo", "SignalInstance"}


def _isObjectClass(candidate):
    return isinstance(candidate, type) and issubclass(candidate, QtCore.QObject)


def conventional(qtClass):
    """A class that is made and used as PythonQt's class of the same name is."""
    namespace = {"_hostMade": True, "__module__": "qt"}
    return type(qtClass)(qtClass.__name__, (pythonqt.Conventions, qtClass), namespace)


def build():
    """Make the module and enter it in sys.modules."""
    module = types.ModuleType("qt", "PythonQt's module qt, on PySide6")
    for source in (QtCore, QtGui, QtWidgets):
        for name in dir(source):
            if name.startswith("_") or name in _NOT_IN_PYTHONQT:
                continue
            value = getattr(source, name)
            if _isObjectClass(value):
                pythonqt.patchProperties(value)
                value = conventional(value)
            setattr(module, name, value)
    pythonqt.patchProperties(QtUiTools.QUiLoader)
    module.QUiLoader = UiLoader
    QtCore.QObject.name = property(
        lambda self: self.property("objectName"), lambda self, name: self.setObjectName(name)
    )
    QtCore.QObject.className = lambda self: self.metaObject().className()
    module.Signal = QtCore.Signal
    sys.modules["qt"] = module
    return module
