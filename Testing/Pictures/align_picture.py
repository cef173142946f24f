"""Makes Resources/Screenshots/align.png: the section "Align ultrasound" with a simulated sweep on the MNI152 head.

python -m Testing.Pictures.align_picture [PNG]
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "Resources" / "Screenshots" / "align.png"
PANEL_WIDTH = 480


def aligned(host):
    """The module after the alignment of the simulated sweep, not decided yet."""
    import slicer

    from DiffUSLib.cli.demo_alignment import SWEEP, write_sweep, wrong_sweep
    from DiffUSLib.simulator.anatomy import mni152

    widget = host.load_module(ROOT / "DiffUS", "DiffUS")
    ui, head = widget.ui, mni152()
    voxels = np.ascontiguousarray(head.seen.transpose(2, 1, 0))
    volume = slicer.util.addVolumeFromArray(voxels, head.affine, "MNI152 T1")
    volume.CreateDefaultDisplayNodes()
    widget.logic.getParameterNode().volume = volume
    for section in (ui.volumeSection, ui.transducerSection, ui.imageSection):
        section.collapsed = True
    ui.alignSection.collapsed = False
    from DiffUSModule.scene.tracked_sweep import loadTrackedSweep

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / SWEEP
        write_sweep(path, *wrong_sweep())
        browser = loadTrackedSweep(str(path))
    browser.SetSelectedItemNumber(browser.GetNumberOfItems() // 2)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    ui.ultrasoundSelector.setCurrentNode(browser)
    host.wait_until(lambda: ui.detectFanButton.enabled, 60)
    ui.alignButton.click()
    host.wait_until(lambda: ui.beforeAfterButton.enabled, 300)
    host.process_events(0.5)
    return widget


def compose(panel, views):
    """One picture: the panel at the left, and views of (pixels, caption) two by two."""
    from PySide6 import QtCore, QtGui

    from Testing.Host.pictures import toImage

    height, width, _colors = views[0][0].shape
    canvas = QtGui.QImage(PANEL_WIDTH + 2 * width, 2 * height, QtGui.QImage.Format.Format_RGB888)
    canvas.fill(QtGui.QColor(239, 239, 239))
    painter = QtGui.QPainter(canvas)
    painter.drawPixmap(0, 0, panel)
    for number, (pixels, caption) in enumerate(views):
        corner = QtCore.QPoint(PANEL_WIDTH + width * (number % 2), height * (number // 2))
        painter.drawImage(corner, toImage(pixels))
        painter.setPen(QtGui.QColor(230, 180, 34))
        painter.drawText(corner + QtCore.QPoint(12, 24), caption)
    painter.end()
    return canvas


def write_picture(path):
    """Align, look before and after, and write the picture."""
    from Testing.Host import start_host
    from Testing.Host.pictures import grab

    host = start_host()
    widget = aligned(host)

    def pixels(name):
        host.process_events(0.2)
        return host.view(name).pixels()

    overlay, patient = pixels("DiffUSOverlay"), pixels("DiffUSPatient")
    panel = grab(host, PANEL_WIDTH, 2 * overlay.shape[0])
    score = pixels("DiffUSScore")
    widget.ui.beforeAfterButton.click()
    before = pixels("DiffUSOverlay")
    views = [
        (before, "Before: ultrasound and rendered image"),
        (overlay, "After"),
        (patient, "After: ultrasound on the MRI"),
        (score, ""),
    ]
    compose(panel, views).save(str(path))
    host.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, nargs="?", default=PICTURE)
    write_picture(parser.parse_args().path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
