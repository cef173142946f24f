"""A sweep made on the spot, displaced as by a wrong tracking, aligned, accepted and reverted, by the real buttons."""

import numpy as np
import slicer
import vtk
from image_story import placeTransducer, takeSampleHead

TILTS_DEG = (-12, -6, 0, 6, 12)
SHIFT_MM, TURN_DEG = (4.0, -3.0, 3.0), 3.0
ALIGNED_MM = 2.0
"""Largest error of a corner of an image that counts as aligned."""


def alignDisplacedSweep(story):
    """Record, displace, align, look before and after, accept, report, find brain shift, revert."""
    slicer.mrmlScene.Clear(0)
    slicer.app.processEvents()
    takeSampleHead(story)
    placeTransducer(story)
    browser = recordTiltedSweep(story)
    truth = places(browser)
    error = displace(browser)
    wrong = slicer.util.arrayFromTransformMatrix(error)
    displaced = places(browser)
    assert distance(displaced, truth) > 4
    chooseUltrasound(story, browser)
    align(story)
    assert distance(places(browser), truth) < ALIGNED_MM, "the correction takes the displacement back"
    assert len(corrections()) == 1
    assert np.array_equal(slicer.util.arrayFromTransformMatrix(error), wrong), "the tracking is untouched"
    story.screenshot("7_aligned")
    story.ui.beforeAfterButton.click()
    assert distance(places(browser), displaced) < 1e-6, "Show before"
    story.ui.beforeAfterButton.click()
    assert distance(places(browser), truth) < ALIGNED_MM, "Show after"
    story.ui.reportButton.click()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode") >= 1
    story.ui.acceptButton.click()
    assert len(corrections()) == 1, "an accepted correction stays"
    assert not story.ui.acceptButton.enabled
    story.screenshot("8_accepted")
    findBrainShift(story)
    story.ui.revertButton.click()
    assert not corrections(), "Revert takes it out again"
    assert distance(places(browser), displaced) < 1e-6


def recordTiltedSweep(story):
    """Record one image for each tilt; returns the sequence browser."""
    story.ui.recordButton.click()
    for tilt in TILTS_DEG:
        story.waitForImage(lambda tilt=tilt: setattr(story.ui.tiltSlider, "value", tilt or 0.5), "tilting")
    story.ui.recordButton.click()
    story.ui.liveButton.checked = False
    browsers = slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode")
    assert len(browsers) == 1
    assert browsers[0].GetNumberOfItems() >= len(TILTS_DEG)
    return browsers[0]


def displace(browser):
    """Hang the sweep under a transform that is wrong, as after brain shift; returns the transform node."""
    error = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Displacement")
    middle = places(browser).mean(axis=(0, 1))
    transform = vtk.vtkTransform()
    transform.Translate(*(middle + np.array(SHIFT_MM)))
    transform.RotateWXYZ(TURN_DEG, 0.6, 0.0, 0.8)
    transform.Translate(*-middle)
    error.SetMatrixTransformToParent(transform.GetMatrix())
    imageOf(browser).GetParentTransformNode().SetAndObserveTransformNodeID(error.GetID())
    return error


def imageOf(browser):
    return browser.GetProxyNode(browser.GetMasterSequenceNode())


def places(browser):
    """(N, 12, 3) RAS in mm of points all over the fan of every image."""
    points = []
    for number in range(browser.GetNumberOfItems()):
        browser.SetSelectedItemNumber(number)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
        image = imageOf(browser)
        matrix = vtk.vtkMatrix4x4()
        image.GetIJKToRASMatrix(matrix)
        toWorld = slicer.util.arrayFromTransformMatrix(image.GetParentTransformNode(), toWorld=True)
        columns, rows = image.GetImageData().GetDimensions()[:2]
        pixels = np.array([[x * columns, y * rows, 0, 1] for x in (0.35, 0.5, 0.65) for y in (0.2, 0.4, 0.6, 0.8)])
        points.append((pixels @ (toWorld @ slicer.util.arrayFromVTKMatrix(matrix)).T)[:, :3])
    return np.array(points)


def distance(first, second):
    """Mean distance of corresponding points in mm, as the target error of a registration."""
    return np.linalg.norm(first - second, axis=-1).mean()


def corrections():
    """Transforms that an alignment put into the scene."""
    transforms = slicer.util.getNodesByClass("vtkMRMLLinearTransformNode")
    return [node for node in transforms if node.GetAttribute("DiffUS.Role") == "DiffUS.Correction"]


def chooseUltrasound(story, browser):
    ui = story.ui
    for section in (ui.volumeSection, ui.transducerSection, ui.imageSection):
        section.collapsed = True
    ui.alignSection.collapsed = False
    ui.ultrasoundSelector.setCurrentNode(browser)
    story.waitFor(lambda: ui.fanNote.text and "Looking" not in ui.fanNote.text, "the fan")
    assert "Displacement" in ui.alignChain.text, "the panel names the chain of transforms"
    assert ui.alignButton.enabled
    story.screenshot("6_fan_found")


def align(story):
    ui = story.ui
    ui.alignPreset.currentIndex = 0
    ui.alignButton.click()
    story.waitFor(lambda: ui.alignButton.text == "Cancel", "the beginning of the alignment")
    story.waitFor(lambda: ui.alignButton.text == "Align", "the end of the alignment")
    assert ui.acceptButton.enabled, f"verdict: {ui.alignVerdict.text!r}, panel: {ui.messageLabel.text!r}"
    assert ui.alignVerdict.text
    assert ui.alignFigures.text


def findBrainShift(story):
    """Search, look at the map of the error, and take everything out again."""
    ui = story.ui
    ui.brainShiftSection.collapsed = False
    ui.shiftButton.click()
    story.waitFor(lambda: ui.shiftButton.text == "Cancel", "the beginning of the search for brain shift")
    story.waitFor(lambda: ui.shiftButton.text != "Cancel", "the end of the search for brain shift")
    assert ui.shiftSentences.text, f"panel: {ui.messageLabel.text!r}"
    ui.shiftMapCheckBox.checked = True
    story.screenshot("9_brain_shift")
    ui.shiftRevertButton.click()
    nodes = slicer.util.getNodesByClass("vtkMRMLStorableNode")
    assert not [node.GetName() for node in nodes if node.GetAttribute("DiffUS.BrainShift")], "Revert takes it out"
    ui.alignSection.collapsed = False
