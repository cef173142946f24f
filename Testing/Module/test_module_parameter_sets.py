"""Several sets of settings in one scene."""

import numpy as np
import pytest

from Testing.Module.conftest import SPHERE_RAS_MM, add_ct, image_of, place, wait_for_image


@pytest.fixture
def two_sets(host, placed):
    """The module with a second set: another volume, preset and transducer, and more gain. The second is active."""
    placed.ui.parameterSetSelector.addNode()
    host.process_events()
    assert placed.session.transducer is None
    placed.ui.modalityCombo.currentIndex = 1
    placed.ui.volumeSelector.setCurrentNode(add_ct("Other", sphere_ras_mm=(10, -5, 10)))
    placed.session.actions.choosePreset("linear_high_frequency")
    placed.ui.gainSlider.value = 7
    x, y, z = SPHERE_RAS_MM
    wait_for_image(host, placed, lambda: place(placed, (x, y, z + 20), (x, y, z)))
    return placed


def state(widget):
    ui, session = widget.ui, widget.session
    return {
        "set": ui.parameterSetSelector.currentNode().GetName(),
        "volume": ui.volumeSelector.currentNode().GetName(),
        "transducer": session.transducer.name,
        "probe": session.image.probe.name,
        "gain": ui.gainSlider.value,
        "face": tuple(np.round(session.transducer.pose()[:3, 3], 6)),
    }


def choose(host, widget, name):
    selector = widget.ui.parameterSetSelector
    node = next(node for node in widget.logic.getAllParameterNodes() if node.GetName() == name)
    wait_for_image(host, widget, lambda: selector.setCurrentNode(node))


def test_sets_are_switched_saved_and_restored(host, two_sets, tmp_path):
    x, y, z = SPHERE_RAS_MM
    second, pixels = state(two_sets), image_of(two_sets).copy()
    assert second == {"set": "DiffUS_1", "volume": "Other", "transducer": "Transducer_1", "gain": 7,
                      "probe": "Linear high-frequency", "face": (x, y, z + 20)}  # fmt: skip
    choose(host, two_sets, "DiffUS")
    first = state(two_sets)
    assert first == {"set": "DiffUS", "volume": "CT", "transducer": "Transducer", "gain": 0,
                     "probe": "Craniotomy curvilinear", "face": (x, y, z + 40)}  # fmt: skip
    choose(host, two_sets, "DiffUS_1")
    assert state(two_sets) == second
    assert np.array_equal(image_of(two_sets), pixels)

    host.save_scene(tmp_path / "scene.mrb")
    host.close_scene()
    wait_for_image(host, two_sets, lambda: host.load_scene(tmp_path / "scene.mrb"))
    assert two_sets.ui.parameterSetSelector.nodeCount() == 2
    assert state(two_sets) == second
    assert two_sets.logic.getParameterNode().gain == 7
    choose(host, two_sets, "DiffUS")
    assert state(two_sets) == first


def test_deleted_set_gives_way_to_another(host, two_sets):
    wait_for_image(host, two_sets, two_sets.ui.parameterSetSelector.removeCurrentNode)
    assert state(two_sets)["volume"] == "CT"
    two_sets.ui.parameterSetSelector.removeCurrentNode()
    host.process_events(0.1)
    assert two_sets.ui.parameterSetSelector.nodeCount() == 1, "a new one, as there must be one"
    assert two_sets.session.parameters.gain == 0
    assert two_sets.session.transducer is None


def test_scene_added_to_the_scene_leaves_the_set_in_use(host, two_sets, tmp_path):
    import slicer

    host.save_scene(tmp_path / "scene.mrb")
    choose(host, two_sets, "DiffUS")
    before = state(two_sets)
    wait_for_image(host, two_sets, lambda: slicer.app.ioManager().loadScene(str(tmp_path / "scene.mrb"), False))
    assert state(two_sets) == before
    assert two_sets.ui.parameterSetSelector.nodeCount() == 4
