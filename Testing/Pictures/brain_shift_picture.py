"""Makes Resources/Screenshots/brain_shift.png: the section "Brain shift" after a search in a simulated sweep.

python -m Testing.Pictures.brain_shift_picture [PNG]
"""

import sys
from pathlib import Path

import numpy as np

from Testing.Pictures import command

ROOT = Path(__file__).resolve().parents[2]
PICTURE = command.SCREENSHOTS / "brain_shift.png"
SEED, SLICES = 1004, 7
"""Of tier T4 (tissue moved by up to 5 mm, resection); one of those that the search was tuned on, and that is bent."""


def write_picture(path):
    """Align, find the brain shift, show arrows and error map, and write a picture of the window.

    Returns:
        what the module reported as wrong meanwhile.
    """
    import slicer

    from DiffUSLib.simulator.anatomy import mni152
    from DiffUSLib.simulator.cases import make_case, perturbation
    from Testing.Host import start_host
    from Testing.Module.ultrasound import add_sweep

    host = start_host()
    widget = host.load_module(ROOT / "DiffUS", "DiffUS")
    ui, head = widget.ui, mni152()
    volume = slicer.util.addVolumeFromArray(
        np.ascontiguousarray(head.seen.transpose(2, 1, 0)), head.affine, "MNI152 T1"
    )
    volume.CreateDefaultDisplayNodes()
    widget.logic.getParameterNode().volume = volume
    case = make_case(SEED, SLICES, "T4")
    middle = (case.true @ [0.0, 40.0, 0.0, 1.0])[:, :3].mean(0)
    wrong = perturbation(np.random.default_rng(SEED), middle, 5.0, 5.0)
    browser = add_sweep(case.images, case.image_to_transducer, wrong @ case.tracked, "Simulated sweep")
    browser.SetSelectedItemNumber(SLICES // 2)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    for section in (ui.volumeSection, ui.transducerSection, ui.imageSection):
        section.collapsed = True
    ui.alignSection.collapsed = False
    ui.ultrasoundSelector.setCurrentNode(browser)
    host.wait_until(lambda: ui.detectFanButton.enabled, 60)
    ui.alignButton.click()
    host.wait_until(lambda: ui.beforeAfterButton.enabled or ui.messageLabel.text, 300)
    ui.brainShiftSection.collapsed = False
    ui.shiftButton.click()
    host.wait_until(lambda: not widget.session.shift.isBusy, 300)
    ui.shiftArrowsCheckBox.checked = True
    ui.shiftMapCheckBox.checked = True
    slicer.util.getNode("Crosshair").SetCursorPositionRAS(middle)
    host.process_events(0.5)
    host.screenshot_window(path)
    problems = host.failures.take()
    host.close()
    return problems


if __name__ == "__main__":
    sys.exit(command.run(write_picture, __doc__, PICTURE))
