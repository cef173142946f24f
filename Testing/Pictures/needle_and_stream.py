"""Makes the pictures of the sections Needle and Stream.

python -m Testing.Pictures.needle_and_stream [FOLDER]       default: Resources/Screenshots
"""

import sys
from pathlib import Path

from Testing.Pictures import command

ROOT = Path(__file__).resolve().parents[2]


def write_pictures(folder):
    """A needle in the sample head, and a stream that a program has connected to.

    Returns:
        what the module reported as wrong meanwhile.
    """
    from Testing.Host import openigtlink, start_host
    from Testing.Pictures.waiting import wait_for_image

    openigtlink.install()
    host = start_host()
    widget = host.load_module(ROOT / "DiffUS", "DiffUS")
    ui, session = widget.ui, widget.session
    ui.sampleButton.click()
    host.wait_until(lambda: session.parameters.volume is not None, 120)
    ui.addButton.click()
    wait_for_image(host, session)
    ui.needleSection.collapsed = False
    ui.newNeedleButton.click()
    host.wait_until(lambda: session.image.renderer.isIdle, 60)
    host.view("1").resetFocalPoint()
    host.process_events(0.5)
    host.screenshot_window(folder / "needle.png")
    ui.streamSection.collapsed = False
    ui.streamButton.click()
    openigtlink.connectorsOf(host.scene)[0].hostConnect()
    host.wait_until(lambda: session.image.renderer.isIdle, 60)
    host.process_events(0.5)
    host.screenshot_window(folder / "stream.png")
    problems = host.failures.take()
    host.close()
    return problems


if __name__ == "__main__":
    sys.exit(command.run(write_pictures, __doc__, command.SCREENSHOTS))
