"""From the sample head to the reopened scene, by the real buttons."""

import json

import numpy as np
import slicer
from view_events import clickInSlice, dragIn3D, dragInSlice

PIXEL_MM = 1.5
"""How exactly a click hits, in mm: about a pixel of a slice view that shows a whole head."""


def fromSampleHeadToReopenedScene(story):
    """Head, transducer, live image, slider, handles, line, preset, snapshot, sweep, files, scene."""
    usersLayout = slicer.app.layoutManager().layout
    story.screenshot("1_opened")
    takeSampleHead(story)
    placeTransducer(story)
    moveBySlider(story)
    dragHandles(story)
    placeByLine(story)
    choosePreset(story)
    keepSnapshot(story)
    browser = recordSweep(story)
    exportFiles(story, browser)
    reopenScene(story)
    closeSceneWhileRendering(story)
    slicer.util.selectModule("Data")
    slicer.app.processEvents()
    assert slicer.app.layoutManager().layout == usersLayout, "the user's layout comes back"


def takeSampleHead(story):
    samples = [source.sampleName for source in slicer.modules.sampleDataSources["DiffUS"]]
    assert "DiffUS head (MRI)" in samples, "the Sample Data module offers the head"
    assert not story.ui.addButton.enabled
    story.ui.sampleButton.click()
    story.waitFor(lambda: story.ui.volumeSelector.currentNode() is not None, "the sample head")
    assert story.ui.volumeSelector.currentNode().GetName() == "DiffUS head (MRI)"


def placeTransducer(story):
    pixels = story.waitForImage(story.ui.addButton.click, "New transducer")
    fan = pixels[pixels > 0]
    assert pixels.shape == (512, 512)
    assert fan.size > 0.3 * pixels.size
    assert fan.std() > 10
    assert (fan < 8).mean() > 0.005, "the ventricles are black"
    entry, _target = knownPoints(story)
    assert np.allclose(story.session.transducer.pose()[:3, 3], entry, atol=0.01)
    story.screenshot("2_placed")


def knownPoints(story):
    """Entry and target that came with the sample head, (3,) RAS in mm each."""
    return np.array(json.loads(story.session.parameters.volume.GetAttribute("DiffUS.EntryAndTarget")))


def moveBySlider(story):
    before, pose = story.pixels(), story.session.transducer.pose()
    after = story.waitForImage(lambda: setattr(story.ui.tiltSlider, "value", 10), "tilting")
    tilted = story.session.transducer.pose()
    angle = np.degrees(np.arccos(np.clip(tilted[:3, 1] @ pose[:3, 1], -1, 1)))
    assert abs(angle - 10) < 0.01
    assert np.allclose(tilted[:3, 3], pose[:3, 3], atol=1e-6), "the face stays where it is"
    assert not np.array_equal(after, before)
    story.screenshot("3_tilted")


def dragHandles(story):
    """By the mouse, in a slice view and in the 3D view; the image follows, and Undo goes back."""
    before = story.session.transducer.pose()
    story.waitForImage(
        lambda: dragInSlice("DiffUSReslice", before[:3, 3], before[:3, 3] + 6 * before[:3, 0]),
        "a drag in a slice view",
    )
    moved = story.session.transducer.pose()
    shift = moved[:3, 3] - before[:3, 3]
    assert abs(shift @ before[:3, 0] - 6) < 1.5, f"a drag by 6 mm to the marked side moved it by {shift} mm"
    assert abs(shift @ before[:3, 2]) < 0.5, "it stays in the plane of the view"
    slicer.app.layoutManager().threeDWidget(0).threeDView().resetFocalPoint()
    slicer.app.processEvents()
    story.waitForImage(lambda: dragIn3D(moved[:3, 3], moved[:3, 3] - 10 * before[:3, 0]), "a drag in the 3D view")
    shift = story.session.transducer.pose()[:3, 3] - moved[:3, 3]
    assert shift @ before[:3, 0] < -4, f"a drag in the 3D view moved it by {shift} mm"
    story.screenshot("3_dragged")
    story.waitFor(lambda: story.ui.undoButton.enabled, "Undo")


def placeByLine(story):
    """Draw line, then two clicks in the red view."""
    _entry, target = knownPoints(story)
    red = slicer.app.layoutManager().sliceWidget("Red")
    red.fitSliceToBackground()
    red.mrmlSliceNode().SetSliceOffset(target[2])
    start = target + np.array([0.0, 45.0, 0.0])
    points = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode")
    story.ui.lineButton.click()
    clickInSlice("Red", start)
    story.waitForImage(lambda: clickInSlice("Red", target), "drawing a line")
    line = story.session.parameters.line
    assert line.GetNumberOfDefinedControlPoints() == 2, "both clicks are points of the line"
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == points, "and of nothing else"
    clicked = [np.array(line.GetNthControlPointPositionWorld(index)) for index in (0, 1)]
    assert np.linalg.norm(clicked[0] - start) < PIXEL_MM
    assert np.linalg.norm(clicked[1] - target) < PIXEL_MM
    pose, direction = story.session.transducer.pose(), clicked[1] - clicked[0]
    assert np.allclose(pose[:3, 3], clicked[0], atol=1e-3)
    assert np.allclose(pose[:3, 1], direction / np.linalg.norm(direction), atol=1e-6)
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.ViewTransform
    story.screenshot("3_line")


def choosePreset(story):
    ui, session = story.ui, story.session
    before = story.pixels()
    names = [ui.presetCombo.itemText(index) for index in range(ui.presetCombo.count)]
    other = next(index for index, name in enumerate(names) if "burr" in name.lower())
    after = story.waitForImage(lambda: ui.presetCombo.activated(other), "another preset")
    assert session.parameters.preset == "burr_hole_sector"
    assert session.parameters.probe.kind.value == "sector"
    assert not np.array_equal(after > 0, before > 0), "the fan has another shape"
    louder = story.waitForImage(lambda: setattr(ui.gainSlider, "value", 12), "more gain")
    assert louder[louder > 0].mean() > after[after > 0].mean()


def keepSnapshot(story):
    before = story.pixels()
    story.ui.snapshotButton.click()
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    snapshots = [node for node in volumes if "snapshot" in node.GetName()]
    assert len(snapshots) == 1
    story.waitForImage(lambda: setattr(story.ui.panSlider, "value", 3), "panning")
    assert np.array_equal(slicer.util.arrayFromVolume(snapshots[0])[0], before), "a snapshot stays"


def recordSweep(story):
    """Record three images; returns the sequence browser."""
    story.ui.recordButton.click()
    pixels = [
        story.waitForImage(lambda shift=shift: setattr(story.ui.slideSlider, "value", shift), "sliding")
        for shift in (1, 2, 3)
    ]
    story.ui.recordButton.click()
    browsers = slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode")
    assert len(browsers) == 1
    browser = browsers[0]
    assert browser.GetNumberOfItems() >= len(pixels)
    browser.SetSelectedItemNumber(browser.GetNumberOfItems() - 1)
    slicer.app.processEvents()
    image = browser.GetProxyNode(browser.GetMasterSequenceNode())
    assert np.array_equal(slicer.util.arrayFromVolume(image)[0], pixels[-1])
    assert np.allclose(
        slicer.util.arrayFromTransformMatrix(image.GetParentTransformNode()), story.session.transducer.pose()
    )
    story.screenshot("4_recorded")
    return browser


def exportFiles(story, browser):
    """By the buttons; a path stands in for the file dialog, which would wait for a person."""
    from DiffUSModule.scene.tracked_sweep import loadTrackedSweep

    ui, transducer = story.ui, story.session.transducer
    keep = next(section for section in story.widget.sections if hasattr(section, "recorder"))
    keep._askPath = lambda title, filters: story.path("image.nrrd")
    ui.exportImageButton.click()
    loaded = slicer.util.loadVolume(story.path("image.nrrd"), {"show": False})
    assert np.array_equal(slicer.util.arrayFromVolume(loaded)[0], story.pixels())
    assert np.allclose(worldBounds(loaded), worldBounds(transducer.image), atol=1e-3), "a file lands in its place"
    slicer.mrmlScene.RemoveNode(loaded)
    keep._askPath = lambda title, filters: story.path("sweep.igs.mha")
    ui.exportSweepButton.click()
    story.waitFor(lambda: "sweep.igs.mha" in ui.keepNote.text, "the exported sweep")
    del keep._askPath
    reloaded = loadTrackedSweep(story.path("sweep.igs.mha"))
    assert reloaded.GetNumberOfItems() == browser.GetNumberOfItems()
    first = reloaded.GetProxyNode(reloaded.GetMasterSequenceNode())
    browser.SetSelectedItemNumber(0)
    slicer.app.processEvents()
    recorded = browser.GetProxyNode(browser.GetMasterSequenceNode())
    assert np.array_equal(slicer.util.arrayFromVolume(first), slicer.util.arrayFromVolume(recorded))
    assert np.allclose(worldBounds(first), worldBounds(recorded), atol=0.5), "a reloaded sweep is in its place"


def worldBounds(volume):
    bounds = [0.0] * 6
    volume.GetRASBounds(bounds)
    return bounds


def reopenScene(story):
    """Tomorrow: everything is as it was, the image to the last pixel."""
    ui, session = story.ui, story.session
    pose, pixels, probe = session.transducer.pose(), story.pixels(), session.image.probe
    sweeps = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode")
    assert slicer.util.saveScene(story.path("user_story.mrb"), {})
    slicer.mrmlScene.Clear(0)
    slicer.app.processEvents()
    assert session.transducer is None
    assert ui.volumeSelector.currentNode() is None
    again = story.waitForImage(lambda: slicer.util.loadScene(story.path("user_story.mrb"), {}), "reopening the scene")
    assert ui.volumeSelector.currentNode().GetName() == "DiffUS head (MRI)"
    assert ui.gainSlider.value == 12
    assert session.parameters.preset == "burr_hole_sector"
    assert session.image.probe == probe
    assert np.allclose(session.transducer.pose(), pose)
    assert np.array_equal(again, pixels)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode") == sweeps
    story.screenshot("5_reopened")


def closeSceneWhileRendering(story):
    """An image is under way when the scene closes: nothing breaks, and the module is as at its beginning."""
    story.ui.tiltSlider.value = 3
    slicer.mrmlScene.Clear(0)
    for _turn in range(20):
        slicer.app.processEvents()
    assert story.session.transducer is None
    assert story.ui.volumeSelector.currentNode() is None
    assert not story.ui.addButton.enabled
