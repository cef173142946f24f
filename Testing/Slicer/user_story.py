"""The user's story in a real Slicer, unattended.

    Slicer --no-splash --additional-module-paths <repository>/DiffUS --python-script user_story.py <output folder>

Do not pass --testing: Slicer would quit before any timer fires. Writes screenshots of the whole window and
user_story.mrb to the folder; ends Slicer with exit code 0, or 1 if an assertion failed.
"""

import os
import sys
import time
import traceback

import qt
import slicer

WAIT_SECONDS = 120


def waitFor(condition, what):
    """Let Slicer work until the condition holds."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        slicer.app.processEvents()


def screenshot(folder, name):
    """The whole main window as PNG."""
    slicer.app.processEvents()
    slicer.util.mainWindow().grab().save(os.path.join(folder, f"{name}.png"))


def imageOf(session):
    return slicer.util.arrayFromVolume(session.transducer.image)[0]


def story(folder):
    """From the sample head to the reopened scene."""
    import numpy as np

    slicer.util.mainWindow().resize(1920, 1080)
    slicer.util.selectModule("DiffUS")
    widget = slicer.modules.DiffUSWidget
    ui, session = widget.ui, widget.session
    usersLayout = slicer.app.layoutManager().layout
    screenshot(folder, "1_opened")

    ui.sampleButton.click()
    waitFor(lambda: session.parameters.volume is not None, "the sample head")
    ui.addButton.click()
    waitFor(lambda: session.transducer is not None and imageOf(session).shape[1] > 8, "the first image")
    assert imageOf(session).shape == (512, 512)
    assert imageOf(session).std() > 10
    slicer.app.layoutManager().threeDWidget(0).threeDView().resetFocalPoint()
    screenshot(folder, "2_placed")

    before = imageOf(session).copy()
    ui.tiltSlider.value = 10
    waitFor(lambda: not np.array_equal(imageOf(session), before), "an image after tilting")
    pose = session.transducer.pose()
    screenshot(folder, "3_tilted")

    path = os.path.join(folder, "user_story.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    slicer.app.processEvents()
    assert session.transducer is None
    slicer.util.loadScene(path)
    waitFor(lambda: session.transducer is not None, "the transducer of the saved scene")
    assert np.allclose(session.transducer.pose(), pose)
    screenshot(folder, "4_reopened")

    slicer.util.selectModule("Data")
    slicer.app.processEvents()
    assert slicer.app.layoutManager().layout == usersLayout
    slicer.selfTests["DiffUS"]()


def main():
    """Always ends Slicer: an uncaught error would leave it open."""
    code = 1
    try:
        folder = sys.argv[1] if len(sys.argv) > 1 else slicer.app.temporaryPath
        story(folder)
        code = 0
    except Exception:
        traceback.print_exc()
    slicer.util.exit(code)


qt.QTimer.singleShot(1000, main)
