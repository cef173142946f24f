"""Drives the module on the host with a volume of the user's choice; for `run.py demo`.

python -m Testing.Pictures.demo VOLUME OUTPUT_FOLDER            screenshots and a scene to open in Slicer
python -m Testing.Pictures.demo VOLUME --window                 a window to play with (needs a display)
"""

import argparse
import re
import sys
from pathlib import Path

from DiffUSLib.cli.demo_alignment import SWEEP

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "DiffUS"


def open_module(host, volume_path):
    """The module with a volume and a transducer where DiffUSLib finds a good place.

    Returns:
        the module's panel (DiffUSWidget).

    Raises:
        RuntimeError: if the volume cannot be loaded or used; with a plain sentence.
    """
    import slicer

    from Testing.Pictures.waiting import wait_for_image

    widget = host.load_module(MODULE_FOLDER, "DiffUS")
    volume = slicer.util.loadVolume(str(volume_path))
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    widget.logic.getParameterNode().volume = volume
    host.process_events()
    widget.ui.addButton.click()
    host.wait_until(lambda: widget.session.transducer is not None or widget.session.patient.error, 300)
    if widget.session.patient.error:
        raise RuntimeError(widget.session.patient.error)
    wait_for_image(host, widget.session)
    host.view("1").resetFocalPoint()
    return widget


def align_sweep(host, widget, path):
    """Load a tracked sweep through the module and align it; the sections but the alignment's are closed.

    Returns:
        the verdict as the panel words it.
    """
    from DiffUSModule.scene.tracked_sweep import loadTrackedSweep

    for section in (widget.ui.transducerSection, widget.ui.imageSection, widget.ui.volumeSection):
        section.collapsed = True
    widget.ui.alignSection.collapsed = False
    widget.logic.getParameterNode().ultrasound = loadTrackedSweep(str(path))
    host.wait_until(lambda: widget.ui.detectFanButton.enabled, 60)
    widget.ui.alignButton.click()
    host.wait_until(lambda: widget.ui.acceptButton.enabled or not widget.ui.alignVerdict.isHidden(), 300)
    host.process_events(0.5)
    return widget.ui.alignVerdict.text


def write_demo(volume_path, output_folder, say=print):
    """Screenshots of panel, views and both, and an .mrb scene; then the simulated sweep aligned, if it is there.

    Args:
        volume_path: anything that Slicer loads as a volume.
        output_folder: is made if it is not there; DiffUSLib.cli.demo_alignment puts the sweep into it.
        say: called with a sentence for each step.

    Returns:
        list of the written paths.
    """
    from Testing.Host import start_host

    host = start_host()
    folder = Path(output_folder)
    folder.mkdir(parents=True, exist_ok=True)
    say("Opening the Slicer module without Slicer and placing a transducer.")
    widget = open_module(host, volume_path)
    paths = [folder / name for name in ("module_panel.png", "module_image.png", "module_reslice.png", "module.png")]
    host.screenshot_panel(paths[0])
    host.screenshot_view("DiffUSImage", paths[1])
    host.screenshot_view("DiffUSReslice", paths[2])
    host.screenshot_window(paths[3])
    scene = folder / "module_scene.mrb"
    host.save_scene(scene)
    say("Saved the scene; open it in Slicer with File / Add data.")
    paths.append(scene)
    sweep = folder / SWEEP
    if sweep.exists():
        say("Aligning the simulated sweep in the module.")
        say(re.sub("<.*?>", "", align_sweep(host, widget, sweep)))
        paths.append(folder / "module_align.png")
        host.screenshot_window(paths[-1])
    problems = host.failures.take()
    host.close()
    if problems:
        raise RuntimeError("the module reported: " + "; ".join(problems))
    return paths


def show_window(volume_path):
    """Open panel and live views in a window until it is closed."""
    from Testing.Host import start_host

    host = start_host(with_window=True)
    open_module(host, volume_path)
    host.qtApplication.exec()
    host.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("volume", type=Path)
    parser.add_argument("output", type=Path, nargs="?", default=Path("demo_output"))
    parser.add_argument("--window", action="store_true", help="show a window instead of writing files")
    arguments = parser.parse_args()
    if arguments.window:
        show_window(arguments.volume)
    else:
        for path in write_demo(arguments.volume, arguments.output):
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
