"""The module on the headless host, and patients to look at."""

from pathlib import Path

import numpy as np
import pytest

from Testing.Host.fixtures import host, host_of_session

__all__ = ["host", "host_of_session"]

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "DiffUS"
SPHERE_RAS_MM = (10.0, -5.0, 20.0)
SPHERE_RADIUS_MM = 6.0


@pytest.fixture
def widget(host):
    """The module's panel, entered; volumes are CT unless a test says otherwise, and no image is slow."""
    widget = host.load_module(MODULE_FOLDER, "DiffUS")
    widget.session.image.renderer.PREVIEW_ABOVE_S = float("inf")
    widget.ui.modalityCombo.currentIndex = 1
    return widget


def add_ct(name="CT", sphere_ras_mm=SPHERE_RAS_MM, ijk_to_ras=None, shape=(60, 60, 60)):
    """A CT of soft tissue with a bone sphere; 2 mm voxels around the origin unless said otherwise."""
    import slicer

    if ijk_to_ras is None:
        ijk_to_ras = np.diag([2.0, 2.0, 2.0, 1.0])
        ijk_to_ras[:3, 3] = [-(n - 1.0) for n in reversed(shape)]
    k, j, i = np.indices(shape)
    ras = np.stack([i, j, k, np.ones(shape)], -1) @ ijk_to_ras.T
    voxels = np.full(shape, 40, np.int16)
    voxels[np.linalg.norm(ras[..., :3] - np.array(sphere_ras_mm), axis=-1) < SPHERE_RADIUS_MM] = 1200
    node = slicer.util.addVolumeFromArray(voxels, ijk_to_ras, name)
    node.CreateDefaultDisplayNodes()
    return node


def place(widget, entry_ras_mm, target_ras_mm):
    """Place the transducer by entry and target, as a script would."""
    from DiffUSLib import look_at

    pose = look_at(entry_ras_mm, target_ras_mm).numpy()
    widget.session.errands.withMaps(lambda: widget.session.actions.setPose(pose))


def image_of(widget):
    """(H, W) uint8 of the live image."""
    import slicer

    return slicer.util.arrayFromVolume(widget.session.transducer.image)[0]


class Images:
    """Counts the images that arrive."""

    def __init__(self, widget):
        self.count = 0
        widget.session.image.shown.connect(self._more)

    def _more(self, pixels, pose):
        self.count += 1


def wait_for_image(host, widget, action):
    """Do something that must lead to a new image, and wait for the last one that comes of it."""
    images = Images(widget)
    action()
    host.wait_until(lambda: images.count > 0 and widget.session.image.renderer.isIdle, 60)


@pytest.fixture
def placed(host, widget):
    """The module with a CT; the transducer 40 mm above the middle of the bone sphere, looking straight down."""
    widget.logic.getParameterNode().volume = add_ct()
    x, y, z = SPHERE_RAS_MM
    wait_for_image(host, widget, lambda: place(widget, (x, y, z + 40), (x, y, z)))
    return widget


def add_bent_transform():
    """A transform node that bends space."""
    import slicer
    import vtk

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Bent")
    spline = vtk.vtkThinPlateSplineTransform()
    points = [vtk.vtkPoints(), vtk.vtkPoints()]
    for x, y, z in ((0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50), (20, 20, 20)):
        points[0].InsertNextPoint(x, y, z)
        points[1].InsertNextPoint(x + 0.1 * y, y, z + 0.002 * x * x)
    spline.SetSourceLandmarks(points[0])
    spline.SetTargetLandmarks(points[1])
    spline.SetBasisToR()
    node.SetAndObserveTransformToParent(spline)
    return node
