"""The intensity-to-impedance curve: its plot, its anchors, and where they are kept."""

import numpy as np
import pytest

from Testing.Module.conftest import MODULE_FOLDER, add_ct, image_of, wait_for_image

WHITE_MATTER_LABEL = 2


@pytest.fixture(scope="module")
def phantom():
    from DiffUSLib import head_phantom

    return head_phantom(2.0)


@pytest.fixture
def head(host, phantom):
    """The module with a coarse sample head as MRI, a transducer on it, and the group of the curve open."""
    widget = host.load_module(MODULE_FOLDER, "DiffUS")
    from DiffUSModule.scene.sample_data import addSampleHead

    widget.ui.modalityCombo.currentIndex = 3  # contrast T1: saves looking for it
    widget.logic.getParameterNode().volume = addSampleHead(phantom, "t1")
    host.process_events()
    wait_for_image(host, widget, widget.ui.addButton.click)
    widget.ui.curveSection.collapsed = False
    return widget


def cells(widget):
    """The table as rows of text."""
    table = widget.ui.anchorTable
    return [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount)]


def edit(widget, row, column, text):
    """What a double-click and typing does."""
    widget.ui.anchorTable.item(row, column).setText(text)


def columns_of(series):
    """(x, y) arrays of what a plot series shows, by its nodes alone."""
    from vtkmodules.util.numpy_support import vtk_to_numpy

    table = series.GetTableNode().GetTable()
    names = series.GetXColumnName(), series.GetYColumnName()
    return tuple(vtk_to_numpy(table.GetColumnByName(name)) for name in names)


@pytest.mark.slow
def test_curve_goes_through_its_anchors(host, head):
    """The plot's nodes, beside the live image; literature values of impedance at the intensities of the phantom."""
    import slicer

    from DiffUSLib import tissue

    before = slicer.app.layoutManager().layout
    head.ui.curveButton.click()
    chart = slicer.mrmlScene.GetSingletonNode("DiffUSCurve", "vtkMRMLPlotViewNode").GetPlotChartNode()
    curve, anchors = (chart.GetNthPlotSeriesNode(index) for index in (0, 1))
    x, y = columns_of(curve)
    for intensity, impedance, (name, *_numbers) in zip(*columns_of(anchors), cells(head), strict=True):
        assert impedance == pytest.approx(tissue(name).impedance_mrayl, abs=1e-6)
        assert np.interp(intensity, x, y) == pytest.approx(impedance, abs=0.005)
    assert "MRayl" in chart.GetYAxisTitle()
    # Again: the same nodes.
    head.ui.curveButton.click()
    assert slicer.app.layoutManager().layout == before
    head.ui.curveButton.click()
    assert host.scene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 1
    assert host.scene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 2
    host.leave_module()
    assert not head.ui.curveButton.checked


@pytest.mark.slow
def test_edited_anchor_changes_image_and_curve_and_comes_back_with_the_scene(host, head, phantom, tmp_path):
    measured, before = cells(head), image_of(head).copy()
    assert [row[0] for row in measured] == ["cerebrospinal fluid", "gray matter", "white matter", "tumor"]
    wait_for_image(host, head, lambda: edit(head, 2, 2, "1.9"))
    assert cells(head)[2] == [*measured[2][:2], "1.900"]
    assert "by hand" in head.ui.curveNote.text
    assert not np.array_equal(image_of(head), before)
    maps = head.session.patient.maps
    share = phantom.labels.voxels == WHITE_MATTER_LABEL
    assert float(maps.impedance[share].median()) == pytest.approx(1.9, abs=0.03)  # the MRI is noisy
    pixels, edited = image_of(head).copy(), cells(head)

    head.ui.curveButton.click()
    host.save_scene(tmp_path / "scene.mrb")
    host.close_scene()
    assert cells(head) == []
    wait_for_image(host, head, lambda: host.load_scene(tmp_path / "scene.mrb"))
    assert cells(head) == edited
    assert np.array_equal(image_of(head), pixels)
    head.ui.curveButton.click()
    assert host.scene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode") == 1
    wait_for_image(host, head, head.ui.resetAnchorsButton.click)
    assert cells(head) == measured
    assert not head.ui.resetAnchorsButton.enabled


@pytest.mark.slow
def test_anchors_are_added_and_removed(host, head):
    measured = cells(head)
    head.ui.tissueCombo.currentText = "edema"
    wait_for_image(host, head, head.ui.addAnchorButton.click)
    assert cells(head)[:4] == measured
    assert cells(head)[4][0] == "edema"
    wait_for_image(host, head, lambda: edit(head, 4, 1, "160"))
    assert [row[0] for row in cells(head)][2] == "edema"  # in the order of intensity
    head.ui.anchorTable.selectRow(2)
    wait_for_image(host, head, head.ui.removeAnchorButton.click)
    assert cells(head) == measured


@pytest.mark.slow
@pytest.mark.parametrize(
    ("column", "text", "words"), [(1, "bright", "not a number"), (1, "41.63", ""), (2, "-1", "above zero")]
)
def test_impossible_anchor_is_a_sentence_and_changes_nothing(host, head, column, text, words):
    before = cells(head)
    if not words:
        text, words = str(head.session.patient.maps.network.anchors[0].intensity), "intensity of its own"
    edit(head, 2, column, text)
    assert words in head.ui.messageLabel.text
    assert cells(head) == before
    assert head.session.patient.maps is not None


@pytest.mark.slow
def test_anchors_belong_to_their_volume(host, head):
    """Another volume has its own; the edited ones are there when the first comes back."""
    from Testing.Module.test_module_placement import add_body

    first = head.session.parameters.volume
    wait_for_image(host, head, lambda: edit(head, 2, 2, "1.9"))
    edited = cells(head)
    head.ui.modalityCombo.currentIndex = 1
    wait_for_image(host, head, lambda: head.ui.volumeSelector.setCurrentNode(add_body()))
    assert "Hounsfield" in head.ui.curveNote.text
    assert cells(head) == []
    head.ui.modalityCombo.currentIndex = 3
    wait_for_image(host, head, lambda: head.ui.volumeSelector.setCurrentNode(first))
    assert cells(head) == edited


def test_curve_of_a_ct_is_that_of_hounsfield_units(host, widget):
    """Water near 1.5 MRayl and bone far above, plotted without a transducer; the user's layout comes back."""
    import slicer

    before = slicer.app.layoutManager().layout
    widget.logic.getParameterNode().volume = add_ct()
    host.process_events()
    widget.ui.curveSection.collapsed = False
    widget.ui.curveButton.click()
    host.wait_until(lambda: slicer.app.layoutManager().layout != before)
    chart = slicer.mrmlScene.GetSingletonNode("DiffUSCurve", "vtkMRMLPlotViewNode").GetPlotChartNode()
    x, y = columns_of(chart.GetNthPlotSeriesNode(0))
    assert np.interp(0, x, y) == pytest.approx(1.5, rel=0.03)
    assert np.interp(1000, x, y) > 3.5
    assert len(columns_of(chart.GetNthPlotSeriesNode(1))[0]) == 0
    assert "Hounsfield" in chart.GetXAxisTitle()
    # A transducer brings its own layout; leaving brings back the user's.
    wait_for_image(host, widget, widget.ui.addButton.click)
    host.leave_module()
    assert slicer.app.layoutManager().layout == before


def test_labels_have_no_curve(host, phantom):
    import slicer

    widget = host.load_module(MODULE_FOLDER, "DiffUS")
    from DiffUSModule.scene.sample_data import addSampleHead

    widget.logic.getParameterNode().volume = addSampleHead(phantom, "labels")
    host.process_events()
    widget.ui.curveSection.collapsed = False
    widget.ui.curveButton.click()
    host.wait_until(lambda: widget.session.patient.maps is not None, 60)
    assert "table of tissues" in widget.ui.curveNote.text
    assert not widget.ui.curveButton.checked
    assert slicer.app.layoutManager().layout == 3
