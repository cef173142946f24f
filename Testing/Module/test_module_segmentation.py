"""A segmentation as the patient."""

import numpy as np
import pytest

from Testing.Module.conftest import image_of, place, wait_for_image


@pytest.fixture
def segmentation(host):
    """White matter with a ball of bone, 2 mm voxels around the origin, as segments."""
    import slicer

    k, j, i = (np.indices((50, 50, 50)) - 24.5) * 2
    labels = np.where(np.sqrt(i**2 + j**2 + k**2) < 8, 2, 1).astype(np.uint8)
    ijk_to_ras = np.diag([2.0, 2.0, 2.0, 1.0])
    ijk_to_ras[:3, 3] = -49
    labelmap = slicer.util.addVolumeFromArray(labels, ijk_to_ras, "Labels", "vtkMRMLLabelMapVolumeNode")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labelmap, node)
    for index, name in enumerate(("White matter", "Cortical bone")):
        node.GetSegmentation().GetNthSegment(index).SetName(name)
    slicer.mrmlScene.RemoveNode(labelmap)
    return node


def test_segments_are_tissues_by_their_names(host, widget, segmentation):
    widget.logic.getParameterNode().volume = segmentation
    wait_for_image(host, widget, lambda: place(widget, (0, 0, 45), (0, 0, 0)))
    maps = widget.session.patient.maps
    assert maps.modality == "labels"
    assert float(maps.impedance.max()) > 4
    assert image_of(widget).max() > 100
    assert not [node for node in host.scene.GetNodesByClass("vtkMRMLLabelMapVolumeNode")]


def test_names_that_say_nothing_are_soft_tissue_and_the_user_is_told(host, widget, segmentation):
    segmentation.GetSegmentation().GetNthSegment(0).SetName("Segment_1")
    widget.logic.getParameterNode().volume = segmentation
    wait_for_image(host, widget, lambda: place(widget, (0, 0, 45), (0, 0, 0)))
    assert "Segment_1" in widget.ui.modalityNote.text


def test_segmentation_moves_with_its_transform(host, widget, segmentation):
    import slicer

    widget.logic.getParameterNode().volume = segmentation
    wait_for_image(host, widget, lambda: place(widget, (0, 0, 45), (0, 0, 0)))
    before = widget.session.patient.maps.ijk_to_ras.numpy().copy()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Moved")
    matrix = np.eye(4)
    matrix[0, 3] = 11
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    wait_for_image(host, widget, lambda: segmentation.SetAndObserveTransformNodeID(transform.GetID()))
    assert widget.session.patient.maps.ijk_to_ras.numpy() == pytest.approx(matrix @ before)


def test_changed_segment_is_rendered_anew(host, widget, segmentation):
    widget.logic.getParameterNode().volume = segmentation
    wait_for_image(host, widget, lambda: place(widget, (0, 0, 45), (0, 0, 0)))
    before = image_of(widget).copy()
    segmentID = segmentation.GetSegmentation().GetNthSegmentID(1)
    segmentation.GetSegmentation().RemoveSegment(segmentID)
    host.wait_until(lambda: not np.array_equal(image_of(widget), before))
    assert float(widget.session.patient.maps.impedance.max()) < 4


def test_empty_segmentation_is_a_sentence(host, widget):
    import slicer

    widget.logic.getParameterNode().volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Nothing")
    host.process_events()
    widget.ui.addButton.click()
    host.process_events(0.1)
    assert "no segments" in widget.ui.messageLabel.text
