"""Alignments that cannot be, are given up, or lose what they work on: a sentence, and the scene as it was."""

import time

import numpy as np
import pytest

from Testing.Module.conftest import add_bent_transform
from Testing.Module.ultrasound import (
    add_case,
    add_sweep,
    align,
    case,
    choose,
    error,
    image_of,
    maps_of_head,
    node_ids,
    place_of,
    prepared,
    section_of,
    state_of,
    wait_for_thread,
)

__all__ = ["case", "error", "maps_of_head", "prepared"]


def add_image(pixels, matrix, name="Image"):
    import slicer

    return slicer.util.addVolumeFromArray(pixels[None], matrix, name)


def put_under(node, *transforms):
    """Hang a node under new transforms, the lowest first: (name, matrix)."""
    import slicer

    for name, matrix in transforms:
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
        slicer.util.updateTransformMatrixFromArray(transform, matrix)
        node.SetAndObserveTransformNodeID(transform.GetID())
        node = transform


def constant(case, error):
    return add_sweep(np.full_like(case.images, 7), case.image_to_transducer, error @ case.tracked)


def photograph(case, error):
    from scipy import ndimage

    noise = np.random.default_rng(1).normal(size=case.images[0].shape)
    picture = sum(ndimage.gaussian_filter(noise, width) * width for width in (1, 4, 16))
    picture = np.clip(128 + 50 * picture / picture.std(), 0, 255).astype(np.uint8)
    return add_image(picture, error @ case.tracked[0] @ case.image_to_transducer)


def far_away(case, error):
    away = np.eye(4)
    away[0, 3] = 500.0
    return add_sweep(case.images, case.image_to_transducer, away @ case.tracked)


def without_calibration(case, error):
    image = add_image(case.images[0], np.diag([0.35, 0.35, 1, 1.0]))
    put_under(image, ("ProbeToReference", case.tracked[0]))
    return image


def without_reference(case, error):
    image = add_image(case.images[0], case.image_to_transducer)
    put_under(image, ("ImageToProbe", np.eye(4)))
    return image


def with_a_gap(case, error):
    image = add_image(case.images[0], case.image_to_transducer)
    put_under(image, ("ImageToProbe", np.eye(4)), ("ReferenceToRas", case.tracked[0]))
    return image


def not_under_its_pose(case, error):
    browser = add_case(case, error)
    image_of(browser).SetAndObserveTransformNodeID(None)
    return browser


def without_spacing(case, error):
    return add_sweep(case.images, np.eye(4), error @ case.tracked)


def without_pixels(case, error):
    import slicer

    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing")


def bent(case, error):
    image = add_image(case.images[0], case.tracked[0] @ case.image_to_transducer)
    image.SetAndObserveTransformNodeID(add_bent_transform().GetID())
    return image


def sequence_of_volumes(case, error):
    import slicer

    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "Beating image")
    volume = slicer.vtkMRMLScalarVolumeNode()
    for number in range(2):
        slicer.util.updateVolumeFromArray(volume, np.stack([case.images[0]] * 3))
        sequence.SetDataNodeAtValue(volume, str(number))
    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Beating")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    return browser


def the_volume_itself(case, error):
    import slicer

    return slicer.util.getNode("MNI152")


@pytest.mark.slow
@pytest.mark.parametrize(
    "make, words",
    [
        (constant, "constant"),
        (photograph, "no fan was found"),
        (far_away, "does not meet the volume"),
        (without_calibration, "nothing leads from Image to Probe"),
        (without_reference, "nothing leads from Probe to Ras"),
        (with_a_gap, "nothing leads from Probe to Reference"),
        (not_under_its_pose, "under none of the tracked transforms"),
        (without_spacing, "no pixel size"),
        (without_pixels, "no pixels"),
        (bent, "bends space"),
        (sequence_of_volumes, "plays 3D volumes"),
        (the_volume_itself, "both the volume and the ultrasound"),
    ],
)
def test_bad_input_is_one_sentence_and_no_change(host, prepared, case, error, make, words):
    node = make(case, error)
    choose(host, prepared, node)
    assert "unforeseen" not in prepared.ui.fanNote.text
    before, place = node_ids(), None if make is without_pixels or make is bent else place_of(section_image(node))
    align(host, prepared)
    message = prepared.ui.messageLabel.text
    assert words in message[:1].lower() + message[1:]
    assert message.endswith(".")
    assert "Traceback" not in message
    assert node_ids() == before
    if place is not None:
        assert np.array_equal(place_of(section_image(node)), place)
    assert prepared.ui.alignButton.text == "Align"


def section_image(node):
    return image_of(node) if node.IsA("vtkMRMLSequenceBrowserNode") else node


def test_labels_are_no_volume_to_align_to(host, prepared, case, error):
    import slicer

    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    slicer.util.updateVolumeFromArray(labels, np.ones((9, 9, 9), np.uint8))
    choose(host, prepared, add_case(case, error))
    prepared.session.parameters.volume = labels
    host.process_events()
    align(host, prepared)
    assert "Labels holds labels" in prepared.ui.messageLabel.text


def test_volume_that_failed_before_fails_again(host, prepared, case, error, monkeypatch):
    import sys

    from DiffUSLib import DiffUSError

    def fail(*arguments):
        raise DiffUSError("it cannot be.")

    monkeypatch.setattr(sys.modules["DiffUSModule.live.patient"], "computeMaps", fail)
    choose(host, prepared, add_case(case, error))
    for _repetition in range(2):
        align(host, prepared)
        assert prepared.ui.messageLabel.text == "It cannot be."
        assert prepared.ui.alignButton.text == "Align"


@pytest.mark.slow
def test_another_wish_while_the_volume_is_prepared(host, prepared, case, error):
    """Both want the maps; the alignment goes on, too."""
    choose(host, prepared, add_case(case, error))
    prepared.ui.alignButton.click()
    assert state_of(prepared) == "waiting"
    prepared.ui.curveSection.collapsed = False
    host.wait_until(lambda: state_of(prepared) == "done", 60)


def test_what_was_wrong_is_put_right_in_another_module(host, prepared, case, error):
    image = add_image(case.images[0], np.eye(4))
    choose(host, prepared, image)
    assert "no pixel size" in prepared.ui.fanNote.text
    host.leave_module()
    image.SetSpacing(0.35, 0.35, 1)
    host.enter_module("DiffUS")
    host.wait_until(lambda: "Curvilinear" in prepared.ui.fanNote.text, 60)


def test_image_is_bent_after_it_was_chosen(host, prepared, case, error):
    """A sentence; the host counts tracebacks as failures."""
    transform = bent(case, error).GetParentTransformNode()
    image = add_image(case.images[0], case.tracked[0] @ case.image_to_transducer)
    choose(host, prepared, image)
    image.SetAndObserveTransformNodeID(transform.GetID())
    host.process_events(0.1)
    assert "bends space" in prepared.ui.alignChain.text


@pytest.fixture
def running(host, prepared, case, error, monkeypatch):
    """An alignment that would take long, some steps after its start; (widget, IDs of the nodes before)."""
    from dataclasses import replace

    from DiffUSLib.registration import PRESETS

    monkeypatch.setitem(PRESETS, "quick", replace(PRESETS["quick"], starts=20_000))
    choose(host, prepared, add_case(case, error))
    before = node_ids()
    prepared.ui.alignButton.click()
    run = section_of(prepared).run
    host.wait_until(lambda: run.correctionNode is not None and run.stage != "", 60)
    return prepared, before


def leftovers(before):
    """Nodes that came with the run, but for its plot, which is used again."""
    import slicer

    nodes = [slicer.mrmlScene.GetNodeByID(nodeID) for nodeID in node_ids() - before]
    return [node.GetName() for node in nodes if node.GetAttribute("DiffUS.Role") != "DiffUS.Score"]


def test_cancel_gives_the_panel_back_at_once(host, running, case, error):
    widget, before = running
    image = image_of(widget.ui.ultrasoundSelector.currentNode())
    assert widget.ui.alignButton.text == "Cancel"
    widget.ui.alignButton.click()
    assert widget.ui.alignButton.text == "Align"
    assert leftovers(before) == []
    assert np.array_equal(place_of(image), error @ case.tracked[0] @ case.image_to_transducer)
    wait_for_thread(host, widget)
    host.process_events(0.1)
    assert state_of(widget) == "idle"


def test_one_thread_at_a_time(host, running):
    """A new run waits until the cancelled one has ended."""
    widget, _before = running
    run = section_of(widget).run
    first = run._task
    widget.ui.alignButton.click()
    widget.ui.alignButton.click()
    second = run._task
    assert second is not first
    seen = []
    run.changed.connect(lambda: seen.append(first.isRunning and run.correctionNode is not None))
    host.wait_until(lambda: run.correctionNode is not None, 60)
    assert not any(seen)
    widget.ui.alignButton.click()
    wait_for_thread(host, widget)


@pytest.mark.slow
def test_panel_stays_alive(host, running):
    """While the thread works, the event loop turns often."""
    widget, _before = running
    task, turns = section_of(widget).run._task, 0
    while task.isRunning and turns < 20:
        host.qtApplication.processEvents()
        turns += 1
    assert turns == 20
    widget.ui.alignButton.click()
    wait_for_thread(host, widget)


@pytest.mark.slow
def test_scene_closed_while_running(host, running):
    widget, _before = running
    host.close_scene()
    assert state_of(widget) == "idle"
    assert widget.ui.messageLabel.text == ""
    wait_for_thread(host, widget)


@pytest.mark.slow
def test_module_left_while_running(host, running):
    widget, before = running
    layout = 3
    host.leave_module()
    import slicer

    assert slicer.app.layoutManager().layout == layout
    assert state_of(widget) == "idle"
    assert leftovers(before) == []
    wait_for_thread(host, widget)
    host.enter_module("DiffUS")
    host.process_events(0.2)
    assert slicer.app.layoutManager().layout != layout


def test_scene_saved_with_the_layout_opens_in_the_users_own(host, prepared, case, error, tmp_path):
    import slicer

    choose(host, prepared, add_case(case, error))
    layout = slicer.app.layoutManager().layout
    host.save_scene(tmp_path / "scene.mrb")
    prepared.ui.alignSection.collapsed = True
    assert slicer.app.layoutManager().layout == 3
    host.load_scene(tmp_path / "scene.mrb")
    host.process_events()
    assert layout != 3
    assert slicer.app.layoutManager().layout == 3


def test_module_reloaded_while_running(host, running):
    import slicer

    widget, before = running
    task = section_of(widget).run._task
    widget.onReload()
    assert not task.isRunning, "no thread outlives the module"
    assert leftovers(before) == []
    slicer.modules.DiffUSWidget.enter()
    host.process_events(0.2)
    assert slicer.modules.DiffUSWidget.ui.alignButton.text == "Align"


@pytest.mark.slow
@pytest.mark.parametrize("which", ["ultrasound", "image", "volume", "correction"])
def test_what_it_works_on_is_deleted(host, running, which):
    import slicer

    widget, before = running
    parameters, run = widget.session.parameters, section_of(widget).run
    nodes = {
        "ultrasound": parameters.ultrasound,
        "image": image_of(parameters.ultrasound),
        "volume": parameters.volume,
        "correction": run.correctionNode,
    }
    slicer.mrmlScene.RemoveNode(nodes[which])
    host.process_events(0.1)
    assert state_of(widget) == "idle"
    # The browser makes its image again.
    assert [name for name in leftovers(before) if name != "Sweep image"] == []
    wait_for_thread(host, widget)


@pytest.mark.slow
def test_tracking_that_moves_meanwhile_makes_the_result_void(host, prepared, case, error):
    import slicer

    image = add_image(case.images[0], case.image_to_transducer)
    put_under(image, ("ImageToRas", error @ case.tracked[0]))
    choose(host, prepared, image)
    prepared.ui.alignButton.click()
    run = section_of(prepared).run
    host.wait_until(lambda: run.correctionNode is not None, 60)
    moved = error @ case.tracked[0]
    moved[0, 3] += 1.0
    slicer.util.updateTransformMatrixFromArray(slicer.util.getNode("ImageToRas"), moved)
    host.wait_until(lambda: state_of(prepared) != "running", 60)
    assert "moved during the alignment" in prepared.ui.messageLabel.text
    assert image.GetParentTransformNode().GetParentTransformNode() is None


def test_progress_comes_in_order_and_ends_with_cancel(host, prepared):
    from DiffUSModule.live.background import BackgroundTask

    seen, results = [], []

    def count():
        yield from range(5)
        return "end"

    task = BackgroundTask(count, results.append, results.append, seen.append)
    host.wait_until(lambda: results)
    assert (seen, results) == ([0, 1, 2, 3, 4], ["end"])

    def forever():
        while True:
            time.sleep(0.001)
            yield 0

    seen.clear()
    task = BackgroundTask(forever, results.append, results.append, seen.append)
    host.wait_until(lambda: seen)
    task.cancel()
    host.wait_until(lambda: not task.isRunning)
    seen.clear()
    host.process_events(0.1)
    assert not seen
    assert len(results) == 1
