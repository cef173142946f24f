"""What the module's own test checks; runs in Slicer and on the headless host."""

import slicer

WAIT_SECONDS = 180
"""The first image imports PyTorch."""


def waitFor(condition):
    """Let the application work until the condition holds; AssertionError if it does not in time."""
    import time

    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "the module did not get there in time"
        slicer.app.processEvents()


def checkImageOfSampleHead(test):
    """Sample head, new transducer, live image: with contrast, and with something in the fan.

    Args:
        test: a unittest.TestCase.
    """
    from .live.torch_status import isTorchInstalled
    from .scene.sample_data import addSampleHead, makeSampleHead

    if not isTorchInstalled():
        test.skipTest("PyTorch is not installed in this Slicer")
    volume = addSampleHead(makeSampleHead(), "t1")
    slicer.util.selectModule("DiffUS")
    widget = slicer.modules.DiffUSWidget
    widget.logic.getParameterNode().volume = volume
    slicer.app.processEvents()
    widget.ui.addButton.click()
    session = widget.session
    waitFor(lambda: session.transducer is not None and _hasImage(session))
    pixels = slicer.util.arrayFromVolume(session.transducer.image)[0]
    fan = pixels[pixels > 0]
    test.assertGreater(fan.size, 0.3 * pixels.size)
    test.assertGreater(float(fan.std()), 10.0)
    test.assertGreater(float((fan > 60).mean()), 0.05)


def _hasImage(session):
    return slicer.util.arrayFromVolume(session.transducer.image).shape[1] > 8
