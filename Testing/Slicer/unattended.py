"""Runs stories in a Slicer that nobody watches: waits until it is up, and always ends it with exit code 0 or 1."""

import faulthandler
import os
import time
import traceback

import qt
import slicer

START_MS = 1000
WAIT_SECONDS = 180
"""For one image or one alignment; the first one imports PyTorch."""
LIMIT_SECONDS = 1500
"""For everything; then Slicer is ended from outside of Python, even if it hangs."""


class Story:
    """What a story needs: the module's panel, and ways to wait and to look.

    Attributes:
        folder: for screenshots and files.
        widget: the module's DiffUSWidget.
        ui: its widgets.
        session: its Session.
    """

    def __init__(self, folder):
        slicer.util.selectModule("DiffUS")
        self.folder, self.widget = folder, slicer.modules.DiffUSWidget
        self.ui, self.session = self.widget.ui, self.widget.session
        self._images = 0
        self.session.image.shown.connect(self._onImage)

    def _onImage(self, pixels, pose):
        self._images += 1

    def path(self, name):
        return os.path.join(self.folder, name)

    def waitFor(self, condition, what):
        """Let Slicer work until the condition holds."""
        end = time.monotonic() + WAIT_SECONDS
        while not condition():
            message = self.ui.messageLabel.text
            assert time.monotonic() < end, f"waited in vain for {what}; the panel says: {message!r}"
            slicer.app.processEvents()

    def waitForImage(self, action, what):
        """Do something that must lead to a new image, and wait for the last one; returns its pixels, (H, W)."""
        before, session = self._images, self.session
        action()
        self.waitFor(
            lambda: self._images > before and not session.patient.isBusy and session.image.renderer.isIdle,
            f"an image after {what}",
        )
        return self.pixels()

    def pixels(self):
        """(H, W) copy of the live image."""
        return slicer.util.arrayFromVolume(self.session.transducer.image)[0].copy()

    def screenshot(self, name):
        """The whole main window as PNG."""
        for _repetition in range(3):
            slicer.app.processEvents()
        assert slicer.util.mainWindow().grab().save(self.path(f"{name}.png")), f"no screenshot {name}"

    def close(self):
        self.session.image.shown.disconnect(self._onImage)


def run(stories, folder):
    """Tell the stories one after another as soon as Slicer is up; then end Slicer.

    Args:
        stories: functions that take a Story; an exception is a failure.
        folder: for screenshots, files and result.txt; made if it is not there.
    """
    os.makedirs(folder, exist_ok=True)
    log = open(os.path.join(folder, "result.txt"), "w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    faulthandler.dump_traceback_later(LIMIT_SECONDS, exit=True, file=log)
    qt.QTimer.singleShot(START_MS, lambda: slicer.util.exit(_tell(stories, folder, log)))


def _tell(stories, folder, log):
    """Exit code: 0 if every story came to its end."""
    try:
        _requireTorch()
        slicer.util.mainWindow().resize(1920, 1080)
        for story in stories:
            started = time.monotonic()
            told = Story(folder)
            try:
                story(told)
            finally:
                told.close()
            _note(log, f"{story.__name__}: passed in {time.monotonic() - started:.0f} s")
    except BaseException:
        _note(log, traceback.format_exc())
        return 1
    return 0


def _requireTorch():
    slicer.util.selectModule("DiffUS")
    from DiffUSModule.live import torch_status

    assert torch_status.isTorchInstalled(), (
        "PyTorch is not installed in this Slicer: open the module DiffUS, click Install PyTorch, and run this again."
    )


def _note(log, text):
    print(text, flush=True)
    log.write(text + "\n")
    log.flush()
