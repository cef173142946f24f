"""Simulated tracked ultrasound of the MNI152 head in the scene, standing wrong by a known error."""

from dataclasses import replace

import numpy as np
import pytest

from Testing.Module.conftest import MODULE_FOLDER

CASE_SEED, SLICES = 3, 3
FIELD_OF_VIEW_DEG, RADIUS_MM, DEPTH_MM = 70.0, 12.0, 80.0
STATE_TIMEOUT_S = 120


@pytest.fixture(scope="session")
def case():
    """The simulator's Case: images, and where they were taken."""
    pytest.importorskip("nilearn", reason="nilearn, whose MNI152 head is scanned, is not installed")
    from DiffUSLib.simulator.cases import make_case

    return make_case(CASE_SEED, SLICES, "T2")


@pytest.fixture(scope="session")
def error(case):
    """(4, 4) RAS: how wrong the tracking is."""
    from DiffUSLib.simulator.cases import perturbation

    return perturbation(np.random.default_rng(5), middle_of(case), 8.0, 8.0)


def middle_of(case):
    """(3,) RAS middle of all fans."""
    return (case.true @ [0.0, 0.55 * DEPTH_MM, 0.0, 1.0])[:, :3].mean(0)


@pytest.fixture(scope="session")
def maps_of_head():
    """Acoustic maps of the head, computed once."""
    from DiffUSLib.evaluation.anatomies import patient

    return patient("mni").maps


@pytest.fixture
def prepared(host, case, maps_of_head, monkeypatch):
    """The module with the head, whose maps need no time, and a short search; the section is open."""
    widget = host.load_module(MODULE_FOLDER, "DiffUS")
    import sys

    from DiffUSLib.registration import PRESETS

    monkeypatch.setattr(sys.modules["DiffUSModule.live.patient"], "computeMaps", lambda *arguments: maps_of_head)
    monkeypatch.setitem(PRESETS, "quick", replace(PRESETS["quick"], starts=16, climbed=2, refined=1))
    return opened(host, widget)


def opened(host, widget):
    """With the head chosen, and the section open."""
    widget.logic.getParameterNode().volume = add_head()
    widget.ui.alignSection.collapsed = False
    host.process_events()
    return widget


def add_head():
    """The MNI152 head as volume node."""
    import slicer

    from DiffUSLib.simulator.anatomy import mni152

    head = mni152()
    return slicer.util.addVolumeFromArray(np.ascontiguousarray(head.seen.transpose(2, 1, 0)), head.affine, "MNI152")


def add_sweep(images, image_to_transducer, poses, name="Sweep"):
    """A sequence browser with images and poses of the transducer, the image under its pose, by Slicer's classes."""
    import slicer

    scene = slicer.mrmlScene
    image_sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", f"{name} image")
    pose_sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", f"{name} TransducerToReference")
    volume, transform = slicer.vtkMRMLScalarVolumeNode(), slicer.vtkMRMLLinearTransformNode()
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(image_to_transducer))
    for number, (pixels, pose) in enumerate(zip(images, poses, strict=True)):
        slicer.util.updateVolumeFromArray(volume, pixels[None])
        slicer.util.updateTransformMatrixFromArray(transform, pose)
        image_sequence.SetDataNodeAtValue(volume, str(number))
        pose_sequence.SetDataNodeAtValue(transform, str(number))
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", name)
    browser.SetAndObserveMasterSequenceNodeID(image_sequence.GetID())
    browser.AddSynchronizedSequenceNode(pose_sequence)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    browser.GetProxyNode(image_sequence).SetAndObserveTransformNodeID(browser.GetProxyNode(pose_sequence).GetID())
    return browser


def add_case(case, error):
    """The sweep of a case, standing wrong."""
    return add_sweep(case.images, case.image_to_transducer, error @ case.tracked)


def image_of(browser):
    """The image node that a browser plays."""
    return browser.GetProxyNode(browser.GetMasterSequenceNode())


def place_of(image):
    """(4, 4) array: where an image stands, pixels to RAS."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    image.GetIJKToRASMatrix(matrix)
    own = slicer.util.arrayFromVTKMatrix(matrix)
    parent = image.GetParentTransformNode()
    return own if parent is None else slicer.util.arrayFromTransformMatrix(parent, toWorld=True) @ own


def node_ids():
    """IDs of all nodes that a user can see."""
    import slicer

    nodes = [slicer.mrmlScene.GetNthNode(index) for index in range(slicer.mrmlScene.GetNumberOfNodes())]
    return {node.GetID() for node in nodes if not node.GetHideFromEditors() and not node.IsA("vtkMRMLDisplayNode")}


def choose(host, widget, node):
    """Choose the ultrasound in the panel and wait until its fan was looked for."""
    widget.ui.ultrasoundSelector.setCurrentNode(node)
    host.wait_until(lambda: "Looking" not in widget.ui.fanNote.text, 60)
    host.process_events()


def section_of(widget):
    """The panel's section object."""
    return next(section for section in widget.sections if hasattr(section, "run"))


def state_of(widget):
    return section_of(widget).run.state.value


def align(host, widget):
    """Press the button and wait for the end."""
    widget.ui.alignButton.click()
    host.wait_until(lambda: state_of(widget) not in ("waiting", "running"), STATE_TIMEOUT_S)


def wait_for_thread(host, widget):
    """Wait until no thread works."""
    task = section_of(widget).run._task
    host.wait_until(lambda: task is None or not task.isRunning, 60)
