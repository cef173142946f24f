"""QUiLoader that makes the host's widgets and checks the .ui file against what the classes document."""

import functools
import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtUiTools

from . import documented, pythonqt
from .failures import failures


def widgetClass(className):
    """The host's class of this name, from `qt`, `ctk` or `slicer`; None if there is none."""
    import ctk
    import qt
    import slicer

    for module in (ctk, slicer, qt):
        candidate = getattr(module, className, None)
        if isinstance(candidate, type):
            return candidate
    return None


class UiLoader(QtUiTools.QUiLoader):
    """In the place of PythonQt's qt.QUiLoader."""

    def load(self, device, parent=None):
        """Load a .ui file; unknown classes, properties, signals and slots are failures."""
        tree = ElementTree.fromstring(bytes(device.readAll()))
        _checkProperties(tree)
        connections = [
            tuple(item.findtext(part) for part in ("sender", "signal", "receiver", "slot"))
            for item in tree.iter("connection")
        ]
        for element in tree.findall("connections"):
            tree.remove(element)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(tree))
        buffer.open(QtCore.QIODevice.ReadOnly)
        pythonqt.loadingUi.append(self)
        widget = super().load(buffer, parent)
        pythonqt.loadingUi.clear()
        for connection in connections:
            _makeConnection(widget, *connection)
        return widget

    def createWidget(self, className, parent=None, name=""):
        """Called by Qt for each widget of the file."""
        cls = widgetClass(className)
        if cls is None:
            failures.record(f".ui file: this host has no widget class {className}")
            return super().createWidget(className, parent, name)
        widget = cls(parent) if parent is not None else cls()
        widget.setObjectName(name)
        return widget


@functools.cache
def _propertyNames(cls):
    """Names of a class's Qt properties; kept, since PySide forgets a class's meta object with its last widget."""
    metaObject = cls.staticMetaObject
    return {metaObject.property(index).name() for index in range(metaObject.propertyCount())}


def _checkProperties(tree):
    for element in tree.iter("widget"):
        cls = widgetClass(element.get("class"))
        if cls is None:
            continue
        for item in element.findall("property"):
            name = item.get("name")
            if item.get("stdset") != "0" and name not in _propertyNames(cls):
                failures.record(f".ui file: {element.get('class')} has no property {name!r}")


def _child(widget, name):
    return widget if widget.name == name else widget.findChild(QtCore.QObject, name)


def _makeConnection(widget, sender, signal, receiver, slot):
    source, target = _child(widget, sender), _child(widget, receiver)
    slotName = slot.split("(")[0]
    className = target.className() if target else ""
    known = bool(target) and (
        slotName in documented.methods(className)
        or target.metaObject().indexOfMethod(documented.normalized(slot)) >= 0
    )
    if not source or not known:
        failures.record(f".ui file: cannot connect {sender}.{signal} to {receiver}.{slot}")
        return
    source.connect(signal, getattr(target, slotName))
