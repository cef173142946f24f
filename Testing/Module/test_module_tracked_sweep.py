"""Tracked ultrasound of files: every frame in its place, by numbers read from the raw text of the file."""

from xml.etree import ElementTree

import numpy as np
import pytest

from Testing.Library.raw_sequence import raw, raw_matrix
from Testing.Library.test_io_tracked import frame_fields, write_mha
from Testing.Module.conftest import MODULE_FOLDER

LIVER = "liver_sweep35.igs.mha"
SPINE = "plus_SpinePhantomFreehand.igs.mha"
CALIBRATION = "PlusDeviceSet_SpinePhantomFreehandReconstructionOnly.xml"


@pytest.fixture
def load(host):
    """loadTrackedSweep of the loaded module."""
    host.load_module(MODULE_FOLDER, "DiffUS")
    from DiffUSModule.scene.tracked_sweep import loadTrackedSweep

    return loadTrackedSweep


def liver_places(folder):
    pixels, header = raw(folder / LIVER)
    return pixels, [raw_matrix(header, frame, "ImageToReference") for frame in range(len(pixels))]


def spine_places(folder):
    pixels, header = raw(folder / SPINE)
    element = next(e for e in ElementTree.parse(folder / CALIBRATION).iter("Transform") if e.get("From") == "Image")
    calibration = np.array(element.get("Matrix").split(), float).reshape(4, 4)
    places = []
    for frame in range(len(pixels)):
        in_tracker = raw_matrix(header, frame, "ProbeToTracker") @ calibration
        places.append(np.linalg.inv(raw_matrix(header, frame, "ReferenceToTracker")) @ in_tracker)
    return pixels, places


def select(browser, number):
    """Show one frame; returns the image node."""
    import slicer

    browser.SetSelectedItemNumber(number)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    return browser.GetProxyNode(browser.GetMasterSequenceNode())


def world_of(image, column, row):
    """RAS of a pixel, by MRML and VTK."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    image.GetIJKToRASMatrix(matrix)
    local, world = matrix.MultiplyPoint((column, row, 0, 1))[:3], [0.0] * 3
    to_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(image.GetParentTransformNode(), None, to_world)
    to_world.TransformPoint(local, world)
    return world


def world_outlines(browser):
    """(N, 4, 3) points of the model of all frames, in RAS."""
    import slicer
    import vtk

    model = browser.GetNodeReference("DiffUS.Frames")
    to_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(model.GetParentTransformNode(), None, to_world)
    points = vtk.vtkPoints()
    to_world.TransformPoints(model.GetPolyData().GetPoints(), points)
    return np.array([points.GetPoint(i) for i in range(points.GetNumberOfPoints())]).reshape(-1, 4, 3)


@pytest.mark.parametrize(
    ("name", "calibration", "places_of"), [(LIVER, None, liver_places), (SPINE, CALIBRATION, spine_places)]
)
def test_every_frame_of_a_real_sweep_is_in_its_place(load, shared_data, name, calibration, places_of):
    import slicer

    pixels, places = places_of(shared_data)
    # The tracking of the liver sweep stood still at its end while the images went on.
    moved = [0, *(i for i in range(1, len(places)) if not np.array_equal(places[i], places[i - 1]))]
    pixels, places = pixels[moved], [places[index] for index in moved]
    browser = load(str(shared_data / name), str(shared_data / calibration) if calibration else None)
    assert browser.GetNumberOfItems() == len(pixels)
    assert str(len(pixels)) in browser.GetDescription()
    height, width = pixels.shape[1:]
    corners = [(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)]
    expected = np.array([[(place @ (*corner, 0, 1))[:3] for corner in corners] for place in places])
    assert world_outlines(browser) == pytest.approx(expected, abs=1e-3)  # points of a model are float32
    for number, frame in enumerate(pixels):
        image = select(browser, number)
        for index, corner in enumerate(corners):
            assert world_of(image, *corner) == pytest.approx(expected[number, index], abs=1e-6)
        if number % 10 == 0:
            assert np.array_equal(slicer.util.arrayFromVolume(image), frame[None])


def test_a_sweep_is_one_folder(host, load, shared_data):
    import slicer

    browser = load(str(shared_data / SPINE), str(shared_data / CALIBRATION))
    image = browser.GetProxyNode(browser.GetMasterSequenceNode())
    chain = [image]
    while chain[-1].GetParentTransformNode():
        chain.append(chain[-1].GetParentTransformNode())
    start = "plus_SpinePhantomFreehand"
    assert [node.GetName() for node in chain] == [
        f"{start} {link}" for link in ("image", "ImageToProbe", "ProbeToReference", "ReferenceToRas")
    ]
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(host.scene)
    frames = browser.GetNodeReference("DiffUS.Frames")
    folders = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in (*chain, frames)}
    assert [hierarchy.GetItemName(folder) for folder in folders] == [start]


def test_all_frames_are_seen_in_3d_at_once(host, load, shared_data):
    """Their lines are in the middle of the view; nothing else there is so blue."""
    load(str(shared_data / LIVER))
    host.process_events()
    red, green, blue = host.pixels("1").astype(int).transpose(2, 0, 1)
    lines = np.argwhere((green - red > 60) & (blue - red > 80))
    height, width = red.shape
    assert len(lines) > 1000
    assert np.ptp(lines, axis=0).max() > 0.25 * height
    middle = lines.mean(0)
    assert 0.2 * height < middle[0] < 0.8 * height and 0.2 * width < middle[1] < 0.8 * width


def test_a_correction_on_top_moves_frames_and_image(load, tmp_path):
    import slicer

    browser = load(str(write_mha(tmp_path / "small.igs.mha")))
    image, outlines = select(browser, 1), world_outlines(browser)
    before = np.array(world_of(image, 0, 0))
    shift = np.array([1.0, 2.0, 3.0])
    correction = np.eye(4)
    correction[:3, 3] = shift
    slicer.util.updateTransformMatrixFromArray(browser.GetNodeReference("DiffUS.ReferenceToRas"), correction)
    assert world_of(image, 0, 0) == pytest.approx(before + shift, abs=1e-6)
    assert world_outlines(browser) == pytest.approx(outlines + shift, abs=1e-4)


def test_frames_without_tracking_are_left_out_and_counted(load, tmp_path):
    import slicer

    pixels = np.arange(5 * 4 * 6, dtype=np.uint8).reshape(5, 4, 6)
    path = write_mha(tmp_path / "s.igs.mha", pixels, frame_fields(5, invalid=(1, 3)))
    browser = load(str(path))
    assert browser.GetNumberOfItems() == 3
    assert "2 of 5 frames" in browser.GetDescription()
    for number, frame in enumerate((0, 2, 4)):
        assert np.array_equal(slicer.util.arrayFromVolume(select(browser, number))[0], pixels[frame])


def test_frames_are_turned_upright(load, tmp_path):
    """UN: stored columns run from the unmarked side, rows from far to near."""
    import slicer

    pixels = np.arange(3 * 4 * 6, dtype=np.uint8).reshape(3, 4, 6)
    browser = load(str(write_mha(tmp_path / "s.igs.mha", pixels, orientation="UNA")))
    assert np.array_equal(slicer.util.arrayFromVolume(select(browser, 2))[0], pixels[2, ::-1, ::-1])


def test_frames_without_usable_times_are_numbered(load, tmp_path):
    fields = {key: "7.0" if key.endswith("Timestamp") else text for key, text in frame_fields().items()}
    browser = load(str(write_mha(tmp_path / "s.igs.mha", fields=fields)))
    assert browser.GetNumberOfItems() == 3
    assert browser.GetMasterSequenceNode().GetIndexName() == "frame"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (frame_fields(name="ProbeToReference"), "nothing connects Image"),
        (frame_fields(invalid=(0, 1, 2)), "none of the 3 frames"),
        (frame_fields(scale=1.0), "pixel spacing"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*have no valid transform")
def test_what_cannot_be_placed_is_a_sentence_and_leaves_nothing(host, load, tmp_path, fields, words):
    from DiffUSLib import DiffUSError

    count = host.scene.GetNumberOfNodes()
    with pytest.raises(DiffUSError, match=words):
        load(str(write_mha(tmp_path / "s.igs.mha", fields=fields)))
    with pytest.raises(DiffUSError, match=r"plus\.xml"):
        load(str(write_mha(tmp_path / "t.igs.mha")), str(tmp_path / "plus.xml"))
    assert host.scene.GetNumberOfNodes() == count


def test_a_sweep_is_not_taken_for_the_patient(host, load, shared_data):
    import slicer

    from Testing.Module.conftest import add_ct

    load(str(shared_data / LIVER))
    widget = slicer.modules.DiffUSWidget
    host.leave_module()
    host.enter_module("DiffUS")
    assert widget.logic.getParameterNode().volume is None
    patient = add_ct()
    host.leave_module()
    host.enter_module("DiffUS")
    assert widget.logic.getParameterNode().volume is patient


def test_the_button_loads_a_sweep_whose_image_fills_its_view_as_it_plays(host, widget, shared_data):
    """Not a line but the image: places in the frame are where they belong in the pixels of the view."""
    import slicer

    ui = widget.ui
    ui.alignSection.collapsed = False
    host.dialogs.chooseNextFiles([shared_data / CALIBRATION, shared_data / SPINE])
    ui.loadSweepButton.click()
    host.wait_until(lambda: ui.ultrasoundSelector.currentNode() is not None, 60)
    assert "21 frames" in ui.messageLabel.text
    assert "ImageToProbe" not in ui.alignChain.text and "Probe" in ui.alignChain.text
    browser = ui.ultrasoundSelector.currentNode()
    host.wait_until(lambda: "Looking" not in ui.fanNote.text, 60)
    for number in (0, 20):
        image = select(browser, number)
        host.process_events()
        shown = host.pixels("DiffUSOverlay")[..., 0].astype(float)
        frame = slicer.util.arrayFromVolume(image)[0]
        for share in ((0.4, 0.1), (0.6, 0.1), (0.5, 0.6), (0.45, 0.3)):
            column, row = (int(share[0] * frame.shape[1]), int(share[1] * frame.shape[0]))
            x, y = host.view("DiffUSOverlay").rasToDisplay(world_of(image, column, row))
            y = len(shown) - 1 - y  # rows of a screenshot go down
            seen = shown[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5].mean()
            around = frame[row - 8 : row + 9, column - 8 : column + 9].mean()
            assert seen == pytest.approx(around, abs=30)


def test_files_that_do_not_belong_together_are_a_sentence(host, widget):
    widget.ui.alignSection.collapsed = False
    host.dialogs.chooseNextFiles(["a.igs.mha", "b.igs.mha"])
    widget.ui.loadSweepButton.click()
    assert "one sweep" in widget.ui.messageLabel.text


def test_a_saved_scene_brings_the_sweep_back(host, load, tmp_path):
    import slicer

    pixels = np.arange(3 * 4 * 6, dtype=np.uint8).reshape(3, 4, 6)
    browser = load(str(write_mha(tmp_path / "s.igs.mha", pixels)))
    expected = [world_of(select(browser, number), 5, 3) for number in range(3)]
    host.save_scene(tmp_path / "scene.mrb")
    host.load_scene(tmp_path / "scene.mrb")
    browser = slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode")[0]
    for number in range(3):
        image = select(browser, number)
        assert np.array_equal(slicer.util.arrayFromVolume(image)[0], pixels[number])
        assert world_of(image, 5, 3) == pytest.approx(expected[number], abs=1e-4)
