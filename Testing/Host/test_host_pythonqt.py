"""PythonQt's conventions: what works, and what must be refused."""

import numpy as np
import pytest


@pytest.fixture
def qt(host):
    import qt

    return qt


def test_qt_properties_are_attributes_and_not_callable(qt):
    button = qt.QPushButton("Place")
    assert button.text == "Place"
    button.enabled = False
    assert button.enabled is False
    with pytest.raises(TypeError):
        button.text()


def test_getters_that_are_no_properties_stay_methods(qt):
    widget = qt.QWidget()
    layout = qt.QVBoxLayout(widget)
    layout.addWidget(qt.QLabel("a"))
    assert layout.count() == 1
    assert widget.layout() is layout


@pytest.mark.parametrize("action", [lambda b: b.colour, lambda b: setattr(b, "colour", 1)])
def test_unknown_attributes_are_refused(qt, action):
    with pytest.raises(AttributeError):
        action(qt.QPushButton())


def test_a_class_derived_in_python_may_have_attributes(qt):
    class Panel(qt.QWidget):
        def __init__(self):
            super().__init__()
            self.sections = []

    assert Panel().sections == []


def test_keyword_arguments_are_refused(qt):
    with pytest.raises(ValueError):
        qt.QLabel(text="a")
    with pytest.raises(ValueError):
        qt.QLabel().setText(text="a")


def test_properties_refuse_values_of_a_wrong_type(qt):
    label, box, check = qt.QLabel(), qt.QSpinBox(), qt.QCheckBox()
    for widget, name, value in (
        (label, "text", 3),
        (box, "value", "3"),
        (box, "value", None),
        (box, "value", np.float64(3)),
        (check, "checked", "yes"),
        (check, "checked", None),
    ):
        with pytest.raises(AttributeError):
            setattr(widget, name, value)
    box.value = np.int64(5)
    assert box.value == 5


def test_a_read_only_property_is_refused(qt):
    with pytest.raises(AttributeError):
        qt.QComboBox().count = 3


def test_isinstance_is_false_between_classes_and_inherits_is_true(qt):
    box = qt.QSpinBox()
    assert not isinstance(box, qt.QWidget)
    assert box.inherits("QWidget")
    assert box.className() == "QSpinBox"


def test_lists_come_back_as_tuples(qt):
    widget = qt.QWidget()
    qt.QLabel("a", widget)
    assert isinstance(widget.children(), tuple)


def test_a_destroyed_object_is_refused(qt):
    button = qt.QPushButton()
    button.delete()
    with pytest.raises(ValueError):
        button.text  # noqa: B018


def test_a_wrong_signal_returns_false_and_is_a_failure(host, qt):
    with host.failures.expected() as failures:
        assert qt.QPushButton().connect("pressedTwice()", print) is False
    assert "pressedTwice()" in failures[0]
    with pytest.raises(AttributeError):
        qt.QPushButton().pressedTwice.connect(print)


def test_slots_may_take_fewer_arguments(qt):
    button, seen = qt.QPushButton(), []
    button.setCheckable(True)
    assert button.connect("clicked(bool)", lambda: seen.append("none"))
    button.connect("clicked(bool)", seen.append)
    button.clicked.connect(seen.append)
    button.click()
    assert seen == ["none", True, True]


def test_connecting_twice_fires_twice_and_disconnect_ends_it(qt):
    timer, seen = qt.QTimer(), []

    def slot():
        seen.append(1)

    timer.connect("timeout()", slot)
    timer.connect("timeout()", slot)
    timer.timeout()
    assert len(seen) == 2
    timer.disconnect("timeout()", slot)
    timer.timeout()
    assert len(seen) == 3


def test_a_connection_keeps_the_owner_of_a_method_alive(qt):
    seen = []

    class Owner:
        def slot(self):
            seen.append(1)

    button = qt.QPushButton()
    button.connect("clicked()", Owner().slot)
    button.click()
    assert seen == [1]


def test_an_exception_in_a_slot_is_a_failure(host, qt):
    def slot():
        raise RuntimeError("wrong in the slot")

    button = qt.QPushButton()
    button.connect("clicked()", slot)
    with host.failures.expected() as failures:
        button.click()
    assert "wrong in the slot" in failures[0]


def test_there_is_no_qvariant(qt):
    assert not hasattr(qt, "QVariant")


def test_signals_leave_the_booleans_alone(host):
    """Each of PySide's emissions took one reference of True; Python 3.11 ended when there were none left."""
    import sys

    import ctk

    section = ctk.ctkCollapsibleButton()
    before = sys.getrefcount(True)
    for _ in range(100):
        section.contentsCollapsed(True)
    assert sys.getrefcount(True) >= before
    section.delete()
