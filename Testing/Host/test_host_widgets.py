"""CTK and MRML widgets: they work, and they offer no more than their headers document."""

import numpy as np
import pytest

from Testing.Host import documented

UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0"><class>Panel</class>
 <widget class="qMRMLWidget" name="Panel"><layout class="QVBoxLayout" name="verticalLayout">
  <item><widget class="qMRMLNodeComboBox" name="selector">
   <property name="nodeTypes"><stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
   <property name="{property}"><bool>true</bool></property>
   <property name="SlicerParameterName" stdset="0"><string>volume</string></property></widget></item>
  <item><widget class="{widget}" name="button"/></item></layout></widget>
 <connections><connection><sender>Panel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
  <receiver>selector</receiver><slot>{slot}</slot></connection></connections></ui>"""
GOOD = {"property": "noneEnabled", "widget": "QPushButton", "slot": "setMRMLScene(vtkMRMLScene*)"}


def load(tmp_path, **changes):
    import slicer

    path = tmp_path / "Panel.ui"
    path.write_text(UI.format(**(GOOD | changes)))
    return slicer.util.loadUI(str(path))


def add_volume(name):
    import slicer

    return slicer.util.addVolumeFromArray(np.zeros((2, 2, 2)), np.eye(4), name)


def test_stand_ins_offer_only_documented_names(host):
    """Every public name that a stand-in class itself defines stands in the header of the real class."""
    from Testing.Host import ctk_widgets, mrml_widgets

    virtual_methods_of_qt = {"sizeHint", "minimumSizeHint", "childEvent", "paintEvent", "hitButton", "exec_", "exec"}
    for widget in (*ctk_widgets.WIDGETS, *mrml_widgets.WIDGETS):
        own = {name for name in vars(widget) if not name.startswith(("_", "host")) and name != "staticMetaObject"}
        undocumented = own - documented.names(widget.__name__) - virtual_methods_of_qt
        assert not undocumented, f"{widget.__name__} documents no {undocumented}"


def test_slider_clamps_rounds_and_signals(host):
    import ctk

    slider, seen = ctk.ctkSliderWidget(), []
    slider.minimum, slider.maximum, slider.decimals = -10.0, 10.0, 1
    slider.connect("valueChanged(double)", seen.append)
    slider.value = 3.14159
    slider.value = 99
    assert seen == [3.1, 10.0]
    assert slider.value == 10.0


@pytest.mark.parametrize("name", ["setMinimum", "setMaximum", "setRange", "setSingleStep", "setSuffix"])
def test_slider_has_no_setters_that_are_no_slots(host, name):
    import ctk

    with pytest.raises(AttributeError):
        getattr(ctk.ctkSliderWidget(), name)


def test_slider_refuses_text_and_unknown_signals(host):
    import ctk

    slider = ctk.ctkSliderWidget()
    with pytest.raises((AttributeError, TypeError)):
        slider.value = "3"
    with host.failures.expected():
        assert slider.connect("valueChanged(int)", print) is False


def test_collapsible_button_hides_its_children(host):
    import ctk
    import qt

    section = ctk.ctkCollapsibleButton()
    section.text = "Image"
    layout = qt.QFormLayout(section)
    check = qt.QCheckBox()
    layout.addRow("Live", check)
    section.show()
    assert check.visible
    section.collapsed = True
    assert not check.visible
    assert section.checked is False
    with pytest.raises(AttributeError):
        section.setCollapsed(False)


def test_node_selector_follows_the_scene(host, tmp_path):
    import slicer

    panel = load(tmp_path)
    ui = slicer.util.childWidgetVariables(panel)
    volume = add_volume("MR")
    assert ui.selector.nodeCount() == 0, "without a scene it lists nothing"
    panel.setMRMLScene(slicer.mrmlScene)
    seen = []
    ui.selector.connect("currentNodeChanged(vtkMRMLNode*)", seen.append)
    ui.selector.connect("currentNodeChanged(bool)", seen.append)
    ui.selector.setCurrentNode(volume)
    slicer.mrmlScene.RemoveNode(volume)
    assert seen == [volume, True, None, False]
    panel.delete()


def test_node_selector_without_none_takes_the_first_node(host):
    import slicer

    volume = add_volume("MR")
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.setMRMLScene(slicer.mrmlScene)
    assert selector.currentNode() is volume
    selector.delete()


def test_node_types_must_be_a_list(host):
    import slicer

    selector = slicer.qMRMLNodeComboBox()
    with pytest.raises((AttributeError, TypeError)):
        selector.nodeTypes = "vtkMRMLScalarVolumeNode"


@pytest.mark.parametrize(
    "changes",
    [{"property": "nonEnabled"}, {"widget": "ctkFancyButton"}, {"slot": "setScene(vtkMRMLScene*)"}],
    ids=["property", "class", "slot"],
)
def test_ui_file_with_unknown_names_is_a_failure(host, tmp_path, changes):
    with host.failures.expected():
        load(tmp_path, **changes)


def test_ui_children_are_reached_through_child_widget_variables_only(host, tmp_path):
    panel = load(tmp_path)
    with pytest.raises(AttributeError):
        panel.button  # noqa: B018


def test_missing_ui_file_raises(host, tmp_path):
    import slicer

    with pytest.raises(RuntimeError):
        slicer.util.loadUI(str(tmp_path / "Missing.ui"))


def test_message_boxes_do_not_block(host):
    import qt
    import slicer

    host.dialogs.answerNext(qt.QMessageBox.Ok)
    assert slicer.util.confirmOkCancelDisplay("Install PyTorch?")
    assert host.dialogs.messages == ["Install PyTorch?"]


def test_a_file_dialog_that_nobody_expects_is_a_failure(host):
    import qt

    with host.failures.expected():
        assert qt.QFileDialog.getSaveFileName(None, "Export", "") == ""
