"""The user's story of a brain shift, judged by what is known: find, switch, see where to trust it, accept, revert."""

import zipfile

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from Testing.Module.brain_shift import (
    KEPT_RIGID,
    NEXT_VIEW,
    SENTENCE,
    STEPS,
    aligned,
    all_nodes,
    error_mm,
    find,
    found,
    from_world,
    known,
    layers_of_patient_view,
)
from Testing.Module.test_module_panel import PANEL_WIDTH, ROOM_AT_1080P
from Testing.Module.ultrasound import (
    add_case,
    align,
    case,
    choose,
    error,
    image_of,
    maps_of_head,
    place_of,
    prepared,
    section_of,
    wait_for_thread,
)

__all__ = ["aligned", "case", "error", "found", "known", "maps_of_head", "prepared"]


def points_around(middle, reach_mm=40.0):
    return middle + np.random.default_rng(0).uniform(-reach_mm, reach_mm, (200, 3))


def test_from_the_alignment_to_accept_and_revert(host, prepared, case, error, known):
    import slicer

    ui = prepared.ui
    prepared.parent.show()
    assert not ui.brainShiftSection.visible, "nothing to bend yet"
    browser = add_case(case, error)
    choose(host, prepared, browser)
    align(host, prepared)
    assert ui.brainShiftSection.visible
    head = slicer.util.getNode("MNI152")
    voxels = slicer.util.arrayFromVolume(head).copy()
    ui.brainShiftSection.collapsed = False
    host.process_events()
    assert layers_of_patient_view()[0] == "MNI152"
    before = all_nodes()

    find(host, prepared)
    assert SENTENCE in ui.shiftSentences.text and NEXT_VIEW in ui.shiftSentences.text
    assert "1.5 mm on average and 3.5 mm at most" in ui.shiftSentences.text
    assert layers_of_patient_view()[0] == "MNI152 deformed"
    warp = slicer.util.getNode("MNI152 brain shift")
    points = points_around(known.middle)
    moved = known.warp.displacement_mm(points)
    assert np.abs(moved).max() > 1
    assert from_world(warp, points) == pytest.approx(points + moved, abs=1e-9)
    ui.shiftAmountSlider.value = 40
    assert from_world(warp, points) == pytest.approx(points + 0.4 * moved, abs=1e-9)
    ui.shiftSwitchButton.click()
    assert layers_of_patient_view()[0] == "MNI152"
    ui.shiftAmountSlider.value = 100
    assert layers_of_patient_view()[0] == "MNI152 deformed"

    ui.shiftMapCheckBox.checked = True
    host.process_events()
    assert layers_of_patient_view() == ("MNI152 deformed", "MNI152 error of 9 in 10, mm")
    ui.shiftArrowsCheckBox.checked = True
    assert warp.GetDisplayNode().GetVisibility() and warp.GetDisplayNode().GetVisibility2D()
    ui.shiftArrowsCheckBox.checked = False
    assert not warp.GetDisplayNode().GetVisibility()

    ui.shiftAcceptButton.click()
    assert not ui.shiftAcceptButton.enabled and not ui.shiftAmountSlider.enabled
    assert section_of(prepared).run.state.value == "accepted", "the displacement begins at the rigid correction"
    assert prepared.session.parameters.volume is head, "the user's volume stays what everything works on"
    assert head.GetParentTransformNode() is None
    assert np.array_equal(slicer.util.arrayFromVolume(head), voxels)
    ui.shiftRevertButton.click()
    assert all_nodes() == before, "everything as before"
    assert layers_of_patient_view() == ("MNI152", image_of(browser).GetName())
    assert np.array_equal(slicer.util.arrayFromVolume(head), voxels)
    prepared.parent.hide()


def test_panel_fits_on_one_screen(host, found, tmp_path):
    ui = found.ui
    for section in (ui.volumeSection, ui.transducerSection, ui.imageSection):
        section.collapsed = True
    ui.shiftMapCheckBox.checked = True
    assert host.screenshot_panel(tmp_path / "panel.png", PANEL_WIDTH) <= ROOM_AT_1080P
    assert found.parent.minimumSizeHint().width() <= PANEL_WIDTH
    found.parent.show()
    host.process_events()
    assert ui.shiftSentences.height >= ui.shiftSentences.heightForWidth(ui.shiftSentences.width)
    for button in (ui.shiftSwitchButton, ui.shiftAcceptButton, ui.shiftRevertButton, ui.shiftHardenButton):
        assert button.width >= button.fontMetrics().horizontalAdvance(button.text)
    found.parent.hide()


def test_error_at_the_mouse(host, found, known):
    """The mouse stands still in a slice view, by Slicer's own interactor style; the value is that of the slope."""
    import slicer

    ui = found.ui
    ui.shiftMapCheckBox.checked = True
    host.process_events()
    assert "Point at the map" in ui.shiftError.text
    cross = slicer.util.getNode("Crosshair")
    for offset in ((0.0, 0.0, 0.0), (7.0, -11.0, 3.0)):
        point = known.middle + offset
        cross.SetCursorPositionRAS(point)
        assert f"below {error_mm(point, known.middle):.1f} mm" in ui.shiftError.text
    cross.SetCursorPositionRAS(known.middle + 300.0)
    assert "Point at the map" in ui.shiftError.text
    ui.shiftMapCheckBox.checked = False
    cross.SetCursorPositionRAS(known.middle)
    assert "Point at the map" in ui.shiftError.text, "nobody listens any more"


def test_saved_transform_moves_points_as_known(host, found, known, tmp_path):
    """SimpleITK reads what Slicer wrote; Slicer reads it again; and it is reverted another day."""
    import slicer

    ui = found.ui
    ui.shiftAmountSlider.value = 60
    ui.shiftAcceptButton.click()
    ui.shiftHardenButton.click()
    host.save_scene(tmp_path / "scene.mrb")
    with zipfile.ZipFile(tmp_path / "scene.mrb") as archive:
        name = next(name for name in archive.namelist() if "shift" in name and name.endswith(".h5"))
        (tmp_path / "shift.h5").write_bytes(archive.read(name))
    transform = sitk.ReadTransform(str(tmp_path / "shift.h5"))
    lps = np.array([-1.0, -1.0, 1.0])
    points = points_around(known.middle)
    expected = points + 0.6 * known.warp.displacement_mm(points)
    assert np.array([transform.TransformPoint(tuple(p * lps)) for p in points]) * lps == pytest.approx(expected)

    host.close_scene()
    host.load_scene(tmp_path / "scene.mrb")
    host.process_events()
    warp = slicer.util.getNode("MNI152 brain shift")
    assert slicer.util.getNode("MNI152 deformed").GetParentTransformNode() is warp
    assert from_world(warp, points) == pytest.approx(expected)
    assert SENTENCE in ui.shiftSentences.text
    ui.brainShiftSection.collapsed = False
    ui.shiftMapCheckBox.checked = True
    host.process_events()
    assert not ui.shiftButton.enabled and "align first" in ui.shiftState.text
    slicer.util.getNode("Crosshair").SetCursorPositionRAS(known.middle)
    assert "below 2.0 mm" in ui.shiftError.text
    ui.shiftRevertButton.click()
    assert slicer.mrmlScene.GetFirstNodeByName("MNI152 brain shift") is None
    assert slicer.mrmlScene.GetFirstNodeByName("MNI152 deformed, hardened") is not None, "that is the user's"


def test_hardened_copy_is_what_scipy_resamples(host, found, known):
    """Also of a volume that stands askew under a transform of its own."""
    import slicer

    ui, head = found.ui, slicer.util.getNode("MNI152")
    ui.shiftHardenButton.click()
    copy = slicer.util.getNode("MNI152 deformed, hardened")
    assert copy.GetParentTransformNode() is None
    place, own = place_of(head), np.linalg.inv(place_of(copy))
    points = points_around(known.middle, 30.0)
    source = points + known.warp.displacement_mm(points)

    def sample(node, matrix, ras):
        index = (np.c_[ras, np.ones(len(ras))] @ matrix.T)[:, 2::-1].T
        return ndimage.map_coordinates(slicer.util.arrayFromVolume(node).astype(float), index, order=1)

    seen, expected = sample(copy, own, points), sample(head, np.linalg.inv(place), source)
    unmoved = sample(head, np.linalg.inv(place), points)
    assert np.corrcoef(seen, expected)[0, 1] > 0.98
    assert np.abs(seen - expected).mean() < 0.3 * np.abs(seen - unmoved).mean()


def test_rigid_is_kept_and_there_is_nothing_to_switch(host, aligned, known):
    import slicer

    ui = aligned.ui
    aligned.parent.show()
    known.is_better = False
    find(host, aligned)
    assert KEPT_RIGID in ui.shiftSentences.text
    assert not ui.shiftSwitchButton.visible and not ui.shiftAmountSlider.visible and not ui.shiftArrowsCheckBox.visible
    assert ui.shiftMapCheckBox.visible
    assert slicer.util.getNodesByClass("vtkMRMLBSplineTransformNode") == []
    assert layers_of_patient_view()[0] == "MNI152"
    ui.shiftAcceptButton.click()
    assert slicer.mrmlScene.GetFirstNodeByName("MNI152 error of 9 in 10, mm") is not None
    aligned.parent.hide()


def test_rejected_correction_is_not_bent(host, prepared, case, error, known):
    known.verdict = "reject"
    choose(host, prepared, add_case(case, error))
    align(host, prepared)
    prepared.ui.brainShiftSection.collapsed = False
    assert not prepared.ui.shiftButton.enabled
    assert "was rejected" in prepared.ui.shiftState.text


@pytest.fixture
def running(host, aligned, known):
    """A search that takes long, some steps after its start; (widget, IDs of the nodes before)."""
    known.seconds_per_step = 0.3
    before = all_nodes()
    aligned.ui.shiftButton.click()
    host.wait_until(lambda: aligned.session.shift.progress is not None, 60)
    return aligned, before


def ended(host, widget):
    task = widget.session.shift._last
    host.wait_until(lambda: not task.isRunning, 60)
    host.process_events(0.1)


def test_cancel_gives_the_panel_back_at_once(host, running):
    widget, before = running
    assert widget.ui.shiftButton.text == "Cancel"
    assert "step 1" in widget.ui.shiftState.text
    widget.ui.shiftButton.click()
    assert widget.ui.shiftButton.text == "Find brain shift"
    ended(host, widget)
    assert all_nodes() == before
    assert widget.session.shift.nodes is None


def test_scene_closed_while_running(host, running):
    widget, _before = running
    host.close_scene()
    assert not widget.session.shift.isBusy
    assert widget.ui.messageLabel.text == ""
    ended(host, widget)
    assert widget.session.shift.nodes is None


def test_module_left_while_running(host, running):
    widget, _before = running
    host.leave_module()
    ended(host, widget)
    assert not widget.session.shift.isBusy
    assert widget.session.shift.nodes is None
    host.enter_module("DiffUS")


@pytest.mark.parametrize("which", ["volume", "ultrasound"])
def test_what_it_works_on_is_deleted(host, running, which):
    import slicer

    widget, _before = running
    slicer.mrmlScene.RemoveNode(getattr(widget.session.parameters, which))
    ended(host, widget)
    assert not widget.session.shift.isBusy
    assert "was deleted" in widget.ui.messageLabel.text
    assert widget.session.shift.nodes is None


def test_alignment_that_goes_away_takes_it_along(host, running):
    widget, _before = running
    widget.ui.alignSection.collapsed = False
    widget.ui.revertButton.click()
    ended(host, widget)
    assert not widget.session.shift.isBusy
    assert widget.session.shift.nodes is None


def test_a_failure_is_one_sentence(host, aligned, known):
    from DiffUSLib import DiffUSError

    before = all_nodes()
    known.failure = DiffUSError("it cannot be.")
    find(host, aligned)
    assert aligned.ui.messageLabel.text == "It cannot be."
    assert aligned.ui.shiftButton.text == "Find brain shift"
    assert all_nodes() == before
    known.failure = None
    find(host, aligned)
    assert aligned.session.shift.isOpen


def test_tracking_that_moved_makes_it_void(host, running, case, error):
    import slicer

    widget, _before = running
    head = slicer.util.getNode("MNI152")
    head.SetOrigin(*(np.array(head.GetOrigin()) + 1.0))
    host.wait_until(lambda: not widget.session.shift.isBusy, 60)
    assert "moved since the alignment" in widget.ui.messageLabel.text
    assert widget.session.shift.nodes is None


def test_the_users_deletions_leave_a_panel_that_works(host, found):
    import slicer

    ui = found.ui
    ui.shiftMapCheckBox.checked = True
    for name in ("MNI152 deformed", "MNI152 error of 9 in 10, mm", "MNI152 brain shift"):
        slicer.mrmlScene.RemoveNode(slicer.util.getNode(name))
        host.process_events()
    assert layers_of_patient_view()[0] == "MNI152"
    find(host, found)
    assert layers_of_patient_view()[0].startswith("MNI152 deformed")


def test_progress_counts_up_to_the_map(host, aligned):
    seen = []
    shift = aligned.session.shift
    shift.changed.connect(lambda: seen.append(shift.progress))
    find(host, aligned)
    stages = [(step.stage, step.iteration) for step in seen if step is not None]
    assert list(dict.fromkeys(stages)) == [*(("halves", step) for step in range(STEPS)), ("map", 0)]


@pytest.mark.slow
def test_with_the_real_search(host, prepared, case, error):
    """The library's own alignment and displacement: it says whether held-out frames agree, and maps the error."""
    choose(host, prepared, add_case(case, error))
    align(host, prepared)
    prepared.ui.brainShiftSection.collapsed = False
    find(host, prepared)
    text = prepared.ui.shiftSentences.text
    assert "held out" in text and "would shrink the error most" in text
    nodes = prepared.session.shift.nodes
    assert (nodes.warp is not None) == ("no better" not in text)
    wait_for_thread(host, prepared)
