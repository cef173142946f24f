"""Match scanner: a look fitted to ultrasound of the scene, kept in it and in files, and chosen from the list."""

from dataclasses import replace

import numpy as np
import pytest

from Testing.Module.conftest import image_of, wait_for_image
from Testing.Module.ultrasound import add_case, case, error, maps_of_head, prepared

__all__ = ["case", "error", "maps_of_head", "prepared"]


def match_section(widget):
    return next(section for section in widget.sections if hasattr(section, "fit"))


@pytest.fixture
def quick_fit(monkeypatch):
    """A fit of few steps: what it finds is the library's matter."""
    import DiffUSLib.appearance.fit as fit

    monkeypatch.setattr(fit, "_STEPS", 4)
    monkeypatch.setattr(fit, "LEAST_EXPLAINED", -1.0)


def open_with_sweep(host, widget, case):
    """Match scanner open, with a sweep that stands right."""
    browser = add_case(case, np.eye(4))
    widget.ui.matchSection.collapsed = False
    widget.ui.matchUltrasoundSelector.setCurrentNode(browser)
    host.process_events()
    return browser


def fit(host, widget):
    widget.ui.matchButton.click()
    section = match_section(widget)
    host.wait_until(lambda: not section.fit.isBusy, 120)
    host.process_events()
    return section.fit.match


def make_look(name="quiet", gain_db=-20.0):
    from DiffUSLib import load_appearance

    clinical = load_appearance("clinical")
    return replace(clinical, name=name, receiver=replace(clinical.receiver, gain_db=gain_db))


def test_fit_keep_save_and_what_the_alignment_shows(host, prepared, case, quick_fit, tmp_path):
    import slicer

    from DiffUSLib import load_appearance

    ui, section = prepared.ui, match_section(prepared)
    browser = open_with_sweep(host, prepared, case)
    assert prepared.session.parameters.ultrasound is browser
    assert not ui.keepLookButton.enabled
    stages = set()
    section.fit.changed.connect(lambda: stages.add(section.fit.stage))
    ui.matchNameEdit.text = "Our scanner"
    match = fit(host, prepared)
    assert match is not None, ui.messageLabel.text
    assert {"check", "fit"} <= stages
    assert len(match.pictures) == 3
    assert not np.array_equal(match.pictures[1], match.pictures[2])
    assert not ui.matchPicture.pixmap.isNull()
    assert f"{match.likeness[1]:.2f} after" in ui.matchState.text

    ui.keepLookButton.click()
    host.process_events()
    (node,) = slicer.util.getNodesByClass("vtkMRMLTextNode")
    assert node.GetName() == "Our scanner"
    assert ui.lookCombo.currentText == "Our scanner"
    assert prepared.session.parameters.ownLook is node
    path = tmp_path / "ours.json"
    host.dialogs.chooseNextFile(path)
    ui.saveLookButton.click()
    assert load_appearance(path) == match.appearance

    from Testing.Module.ultrasound import align, choose, section_of

    ui.alignSection.collapsed = False
    choose(host, prepared, browser)
    align(host, prepared)
    settings = section_of(prepared).run.outcome.comparison._renderer.settings
    assert settings.receiver == match.appearance.receiver
    assert settings.curves == match.appearance.curves


def test_frames_alone_need_no_volume(host, prepared, case):
    open_with_sweep(host, prepared, case)
    prepared.ui.volumeSelector.setCurrentNode(None)
    host.process_events()
    prepared.ui.matchButton.click()
    assert "volume behind the ultrasound" in prepared.ui.messageLabel.text
    prepared.ui.matchVolumeCheckBox.click()
    match = fit(host, prepared)
    assert match is not None, prepared.ui.messageLabel.text
    assert len(match.pictures) == 1
    assert "tissues are as before" in prepared.ui.matchState.text


def test_cancel_leaves_nothing_behind(host, prepared, case):
    import slicer

    section = match_section(prepared)
    open_with_sweep(host, prepared, case)
    prepared.ui.matchButton.click()
    host.wait_until(lambda: section.fit.progress[1] > 0, 120)
    assert prepared.ui.matchButton.text == "Cancel"
    assert "of" in prepared.ui.matchState.text
    prepared.ui.matchButton.click()
    host.process_events()
    assert not section.fit.isBusy
    assert section.fit.match is None
    assert not prepared.ui.keepLookButton.enabled
    assert not slicer.util.getNodesByClass("vtkMRMLTextNode")


def test_another_anatomy_is_refused_with_the_figure(host, prepared, case, monkeypatch):
    import DiffUSLib.appearance.fit as library_fit

    monkeypatch.setattr(library_fit, "_STEPS", 2)
    monkeypatch.setattr(library_fit, "LEAST_EXPLAINED", 2.0)  # a correlation is never so high
    open_with_sweep(host, prepared, case)
    assert fit(host, prepared) is None
    assert "does not explain this ultrasound" in prepared.ui.messageLabel.text


def test_look_of_a_file_changes_the_image_and_comes_back_with_the_scene(host, placed, tmp_path):
    import slicer

    from DiffUSLib import save_appearance

    before = image_of(placed).copy()
    path = tmp_path / "quiet.json"
    save_appearance(make_look(), path)
    host.dialogs.chooseNextFile(path)
    placed.ui.matchSection.collapsed = False
    wait_for_image(host, placed, placed.ui.loadLookButton.click)
    assert image_of(placed).mean() < 0.5 * before.mean()
    assert placed.ui.lookCombo.currentText == "quiet"
    host.wait_until(lambda: not placed.ui.lookCombo.itemIcon(placed.ui.lookCombo.currentIndex).isNull(), 120)
    quiet = image_of(placed).copy()
    scene = tmp_path / "scene.mrb"
    host.save_scene(scene)
    host.close_scene()
    host.load_scene(scene)
    host.wait_until(lambda: placed.session.parameters is not None and placed.session.parameters.ownLook, 60)
    host.process_events()
    assert placed.ui.lookCombo.currentText == "quiet"
    wait_for_image(host, placed, lambda: setattr(placed.ui.gainSlider, "value", 1))
    wait_for_image(host, placed, lambda: setattr(placed.ui.gainSlider, "value", 0))
    assert np.abs(image_of(placed).astype(int) - quiet).max() <= 1
    wait_for_image(host, placed, lambda: slicer.mrmlScene.RemoveNode(placed.session.parameters.ownLook))
    assert placed.ui.lookCombo.currentText == "Clinical scanner"


def test_bad_look_file_is_a_sentence(host, placed, tmp_path):
    path = tmp_path / "other.json"
    path.write_text('{"format": "DiffUS appearance", "version": 99}', encoding="utf-8")
    host.dialogs.chooseNextFile(path)
    placed.ui.matchSection.collapsed = False
    placed.ui.loadLookButton.click()
    assert "version 99" in placed.ui.messageLabel.text
    assert placed.session.parameters.ownLook is None


def test_shipped_looks_are_in_the_list(host, placed):
    from DiffUSLib import appearance_names

    before = image_of(placed).copy()
    assert placed.ui.lookCombo.count == len(appearance_names()) + 1
    wait_for_image(host, placed, lambda: setattr(placed.ui.lookCombo, "currentIndex", 2))
    assert placed.session.parameters.look == appearance_names()[0]
    assert not np.array_equal(image_of(placed), before)
