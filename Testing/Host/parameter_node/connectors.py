"""Which widget can show which parameter (the table in Slicer's developer guide), for the host's widgets."""

import enum
import typing

import ctk
import qt
import slicer

from .annotations import Choice, Decimals, Maximum, Minimum, SingleStep, WithinRange, first, split

_NUMBER_WIDGETS = {
    int: (qt.QSlider, qt.QSpinBox, qt.QDoubleSpinBox, ctk.ctkSliderWidget),
    float: (qt.QDoubleSpinBox, ctk.ctkSliderWidget),
}


class Connector:
    """Joins one widget and one parameter through a Qt property and the signal of its change."""

    propertyName = signalName = None

    def __init__(self, widget, kind, annotations):
        self.widget, self._callback = widget, None

    def read(self):
        return getattr(self.widget, self.propertyName)

    def write(self, value):
        setattr(self.widget, self.propertyName, value)

    def start(self, callback):
        self._callback = callback
        if self.signalName:
            getattr(self.widget, self.signalName).connect(callback)

    def stop(self):
        if self.signalName:
            getattr(self.widget, self.signalName).disconnect(self._callback)


class CheckBoxConnector(Connector):
    propertyName, signalName = "checked", "stateChanged"


class PushButtonConnector(Connector):
    propertyName, signalName = "checked", "toggled"

    def __init__(self, widget, kind, annotations):
        super().__init__(widget, kind, annotations)
        widget.checkable = True


class NumberConnector(Connector):
    """Takes range, step and decimals from the annotations of the parameter."""

    propertyName, signalName = "value", "valueChanged"

    def __init__(self, widget, kind, annotations):
        super().__init__(widget, kind, annotations)
        self._kind = kind
        decimals, step = first(annotations, Decimals), first(annotations, SingleStep)
        if decimals:
            widget.decimals = decimals.value
        elif kind is int and hasattr(widget, "decimals"):
            widget.decimals = 0
        if step:
            widget.singleStep = step.value
        limits, low, high = (first(annotations, item) for item in (WithinRange, Minimum, Maximum))
        low = limits.minimum if limits else low.minimum if low else None
        high = limits.maximum if limits else high.maximum if high else None
        unlimited = low is None or high is None
        if unlimited and type(widget) in (qt.QSlider, ctk.ctkSliderWidget):
            raise RuntimeError("a slider needs a parameter with a range")
        isInteger = type(widget) in (qt.QSlider, qt.QSpinBox)
        widget.minimum = low if low is not None else (-(2**31) if isInteger else float("-inf"))
        widget.maximum = high if high is not None else (2**31 - 1 if isInteger else float("inf"))

    def read(self):
        return self._kind(super().read())


class ComboBoxConnector(Connector):
    """Fills the combo box with the choices of the parameter."""

    signalName = "currentIndexChanged"

    def __init__(self, widget, kind, annotations):
        super().__init__(widget, kind, annotations)
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            self._values = list(kind)
            labels = [value.label() if hasattr(kind, "label") else value.name for value in kind]
        else:
            choice = first(annotations, Choice)
            if choice is None:
                raise RuntimeError("a combo box needs a parameter with the Choice annotation")
            self._values = list(choice.choices)
            labels = [str(value) for value in self._values]
        widget.clear()
        widget.addItems(labels)

    def read(self):
        return self._values[self.widget.currentIndex]

    def write(self, value):
        self.widget.currentIndex = self._values.index(value)


class LineEditConnector(Connector):
    propertyName, signalName = "text", "textChanged"

    def write(self, value):
        if value != self.widget.text:
            self.widget.text = value


class LabelConnector(Connector):
    propertyName = "text"


class NodeConnector(Connector):
    """Sets the node types of the combo box to those of the parameter."""

    signalName = "currentNodeChanged"

    def __init__(self, widget, kind, annotations):
        super().__init__(widget, kind, annotations)
        widget.nodeTypes = [nodeClass().GetClassName() for nodeClass in nodeClasses(kind)]

    def read(self):
        return self.widget.currentNode()

    def write(self, value):
        self.widget.setCurrentNode(value)


def nodeClasses(kind):
    """The node classes in a type: one node class, or a Union of some (and None); empty for anything else."""
    members = [split(member)[0] for member in typing.get_args(kind)] or [kind]
    members = [member for member in members if member is not type(None)]
    areNodes = all(isinstance(member, type) and issubclass(member, slicer.vtkMRMLNode) for member in members)
    return members if areNodes else []


def connectorFor(widget, hint):
    """A connector for this widget and this parameter type.

    Raises:
        RuntimeError: if the guide documents none.
    """
    kind, annotations = split(hint)
    widgetClass = type(widget)
    isEnum = isinstance(kind, type) and issubclass(kind, enum.Enum)
    connector = None
    if kind is bool and widgetClass in (qt.QCheckBox, ctk.ctkCheckBox):
        connector = CheckBoxConnector
    elif kind is bool and widgetClass is qt.QPushButton:
        connector = PushButtonConnector
    elif widgetClass in _NUMBER_WIDGETS.get(kind, ()):
        connector = NumberConnector
    elif widgetClass in (qt.QComboBox, ctk.ctkComboBox) and (isEnum or kind in (int, float, str, bool)):
        connector = ComboBoxConnector
    elif kind is str and widgetClass is qt.QLineEdit:
        connector = LineEditConnector
    elif kind is str and widgetClass is qt.QLabel:
        connector = LabelConnector
    elif widgetClass is slicer.qMRMLNodeComboBox and nodeClasses(kind):
        connector = NodeConnector
    if connector is None:
        raise RuntimeError(f"no connection from {kind} to a {widget.className()} is documented")
    return connector(widget, kind, annotations)
