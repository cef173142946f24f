"""The live image shows what is under the probe, where it is."""

import numpy as np
import pytest

from Testing.Module.conftest import SPHERE_RADIUS_MM, SPHERE_RAS_MM, add_ct, image_of, place, wait_for_image


def ras_of_pixel(image_node, column, row):
    """World position of a pixel, by the MRML node alone."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    image_node.GetIJKToRASMatrix(matrix)
    to_world = slicer.util.arrayFromTransformMatrix(image_node.GetParentTransformNode(), toWorld=True)
    return (to_world @ slicer.util.arrayFromVTKMatrix(matrix) @ [column, row, 0, 1])[:3]


def first_bright_depth_mm(widget):
    """Depth below the face of the strongest echo on the central scan line, away from the near field."""
    session = widget.session
    pixels = image_of(widget).astype(float)
    node = session.transducer.image
    middle = pixels.shape[1] // 2
    center = pixels[:, middle - 3 : middle + 4].mean(axis=1)
    pose = session.transducer.pose()
    depth = np.array([(np.linalg.inv(pose) @ [*ras_of_pixel(node, middle, row), 1])[1] for row in range(len(center))])
    center[depth < 10] = 0
    return depth[center.argmax()]


@pytest.mark.slow
def test_bone_sphere_shows_at_its_depth_and_casts_a_shadow(placed):
    expected = 40.0 - SPHERE_RADIUS_MM
    assert first_bright_depth_mm(placed) == pytest.approx(expected, abs=2.0)  # voxels of 2 mm
    pixels = image_of(placed).astype(float)
    height, middle = pixels.shape[0], pixels.shape[1] // 2
    below, beside = pixels[int(0.8 * height), middle], pixels[int(0.8 * height), int(0.25 * pixels.shape[1])]
    assert below < 0.5 * beside


def test_image_follows_the_transducer(host, placed):
    import slicer

    transform = placed.session.transducer.transform
    matrix = slicer.util.arrayFromTransformMatrix(transform)
    matrix[2, 3] += 10
    wait_for_image(host, placed, lambda: slicer.util.updateTransformMatrixFromArray(transform, matrix))
    assert first_bright_depth_mm(placed) == pytest.approx(50.0 - SPHERE_RADIUS_MM, abs=2.0)


def test_image_is_right_under_a_parent_transform(host, placed):
    """A parent that moves patient and transducer together changes nothing; one that moves the patient alone does."""
    import slicer

    before = image_of(placed).copy()
    parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Moved")
    matrix = np.array([[0, -1, 0, 30], [1, 0, 0, -20], [0, 0, 1, 12], [0, 0, 0, 1.0]])
    slicer.util.updateTransformMatrixFromArray(parent, matrix)
    volume = placed.logic.getParameterNode().volume

    def move_both():
        volume.SetAndObserveTransformNodeID(parent.GetID())
        placed.session.transducer.transform.SetAndObserveTransformNodeID(parent.GetID())

    wait_for_image(host, placed, move_both)
    host.process_events(0.1)
    difference = np.abs(image_of(placed).astype(float) - before)[before > 0]
    assert first_bright_depth_mm(placed) == pytest.approx(40.0 - SPHERE_RADIUS_MM, abs=2.0)
    assert difference.mean() < 40  # speckle stays with the world, not with the patient
    shifted = matrix.copy()
    shifted[2, 3] -= 8
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Patient alone")
    slicer.util.updateTransformMatrixFromArray(other, shifted)
    wait_for_image(host, placed, lambda: volume.SetAndObserveTransformNodeID(other.GetID()))
    assert first_bright_depth_mm(placed) == pytest.approx(48.0 - SPHERE_RADIUS_MM, abs=2.0)


def test_oblique_anisotropic_volume(host, widget):
    """The sphere is found where it is in RAS, whatever the grid."""
    angle = np.radians(25)
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3, :3] = rotation @ np.diag([1.5, -2.0, 3.0])
    shape = (40, 60, 80)
    center = np.array([40, 30, 20])
    ijk_to_ras[:3, 3] = np.array(SPHERE_RAS_MM) - ijk_to_ras[:3, :3] @ center
    widget.logic.getParameterNode().volume = add_ct(ijk_to_ras=ijk_to_ras, shape=shape)
    x, y, z = SPHERE_RAS_MM
    wait_for_image(host, widget, lambda: place(widget, (x + 40, y, z), (x, y, z)))
    assert first_bright_depth_mm(widget) == pytest.approx(40.0 - SPHERE_RADIUS_MM, abs=2.5)


def test_image_plane_is_upright_and_fits_in_its_view(host, placed):
    """In the live image view the face is above the deepest echo, and the whole fan is in the view."""
    host.process_events(0.1)
    view = host.view("DiffUSImage")
    pose = placed.session.transducer.pose()
    left, right, top, bottom = placed.session.image.probe.extent_mm()
    width, height = view.window.GetSize()
    for x, y in ((left, top), (right, top), (left, bottom), (right, bottom)):
        column, row = view.rasToDisplay((pose @ [x, y, 0, 1])[:3])
        assert 0 <= column <= width
        assert 0 <= row <= height
    face, deep = (view.rasToDisplay((pose @ [0, y, 0, 1])[:3]) for y in (0, bottom))
    marked = view.rasToDisplay((pose @ [10, 0, 0, 1])[:3])
    assert face[1] > deep[1]
    assert marked[0] > face[0]


def test_view_pixels_show_the_image(host, placed):
    """What the slice view draws at a pixel of the fan is the gray of the image there."""
    host.process_events(0.1)
    pixels, view = host.pixels("DiffUSImage"), host.view("DiffUSImage")
    image, node = image_of(placed), placed.session.transducer.image
    shown, expected = [], []
    for column, row in ((256, 200), (256, 220), (200, 300), (300, 300), (256, 400)):
        x, y = view.rasToDisplay(ras_of_pixel(node, column, row))
        y = pixels.shape[0] - 1 - y
        shown.append(pixels[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3, 0].mean())
        expected.append(image[row - 3 : row + 4, column - 3 : column + 4].mean())
    assert np.allclose(shown, expected, atol=12)


def test_gain_brightens_and_paper_look_differs(host, placed):
    mean = image_of(placed).mean()
    wait_for_image(host, placed, lambda: setattr(placed.ui.gainSlider, "value", 12))
    assert image_of(placed).mean() > mean + 5
    bright = image_of(placed).copy()
    wait_for_image(host, placed, lambda: setattr(placed.ui.lookCombo, "currentIndex", 1))
    assert not np.array_equal(image_of(placed), bright)
    assert not placed.ui.gainSlider.enabled


def test_dynamic_range_and_time_gain_are_the_looks_unless_set_by_hand(host, placed):
    """The same pose rendered by the library's own defaults, then with the panel's values."""
    import torch

    from DiffUSLib import Renderer, look

    def rendered(**changes):
        session = placed.session
        settings = look("clinical", samples=200, **changes)
        image = Renderer(session.patient.maps, session.image.probe, settings)(
            torch.from_numpy(session.transducer.pose().copy())
        )
        return ((image.image[0] * 254 + 1) * image.mask).round().numpy()

    ui = placed.ui
    assert np.abs(image_of(placed) - rendered()).max() <= 1
    assert not ui.dynamicRangeSlider.enabled
    assert not ui.timeGainSlider.enabled
    ui.dynamicRangeSlider.value = 45
    ui.timeGainSlider.value = 0.2
    assert np.abs(image_of(placed) - rendered()).max() <= 1
    wait_for_image(host, placed, ui.scaleByHandCheckBox.click)
    assert ui.timeGainSlider.enabled
    assert np.abs(image_of(placed) - rendered(dynamic_range_db=45.0, tgc_db_cm_mhz=0.2)).max() <= 1


def test_frozen_image_stays(host, placed):
    import slicer

    placed.ui.liveButton.click()
    before = image_of(placed).copy()
    transform = placed.session.transducer.transform
    matrix = slicer.util.arrayFromTransformMatrix(transform)
    matrix[0, 3] += 15
    slicer.util.updateTransformMatrixFromArray(transform, matrix)
    host.process_events(0.2)
    assert np.array_equal(image_of(placed), before)
    wait_for_image(host, placed, placed.ui.liveButton.click)
    assert not np.array_equal(image_of(placed), before)


def test_newest_pose_wins(host, placed):
    """A hundred poses in one turn of the event loop make one image, of the last pose."""
    import slicer

    from Testing.Module.conftest import Images

    images = Images(placed)
    transform = placed.session.transducer.transform
    matrix = slicer.util.arrayFromTransformMatrix(transform)

    def move():
        for _ in range(100):
            matrix[2, 3] += 0.1
            slicer.util.updateTransformMatrixFromArray(transform, matrix)

    wait_for_image(host, placed, move)
    assert images.count == 1
    assert first_bright_depth_mm(placed) == pytest.approx(50.0 - SPHERE_RADIUS_MM, abs=2.0)


def test_impedance_is_a_volume_with_a_color_bar(host, placed):
    """Bone is harder than soft tissue, at the voxels of the CT; the live image keeps its view."""
    import slicer

    ct = placed.session.parameters.volume
    placed.ui.impedanceButton.click()
    node = ct.GetNodeReference("DiffUS.Impedance")
    impedance, hounsfield = slicer.util.arrayFromVolume(node), slicer.util.arrayFromVolume(ct)
    assert impedance[hounsfield > 1000].min() > 3.0
    assert impedance[hounsfield == 40].max() < 2.0
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(node)
    assert legend.GetVisibility()
    host.process_events(0.1)
    for view, isShown in (("Red", True), ("DiffUSReslice", True), ("DiffUSImage", False)):
        manager = host.view(view).displayableManager("vtkMRMLColorLegendDisplayableManager")
        assert bool(manager.GetColorLegendActor(legend).GetVisibility()) is isShown, view
    manager = slicer.app.layoutManager()
    assert manager.sliceWidget("Red").mrmlSliceCompositeNode().GetBackgroundVolumeID() == node.GetID()
    image = placed.session.transducer.image
    assert manager.sliceWidget("DiffUSImage").mrmlSliceCompositeNode().GetBackgroundVolumeID() == image.GetID()
    host.process_events(0.1)
    placed.ui.impedanceButton.click()
    assert not legend.GetVisibility()
    assert manager.sliceWidget("Red").mrmlSliceCompositeNode().GetBackgroundVolumeID() == ct.GetID()


def test_impedance_follows_its_volume(host, placed):
    """It goes where the volume goes, changes with its voxels, and ends with the choice of another volume."""
    import slicer

    ct = placed.session.parameters.volume
    placed.ui.impedanceButton.click()
    node = ct.GetNodeReference("DiffUS.Impedance")
    moved = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Moved")
    slicer.util.updateTransformMatrixFromArray(
        moved, np.array([[1.0, 0, 0, 7], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    )
    origin = np.array(node.GetOrigin())
    wait_for_image(host, placed, lambda: ct.SetAndObserveTransformNodeID(moved.GetID()))
    assert np.array(node.GetOrigin()) - origin == pytest.approx([7, 0, 0])
    voxels = slicer.util.arrayFromVolume(ct)
    voxels[voxels == 1200] = 40
    voxels[0, 0, 0] = 60
    wait_for_image(host, placed, lambda: slicer.util.arrayFromVolumeModified(ct))
    assert slicer.util.arrayFromVolume(node).max() < 2
    wait_for_image(host, placed, lambda: placed.ui.volumeSelector.setCurrentNode(add_ct("Other")))
    assert not placed.ui.impedanceButton.checked
    assert not slicer.modules.colors.logic().GetColorLegendDisplayNode(node).GetVisibility()


def test_what_the_module_made_is_not_offered_as_a_patient(host, placed):
    """Live image and impedance are no patients; a snapshot may be looked at, whatever its use."""
    placed.ui.impedanceButton.click()
    host.process_events()
    selector = placed.ui.volumeSelector
    assert selector.nodeCount() == 1
    assert selector.currentNode().GetName() == "CT"
    placed.ui.snapshotButton.click()
    host.process_events()
    assert selector.nodeCount() == 2


def test_every_setting_of_the_image_changes_it(host, placed):
    before = image_of(placed).copy()
    changes = (
        ("scaleByHandCheckBox", "checked", True), ("dynamicRangeSlider", "value", 45),
        ("timeGainSlider", "value", 0.2), ("speckleCheckBox", "checked", False),
        ("propagationCombo", "currentIndex", 2), ("beamPlanesSpinBox", "value", 3), ("detailCombo", "currentIndex", 1),
        ("frequencySlider", "value", 4.0), ("fieldOfViewSlider", "value", 50),
    )  # fmt: skip
    for name, attribute, value in changes:
        wait_for_image(
            host, placed, lambda name=name, to=attribute, value=value: setattr(getattr(placed.ui, name), to, value)
        )
        assert not np.array_equal(image_of(placed), before), name
        before = image_of(placed).copy()
    placed.session.image.renderer.framesPerSecond = lambda: 12.3
    wait_for_image(host, placed, lambda: setattr(placed.ui.gainSlider, "value", 3))
    assert placed.ui.rateLabel.text == "12 images/s"


def test_depth_of_the_fan_is_the_depth_of_image_and_outline(host, placed):
    import slicer

    wait_for_image(host, placed, lambda: setattr(placed.ui.depthSlider, "value", 110))
    pose, node = placed.session.transducer.pose(), placed.session.transducer.image
    pixels = image_of(placed)
    row = np.flatnonzero(pixels[:, pixels.shape[1] // 2])[-1]
    deepest = np.linalg.inv(pose) @ [*ras_of_pixel(node, pixels.shape[1] // 2, row), 1]
    assert deepest[1] == pytest.approx(110, abs=0.5)
    outline = slicer.util.arrayFromModelPoints(placed.session.transducer.outline)
    assert outline[:, 1].max() == pytest.approx(110, abs=0.5)


def test_fade_goes_from_volume_to_image(host, placed):
    """In the reslice view the gray at a place of the fan goes from the CT's to the image's."""
    host.process_events(0.1)
    node, view = placed.session.transducer.image, host.view("DiffUSReslice")
    shown = []
    for value in (0.0, 0.5, 1.0):
        placed.ui.overlaySlider.value = value
        host.process_events(0.1)
        pixels = host.pixels("DiffUSReslice")
        x, y = view.rasToDisplay(ras_of_pixel(node, 200, 300))
        y = pixels.shape[0] - 1 - y
        shown.append(float(pixels[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3].mean()))
    assert shown[2] == pytest.approx(image_of(placed)[297:304, 197:204].mean(), abs=12)
    assert shown[1] == pytest.approx((shown[0] + shown[2]) / 2, abs=3)
    assert abs(shown[0] - shown[2]) > 5


def test_image_stands_in_the_3d_view_and_the_cursor_is_linked(host, placed):
    import slicer

    host.process_events(0.1)
    slice_node = slicer.app.layoutManager().sliceWidget("DiffUSImage").mrmlSliceNode()
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    assert crosshair.GetCrosshairMode() != slicer.vtkMRMLCrosshairNode.NoCrosshair
    with_image = host.pixels("1").astype(int)
    slice_node.SetSliceVisible(False)
    host.process_events(0.1)
    changed = np.abs(host.pixels("1").astype(int) - with_image).max(axis=-1) > 20
    assert changed.mean() > 0.005
    host.leave_module()
    assert crosshair.GetCrosshairMode() == slicer.vtkMRMLCrosshairNode.NoCrosshair
