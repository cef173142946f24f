"""Makes the pictures of the README's tutorial but that of the alignment, from the first click on.

python -m Testing.Pictures.tutorial_pictures [FOLDER]       default: Resources/Screenshots
"""

import sys
from pathlib import Path

from Testing.Pictures import command

ROOT = Path(__file__).resolve().parents[2]


def write_pictures(folder):
    """The sample head, the live image, and the curve from intensity to impedance.

    Returns:
        what the module reported as wrong meanwhile.
    """
    from Testing.Host import start_host
    from Testing.Pictures.waiting import wait_for_image

    host = start_host()
    widget = host.load_module(ROOT / "DiffUS", "DiffUS")
    ui, session = widget.ui, widget.session
    ui.sampleButton.click()
    host.wait_until(lambda: session.parameters.volume is not None, 120)
    host.process_events(0.5)
    host.screenshot_window(folder / "1_sample_head.png")
    ui.addButton.click()
    wait_for_image(host, session)
    host.view("1").resetFocalPoint()
    host.screenshot_window(folder / "module.png")
    ui.imageSection.collapsed = True
    ui.curveSection.collapsed = False
    ui.curveButton.click()
    wait_for_image(host, session)
    host.screenshot_window(folder / "curve.png")
    problems = host.failures.take()
    host.close()
    return problems


if __name__ == "__main__":
    sys.exit(command.run(write_pictures, __doc__, command.SCREENSHOTS))
