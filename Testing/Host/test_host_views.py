"""Views, handles, layouts and scene files are the real ones."""

import numpy as np
import pytest
from PIL import Image


def add_cube(name="Cube"):
    import slicer

    voxels = np.zeros((40, 40, 40), np.int16)
    voxels[10:30, 10:30, 10:30] = 100
    ijk_to_ras = np.diag([2.0, 2.0, 2.0, 1.0])
    ijk_to_ras[:3, 3] = -39
    volume = slicer.util.addVolumeFromArray(voxels, ijk_to_ras, name)
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevel(100, 50)
    return volume


@pytest.fixture
def handles(host):
    """A transform with interaction handles in all views, above a volume."""
    import slicer

    volume = add_cube()
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    transform = host.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "TransducerToRas")
    transform.CreateDefaultDisplayNodes()
    display = transform.GetDisplayNode()
    display.SetEditorVisibility(True)
    display.SetEditorVisibility3D(True)
    display.SetEditorSliceIntersectionVisibility(True)
    host.process_events()
    return transform


def test_a_volume_shows_at_its_place(host):
    import slicer

    volume = add_cube()
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    pixels = host.pixels("Red")
    view = host.view("Red")
    height = pixels.shape[0]
    for ras, expected in (((0, 0, 0), 255), ((-15, 15, 0), 255), ((-30, 0, 0), 0), ((0, 30, 0), 0)):
        x, y = view.rasToDisplay(ras)
        assert pixels[height - 1 - round(y), round(x)].max() == expected


def test_slice_handles_move_the_transform_in_the_plane(host, handles):
    import slicer

    host.drag_handle("Red", (0, 0, 0), (-12, 8, 0))
    moved = slicer.util.arrayFromTransformMatrix(handles)[:3, 3]
    assert moved == pytest.approx([-12, 8, 0], abs=0.5)


def test_3d_handles_move_the_transform(host, handles):
    import slicer

    host.view("1").resetFocalPoint()
    host.drag_handle("1", (0, 0, 0), (15, 0, 5))
    moved = slicer.util.arrayFromTransformMatrix(handles)[:3, 3]
    assert moved[0] == pytest.approx(15, abs=1.5)
    assert moved[2] == pytest.approx(5, abs=1.5)


def test_a_drag_beside_the_handles_moves_nothing(host, handles):
    import slicer

    host.drag_handle("Red", (30, 30, 0), (10, 10, 0))
    assert np.array_equal(slicer.util.arrayFromTransformMatrix(handles), np.eye(4))


def test_a_layout_of_our_own_makes_its_views(host):
    import slicer

    description = """<layout type="horizontal">
      <item splitSize="500"><view class="vtkMRMLViewNode" singletontag="1"/></item>
      <item splitSize="1000"><view class="vtkMRMLSliceNode" singletontag="Image">
      <property name="orientation" action="default">Axial</property></view></item></layout>"""
    manager = slicer.app.layoutManager()
    assert manager.sliceWidget("Image") is None
    layout = manager.layoutLogic().GetLayoutNode()
    layout.AddLayoutDescription(501, description)
    seen = []
    manager.connect("layoutChanged(int)", seen.append)
    layout.SetViewArrangement(501)
    assert seen == [501]
    assert manager.sliceWidget("Image").sliceLogic().GetSliceNode().GetLayoutName() == "Image"
    (_, left), (right_view, right) = manager.hostVisibleViews()
    assert right[2] == pytest.approx(2 * left[2], abs=3)
    assert right_view.window.GetSize() == right[2:]


def test_layout_manager_refuses_what_is_not_documented(host):
    import slicer

    manager = slicer.app.layoutManager()
    with pytest.raises(AttributeError):
        manager.sliceWidgets()
    with pytest.raises(AttributeError):
        manager.activeView = 3
    with pytest.raises(NotImplementedError):
        manager.tableWidget(0)
    with host.failures.expected():
        assert manager.connect("layoutChanging(int)", print) is False


def test_a_stand_in_cannot_define_an_undocumented_name(host):
    from Testing.Host.stand_in import StandIn

    with pytest.raises(TypeError):
        type("Wrong", (StandIn,), {"fly": lambda self: None}, realClass="qMRMLSliceWidget")


def test_render_stands_still_while_paused(host):
    import slicer

    volume = add_cube()
    host.process_events()
    frames = host.view("Red").frames
    with slicer.util.RenderBlocker():
        slicer.util.setSliceViewerLayers(background=volume)
        host.process_events()
        assert host.view("Red").frames == frames
    host.process_events()
    assert host.view("Red").frames == frames + 1


def test_scene_file_round_trip(host, handles, tmp_path):
    import slicer

    matrix = np.eye(4)
    matrix[:3, 3] = 1, 2, 3
    slicer.util.updateTransformMatrixFromArray(handles, matrix)
    host.save_scene(tmp_path / "scene.mrb")
    host.close_scene()
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    host.load_scene(tmp_path / "scene.mrb")
    transform = slicer.util.getNode("TransducerToRas")
    assert np.array_equal(slicer.util.arrayFromTransformMatrix(transform), matrix)
    assert slicer.util.arrayFromVolume(slicer.util.getNode("Cube")).max() == 100


def test_slicer_util_loads_and_saves(host, tmp_path):
    import slicer

    volume = add_cube()
    assert slicer.util.saveNode(volume, str(tmp_path / "cube.nrrd"))
    loaded = slicer.util.loadVolume(str(tmp_path / "cube.nrrd"))
    assert np.array_equal(slicer.util.arrayFromVolume(loaded), slicer.util.arrayFromVolume(volume))
    with pytest.raises(RuntimeError):
        slicer.util.loadVolume(str(tmp_path / "missing.nrrd"))


def test_screenshots_show_the_view(host, tmp_path):
    import slicer

    slicer.util.setSliceViewerLayers(background=add_cube(), fit=True)
    host.screenshot_view("Red", tmp_path / "red.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "red.png").convert("RGB")), host.pixels("Red"))


def test_vtk_errors_are_failures(host):
    with host.failures.expected() as failures:
        host.scene.AddNewNodeByClass("vtkMRMLNoSuchNode")
    assert "VTK" in failures[0]


def test_plot_view_draws_its_chart(host):
    """A steep line leaves dark pixels where it runs, and none before it has a table."""
    import slicer
    import vtk

    scene = slicer.mrmlScene
    node = scene.AddNewNodeByClass("vtkMRMLPlotViewNode", "Plot")
    from Testing.Host.plot_render_view import PlotRenderView

    view = PlotRenderView(node, (200, 200))
    assert view.pixels().min() == 255
    table = scene.AddNewNodeByClass("vtkMRMLTableNode")
    for name in ("x", "y"):
        column = vtk.vtkFloatArray()
        column.SetName(name)
        for value in range(3):
            column.InsertNextValue(value)
        table.AddColumn(column)
    series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode")
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetXColumnName("x")
    series.SetYColumnName("y")
    series.SetColor(1.0, 0.0, 0.0)
    series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode")
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    node.SetPlotChartNodeID(chart.GetID())
    view.renderIfOutdated()
    red, green, blue = view.pixels().astype(int).transpose(2, 0, 1)
    rows, columns = ((red > 200) & (green < 100) & (blue < 100)).nonzero()
    assert len(rows) > 50
    assert columns[rows.argmin()] > columns[rows.argmax()] + 40, "it rises to the right"
    view.close()
