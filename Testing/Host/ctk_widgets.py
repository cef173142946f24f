"""Stand-ins for the CTK widgets that the module uses; each offers what its header documents (documented_api.json)."""

import sys
import types

from PySide6 import QtCore, QtWidgets

from . import dialogs, pythonqt
from .pythonqt import Conventions

_TYPE_NAMES = {bool: "bool", int: "int", float: "double", str: "QString"}


def qtProperty(name, qtType, default, changed=None):
    """A Qt property with a plain value; `changed(self, value)` is called when the value differs from the last one."""
    attribute = f"_host_{name}"
    typeName = qtType if isinstance(qtType, str) else _TYPE_NAMES[qtType]

    def read(self):
        return getattr(self, attribute, default)

    def write(self, value):
        value = pythonqt.converted(value, typeName)
        if read(self) != value:
            setattr(self, attribute, value)
            if changed:
                changed(self, value)

    return QtCore.Property(qtType, read, write)


class ctkCollapsibleButton(Conventions, QtWidgets.QAbstractButton):
    """A header with an arrow; its children are hidden while it is collapsed."""

    contentsCollapsed = QtCore.Signal(bool)
    collapsedHeight = qtProperty("collapsedHeight", int, 14)
    flat = qtProperty("flat", bool, False)
    contentsLineWidth = qtProperty("contentsLineWidth", int, 1)
    contentsMidLineWidth = qtProperty("contentsMidLineWidth", int, 0)
    _hostMade = True

    def __init__(self, *arguments):
        text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        super().__init__(*arguments[1 if text else 0 :])
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.setSizePolicy(QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.Preferred)
        self.setContentsMargins(0, self._hostHeaderHeight(), 0, 0)
        self.toggled.connect(lambda: self._hostToggled())

    def _hostReadCollapsed(self):
        return not self.isChecked()

    def _hostWriteCollapsed(self, collapsed):
        self.setChecked(not collapsed)

    collapsed = QtCore.Property(bool, _hostReadCollapsed, _hostWriteCollapsed)

    def _hostHeaderHeight(self):
        return self.fontMetrics().height() + 8

    def _hostClosedHeight(self):
        """The real class adds a strip of the contents' frame below the header, 14 pixels unless told."""
        return self._hostHeaderHeight() + self.collapsedHeight

    def _hostToggled(self):
        for child in self.children():
            if child.isWidgetType():
                child.setVisible(self.isChecked())
        self.updateGeometry()
        self.contentsCollapsed(not self.isChecked())

    def sizeHint(self):
        closed = QtCore.QSize(self.fontMetrics().horizontalAdvance(self.text) + 32, self._hostClosedHeight())
        if not self.isChecked() or not self.layout():
            return closed
        return closed.expandedTo(self.layout().totalSizeHint())

    def minimumSizeHint(self):
        closed = QtCore.QSize(0, self._hostClosedHeight())
        if not self.isChecked() or not self.layout():
            return closed
        return closed.expandedTo(self.layout().totalMinimumSize())

    def childEvent(self, event):
        if event.added() and event.child().isWidgetType() and not self.isChecked():
            event.child().setVisible(False)
        QtWidgets.QAbstractButton.childEvent(self, event)

    def paintEvent(self, event):
        painter = QtWidgets.QStylePainter(self)
        header = QtCore.QRect(0, 0, self.width, self._hostHeaderHeight())
        button = QtWidgets.QStyleOptionButton()
        button.initFrom(self)
        button.rect = header
        painter.drawControl(QtWidgets.QStyle.CE_PushButtonBevel, button)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(6, (header.height() - 12) // 2, 12, 12)
        style = QtWidgets.QStyle
        painter.drawPrimitive(style.PE_IndicatorArrowDown if self.isChecked() else style.PE_IndicatorArrowRight, arrow)
        painter.drawText(header.adjusted(24, 0, 0, 0), QtCore.Qt.AlignLeft | QtCore.Qt.AlignVCenter, self.text)

    def hitButton(self, position):
        return position.y() < self._hostHeaderHeight()


class ctkSliderWidget(Conventions, QtWidgets.QWidget):
    """A slider and a spin box on one line."""

    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)
    decimalsChanged = QtCore.Signal(int)
    _hostMade = True
    _hostSteps = 10000

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._hostValue = 0.0
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._hostSlider = QtWidgets.QSlider(QtCore.Qt.Horizontal)
        self._hostSlider.setRange(0, self._hostSteps)
        self._hostSpinBox = QtWidgets.QDoubleSpinBox()
        self._hostSpinBox.setRange(0, 99)
        self._hostSpinBox.setKeyboardTracking(False)
        row.addWidget(self._hostSlider, 1)
        row.addWidget(self._hostSpinBox)
        self._hostSlider.valueChanged.connect(self._hostSliderMoved)
        self._hostSlider.sliderReleased.connect(self._hostSliderReleased)
        self._hostSpinBox.valueChanged.connect(lambda value: self.setValue(value))

    def _hostSliderMoved(self, position):
        minimum, maximum = self.minimum, self.maximum
        value = minimum + (maximum - minimum) * position / self._hostSteps
        step = self.singleStep
        value = minimum + round((value - minimum) / step) * step if step else value
        if self._hostTracking or not self._hostSlider.isSliderDown():
            self.setValue(value)
        else:
            self.valueIsChanging(value)

    def _hostSliderReleased(self):
        if not self._hostTracking:
            self._hostSliderMoved(self._hostSlider.sliderPosition)

    def setValue(self, value):
        """Slot of the real class: clamped to the range."""
        value = pythonqt.converted(value, "double")
        value = min(max(round(value, self.decimals), self.minimum), self.maximum)
        changed = value != self._hostValue
        self._hostValue = value
        self._hostUpdateChildren()
        if changed:
            self.valueIsChanging(value)
            self.valueChanged(value)

    def _hostUpdateChildren(self):
        span = (self.maximum - self.minimum) or 1.0
        for child, value in (
            (self._hostSlider, round(self._hostSteps * (self._hostValue - self.minimum) / span)),
            (self._hostSpinBox, self._hostValue),
        ):
            wasBlocked = child.blockSignals(True)
            child.setValue(value)
            child.blockSignals(wasBlocked)

    def setDecimals(self, decimals):
        """Slot of the real class."""
        self._hostSpinBox.setDecimals(pythonqt.converted(decimals, "int"))
        self.decimalsChanged(decimals)

    def setSpinBoxVisible(self, visible):
        """Slot of the real class."""
        self._hostSpinBox.setVisible(visible)

    def reset(self):
        """Slot of the real class: back to the value nearest to zero, as documented."""
        self.setValue(0.0)

    def _hostRangeChanged(self, minimum, maximum):
        wasBlocked = self._hostSpinBox.blockSignals(True)
        self._hostSpinBox.setRange(minimum, max(minimum, maximum))
        self._hostSpinBox.blockSignals(wasBlocked)
        self.setValue(self._hostValue)

    def _hostWriteStep(self, step):
        self._hostSpinBox.setSingleStep(step)

    value = QtCore.Property(float, lambda self: self._hostValue, setValue, user=True)
    decimals = QtCore.Property(int, lambda self: self._hostSpinBox.decimals, setDecimals)
    singleStep = QtCore.Property(float, lambda self: self._hostSpinBox.singleStep, _hostWriteStep)
    pageStep = qtProperty("pageStep", float, 10.0)
    minimum = QtCore.Property(
        float, lambda self: self._hostSpinBox.minimum, lambda self, value: self._hostRangeChanged(value, self.maximum)
    )
    maximum = QtCore.Property(
        float, lambda self: self._hostSpinBox.maximum, lambda self, value: self._hostRangeChanged(self.minimum, value)
    )
    prefix = QtCore.Property(
        str, lambda self: self._hostSpinBox.prefix, lambda self, text: self._hostSpinBox.setPrefix(text)
    )
    suffix = QtCore.Property(
        str, lambda self: self._hostSpinBox.suffix, lambda self, text: self._hostSpinBox.setSuffix(text)
    )
    spinBoxVisible = QtCore.Property(bool, lambda self: self._hostSpinBox.isVisible(), setSpinBoxVisible)
    tracking = qtProperty("tracking", bool, True)

    @property
    def _hostTracking(self):
        return getattr(self, "_host_tracking", True)


class ctkMessageBox(Conventions, QtWidgets.QMessageBox):
    """Does not block: the host answers with what the test asked for (see dialogs)."""

    dontShowAgain = qtProperty("dontShowAgain", bool, False)
    dontShowAgainVisible = qtProperty("dontShowAgainVisible", bool, False)
    dontShowAgainSettingsKey = qtProperty("dontShowAgainSettingsKey", str, "")
    _hostMade = True

    def exec_(self):
        return dialogs.answerMessage(self.text, self)

    exec = exec_


class ctkComboBox(Conventions, QtWidgets.QComboBox):
    """A combo box; only what QComboBox offers is needed."""

    _hostMade = True


class ctkCheckBox(Conventions, QtWidgets.QCheckBox):
    """A check box; only what QCheckBox offers is needed."""

    _hostMade = True


WIDGETS = (ctkCollapsibleButton, ctkSliderWidget, ctkMessageBox, ctkComboBox, ctkCheckBox)


def build():
    """Make the module `ctk` and enter it in sys.modules."""
    module = types.ModuleType("ctk", "PythonQt's module ctk: stand-ins")
    for widget in WIDGETS:
        setattr(module, widget.__name__, widget)
    sys.modules["ctk"] = module
    return module
