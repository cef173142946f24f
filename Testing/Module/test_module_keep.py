"""Snapshots, sweeps and files."""

import numpy as np
import pytest
import SimpleITK as sitk

from Testing.Module.conftest import Images, image_of, wait_for_image


def test_snapshot_stays_where_it_is(host, placed):
    import slicer

    before = image_of(placed).copy()
    bounds = [0.0] * 6
    placed.session.transducer.image.GetRASBounds(bounds)
    placed.ui.snapshotButton.click()
    snapshot = slicer.util.getNode("Transducer snapshot")
    wait_for_image(host, placed, lambda: setattr(placed.ui.panSlider, "value", 10))
    assert np.array_equal(slicer.util.arrayFromVolume(snapshot)[0], before)
    now = [0.0] * 6
    snapshot.GetRASBounds(now)
    assert now == pytest.approx(bounds, abs=1e-3)
    assert not np.array_equal(image_of(placed), before)


def record(host, widget, shifts):
    widget.ui.recordButton.click()
    for shift in shifts:
        wait_for_image(host, widget, lambda shift=shift: setattr(widget.ui.panSlider, "value", shift))
    widget.ui.recordButton.click()


def export(host, widget, path):
    """Export the sweep and wait for the file."""
    host.dialogs.chooseNextFile(path)
    widget.ui.exportSweepButton.click()
    assert widget.ui.exportSweepButton.text == "Cancel"
    host.wait_until(lambda: widget.ui.exportSweepButton.text != "Cancel")
    assert str(path) in widget.ui.keepNote.text


def test_sweep_is_a_sequence_with_a_browser(host, placed):
    import slicer

    start = placed.session.transducer.pose()
    record(host, placed, (1, 2, 3, 4))
    browser = slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode")[0]
    assert browser.GetNumberOfItems() == 4
    sequence = browser.GetMasterSequenceNode()
    assert not np.array_equal(
        slicer.util.arrayFromVolume(sequence.GetNthDataNode(0)),
        slicer.util.arrayFromVolume(sequence.GetNthDataNode(3)),
    )
    proxy = browser.GetProxyNode(sequence)
    browser.SetSelectedItemNumber(2)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    pose = slicer.util.arrayFromTransformMatrix(proxy.GetParentTransformNode())
    assert pose[:3, 3] == pytest.approx(start[:3, 3] + 3 * start[:3, 0], abs=1e-6)


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".mha"])
def test_exported_image_lands_in_the_same_place(host, placed, tmp_path, ending):
    """Read by SimpleITK: a pixel's world position (in LPS) is the one that MRML has."""
    import slicer
    import vtk

    path = tmp_path / f"image{ending}"
    host.dialogs.chooseNextFile(path)
    placed.ui.exportImageButton.click()
    image = sitk.ReadImage(str(path))
    node = placed.session.transducer.image
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    pose = slicer.util.arrayFromTransformMatrix(node.GetParentTransformNode(), toWorld=True)
    expected = (pose @ slicer.util.arrayFromVTKMatrix(matrix) @ [100, 200, 0, 1])[:3]
    assert np.array(image.TransformIndexToPhysicalPoint((100, 200, 0))) * [-1, -1, 1] == pytest.approx(
        expected, abs=1e-3
    )
    assert np.array_equal(sitk.GetArrayFromImage(image)[0], image_of(placed))


def test_exported_sweep_has_its_transforms(host, placed, tmp_path):
    start = placed.session.transducer.pose()
    record(host, placed, (2, 4))
    export(host, placed, tmp_path / "sweep.igs.mha")
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(tmp_path / "sweep.igs.mha"))
    reader.ReadImageInformation()
    assert reader.GetSize()[2] == 2
    text = reader.GetMetaData("Seq_Frame0001_ImageToReferenceTransform")
    matrix = np.array([float(number) for number in text.split()]).reshape(4, 4)
    spacing = np.linalg.norm(matrix[:3, 0])
    assert matrix[:3, 0] / spacing == pytest.approx(start[:3, 0], abs=1e-6)
    middle = matrix @ [255.5, 0, 0, 1]
    lateral = (middle[:3] - start[:3, 3]) @ start[:3, 0]
    assert lateral == pytest.approx(4, abs=1e-3)


def test_exported_animation(host, placed, tmp_path):
    from PIL import Image

    record(host, placed, (2, 4, 6))
    export(host, placed, tmp_path / "sweep.gif")
    assert Image.open(tmp_path / "sweep.gif").n_frames >= 3


def test_a_wrong_ending_is_a_sentence_and_writes_nothing(host, placed, tmp_path):
    host.dialogs.chooseNextFile(tmp_path / "image.xyz")
    placed.ui.exportImageButton.click()
    assert "ending" in placed.ui.messageLabel.text
    assert not list(tmp_path.iterdir())


def test_cancelled_file_dialog_does_nothing(host, placed):
    host.dialogs.chooseNextFile("")
    placed.ui.exportImageButton.click()
    assert placed.ui.messageLabel.text == ""


def test_recording_ends_when_the_module_is_left(host, placed):
    placed.ui.recordButton.click()
    images = Images(placed)
    placed.ui.panSlider.value = 1
    host.wait_until(lambda: images.count > 0)
    host.leave_module()
    assert not placed.ui.recordButton.checked
    assert host.scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode") == 1


@pytest.fixture
def slow_writer(monkeypatch):
    """Writing an animation takes until the test lets it end."""
    import threading

    import DiffUSLib

    gate, write = threading.Event(), DiffUSLib.write_animation

    def slow(path, frames):
        write(path, frames)
        assert gate.wait(60)

    monkeypatch.setattr(DiffUSLib, "write_animation", slow)
    yield gate
    gate.set()


@pytest.mark.parametrize("leave", [False, True])
def test_cancelled_export_leaves_no_file(host, placed, tmp_path, slow_writer, leave):
    """The image goes on meanwhile; Cancel, or leaving the module, ends the export."""
    record(host, placed, (2, 4, 6))
    host.dialogs.chooseNextFile(tmp_path / "sweep.gif")
    placed.ui.exportSweepButton.click()
    wait_for_image(host, placed, lambda: setattr(placed.ui.panSlider, "value", 1))
    host.wait_until(lambda: list(tmp_path.iterdir()))  # the unfinished one
    assert not placed.ui.recordButton.enabled
    host.leave_module() if leave else placed.ui.exportSweepButton.click()
    slow_writer.set()
    host.wait_until(lambda: not list(tmp_path.iterdir()))
    host.process_events(0.1)
    assert not list(tmp_path.iterdir())
    if not leave:
        assert "no file" in placed.ui.keepNote.text
        export(host, placed, tmp_path / "again.gif")


@pytest.mark.parametrize(("name", "words"), [("sweep.xyz", "ending"), ("missing/sweep.gif", "cannot be written")])
def test_export_that_fails_is_a_sentence(host, placed, tmp_path, name, words):
    record(host, placed, (2, 4))
    host.dialogs.chooseNextFile(tmp_path / name)
    placed.ui.exportSweepButton.click()
    host.wait_until(lambda: words in placed.ui.messageLabel.text)
    assert placed.ui.exportSweepButton.enabled
    assert not list(tmp_path.iterdir())
