"""What goes wrong in daily use: no traceback, no crash, a plain message, nothing lost."""

import numpy as np
import pytest

from Testing.Module.conftest import (
    MODULE_FOLDER,
    SPHERE_RAS_MM,
    Images,
    add_bent_transform,
    add_ct,
    image_of,
    place,
    wait_for_image,
)


def message(widget):
    return widget.ui.messageLabel.text


def test_volume_deleted_while_live(host, placed):
    import slicer

    slicer.mrmlScene.RemoveNode(placed.session.parameters.volume)
    host.process_events(0.1)
    transform = placed.session.transducer.transform
    slicer.util.updateTransformMatrixFromArray(transform, np.eye(4))
    host.process_events(0.1)
    assert placed.session.patient.maps is None
    assert placed.session.transducer is not None


def test_image_deleted_while_live_comes_back(host, placed):
    import slicer

    slicer.mrmlScene.RemoveNode(placed.session.transducer.image)
    wait_for_image(host, placed, lambda: setattr(placed.ui.panSlider, "value", 3))
    assert image_of(placed).max() > 100
    assert placed.session.transducer.image.GetParentTransformNode() is placed.session.transducer.transform


def test_transducer_deleted_while_live(host, placed):
    import slicer

    slicer.mrmlScene.RemoveNode(placed.session.transducer.transform)
    host.process_events(0.1)
    assert placed.session.transducer is None
    assert not placed.ui.liveButton.enabled
    wait_for_image(host, placed, placed.ui.addButton.click)


def test_voxels_changed_while_live(host, placed):
    import slicer

    before = image_of(placed).copy()
    volume = placed.session.parameters.volume
    voxels = slicer.util.arrayFromVolume(volume)
    voxels[voxels > 500] = 300
    wait_for_image(host, placed, lambda: slicer.util.arrayFromVolumeModified(volume))
    assert not np.array_equal(image_of(placed), before)


def test_volume_replaced_while_live(host, placed):
    before = image_of(placed).copy()
    other = add_ct("Other", sphere_ras_mm=(10, -5, 10))
    wait_for_image(host, placed, lambda: placed.ui.volumeSelector.setCurrentNode(other))
    assert not np.array_equal(image_of(placed), before)


def test_scene_closed_while_an_image_is_due(host, placed):
    import slicer

    slicer.util.updateTransformMatrixFromArray(placed.session.transducer.transform, np.eye(4))
    host.scene.Clear(0)
    host.process_events(0.2)
    assert placed.session.transducer is None
    assert message(placed) == ""


def test_scene_closed_while_maps_are_computed(host, widget):
    widget.logic.getParameterNode().volume = add_ct()
    host.process_events()
    widget.ui.addButton.click()
    assert widget.session.patient.isBusy
    host.scene.Clear(0)
    host.process_events(0.5)
    assert widget.session.transducer is None


def test_preparation_can_be_cancelled(host, widget):
    widget.logic.getParameterNode().volume = add_ct()
    host.process_events()
    widget.ui.addButton.click()
    assert not widget.ui.cancelButton.isHidden()
    widget.ui.cancelButton.click()
    host.process_events(0.5)
    assert widget.session.transducer is None
    assert widget.ui.cancelButton.isHidden()
    wait_for_image(host, widget, widget.ui.addButton.click)


def test_module_reloaded_while_live(host, placed):
    import slicer

    placed.onReload()
    widget = slicer.modules.DiffUSWidget
    assert widget is not placed
    widget.enter()
    images = Images(widget)
    host.wait_until(lambda: images.count > 0, 60)
    assert image_of(widget).max() > 100


def test_bent_transform_above_the_volume_is_refused(host, placed):
    bent = add_bent_transform()
    placed.session.parameters.volume.SetAndObserveTransformNodeID(bent.GetID())
    host.process_events(0.1)
    assert "bends space" in message(placed)
    wait_for_image(host, placed, lambda: placed.session.parameters.volume.SetAndObserveTransformNodeID(None))
    assert message(placed) == ""


def test_several_values_per_voxel_are_refused(host, widget):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Color")
    slicer.util.updateVolumeFromArray(node, np.zeros((4, 5, 6, 3), np.uint8))
    widget.logic.getParameterNode().volume = node
    host.process_events()
    widget.ui.addButton.click()
    host.process_events(0.2)
    assert "several values per voxel" in message(widget)


def test_constant_volume_is_refused(host, widget):
    import slicer

    widget.logic.getParameterNode().volume = slicer.util.addVolumeFromArray(np.zeros((9, 9, 9)), np.eye(4), "Empty")
    host.process_events()
    widget.ui.addButton.click()
    host.wait_until(lambda: message(widget) != "")
    assert "constant" in message(widget)


def test_volume_of_one_slice(host, widget):
    widget.logic.getParameterNode().volume = add_ct(shape=(1, 60, 60), sphere_ras_mm=(10, -5, 0))
    wait_for_image(host, widget, lambda: place(widget, (10, 40, 0), (10, 0, 0)))
    assert message(widget) == ""
    assert image_of(widget).max() > 100


def test_huge_volume_is_used_with_fewer_voxels_and_says_so(host, widget):
    import sys

    import slicer

    source = sys.modules["DiffUSModule.scene.volume_source"]
    limit, source.MAXIMUM_VOXELS = source.MAXIMUM_VOXELS, 30**3
    try:
        node = add_ct()
        slicer.util.arrayFromVolume(node)[:] += np.random.default_rng(0).integers(-20, 20, (60, 60, 60), np.int16)
        widget.logic.getParameterNode().volume = node
        x, y, z = SPHERE_RAS_MM
        wait_for_image(host, widget, lambda: place(widget, (x, y, z + 40), (x, y, z)))
    finally:
        source.MAXIMUM_VOXELS = limit
    assert "it is used at 4 x 4 x 4 mm" in widget.ui.modalityNote.text
    maps = widget.session.patient.maps
    corner = (maps.ijk_to_ras.numpy() @ [0, 0, 0, 1])[:3]
    assert corner == pytest.approx([-58, -58, -58])  # the middle of eight voxels
    assert tuple(maps.impedance.shape) == (30, 30, 30)
    assert slicer.util.arrayFromVolume(widget.session.parameters.volume).shape == (60, 60, 60)


@pytest.mark.filterwarnings("ignore:.*ran out of memory")
def test_lack_of_gpu_memory_is_a_message_and_the_image_goes_on(host, placed, monkeypatch):
    """The first image after the GPU is full comes from the CPU; the user reads it."""
    import torch

    from DiffUSLib import Renderer

    def checked(renderer, pose, check=Renderer._checked):
        if renderer.device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return check(renderer, pose)

    monkeypatch.setattr(Renderer, "_checked", checked)
    placed.session.image.renderer._maker._renderers[False].device = torch.device("cuda")
    wait_for_image(host, placed, lambda: placed.session.image.renderer.request())
    assert "ran out of memory" in message(placed)
    assert image_of(placed).max() > 100


def test_leaving_stops_and_entering_goes_on(host, placed):
    import sys
    import weakref

    import slicer

    renderer = weakref.ref(placed.session.image.renderer._maker._renderers[False])
    host.leave_module()
    images = Images(placed)
    slicer.util.updateTransformMatrixFromArray(placed.session.transducer.transform, np.eye(4))
    host.process_events(0.2)
    assert images.count == 0
    assert renderer() is None, "memory of the device is let go"
    assert sys.modules["DiffUSLib.rendering.image_formation.scatterers"]._field.cache_info().currsize == 0
    wait_for_image(host, placed, lambda: host.enter_module("DiffUS"))


@pytest.mark.parametrize("hasPackaging", [True, False], ids=["5.12 and later", "before 5.12"])
def test_without_torch_everything_shows_and_one_button_installs(host, monkeypatch, hasPackaging):
    import importlib.util
    import sys

    import qt
    import slicer

    if not hasPackaging:
        monkeypatch.delattr(slicer, "packaging")
        monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    real = importlib.util.find_spec
    torch = sys.modules.pop("torch")
    missing = [True]
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torch" and missing[0] else real(name, *rest)
    )
    try:
        widget = host.load_module(MODULE_FOLDER, "DiffUS")
        assert not widget.ui.installButton.isHidden()
        assert not widget.ui.volumeSection.enabled
        assert "PyTorch" in widget.ui.statusLabel.text
        host.dialogs.answerNext(qt.QMessageBox.Cancel)
        widget.ui.installButton.click()
        assert not host.packaging.requests

        def install():
            missing[0] = False
            sys.modules["torch"] = torch

        host.packaging.answers.append(install)
        host.dialogs.answerNext(qt.QMessageBox.Ok)
        widget.ui.installButton.click()
        assert host.packaging.requests == ["torch>=2.4"]
        assert widget.ui.installButton.isHidden()
        assert widget.ui.volumeSection.enabled
    finally:
        sys.modules["torch"] = torch


def test_failed_installation_is_a_message(host, monkeypatch):
    import qt

    widget = host.load_module(MODULE_FOLDER, "DiffUS")
    host.dialogs.answerNext(qt.QMessageBox.Ok)
    host.packaging.answers.append(RuntimeError("no network"))
    widget.ui.installButton.click()
    assert "no network" in message(widget)


def test_layouts_may_change_while_live(host, placed):
    import slicer

    for layout in (slicer.vtkMRMLLayoutNode.SlicerLayoutOneUp3DView, 7294, 3):
        slicer.app.layoutManager().setLayout(layout)
        wait_for_image(host, placed, lambda layout=layout: setattr(placed.ui.panSlider, "value", layout % 7 + 1))


def test_memory_does_not_grow_with_images(host, placed):
    """After a warm-up, 300 more images take no more than a few megabytes."""
    import resource

    import slicer

    def run(count):
        matrix = placed.session.transducer.pose()
        for step in range(count):
            matrix[0, 3] += 0.01 * (-1) ** step
            slicer.util.updateTransformMatrixFromArray(placed.session.transducer.transform, matrix)
            host.qtApplication.processEvents()

    run(60)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(300)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # kB


def test_volume_deleted_while_it_is_prepared(host, widget):
    import slicer

    node = add_ct()
    widget.logic.getParameterNode().volume = node
    host.process_events()
    widget.ui.addButton.click()
    assert widget.session.patient.isBusy
    slicer.mrmlScene.RemoveNode(node)
    host.process_events(0.5)
    assert not widget.session.patient.isBusy
    assert widget.session.transducer is None
    assert message(widget) == ""


def test_tracked_transform_deleted_while_followed(host, placed):
    """The transducer stays in the scene, and can be moved again."""
    import slicer

    tracked = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "ProbeToReference")
    slicer.util.updateTransformMatrixFromArray(tracked, placed.session.transducer.pose())
    wait_for_image(host, placed, lambda: placed.ui.trackedSelector.setCurrentNode(tracked))
    slicer.mrmlScene.RemoveNode(tracked)
    host.process_events(0.1)
    assert placed.ui.trackedSelector.currentNode() is None
    wait_for_image(host, placed, lambda: setattr(placed.ui.panSlider, "value", 4))
    assert message(placed) == "" or "does not look at the volume" in message(placed)


def test_two_3d_views(host, placed):
    """Both show probe and fan; the handles are in both, and dragging goes on."""
    import slicer

    placed.ui.layoutCheckBox.checked = False
    manager = slicer.app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutDual3DView)
    wait_for_image(host, placed, lambda: setattr(placed.ui.panSlider, "value", 4))
    assert manager.threeDViewCount == 2
    display = placed.session.transducer.transform.GetDisplayNode()
    for index in range(2):
        view = manager.threeDWidget(index).mrmlViewNode()
        assert display.IsDisplayableInView(view.GetID())
        assert placed.session.transducer.body.GetDisplayNode().IsDisplayableInView(view.GetID())


@pytest.mark.parametrize("agrees", [True, False])
def test_pytorch_comes_by_its_extension_where_that_is_there(host, monkeypatch, agrees):
    """The extension asks the user itself, and is told which version is needed."""
    import importlib.util
    import sys
    import types

    real, torch = importlib.util.find_spec, sys.modules.pop("torch")
    asked = []

    class PyTorchUtilsLogic:
        def installTorch(self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None):
            asked.append((askConfirmation, torchVersionRequirement))
            if agrees:
                sys.modules["torch"] = torch
            return torch if agrees else None

    monkeypatch.setitem(sys.modules, "PyTorchUtils", types.SimpleNamespace(PyTorchUtilsLogic=PyTorchUtilsLogic))
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else real(name, *rest)
    )
    try:
        widget = host.load_module(MODULE_FOLDER, "DiffUS")
        widget.ui.installButton.click()
        assert asked == [(True, ">=2.4")]
        assert not host.packaging.requests
        assert widget.ui.installButton.isHidden() is agrees
        assert widget.ui.volumeSection.enabled is agrees
        assert message(widget) == ""
    finally:
        sys.modules["torch"] = torch
