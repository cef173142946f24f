"""The user's story, from the sample head to the reopened scene, by the real buttons."""

import numpy as np
import pytest

from Testing.Module.conftest import MODULE_FOLDER, Images, image_of, wait_for_image


@pytest.mark.slow
def test_three_clicks_to_the_image_and_tomorrow_again(host, tmp_path):
    import slicer

    widget = host.load_module(MODULE_FOLDER, "DiffUS")
    ui, session = widget.ui, widget.session
    layout = slicer.app.layoutManager().layout
    assert not ui.addButton.enabled
    ui.sampleButton.click()
    host.wait_until(lambda: ui.volumeSelector.currentNode() is not None, 60)
    assert ui.volumeSelector.currentNode().GetName() == "DiffUS head (MRI)"
    wait_for_image(host, widget, ui.addButton.click)

    pixels = image_of(widget)
    fan = pixels[pixels > 0]
    assert pixels.shape == (512, 512)
    assert fan.std() > 10
    assert (fan < 8).mean() > 0.005, "the ventricles are black"
    assert "t1c" in ui.modalityNote.text
    assert slicer.app.layoutManager().layout != layout
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(host.scene)
    folders = set()
    for node in (session.transducer.transform, session.transducer.body, session.transducer.outline,
                 session.transducer.image):  # fmt: skip
        folders.add(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)))
    assert len(folders) == 1
    assert hierarchy.GetItemName(folders.pop()) == session.transducer.name

    # Handles: drag the middle of the transducer in the reslice view, to the marked side.
    host.process_events(0.1)
    before = session.transducer.pose()
    images = Images(widget)
    host.drag_handle("DiffUSReslice", before[:3, 3], before[:3, 3] + 6 * before[:3, 0])
    host.wait_until(lambda: images.count > 0)
    moved = session.transducer.pose()
    assert np.linalg.norm(moved[:3, 3] - before[:3, 3]) == pytest.approx(6, abs=1)
    wait_for_image(host, widget, lambda: setattr(ui.tiltSlider, "value", 5))
    wait_for_image(host, widget, lambda: setattr(ui.gainSlider, "value", -3))
    pose, gain = session.transducer.pose(), ui.gainSlider.value

    host.save_scene(tmp_path / "scene.mrb")
    host.close_scene()
    assert ui.volumeSelector.currentNode() is None
    assert session.transducer is None
    images = Images(widget)
    host.load_scene(tmp_path / "scene.mrb")
    host.wait_until(lambda: images.count > 0, 60)
    assert ui.volumeSelector.currentNode().GetName() == "DiffUS head (MRI)"
    assert ui.gainSlider.value == gain
    assert np.allclose(session.transducer.pose(), pose)
    transforms = slicer.util.getNodesByClass("vtkMRMLLinearTransformNode")
    assert len([node for node in transforms if node.GetAttribute("DiffUS.Role") == "Transducer"]) == 1
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 2

    host.leave_module()
    assert slicer.app.layoutManager().layout == layout


def test_restored_image_is_the_saved_one(host, placed, tmp_path):
    """Speckle and all: the same pose of the same volume gives the same pixels."""
    before = image_of(placed).copy()
    host.save_scene(tmp_path / "scene.mrb")
    images = Images(placed)
    host.load_scene(tmp_path / "scene.mrb")
    host.wait_until(lambda: images.count > 0, 60)
    assert np.array_equal(image_of(placed), before)


@pytest.mark.slow
def test_own_test_of_the_module(host, widget):
    """The Test class that Slicer's Reload and Test runs."""
    import slicer

    slicer.selfTests["DiffUS"]()


def test_sample_data_module_offers_the_heads(host, widget):
    from SampleData import SampleDataLogic

    ct, labels = (SampleDataLogic.hostClick(name)[0] for name in ("DiffUS head (CT)", "DiffUS head (labels)"))
    assert ct.IsA("vtkMRMLScalarVolumeNode")
    assert labels.IsA("vtkMRMLLabelMapVolumeNode")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DiffUS head (CT)", "DiffUS head (labels)"])
def test_other_samples_render(host, name):
    from SampleData import SampleDataLogic

    widget = host.load_module(MODULE_FOLDER, "DiffUS")
    widget.logic.getParameterNode().volume = SampleDataLogic.hostClick(name)[0]
    wait_for_image(host, widget, widget.ui.addButton.click)
    assert image_of(widget)[image_of(widget) > 0].std() > 10
