"""A needle in the live image: where its transform says, while it is wanted, and kept by the scene."""

import numpy as np
import pytest

from Testing.Module.conftest import add_bent_transform, image_of, wait_for_image
from Testing.Module.test_module_image import ras_of_pixel


def needle_in_plane(widget, lateral_mm, depth_mm):
    """(4, 4) NeedleToRas of a tip in the image plane; the shaft runs level, to the marked side."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], float)  # Z of the needle along X of the transducer
    matrix[:3, 3] = [lateral_mm, depth_mm, 0]
    return widget.session.transducer.pose() @ matrix


def add_transform(matrix, name="NeedleToReference"):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    slicer.util.updateTransformMatrixFromArray(node, matrix)
    return node


def needle_models():
    import slicer

    return [node for node in slicer.util.getNodesByClass("vtkMRMLModelNode") if node.GetName() == "Needle"]


def added_light(widget, without, gray=90):
    """(N, 2) lateral and depth in mm of the pixels that became so much brighter."""
    rows, columns = np.nonzero(image_of(widget).astype(float) - without > gray)
    inverse = np.linalg.inv(widget.session.transducer.pose())
    image = widget.session.transducer.image
    ras = np.array([ras_of_pixel(image, column, row) for row, column in zip(rows, columns, strict=True)])
    return (inverse[:3, :3] @ ras.T + inverse[:3, 3:])[:2].T


def test_needle_shows_where_its_transform_says_and_moves_with_it(host, placed):
    import slicer

    without = image_of(placed).astype(float)
    node = add_transform(needle_in_plane(placed, -8.0, 55.0))
    wait_for_image(host, placed, lambda: placed.ui.needleSelector.setCurrentNode(node))
    lit = added_light(placed, without)
    assert np.median(lit[:, 1]) == pytest.approx(55.0, abs=2.5)
    assert lit[:, 0].min() == pytest.approx(-8.0, abs=3.0)
    wait_for_image(
        host, placed, lambda: slicer.util.updateTransformMatrixFromArray(node, needle_in_plane(placed, -8.0, 62.0))
    )
    assert np.median(added_light(placed, without)[:, 1]) == pytest.approx(62.0, abs=2.5)
    parent = add_transform(placed.session.transducer.pose() @ np.array(
        [[1, 0, 0, 0], [0, 1, 0, -7.0], [0, 0, 1, 0], [0, 0, 0, 1]]) @ np.linalg.inv(
        placed.session.transducer.pose()), "ReferenceToRas")  # fmt: skip
    wait_for_image(host, placed, lambda: node.SetAndObserveTransformNodeID(parent.GetID()))
    assert np.median(added_light(placed, without)[:, 1]) == pytest.approx(55.0, abs=2.5)


def test_needle_goes_when_it_is_switched_off_or_deleted(host, placed):
    import slicer

    without = image_of(placed).copy()
    node = add_transform(needle_in_plane(placed, -8.0, 55.0))
    wait_for_image(host, placed, lambda: placed.ui.needleSelector.setCurrentNode(node))
    assert needle_models()
    assert not np.array_equal(image_of(placed), without)
    wait_for_image(host, placed, placed.ui.needleCheckBox.click)
    assert np.array_equal(image_of(placed), without)
    wait_for_image(host, placed, placed.ui.needleCheckBox.click)
    wait_for_image(host, placed, lambda: slicer.mrmlScene.RemoveNode(node))
    assert np.array_equal(image_of(placed), without)
    assert not needle_models()
    assert not placed.ui.needleLengthSlider.enabled


def test_length_and_diameter_are_those_of_image_and_model(host, placed):
    import slicer

    without = image_of(placed).astype(float)
    node = add_transform(needle_in_plane(placed, -8.0, 20.0))
    wait_for_image(host, placed, lambda: placed.ui.needleSelector.setCurrentNode(node))
    wait_for_image(host, placed, lambda: setattr(placed.ui.needleLengthSlider, "value", 15))
    lit = added_light(placed, without, 40)
    assert lit[:, 0].min() == pytest.approx(-8.0, abs=3.0)
    assert lit[:, 0].max() == pytest.approx(7.0, abs=3.0)
    wait_for_image(host, placed, lambda: setattr(placed.ui.needleDiameterSlider, "value", 4))
    thick = added_light(placed, without, 40)
    assert len(thick) > 1.3 * len(lit)
    points = slicer.util.arrayFromModelPoints(needle_models()[0])
    assert points[:, 2].min() == pytest.approx(0.0)
    assert np.abs(points[points[:, 2] < 1, 0]).max() == pytest.approx(2.0)


def test_new_needle_stands_in_the_image_plane(host, placed):
    without = image_of(placed).astype(float)
    wait_for_image(host, placed, placed.ui.newNeedleButton.click)
    needle = placed.session.parameters.needle
    assert needle.GetDisplayNode().GetEditorVisibility()
    assert len(added_light(placed, without)) > 10


def test_a_needle_under_a_transform_that_bends_or_scales_is_refused(host, placed):
    import slicer

    node = add_transform(np.diag([2.0, 2.0, 2.0, 1.0]))
    placed.ui.needleSelector.setCurrentNode(node)
    host.process_events(0.3)
    assert "NeedleToReference" in placed.ui.messageLabel.text and "not rigid" in placed.ui.messageLabel.text
    slicer.util.updateTransformMatrixFromArray(node, needle_in_plane(placed, 0.0, 55.0))
    node.SetAndObserveTransformNodeID(add_bent_transform().GetID())
    host.process_events(0.3)
    assert "bends" in placed.ui.messageLabel.text
    wait_for_image(host, placed, lambda: node.SetAndObserveTransformNodeID(None))
    assert placed.ui.messageLabel.text == ""


def test_scene_keeps_the_needle(host, placed, tmp_path):
    node = add_transform(needle_in_plane(placed, -8.0, 55.0))
    wait_for_image(host, placed, lambda: placed.ui.needleSelector.setCurrentNode(node))
    placed.ui.needleLengthSlider.value = 90
    placed.ui.needleDiameterSlider.value = 2.0
    host.save_scene(tmp_path / "scene.mrb")
    host.close_scene()
    assert not needle_models()
    host.load_scene(tmp_path / "scene.mrb")
    host.wait_until(lambda: placed.session.image.renderer.isIdle, 30)
    parameters = placed.session.parameters
    assert parameters.needle.GetName() == "NeedleToReference"
    assert (parameters.needleLength, parameters.needleDiameter, parameters.showNeedle) == (90.0, 2.0, True)
    assert needle_models()[0].GetParentTransformNode() is parameters.needle
