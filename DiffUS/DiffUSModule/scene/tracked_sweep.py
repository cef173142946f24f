"""Tracked ultrasound of a file as nodes: a sweep that plays in its place in the patient."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from .sweep_browser import addSweepBrowser, imageOf, poseOf

FRAMES_ROLE = "DiffUS.Frames"
PATIENT_ROLE = "DiffUS.ReferenceToRas"
FRAMES_COLOR = (0.35, 0.75, 0.95)
THICKNESS_MM = 1.0
"""Of an image in the scene: slice views show it as soon as they are this near to its plane."""


@dataclass(frozen=True)
class TrackedSweep:
    """The valid frames of a file.

    Attributes:
        name: of the file, without its ending.
        images: (N, H, W) uint8, upright.
        poses: (N, 4, 4), DiffUSLib's probe_to_reference of these frames.
        times: (N,) seconds; NaN where the file has none.
        links: DiffUSLib's TrackedLinks.
    """

    name: str
    images: np.ndarray
    poses: np.ndarray
    times: np.ndarray
    links: Any


def sweepAndCalibration(paths):
    """(path of the sweep, path of its calibration or None) of the files that a person chose together.

    Raises:
        DiffUSError: if they are not one sweep and at most one calibration.
    """
    from DiffUSLib import DiffUSError

    calibrations = [path for path in paths if path.lower().endswith(".xml")]
    sweeps = [path for path in paths if path not in calibrations]
    if len(sweeps) != 1 or len(calibrations) > 1:
        raise DiffUSError(_("Choose one sweep (.mha or .nrrd) and, if it needs one, one calibration (.xml) with it."))
    return sweeps[0], calibrations[0] if calibrations else None


def readTrackedSweep(path, calibrationPath=None):
    """Read a tracked sequence; touches no node, so it may run in a thread.

    Args:
        path: .igs.mha or .igs.nrrd file.
        calibrationPath: PLUS device set (XML) with the links that the file lacks, such as ImageToProbe.

    Returns:
        TrackedSweep

    Raises:
        DiffUSError: if a file cannot be read, a link or the pixel size is missing, or no frame is valid.
    """
    from DiffUSLib import read_calibration, read_tracked_frames, tracked_links

    tracked = read_tracked_frames(path)
    links = tracked_links(tracked, read_calibration(calibrationPath) if calibrationPath else None)
    valid = links.valid
    return TrackedSweep(
        os.path.basename(str(path)).split(".")[0],
        tracked.images[valid].numpy(),
        links.probe_to_reference[valid].numpy(),
        tracked.timestamps_s[valid].numpy(),
        links,
    )


def addTrackedSweep(sweep):
    """Add a TrackedSweep to the scene, in one folder of the subject hierarchy.

    The image hangs under ImageToProbe (where the file has a calibration), that under the tracked ProbeToReference, and
    that under ReferenceToRas: a place for a registration, the identity unless the file holds one. The outlines of all
    frames are one model.

    Returns:
        the vtkMRMLSequenceBrowserNode; its description says how many frames it has and what was left out.
    """
    links, name = sweep.links, slicer.mrmlScene.GenerateUniqueName(sweep.name)
    ijkToImage = np.diag([*links.pixel_spacing_mm, THICKNESS_MM, 1.0])
    browser = addSweepBrowser(name, sweep.images, ijkToImage, sweep.poses, sweep.times)
    image, pose = imageOf(browser), poseOf(browser)
    pose.SetName(f"{name} {links.probe}To{links.reference}")
    patient = _addTransform(f"{name} {links.reference}ToRas", links.reference_to_ras.numpy())
    pose.SetAndObserveTransformNodeID(patient.GetID())
    frames = _addOutlines(f"{name} {_('frames')}", _outlines(sweep))
    frames.SetAndObserveTransformNodeID(patient.GetID())
    nodes = [patient, pose, image, frames]
    if links.probe != "Image":
        calibration = _addTransform(f"{name} ImageTo{links.probe}", links.image_to_probe.numpy())
        calibration.SetAndObserveTransformNodeID(pose.GetID())
        image.SetAndObserveTransformNodeID(calibration.GetID())
        nodes.insert(2, calibration)
    browser.SetNodeReferenceID(FRAMES_ROLE, frames.GetID())
    browser.SetNodeReferenceID(PATIENT_ROLE, patient.GetID())
    count = _("{count} frames.").format(count=len(sweep.images))
    browser.SetDescription(" ".join([count, *links.notes]))
    _putInFolder(name, nodes)
    if slicer.app.layoutManager() is not None:
        slicer.app.layoutManager().resetThreeDViews()  # a sweep may stand far from what the views show
    return browser


def loadTrackedSweep(path, calibrationPath=None):
    """Read a tracked sequence into the scene; see readTrackedSweep and addTrackedSweep."""
    return addTrackedSweep(readTrackedSweep(path, calibrationPath))


def _addTransform(name, matrix):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    slicer.util.updateTransformMatrixFromArray(node, matrix)
    return node


def _outlines(sweep):
    """(N, 4, 3) centers of the corner pixels in the Reference frame, in mm."""
    links, (height, width) = sweep.links, sweep.images.shape[1:]
    columns, rows = np.array([0, width - 1, width - 1, 0]), np.array([0, 0, height - 1, height - 1])
    x, y = links.pixel_spacing_mm
    corners = np.stack([columns * x, rows * y, np.zeros(4), np.ones(4)])
    return (sweep.poses @ links.image_to_probe.numpy() @ corners)[:, :3].transpose(0, 2, 1)


def _addOutlines(name, outlines):
    """A model of one closed line for each outline."""
    points, lines = vtk.vtkPoints(), vtk.vtkCellArray()
    for outline in outlines:
        first = points.GetNumberOfPoints()
        for point in outline:
            points.InsertNextPoint(*point)
        lines.InsertNextCell(5)
        for index in (0, 1, 2, 3, 0):
            lines.InsertCellPoint(first + index)
    polyData = vtk.vtkPolyData()
    polyData.SetPoints(points)
    polyData.SetLines(lines)
    model = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", name)
    model.SetAndObservePolyData(polyData)
    model.CreateDefaultDisplayNodes()
    display = model.GetDisplayNode()
    display.SetColor(*FRAMES_COLOR)
    display.SetLineWidth(1)
    display.SetLighting(False)
    display.SetOpacity(0.6)
    display.SetVisibility2D(False)
    return model


def _putInFolder(name, nodes):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), name)
    for node in nodes:
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), folder)
