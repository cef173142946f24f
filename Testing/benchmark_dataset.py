"""Measures how many frames a second `diffus dataset` makes, with one worker and with two.

    python Testing/benchmark_dataset.py [--frames 800] [--pixels 256] [--workers 1 2]
    python Testing/benchmark_dataset.py --render-on cuda          rendering alone, in batches, on a device

Clinical look, B-mode alone, the head phantom (1 mm voxels) as the patient. The rate counts from each run's first
shards on: reading the patient, once a worker, is told apart.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import SimpleITK as sitk
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from DiffUSLib.acoustics import acoustic_maps
from DiffUSLib.datasets.engine import connected, make_dataset
from DiffUSLib.datasets.recipe import read_recipe
from DiffUSLib.geometry.pose import look_at, move
from DiffUSLib.io.frames import set_image_ijk_to_ras
from DiffUSLib.probes.probe import load_probe
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import look
from DiffUSLib.samples.phantom import head_phantom

FRAMES_PER_SHARD = 40
BATCHES, RENDER_S = (1, 8, 64, 256), 3.0
RECIPE = """
frames: {frames}
frames_per_shard: {per_shard}
patients: [{{volume: head.nrrd}}]
image: {{width_px: {pixels}, height_px: {pixels}}}
"""


def measured(folder: Path, frames: int, pixels: int, workers: int) -> tuple[float, float, float]:
    """Frames a second after the first shards, seconds until those, and seconds altogether."""
    recipe_file = folder / f"recipe_{workers}.yaml"
    recipe_file.write_text(RECIPE.format(frames=frames, per_shard=FRAMES_PER_SHARD, pixels=pixels))
    began = time.monotonic()
    times, made = [], []
    with connected(workers) as client:
        for progress in make_dataset(read_recipe(recipe_file), folder / f"frames_{workers}", client):
            times.append(time.monotonic() - began)
            made.append(progress.new_frames)
    first = workers  # each worker's first shard holds its start
    return (made[-1] - made[first]) / (times[-1] - times[first]), times[first], times[-1]


def rendered(device: str, pixels: int, batch: int) -> float:
    """Frames a second of batches of poses, without anything else; the patient is on the device already."""
    phantom = head_phantom()
    maps = acoustic_maps(phantom.t1).side_by_side()
    renderer = Renderer(
        maps,
        load_probe("craniotomy_curvilinear"),
        look("clinical", samples=200, width_px=pixels, height_px=pixels),
        device,
    )
    pose = look_at(phantom.entry_ras_mm, phantom.target_ras_mm)
    poses = torch.stack([move(pose, tilt=tilt) for tilt in torch.linspace(-15, 15, batch).tolist()])
    with torch.inference_mode():
        renderer(poses).image.cpu()  # waits for the device; the first one prepares
        made, began = 0, time.monotonic()
        while time.monotonic() - began < RENDER_S:
            renderer(poses).image.cpu()
            made += batch
    return made / (time.monotonic() - began)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=800)
    parser.add_argument("--pixels", type=int, default=256)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--render-on", metavar="DEVICE")
    options = parser.parse_args()
    if options.render_on:
        for batch in BATCHES:
            print(f"batch of {batch}: {rendered(options.render_on, options.pixels, batch):.0f} frames/s", flush=True)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder, head = Path(name), head_phantom().t1
        image = sitk.GetImageFromArray(head.voxels.numpy())
        set_image_ijk_to_ras(image, head.ijk_to_ras.numpy(), "the phantom")
        sitk.WriteImage(image, str(folder / "head.nrrd"))
        print(f"{'workers':>8} {'frames/s':>9} {'start s':>8} {'all s':>7}")
        for workers in options.workers:
            rate, start_s, all_s = measured(folder, options.frames, options.pixels, workers)
            print(f"{workers:>8} {rate:>9.1f} {start_s:>8.1f} {all_s:>7.1f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
