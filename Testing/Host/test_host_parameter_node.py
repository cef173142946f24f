"""slicer.parameterNodeWrapper's documented behaviour."""

from enum import Enum
from typing import Annotated, Optional

import numpy as np
import pytest


class Look(Enum):
    PAPER = "paper"
    CLINICAL = "clinical"

    def label(self):
        return self.value.title()


@pytest.fixture
def wrapper(host):
    """A wrapper class with one parameter of each kind that the module uses."""
    from slicer import vtkMRMLScalarVolumeNode
    from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper, parameterPack

    @parameterPack
    class Geometry:
        depth: Annotated[float, WithinRange(10, 300)] = 90.0
        kind: Annotated[str, Choice(["curvilinear", "linear"])] = "curvilinear"

    namespace = {
        "__annotations__": {
            "volume": vtkMRMLScalarVolumeNode,
            "gain": Annotated[float, WithinRange(-40, 40)],
            "lines": Annotated[int, WithinRange(16, 512)],
            "live": bool,
            "look": Look,
            "note": str,
            "threshold": Optional[float],  # noqa: UP045 - the guide documents this form
            "geometry": Geometry,
        },
        "gain": 3.0,
        "lines": 128,
        "look": Look.CLINICAL,
    }
    return parameterNodeWrapper(type("Parameters", (), namespace))


@pytest.fixture
def node(host):
    return host.scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "Parameters")


def test_defaults_given_and_implied(wrapper, node):
    parameters = wrapper(node)
    assert (parameters.gain, parameters.lines, parameters.look) == (3.0, 128, Look.CLINICAL)
    assert (parameters.volume, parameters.live, parameters.note, parameters.threshold) == (None, False, "", None)
    assert parameters.geometry.depth == 90.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gain", 41),
        ("gain", "3"),
        ("gain", None),
        ("lines", 2.5),
        ("look", "clinical"),
        ("live", 1.5),
        ("volume", "MR"),
        ("geometry.depth", 5.0),
        ("geometry.kind", "phased"),
    ],
)
def test_wrong_values_are_refused_and_nothing_changes(wrapper, node, name, value):
    parameters = wrapper(node)
    before = parameters.getValue(name)
    with pytest.raises((TypeError, ValueError)):
        parameters.setValue(name, value)
    assert parameters.getValue(name) == before


def test_unknown_names_are_refused(wrapper, node):
    parameters = wrapper(node)
    with pytest.raises(ValueError):
        parameters.setValue("volumes", None)
    with pytest.raises(AttributeError):
        parameters.geometry.width = 3.0


def test_reserved_names_are_refused(host):
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    with pytest.raises(ValueError):
        parameterNodeWrapper(type("Parameters", (), {"__annotations__": {"Modified": bool}}))


def test_values_survive_a_scene_file(host, wrapper, node, tmp_path):
    import slicer

    volume = slicer.util.addVolumeFromArray(np.zeros((2, 2, 2)), np.eye(4), "MR")
    parameters = wrapper(node)
    parameters.volume, parameters.look, parameters.gain = volume, Look.PAPER, -7.25
    parameters.live, parameters.threshold = True, 0.5
    parameters.geometry.depth = 120.0
    host.save_scene(tmp_path / "scene.mrb")
    host.close_scene()
    host.load_scene(tmp_path / "scene.mrb")
    parameters = wrapper(slicer.util.getNode("Parameters"))
    assert parameters.volume.GetName() == "MR"
    assert (parameters.look, parameters.gain, parameters.live) == (Look.PAPER, -7.25, True)
    assert (parameters.threshold, parameters.geometry.depth) == (0.5, 120.0)


def widgets_for(**named):
    class Ui:
        pass

    ui = Ui()
    for name, widget in named.items():
        widget.setProperty("SlicerParameterName", name.replace("__", "."))
        setattr(ui, name, widget)
    return ui


def test_widgets_and_parameters_follow_each_other(wrapper, node):
    import ctk
    import qt

    ui = widgets_for(
        gain=ctk.ctkSliderWidget(), lines=qt.QSpinBox(), live=qt.QCheckBox(), look=qt.QComboBox(),
        geometry__depth=ctk.ctkSliderWidget(),
    )  # fmt: skip
    parameters = wrapper(node)
    tag = parameters.connectGui(ui)
    assert (ui.gain.minimum, ui.gain.maximum, ui.lines.maximum) == (-40, 40, 512)
    assert ui.look.currentText == "Clinical"
    ui.gain.value = 12.0
    ui.live.click()
    ui.look.currentIndex = 0
    ui.geometry__depth.value = 150
    assert (parameters.gain, parameters.live, parameters.look) == (12.0, True, Look.PAPER)
    assert parameters.geometry.depth == 150
    parameters.lines = 256
    assert ui.lines.value == 256
    parameters.disconnectGui(tag)
    ui.gain.value = -1.0
    parameters.lines = 64
    assert (parameters.gain, ui.lines.value) == (12.0, 256)


def test_a_widget_without_the_property_stays_unconnected(wrapper, node):
    import ctk

    class Ui:
        gain = None

    ui = Ui()
    ui.gain = ctk.ctkSliderWidget()
    parameters = wrapper(node)
    parameters.connectGui(ui)
    ui.gain.maximum = 40.0
    ui.gain.value = 12.0
    assert parameters.gain == 3.0


def test_pairs_that_the_guide_does_not_list_are_refused(wrapper, node):
    import qt

    with pytest.raises(RuntimeError):
        wrapper(node).connectGui(widgets_for(gain=qt.QLineEdit()))
