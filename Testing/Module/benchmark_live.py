"""How long the main thread is held up, and how soon an image follows. Prints a table.

    python Testing/Module/benchmark_live.py [--moves N] [--memory N]

The story: the sample head's CT, a new transducer, drags with the default image, with reverberation and with five
planes, changes of the look, leaving and coming back. Every turn of the event loop is timed: what the module does
there, waits for its thread included, without the drawing of the views, which Slicer leaves to the graphics card and
this host to the processor. How soon images come is told without it, and for the full one of the last move with it
too. Beside the clock's time stands what the main thread computed itself, which tells most on a computer with other
work.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def resident_mb():
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Story:
    """Does things as a user and times the turns of the main thread.

    Attributes:
        turns: (milliseconds, milliseconds that the main thread computed) of all turns, by part of the story.
    """

    def __init__(self, host, widget):
        self._host, self._widget, self._part, self._draws = host, widget, "", True
        self.turns, self._frames = {}, []
        widget.session.image.renderer.rendered.connect(self._onRendered)

    def _onRendered(self, frame):
        self._frames.append((time.perf_counter(), frame))

    def turn(self, action):
        """One turn of the event loop, timed."""
        clock, computed = time.perf_counter(), time.thread_time()
        action()
        clock, computed = time.perf_counter() - clock, time.thread_time() - computed
        self.turns.setdefault(self._part, []).append((clock * 1000, computed * 1000))

    def events(self):
        """A turn for what is due, and then the views."""
        self.turn(self._host.qtApplication.processEvents)
        if self._draws:
            self._host.app.processEvents()

    def until(self, condition, seconds=120.0):
        end = time.perf_counter() + seconds
        while not condition() and time.perf_counter() < end:
            self.events()

    def wait_for_image(self, action):
        count = len(self._frames)
        self.turn(action)
        self.until(lambda: len(self._frames) > count and self._widget.session.image.renderer.isIdle)

    def _isShown(self, frames):
        """True if an image that came after so many others shows where the transducer stands."""
        pose = self._widget.session.transducer.pose()
        return len(self._frames) > frames and (self._frames[-1][1].wish.pose == pose).all()

    def drag(self, part, moves):
        """Move in steps, each as soon as the image of the last has come; then rest.

        Returns:
            median of the milliseconds from a move to its image; those from the last move to the full image; and these
            with the views drawn between turns.
        """
        import numpy as np
        import slicer

        self._part, delays, rests = part, [], []
        transform = self._widget.session.transducer.transform
        start = slicer.util.arrayFromTransformMatrix(transform)

        def move(step):
            matrix = start.copy()
            matrix[:3, 3] += start[:3, 0] * 5.0 * np.sin(step / 9.0)
            count, moved = len(self._frames), time.perf_counter()
            self.turn(lambda: slicer.util.updateTransformMatrixFromArray(transform, matrix))
            self.until(lambda: self._isShown(count))
            return moved

        for self._draws in (False, True):
            for step in range(1, moves):
                moved = move(step)
                if not self._draws:
                    delays.append((self._frames[-1][0] - moved) * 1000)
                    self._host.app.processEvents()
            moved = move(moves)
            self.until(lambda: self._widget.session.image.renderer.isIdle)
            rests.append((self._frames[-1][0] - moved) * 1000)
        return statistics.median(delays), *rests

    def tell(self):
        print(f"{'part (ms by the clock, computed)':40} {'turns':>5} {'median':>14} {'95 %':>14} {'longest':>14}")
        for part, values in self.turns.items():
            columns = [sorted(column) for column in zip(*values, strict=True)]
            shown = [[column[int(share * (len(column) - 1))] for column in columns] for share in (0.5, 0.95, 1.0)]
            print(f"{part:40} {len(values):5}", *(f"{clock:7.1f} {computed:6.1f}" for clock, computed in shown))


def tell_story(host, widget, moves):
    """The whole story; prints how soon images came and how long turns were."""
    import SampleData

    story = Story(host, widget)
    story._part = "volume and transducer"
    widget.logic.getParameterNode().volume = SampleData.SampleDataLogic.hostClick("DiffUS head (CT)")[0]
    host.process_events(0.5)
    story.wait_for_image(widget.ui.addButton.click)
    lines = []
    for part, name, attribute, value in (
        ("drag", None, None, None),
        ("drag with reverberation", "propagationCombo", "currentIndex", 2),
        ("drag with five planes", "beamPlanesSpinBox", "value", 5),
    ):
        story._part = f"choice before: {part}"
        if name:
            widget.ui.propagationCombo.currentIndex = 0
            story.wait_for_image(lambda name=name, a=attribute, v=value: setattr(getattr(widget.ui, name), a, v))
        delay, rest, drawn = story.drag(part, moves)
        rest = f"{rest:.0f} ms ({drawn:.0f} with drawing)"
        lines.append(f"{part}: move to image {delay:.0f} ms (median), last move to full image {rest}")
    story._part = "look"
    for name, attribute, value in (
        ("gainSlider", "value", 6), ("depthSlider", "value", 110), ("lookCombo", "currentIndex", 1),
    ):  # fmt: skip
        story.wait_for_image(lambda name=name, a=attribute, v=value: setattr(getattr(widget.ui, name), a, v))
    story._part = "leave and come back"
    story.turn(host.leave_module)
    story.wait_for_image(lambda: host.enter_module("DiffUS"))
    story.tell()
    print("\n".join(lines))
    return story


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=60, help="moves of each drag")
    parser.add_argument("--memory", type=int, default=0, help="moves to watch the memory over")
    arguments = parser.parse_args()
    from Testing.Host import start_host

    host = start_host()
    import torch

    from DiffUSLib import one_core_left_free

    with one_core_left_free():
        threads = torch.get_num_threads()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{os.cpu_count()} CPUs, {threads} torch threads, load {load:.1f}")
    widget = host.load_module(ROOT / "DiffUS", "DiffUS")
    story = tell_story(host, widget, arguments.moves)
    if arguments.memory:
        before = resident_mb()
        story.drag("memory", arguments.memory)
        print(f"memory: {before:.0f} MB, after {arguments.memory} moves {resident_mb():.0f} MB")
    problems = host.failures.take()
    host.close()
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
