"""How fast the whole path is: transform event -> rendered image -> slice view drawn. Prints a table.

    python Testing/Module/benchmark_live.py [--updates N] [--memory N]

The views are drawn by Mesa on the CPU here, so the 3D view, which Slicer draws on the graphics card, is left out of
the measurement: the layout is a single slice view with the live image, as large as the image.
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


def prepare(host):
    """The module with the sample head's CT, a transducer, and one slice view that shows the live image."""
    import SampleData
    import slicer

    widget = host.load_module(ROOT / "DiffUS", "DiffUS")
    widget.logic.getParameterNode().volume = SampleData.SampleDataLogic.hostClick("DiffUS head (CT)")[0]
    widget.ui.addButton.click()
    host.wait_until(lambda: widget.session.transducer is not None, 120)
    host.process_events(1.0)
    node = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    single = (
        '<layout type="vertical"><item><view class="vtkMRMLSliceNode" singletontag="DiffUSImage"/></item></layout>'
    )
    node.AddLayoutDescription(7390, single)
    slicer.app.layoutManager().hostResize(512, 512)
    node.SetViewArrangement(7390)
    host.process_events(0.3)
    return widget


def measure(host, widget, updates):
    """Milliseconds of each update, drawn view included, and of the module's part alone."""
    import numpy as np
    import slicer

    transform = widget.session.transducer.transform
    start = slicer.util.arrayFromTransformMatrix(transform)
    whole, own = [], []
    for step in range(updates):
        matrix = start.copy()
        matrix[:3, 3] += start[:3, 0] * 5.0 * np.sin(step / 9.0)
        begin = time.perf_counter()
        slicer.util.updateTransformMatrixFromArray(transform, matrix)
        host.qtApplication.processEvents()
        middle = time.perf_counter()
        host.app.processEvents()
        whole.append((time.perf_counter() - begin) * 1000)
        own.append((middle - begin) * 1000)
    return whole, own


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=200, help="updates to time")
    parser.add_argument("--memory", type=int, default=0, help="updates to watch the memory over")
    arguments = parser.parse_args()
    from Testing.Host import start_host

    host = start_host()
    import torch

    from DiffUSLib import one_core_left_free

    widget = prepare(host)
    probe, settings = widget.session.image.probe, widget.session.image.renderer._settings
    with one_core_left_free():
        threads = torch.get_num_threads()
    print(f"{probe.lines} lines x {settings.samples} samples to {settings.width_px} x {settings.height_px}, "
          f"{os.cpu_count()} CPUs, {threads} torch threads")  # fmt: skip
    measure(host, widget, 20)
    whole, own = measure(host, widget, arguments.updates)
    for name, values in (("with drawn slice view", whole), ("module alone", own)):
        slow = statistics.quantiles(values, n=20)[-1]
        print(f"{name}: median {statistics.median(values):.1f} ms, 95% {slow:.1f} ms, "
              f"{1000 / statistics.mean(values):.1f} per second")  # fmt: skip
    if arguments.memory:
        before = resident_mb()
        measure(host, widget, arguments.memory)
        print(f"memory: {before:.0f} MB, after {arguments.memory} updates {resident_mb():.0f} MB")
    problems = host.failures.take()
    host.close()
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
