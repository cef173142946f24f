"""Every way to place the transducer."""

import numpy as np
import pytest

from Testing.Module.conftest import add_ct, wait_for_image


def add_body(name="Body", skull_mm=()):
    """A CT: a ball of soft tissue with a radius of 45 mm around the origin, in air.

    Args:
        skull_mm: inner and outer radius of a closed skull in it.
    """
    import slicer

    node = add_ct(name, sphere_ras_mm=(500, 0, 0))
    voxels = slicer.util.arrayFromVolume(node)
    k, j, i = (np.indices(voxels.shape) - 29.5) * 2
    radius = np.sqrt(i**2 + j**2 + k**2)
    voxels[radius > 45] = -1000
    if skull_mm:
        voxels[(radius > skull_mm[0]) & (radius < skull_mm[1])] = 1200
    slicer.util.arrayFromVolumeModified(node)
    return node


def test_line_places_and_roll_turns(host, widget):
    widget.logic.getParameterNode().volume = add_ct()
    session = widget.session
    host.process_events()
    widget.ui.lineButton.click()
    line = session.parameters.line
    line.AddControlPointWorld((0, 0, 50))
    host.process_events()
    assert session.transducer is None
    wait_for_image(host, widget, lambda: line.AddControlPointWorld((0, 0, 0)))
    assert session.transducer.pose()[:3, 3] == pytest.approx([0, 0, 50])
    assert session.transducer.pose()[:3, 1] == pytest.approx([0, 0, -1])
    lateral = session.transducer.pose()[:3, 0]
    wait_for_image(host, widget, lambda: setattr(widget.ui.rollSlider, "value", 90))
    assert session.transducer.pose()[:3, 0] @ lateral == pytest.approx(0, abs=1e-9)
    wait_for_image(host, widget, lambda: line.SetNthControlPointPositionWorld(0, (10, 0, 50)))
    assert session.transducer.pose()[:3, 3] == pytest.approx([10, 0, 50])


def test_a_saved_line_does_not_take_the_transducer_back(host, widget, tmp_path):
    """After the line placed it the transducer was moved on; the reopened scene has it where it was last."""
    widget.logic.getParameterNode().volume = add_ct()
    host.process_events()
    widget.ui.lineButton.click()
    line = widget.session.parameters.line
    line.AddControlPointWorld((0, 0, 50))
    wait_for_image(host, widget, lambda: line.AddControlPointWorld((0, 0, 0)))
    wait_for_image(host, widget, lambda: setattr(widget.ui.panSlider, "value", 5))
    pose = widget.session.transducer.pose()
    host.save_scene(tmp_path / "scene.mrb")
    host.close_scene()
    wait_for_image(host, widget, lambda: host.load_scene(tmp_path / "scene.mrb"))
    assert widget.session.transducer.pose() == pytest.approx(pose)
    line = widget.session.parameters.line
    wait_for_image(host, widget, lambda: line.SetNthControlPointPositionWorld(0, (10, 0, 50)))
    assert widget.session.transducer.pose()[:3, 3] == pytest.approx([10, 0, 50]), "the line still places it"


def test_draw_line_button_starts_placing(host, widget):
    import slicer

    widget.logic.getParameterNode().volume = add_ct()
    host.process_events()
    widget.ui.lineButton.click()
    line = widget.session.parameters.line
    assert line is not None
    selection = slicer.app.applicationLogic().GetSelectionNode()
    assert selection.GetActivePlaceNodeID() == line.GetID()
    assert slicer.app.applicationLogic().GetInteractionNode().GetCurrentInteractionMode() == 1  # Place


def test_slice_view_gives_plane_and_place(host, widget):
    import slicer

    widget.logic.getParameterNode().volume = add_ct()
    slicer.util.setSliceViewerLayers(background=widget.session.parameters.volume, fit=True)
    host.process_events()
    green = slicer.app.layoutManager().sliceWidget("Green").mrmlSliceNode()
    green.SetSliceOffset(12)
    widget.ui.sliceCombo.currentText = "Green"
    wait_for_image(host, widget, widget.ui.sliceButton.click)
    pose = widget.session.transducer.pose()
    normal = slicer.util.arrayFromVTKMatrix(green.GetSliceToRAS())[:3, 2]
    assert abs(pose[:3, 2] @ normal) == pytest.approx(1)
    assert pose[1, 3] == pytest.approx(12)
    assert pose[:3, 1] == pytest.approx([0, 0, -1])
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)


@pytest.mark.parametrize(("button", "surface_mm"), [("skinButton", 45), ("brainButton", 34)])
@pytest.mark.parametrize("direction", [(0, 0, 1), (0.6, 0, 0.8)])
def test_snap_puts_the_face_on_the_surface(host, widget, button, surface_mm, direction):
    """Skin at 45 mm from the middle of a ball, brain at 34 mm beneath a skull of 6 mm; nothing else moves."""
    from Testing.Module.conftest import place

    direction = np.array(direction)
    widget.logic.getParameterNode().volume = add_body(skull_mm=(34, 40))
    wait_for_image(host, widget, lambda: place(widget, 58 * direction, (0, 0, 0)))
    before = widget.session.transducer.pose()
    wait_for_image(host, widget, getattr(widget.ui, button).click)
    pose = widget.session.transducer.pose()
    assert pose[:3, 3] @ direction == pytest.approx(surface_mm, abs=2)  # voxels of 2 mm
    assert np.cross(pose[:3, 3], direction) == pytest.approx(0, abs=1e-6)
    assert pose[:3, :3] == pytest.approx(before[:3, :3])
    assert widget.ui.undoButton.enabled


def test_snap_to_brain_where_there_is_no_bone(host, widget):
    """A craniotomy: where the beam meets no bone, the brain lies open and the face sits on what is there."""
    from Testing.Module.conftest import place

    widget.logic.getParameterNode().volume = add_body()
    wait_for_image(host, widget, lambda: place(widget, (0, 0, 58), (0, 0, 0)))
    wait_for_image(host, widget, widget.ui.brainButton.click)
    assert widget.session.transducer.pose()[2, 3] == pytest.approx(45, abs=2)


def test_a_craniotomy_opens_the_skull_and_the_transducer_stands_on_what_is_beneath(host, widget):
    """A ball of 45 mm with a skull of 34 to 40 mm: closed, the bone reflects; open, the face is at 34 mm."""
    from Testing.Module.conftest import place

    widget.logic.getParameterNode().volume = add_body(skull_mm=(34, 40))
    wait_for_image(host, widget, lambda: place(widget, (0, 0, 58), (0, 0, 0)))
    whole = widget.session.patient.maps.impedance
    widget.ui.craniotomyButton.click()
    host.wait_until(lambda: widget.session.transducer.pose()[2, 3] < 40, 60)
    assert widget.session.transducer.pose()[2, 3] == pytest.approx(34, abs=2)
    opened = widget.session.patient.maps.impedance
    changed = (opened != whole).nonzero()
    assert len(changed) > 100
    assert changed[:, 0].min() >= 36, "only the side that the transducer looks at is open"
    widget.ui.craniotomyButton.click()
    host.wait_until(lambda: widget.session.patient.maps is not None, 60)
    assert bool((widget.session.patient.maps.impedance == whole).all())


def test_snap_away_from_the_patient_is_a_sentence(host, widget):
    from Testing.Module.conftest import place

    widget.logic.getParameterNode().volume = add_body()
    wait_for_image(host, widget, lambda: place(widget, (300, 0, 58), (300, 0, 0)))
    assert "does not look at the volume" in widget.ui.messageLabel.text
    widget.ui.skinButton.click()
    assert "does not look at the patient" in widget.ui.messageLabel.text


@pytest.mark.parametrize(
    ("slider", "amount", "axis", "shift"),
    [("panSlider", 7, 0, 7), ("pushSlider", 5, 1, 5), ("slideSlider", -6, 2, -6)],
)
def test_shifts_go_along_the_probes_own_axes(host, placed, slider, amount, axis, shift):
    before = placed.session.transducer.pose()
    wait_for_image(host, placed, lambda: setattr(getattr(placed.ui, slider), "value", amount))
    moved = placed.session.transducer.pose()[:3, 3] - before[:3, 3]
    expected = before[:3, axis] * shift
    assert moved == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("slider", "axis"), [("rockSlider", 2), ("tiltSlider", 0), ("rotateSlider", 1)])
def test_turns_pivot_on_the_face(host, placed, slider, axis):
    before = placed.session.transducer.pose()
    wait_for_image(host, placed, lambda: setattr(getattr(placed.ui, slider), "value", 20))
    after = placed.session.transducer.pose()
    assert after[:3, 3] == pytest.approx(before[:3, 3])
    assert after[:3, axis] == pytest.approx(before[:3, axis])
    other = (axis + 1) % 3
    assert after[:3, other] @ before[:3, other] == pytest.approx(np.cos(np.radians(20)))


def test_sliders_count_from_where_the_transducer_was_put(host, placed):
    import slicer

    transform = placed.session.transducer.transform
    wait_for_image(host, placed, lambda: setattr(placed.ui.panSlider, "value", 10))
    wait_for_image(host, placed, lambda: slicer.util.updateTransformMatrixFromArray(transform, np.eye(4)))
    host.process_events()
    assert placed.ui.panSlider.value == 0
    wait_for_image(host, placed, lambda: setattr(placed.ui.panSlider, "value", 3))
    assert placed.session.transducer.pose()[:3, 3] == pytest.approx([3, 0, 0])


def test_keys_move_while_the_module_is_open(host, placed):
    import qt
    import slicer

    window = slicer.util.mainWindow()
    before = placed.session.transducer.pose()
    keys = [child for child in window.children() if child.className() == "QShortcut"]
    assert len(keys) == 12
    pan = next(key for key in keys if key.key == qt.QKeySequence("Alt+Right"))
    wait_for_image(host, placed, pan.activated)
    moved = placed.session.transducer.pose()[:3, 3] - before[:3, 3]
    assert moved == pytest.approx(before[:3, 0], abs=1e-6)
    host.leave_module()
    host.process_events()
    assert not [child for child in window.children() if child.className() == "QShortcut"]


def test_undo_goes_back_step_by_step(host, placed):
    start = placed.session.transducer.pose()
    for value in (5, 9):
        host.process_events(0.6)  # the pose settles
        for part in (0.5, 1.0):  # a drag makes many events, and one step
            placed.ui.panSlider.value = value * part
            host.process_events()
    host.process_events(0.6)
    assert placed.ui.undoButton.enabled
    placed.ui.undoButton.click()
    assert placed.session.transducer.pose()[:3, 3] == pytest.approx(start[:3, 3] + 5 * start[:3, 0])
    placed.ui.undoButton.click()
    assert placed.session.transducer.pose() == pytest.approx(start)
    assert not placed.ui.undoButton.enabled


def test_following_a_tracked_probe(host, placed):
    """The transducer goes with the transform, and stays where it was when it no longer follows."""
    import slicer

    tracked = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "ProbeToReference")
    matrix = placed.session.transducer.pose()
    matrix[:3, 3] += 4
    slicer.util.updateTransformMatrixFromArray(tracked, matrix)
    wait_for_image(host, placed, lambda: placed.ui.trackedSelector.setCurrentNode(tracked))
    assert placed.session.transducer.pose() == pytest.approx(matrix)
    matrix[0, 3] += 2
    wait_for_image(host, placed, lambda: slicer.util.updateTransformMatrixFromArray(tracked, matrix))
    assert placed.session.transducer.pose() == pytest.approx(matrix)
    placed.ui.trackedSelector.setCurrentNode(None)
    assert placed.session.transducer.transform.GetParentTransformNode() is None
    assert placed.session.transducer.pose() == pytest.approx(matrix)


def test_several_transducers_keep_their_own_probes(host, placed):
    first = placed.session.transducer.transform
    images = first.GetNodeReference("DiffUS.Image")
    wait_for_image(host, placed, placed.ui.addButton.click)
    second = placed.session.transducer.transform
    assert second is not first
    placed.ui.presetCombo.currentIndex = 4
    placed.ui.presetCombo.activated(4)
    host.process_events(0.2)
    kind = placed.session.image.probe.kind, placed.session.image.probe.depth_mm
    wait_for_image(host, placed, lambda: placed.ui.transducerSelector.setCurrentNode(first))
    assert placed.session.image.probe.name == "Craniotomy curvilinear"
    assert placed.session.transducer.image is images
    wait_for_image(host, placed, lambda: placed.ui.transducerSelector.setCurrentNode(second))
    assert (placed.session.image.probe.kind, placed.session.image.probe.depth_mm) == kind


def test_only_transducers_are_offered_as_transducers(host, placed):
    import slicer

    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Something else")
    assert placed.ui.transducerSelector.nodeCount() == 1


@pytest.mark.parametrize("preset", range(6))
def test_every_preset_renders(host, placed, preset):
    names = [placed.ui.presetCombo.itemText(index) for index in range(placed.ui.presetCombo.count)]
    assert len(names) == 6
    other = (placed.ui.presetCombo.currentIndex + 1) % 6 if preset == placed.ui.presetCombo.currentIndex else preset
    placed.ui.presetCombo.currentIndex = other
    wait_for_image(host, placed, lambda: placed.ui.presetCombo.activated(other))
    assert placed.session.image.probe.name == names[other]
    pixels = placed.session.transducer.image.GetImageData().GetScalarRange()
    assert pixels[1] > 100
