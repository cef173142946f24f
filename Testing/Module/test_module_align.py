"""The user's story of an alignment, judged by the simulator's truth."""

import numpy as np
import pytest

from Testing.Module.conftest import MODULE_FOLDER
from Testing.Module.ultrasound import (
    DEPTH_MM,
    FIELD_OF_VIEW_DEG,
    RADIUS_MM,
    add_case,
    add_sweep,
    align,
    case,
    choose,
    error,
    image_of,
    maps_of_head,
    opened,
    place_of,
    prepared,
    section_of,
    state_of,
)

__all__ = ["case", "error", "maps_of_head", "prepared"]


def mean_error(case, image, number):
    """Mean distance in mm between where targets on a fan stand and where they were when the image was taken."""
    from DiffUSLib.simulator.cases import fan_targets

    targets = fan_targets(case.true)[number]
    targets = np.c_[targets, np.ones(len(targets))]
    now = place_of(image) @ np.linalg.inv(case.image_to_transducer)
    return np.linalg.norm((targets @ (now - case.true[number]).T)[:, :3], axis=1).mean()


@pytest.mark.slow
def test_from_the_sequence_to_accept_and_revert(host, case, error):
    import slicer

    widget = opened(host, host.load_module(MODULE_FOLDER, "DiffUS"))
    ui = widget.ui
    assert not ui.alignButton.enabled
    browser = add_case(case, error)
    image, pose = image_of(browser), image_of(browser).GetParentTransformNode()
    choose(host, widget, browser)
    assert "Image → Reference → RAS" in ui.alignChain.text
    assert pose.GetName() in ui.alignChain.text
    assert "Curvilinear, 70°, 80 mm" in ui.fanNote.text
    tracked, before = slicer.util.arrayFromTransformMatrix(pose), mean_error(case, image, 0)
    assert before > 1.5

    align(host, widget)
    assert state_of(widget) == "done", ui.messageLabel.text
    assert "Accept" in ui.alignVerdict.text
    assert mean_error(case, image, 0) < 1.0
    assert "3 frames" in ui.alignState.text
    assert np.array_equal(slicer.util.arrayFromTransformMatrix(pose), tracked), "the tracking stays as it is"
    correction = pose.GetParentTransformNode()
    assert correction.GetName() == "Sweep correction"
    for number in range(len(case.images)):
        browser.SetSelectedItemNumber(number)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
        assert mean_error(case, image, number) < 1.0
    browser.SetSelectedItemNumber(0)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)

    ui.beforeAfterButton.click()
    assert mean_error(case, image, 0) == pytest.approx(before)
    ui.beforeAfterButton.click()
    assert mean_error(case, image, 0) < 1.0

    ui.acceptButton.click()
    assert mean_error(case, image, 0) < 1.0
    assert not ui.acceptButton.enabled
    assert "corrected by Sweep correction" in ui.alignChain.text
    ui.reportButton.click()
    report = slicer.util.getNode("Sweep alignment report")
    rows = [report.GetCellText(row, 0) for row in range(report.GetNumberOfRows())]
    assert report.GetCellText(rows.index("verdict"), 1) == "accept"
    assert report.GetCellText(rows.index("frames_used"), 1) == "[0, 1, 2]"

    ui.revertButton.click()
    assert mean_error(case, image, 0) == pytest.approx(before)
    assert slicer.mrmlScene.GetFirstNodeByName("Sweep correction") is None
    assert not ui.revertButton.enabled


@pytest.mark.slow
def test_fan_is_drawn_over_the_image_where_it_is(host, prepared, case, error):
    """The outline's corners against the simulator's fan, in the patient."""
    import slicer

    choose(host, prepared, add_case(case, error))
    outline = slicer.mrmlScene.GetFirstNodeByName("Ultrasound fan")
    points = slicer.util.arrayFromModelPoints(outline)
    world = slicer.util.arrayFromTransformMatrix(outline.GetParentTransformNode(), toWorld=True)
    drawn = np.c_[points, np.ones(len(points))] @ world.T
    half = np.deg2rad(FIELD_OF_VIEW_DEG / 2)
    for side in (-1, 1):
        for length in (RADIUS_MM, RADIUS_MM + DEPTH_MM):
            corner = [side * length * np.sin(half), length * np.cos(half) - RADIUS_MM, 0, 1]
            distance = np.linalg.norm((drawn - error @ case.tracked[0] @ corner)[:, :3], axis=1).min()
            assert distance < 1.0, (side, length)


@pytest.mark.slow
def test_fan_goes_where_the_correction_brings_its_image(host, prepared, case, error):
    """An image without transforms: the correction is the first."""
    import slicer

    image = slicer.util.addVolumeFromArray(
        case.images[0][None], error @ case.tracked[0] @ case.image_to_transducer, "Image"
    )
    choose(host, prepared, image)
    align(host, prepared)
    section_of(prepared).run.setApplied(True)
    outline = slicer.mrmlScene.GetFirstNodeByName("Ultrasound fan")
    assert image.GetParentTransformNode() is section_of(prepared).run.correctionNode
    assert outline.GetParentTransformNode() is image.GetParentTransformNode()


def test_fan_whose_face_is_a_point(host, prepared):
    from dataclasses import replace

    from DiffUSModule.alignment.fan_shape import readFan, wholeImage, writeFan

    shape = prepared.session.parameters.fan
    fan = replace(wholeImage((100, 100)), kind="sector", half_angle_deg=40.0, far_px=80.0, half_width_px=0.0)
    writeFan(shape, fan, 0.5)
    assert (shape.opening, shape.depth) == (80.0, 40.0)
    assert readFan(shape, fan, 0.5) == fan


@pytest.mark.slow
def test_fan_by_hand_is_the_one_that_counts(host, prepared, case, error):
    import slicer

    ui = prepared.ui
    choose(host, prepared, add_case(case, error))
    assert ui.fanOpeningSlider.value == pytest.approx(FIELD_OF_VIEW_DEG, abs=1)
    assert not ui.fanOpeningSlider.enabled
    ui.fanByHandCheckBox.checked = True
    host.process_events()
    ui.fanOpeningSlider.value = 50
    host.process_events()
    points = slicer.util.arrayFromModelPoints(slicer.mrmlScene.GetFirstNodeByName("Ultrasound fan"))
    width = 2 * (RADIUS_MM + DEPTH_MM) * np.sin(np.deg2rad(25))
    assert np.ptp(points[:, 0]) == pytest.approx(width, abs=1)
    align(host, prepared)
    comparison = section_of(prepared).run.outcome.comparison
    assert comparison.mask.any(axis=0).sum() * comparison.image_to_transducer[0, 0] == pytest.approx(width, abs=1)
    ui.detectFanButton.click()
    host.wait_until(lambda: "70°" in ui.fanNote.text, 60)
    assert ui.fanOpeningSlider.value == pytest.approx(FIELD_OF_VIEW_DEG, abs=1)


@pytest.mark.slow
def test_score_is_one_plot_that_is_used_again(host, prepared, case, error):
    import slicer

    choose(host, prepared, add_case(case, error))
    for _run in range(2):
        align(host, prepared)
        tables = slicer.util.getNodesByClass("vtkMRMLTableNode")
        charts, series = (slicer.util.getNodesByClass(f"vtkMRMLPlot{name}Node") for name in ("Chart", "Series"))
        assert (len(tables), len(charts), len(series)) == (1, 1, 1)
        assert charts[0].GetNthPlotSeriesNode(0) is series[0]
        assert series[0].GetTableNode() is tables[0]
        score = slicer.util.arrayFromTableColumn(tables[0], series[0].GetYColumnName())
        assert len(score) > 20
        assert score[-1] > score[0]
        view = slicer.mrmlScene.GetSingletonNode("DiffUSScore", "vtkMRMLPlotViewNode")
        assert view.GetPlotChartNodeID() == charts[0].GetID()


@pytest.mark.slow
def test_overlay_shows_both_images_at_the_place_of_the_ultrasound(host, prepared, case, error):
    """The squares of one color are the ultrasound itself, pixel by pixel in the patient."""
    import slicer
    from scipy import ndimage

    choose(host, prepared, add_case(case, error))
    align(host, prepared)
    prepared.ui.beforeAfterButton.click()
    overlay = slicer.mrmlScene.GetFirstNodeByName("Ultrasound and rendered image")
    shown = slicer.util.arrayFromVolume(overlay)[0].astype(float)
    row, column = np.indices(shown.shape)
    to_image = np.linalg.inv(error @ case.tracked[0] @ case.image_to_transducer) @ place_of(overlay)
    x, y, z, _one = to_image @ np.stack([column, row, 0 * row, 0 * row + 1]).reshape(4, -1)
    assert np.abs(z).max() < 1.0
    ultrasound = ndimage.map_coordinates(case.images[0].astype(float), [y, x], order=1).reshape(shown.shape)
    inside = ndimage.binary_erosion(shown > 0, iterations=4)
    squares = (row * 12 // shown.shape[0] + column * 12 // shown.shape[1]) % 2 == 0
    alike = [np.corrcoef(shown[part], ultrasound[part])[0, 1] for part in (inside & squares, inside & ~squares)]
    assert alike[0] > 0.95
    assert alike[1] < 0.7
    layers = slicer.app.layoutManager().sliceWidget("DiffUSOverlay").mrmlSliceCompositeNode()
    assert layers.GetBackgroundVolumeID() == overlay.GetID()
    prepared.ui.overlayCombo.currentIndex = 2
    host.process_events()
    assert slicer.util.arrayFromVolume(overlay)[0].shape == (shown.shape[0], 2 * shown.shape[1])


@pytest.mark.slow
def test_views_follow_the_image_as_the_sweep_plays_and_after_a_cancel(host, prepared, case, error):
    import slicer

    browser = add_case(case, error)
    choose(host, prepared, browser)
    align(host, prepared)
    prepared.ui.revertButton.click()
    browser.SetSelectedItemNumber(2)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    host.process_events()
    plane = (error @ case.tracked[2])[:3]
    for name in ("DiffUSOverlay", "DiffUSPatient"):
        view = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()
        seen = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())
        assert abs(seen[:3, 2] @ plane[:, 2]) == pytest.approx(1, abs=1e-6)
        assert plane[:, 2] @ (seen[:3, 3] - plane[:, 3]) == pytest.approx(0, abs=1e-6)
    layers = slicer.app.layoutManager().sliceWidget("DiffUSOverlay").mrmlSliceCompositeNode()
    assert layers.GetBackgroundVolumeID() == image_of(browser).GetID()


@pytest.mark.slow
def test_views_are_left_alone_after_the_module_went_away(host, prepared, case, error):
    """Also with a result that nobody decided on: a module that is loaded again has views of the same names."""
    import slicer

    browser = add_case(case, error)
    choose(host, prepared, browser)
    align(host, prepared)
    node = slicer.app.layoutManager().sliceWidget("DiffUSOverlay").mrmlSliceNode()
    host.unload_module()
    before = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
    browser.SetSelectedItemNumber(2)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    host.process_events(0.1)
    assert np.array_equal(slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()), before)


@pytest.mark.slow
def test_correction_stays_below_what_moves_the_volume_too(host, prepared, case, error):
    """Ultrasound and volume under one more transform: it moves both, so the correction must not stand above it."""
    import slicer

    shared = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Shared")
    turned = np.array([[0, -1, 0, 30], [1, 0, 0, -10], [0, 0, 1, 5], [0, 0, 0, 1.0]])
    slicer.util.updateTransformMatrixFromArray(shared, turned)
    browser = add_case(case, error)
    image = image_of(browser)
    prepared.session.parameters.volume.SetAndObserveTransformNodeID(shared.GetID())
    image.GetParentTransformNode().SetAndObserveTransformNodeID(shared.GetID())
    choose(host, prepared, browser)
    align(host, prepared)
    run = section_of(prepared).run
    run.setApplied(True)
    assert image.GetParentTransformNode().GetParentTransformNode() is run.correctionNode
    assert run.correctionNode.GetParentTransformNode() is shared
    expected = run.outcome.correction @ turned @ error @ case.tracked[0] @ case.image_to_transducer
    assert place_of(image) == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_one_image_under_its_transforms(host, prepared, case, error):
    import slicer

    image = slicer.util.addVolumeFromArray(case.images[1][None], case.image_to_transducer, "Image")
    probe, reference = (
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
        for name in ("ImageToProbe", "ProbeToReference")
    )
    slicer.util.updateTransformMatrixFromArray(reference, error @ case.tracked[1])
    image.SetAndObserveTransformNodeID(probe.GetID())
    probe.SetAndObserveTransformNodeID(reference.GetID())
    choose(host, prepared, image)
    chain = "Image → Probe → Reference → RAS. The correction goes above ProbeToReference."
    assert prepared.ui.alignChain.text == chain
    probe.SetAndObserveTransformNodeID(None)
    assert "nothing leads from Probe to Ras" in prepared.ui.alignChain.text
    probe.SetAndObserveTransformNodeID(reference.GetID())
    assert prepared.ui.alignChain.text == chain
    align(host, prepared)
    assert section_of(prepared).run.outcome.report["frames_used"] == [0]


@pytest.mark.slow
@pytest.mark.parametrize("is_accepted", [True, False])
def test_correction_is_reverted_another_day(host, prepared, case, error, tmp_path, is_accepted):
    import slicer

    choose(host, prepared, add_case(case, error))
    align(host, prepared)
    if is_accepted:
        section_of(prepared).run.accept()
    host.save_scene(tmp_path / "scene.mrb")
    host.close_scene()
    host.load_scene(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.GetFirstNodeByName("Ultrasound and rendered image") is None, "it was not saved"
    image = image_of(prepared.ui.ultrasoundSelector.currentNode())
    correction = slicer.util.getNode("Sweep correction")
    assert image.GetParentTransformNode().GetParentTransformNode() is correction
    assert ("not accepted" in prepared.ui.alignChain.text) != is_accepted, "a scene does not make up the user's mind"
    assert prepared.ui.revertButton.enabled
    prepared.ui.revertButton.click()
    assert place_of(image) == pytest.approx(error @ case.tracked[0] @ case.image_to_transducer, abs=1e-6)


@pytest.mark.slow
def test_plane_of_a_slice_view_through_a_volume(host, prepared, case):
    """A 3D ultrasound volume; the compared plane is that of the slice view."""
    import slicer

    from DiffUSLib.simulator.anatomy import mni152

    head = mni152()
    seen = np.ascontiguousarray(head.echogenicity.transpose(2, 1, 0)[60:130:2, 70:160:2, 50:140:2])
    matrix = head.affine @ [[2, 0, 0, 50], [0, 2, 0, 70], [0, 0, 2, 60], [0, 0, 0, 1]]
    volume = slicer.util.addVolumeFromArray(seen, matrix, "3D ultrasound")
    choose(host, prepared, volume)
    prepared.parent.show()
    host.process_events()
    assert prepared.ui.alignPlaneCombo.visible
    assert not prepared.ui.fanSection.visible
    prepared.parent.hide()
    names = [prepared.ui.alignPlaneCombo.itemText(index) for index in range(prepared.ui.alignPlaneCombo.count)]
    assert names[:4] == ["Along its axes", "Slice view Red", "Slice view Green", "Slice view Yellow"]
    assert not any("DiffUS" in name for name in names), "the module's own views show its images"
    prepared.ui.alignPlaneCombo.currentIndex = names.index("Slice view Green")
    slice_node = slicer.app.layoutManager().sliceWidget("Green").mrmlSliceNode()
    slice_node.JumpSliceByCentering(*(matrix @ [22, 20, 18, 1])[:3])
    align(host, prepared)
    pose = section_of(prepared).run.outcome.comparison.transducer_to_ras.numpy()
    in_view = np.linalg.inv(slicer.util.arrayFromVTKMatrix(slice_node.GetSliceToRAS())) @ pose
    assert in_view[2, [0, 1, 3]] == pytest.approx([0, 0, 0], abs=1e-6)


@pytest.mark.slow
def test_another_patient_is_rejected_and_nothing_moves(host, prepared, case):
    """Speckle without anatomy: whatever fits, fits by chance."""
    random = np.random.default_rng(2)
    from scipy import ndimage

    noise = ndimage.gaussian_filter(random.normal(size=case.images.shape), (0, 2, 2))
    images = np.where(case.images > 0, np.clip(100 + 40 * noise / noise.std(), 1, 255), 0).astype(np.uint8)
    browser = add_sweep(images[:1], case.image_to_transducer, case.tracked[:1], "Stranger")
    before = place_of(image_of(browser))
    choose(host, prepared, browser)
    align(host, prepared)
    assert "Reject" in prepared.ui.alignVerdict.text
    assert not prepared.ui.acceptButton.enabled
    assert np.array_equal(place_of(image_of(browser)), before)
    prepared.ui.beforeAfterButton.click()
    assert not np.allclose(place_of(image_of(browser)), before), "one may look at it"
    prepared.ui.revertButton.click()
    assert np.array_equal(place_of(image_of(browser)), before)
