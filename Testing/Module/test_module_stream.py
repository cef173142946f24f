"""The live image for other programs by SlicerOpenIGTLink's connector node, and the pose from them."""

import numpy as np
import pytest

from Testing.Host import openigtlink
from Testing.Module.conftest import image_of, wait_for_image
from Testing.Module.test_module_image import ras_of_pixel


@pytest.fixture
def extension():
    openigtlink.install()
    yield
    openigtlink.remove()


@pytest.fixture
def streaming(host, extension, placed):
    """The module with a stream that a program has connected to; yields (widget, connector)."""
    wait_for_image(host, placed, placed.ui.streamButton.click)
    connector = openigtlink.connectorsOf(host.scene)[0]
    connector.hostConnect()
    host.wait_until(lambda: "connected" in placed.ui.streamStatus.text)
    return placed, connector


def stream_nodes():
    """Names of the stream's nodes that are in the scene."""
    import slicer

    names = {node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLNode")}
    return names & {"DiffUS stream", "Image_Reference"}


def moved_up(widget, millimeters):
    """ProbeToReference: the transducer's pose, moved against its viewing direction."""
    matrix = widget.session.transducer.pose()
    matrix[:3, 3] -= millimeters * matrix[:3, 1]
    return matrix


def test_without_the_extension_one_sentence_says_how_to_get_it(host, placed):
    placed.ui.streamSection.collapsed = False
    host.process_events(0.1)
    text = placed.ui.streamStatus.text
    assert "SlicerOpenIGTLink" in text and "Extensions Manager" in text
    assert not placed.ui.streamButton.enabled
    assert not placed.ui.portSpinBox.enabled


@pytest.mark.slow
def test_each_image_goes_out_once_with_its_place(host, streaming):
    widget, connector = streaming
    connector.hostSent.clear()
    wait_for_image(host, widget, lambda: setattr(widget.ui.panSlider, "value", 6))
    wait_for_image(host, widget, lambda: setattr(widget.ui.tiltSlider, "value", 9))
    assert len(connector.hostSent) == 2
    name, pixels, image_to_reference = connector.hostSent[-1]
    assert name == "Image_Reference"
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels[0], image_of(widget))
    for column, row in ((10, 20), (300, 400)):
        expected = ras_of_pixel(widget.session.transducer.image, column, row)
        assert (image_to_reference @ [column, row, 0, 1])[:3] == pytest.approx(expected, abs=1e-6)


def test_a_program_that_connects_gets_an_image_though_nothing_moves(host, extension, placed):
    wait_for_image(host, placed, placed.ui.streamButton.click)
    connector = openigtlink.connectorsOf(host.scene)[0]
    assert connector.GetServerPort() == 18944
    assert placed.ui.streamStatus.text == "Waiting for a program."
    connector.hostConnect()
    host.wait_until(lambda: connector.hostSent)
    host.process_events(0.05)
    assert len(connector.hostSent) == 1
    assert np.array_equal(connector.hostSent[0][1][0], image_of(placed))


def test_transducer_follows_the_pose_of_a_program(host, streaming):
    widget, connector = streaming
    wanted = moved_up(widget, 12.0)
    before = widget.session.transducer.pose()
    host.process_events(0.1)
    assert np.allclose(widget.session.transducer.pose(), before)  # until a pose comes
    wait_for_image(host, widget, lambda: connector.hostReceive("ProbeToReference", wanted))
    assert np.allclose(widget.session.transducer.pose(), wanted)
    assert widget.ui.trackedSelector.currentNode().GetName() == "ProbeToReference"
    image_to_reference = connector.hostSent[-1][2]
    across = np.cross(image_to_reference[:3, 0], image_to_reference[:3, 1])
    assert np.allclose(across / np.linalg.norm(across), wanted[:3, 2])


def test_the_reference_is_what_the_pose_is_below(host, streaming):
    """With ReferenceToRas above ProbeToReference, a program gets images in its own frame."""
    import slicer

    widget, connector = streaming
    reference = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "ReferenceToRas")
    reference_to_ras = np.array([[0, -1, 0, 20], [1, 0, 0, -30], [0, 0, 1, 10], [0, 0, 0, 1.0]])
    slicer.util.updateTransformMatrixFromArray(reference, reference_to_ras)
    slicer.util.getNode("ProbeToReference").SetAndObserveTransformNodeID(reference.GetID())
    pose = np.linalg.inv(reference_to_ras) @ moved_up(widget, 5.0)
    wait_for_image(host, widget, lambda: connector.hostReceive("ProbeToReference", pose))
    image_to_reference = connector.hostSent[-1][2]
    ras = ras_of_pixel(widget.session.transducer.image, 100, 50)
    assert (reference_to_ras @ image_to_reference @ [100, 50, 0, 1])[:3] == pytest.approx(ras, abs=1e-6)


def test_poses_are_left_alone_when_they_are_not_wanted(host, streaming):
    widget, connector = streaming
    widget.ui.streamFollowCheckBox.checked = False
    before = widget.session.transducer.pose()
    connector.hostReceive("ProbeToReference", moved_up(widget, 12.0))
    host.process_events(0.1)
    assert np.allclose(widget.session.transducer.pose(), before)


def test_a_port_that_is_taken_is_told_and_another_one_works(host, extension, placed):
    openigtlink.vtkMRMLIGTLConnectorNode.hostTakenPorts = frozenset({18944})
    placed.ui.streamButton.click()
    host.wait_until(lambda: "18944" in placed.ui.streamStatus.text)
    host.process_events(0.05)
    assert not placed.ui.streamButton.checked
    assert not openigtlink.connectorsOf(host.scene)
    placed.ui.portSpinBox.value = 18945
    placed.ui.streamButton.click()
    host.process_events(0.05)
    assert placed.ui.streamStatus.text == "Waiting for a program."


def test_a_stream_ends_with_the_module_and_leaves_nothing(host, streaming):
    widget, connector = streaming
    wait_for_image(host, widget, lambda: connector.hostReceive("ProbeToReference", moved_up(widget, 3.0)))
    host.leave_module()
    assert connector.GetState() == connector.StateOff
    assert not stream_nodes()
    assert widget.session.transducer is not None
    host.enter_module("DiffUS")
    host.process_events(0.1)
    assert widget.ui.streamButton.text == "Start"


def test_a_connector_that_somebody_removes_ends_the_stream(host, streaming):
    import slicer

    widget, connector = streaming
    slicer.mrmlScene.RemoveNode(connector)
    wait_for_image(host, widget, lambda: setattr(widget.ui.panSlider, "value", 4))
    host.process_events(0.05)
    assert not widget.ui.streamButton.checked
    wait_for_image(host, widget, lambda: setattr(widget.ui.panSlider, "value", 0))


def test_the_scene_file_holds_the_port_and_no_connector(host, streaming, tmp_path):
    widget, _connector = streaming
    widget.ui.streamButton.click()
    widget.ui.portSpinBox.value = 20001
    widget.ui.streamButton.click()
    host.process_events(0.05)
    assert len(stream_nodes()) == 2
    host.save_scene(tmp_path / "scene.mrb")
    host.load_scene(tmp_path / "scene.mrb")
    assert widget.session.parameters.streamPort == 20001
    assert not stream_nodes()
    assert not widget.ui.streamButton.checked
