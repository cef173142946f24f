"""Makes Resources/Screenshots/match.png: the section "Match scanner" after a fit to a simulated sweep.

python -m Testing.Pictures.match_picture [PNG]
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from Testing.Pictures import command

ROOT = Path(__file__).resolve().parents[2]
PICTURE = command.SCREENSHOTS / "match.png"


def write_picture(path):
    """Fit, keep the look, and write a picture of the window.

    Returns:
        what the module reported as wrong meanwhile.
    """
    import slicer

    from DiffUSLib.cli.demo_alignment import SWEEP, write_sweep, wrong_sweep
    from DiffUSLib.simulator.anatomy import mni152
    from Testing.Host import start_host
    from Testing.Pictures.waiting import wait_for_image

    host = start_host()
    widget = host.load_module(ROOT / "DiffUS", "DiffUS")
    ui, session, head = widget.ui, widget.session, mni152()
    volume = slicer.util.addVolumeFromArray(
        np.ascontiguousarray(head.seen.transpose(2, 1, 0)), head.affine, "MNI152 T1"
    )
    volume.CreateDefaultDisplayNodes()
    widget.logic.getParameterNode().volume = volume
    from DiffUSModule.scene.tracked_sweep import loadTrackedSweep

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / SWEEP
        write_sweep(file, wrong_sweep()[0], np.eye(4))  # where it was taken
        browser = loadTrackedSweep(str(file))
    ui.addButton.click()
    wait_for_image(host, session)
    ui.volumeSection.collapsed = ui.transducerSection.collapsed = True
    ui.matchSection.collapsed = False
    ui.matchUltrasoundSelector.setCurrentNode(browser)
    ui.matchNameEdit.text = "Simulated scanner"
    ui.matchButton.click()
    host.wait_until(lambda: ui.keepLookButton.enabled or ui.messageLabel.text, 300)
    ui.keepLookButton.click()
    host.wait_until(lambda: not ui.lookCombo.itemIcon(ui.lookCombo.currentIndex).isNull(), 120)
    host.wait_until(lambda: session.image.renderer.isIdle, 60)
    host.process_events(0.5)
    host.screenshot_window(path)
    problems = host.failures.take()
    host.close()
    return problems


if __name__ == "__main__":
    sys.exit(command.run(write_picture, __doc__, PICTURE))
