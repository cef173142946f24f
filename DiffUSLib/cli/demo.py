"""`diffus demo`: a real brain MRI under a transducer, with everything the renderer can show of it."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from DiffUSLib.acoustics import AcousticMaps, acoustic_maps
from DiffUSLib.cli.demo_figures import write_overview
from DiffUSLib.cli.options import with_progress
from DiffUSLib.cli.sweep import sweep_poses
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import look_at
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io import write_image
from DiffUSLib.io.animation import write_animation
from DiffUSLib.io.extras import optional
from DiffUSLib.io.files import written_whole
from DiffUSLib.probes.probe import load_probe
from DiffUSLib.rendering.device import choose_device
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import look

ENTRY_RAS_MM, TARGET_RAS_MM = (48.0, -5.0, 62.0), (0.0, -10.0, 5.0)
"""Right parietal cortex of the MNI152 brain, toward the lateral ventricles."""


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "demo",
        help="render the MNI152 brain",
        description="Render the MNI152 T1-weighted brain template (from nilearn, no download) and write pictures.",
    )
    parser.add_argument("-o", "--output", default="demo_output", metavar="FOLDER", help="default: demo_output")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    parser.set_defaults(run=run)


def mni152_t1() -> Volume:
    """The MNI152 T1-weighted template at 1 mm, skull-stripped, as shipped with nilearn.

    Raises:
        DiffUSError: if nilearn is not installed.
    """
    image = optional("nilearn.datasets", "demo").load_mni152_template(resolution=1)
    voxels = torch.from_numpy(image.get_fdata().astype("float32").transpose(2, 1, 0).copy())
    return Volume(voxels, torch.from_numpy(image.affine.copy()), "MNI152 T1")


def run(arguments: argparse.Namespace) -> None:
    folder = Path(arguments.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiffUSError(f"the folder {folder} cannot be made: {error.strerror}; choose another with -o.") from None
    device, reason = choose_device(arguments.device)
    print("1/5 Reading the MNI152 T1-weighted brain ...", flush=True)
    volume = mni152_t1()
    print("2/5 Fitting acoustic impedance to its tissues ...", flush=True)
    maps = acoustic_maps(volume, "t1")
    for note in maps.notes:
        print(f"    {note}")
    print(f"3/5 Rendering on the {reason} ...", flush=True)
    write_image(folder / "mni152_t1.nii.gz", volume.voxels, volume.ijk_to_ras, pixel_type="float32")
    pose = look_at(ENTRY_RAS_MM, TARGET_RAS_MM)
    renderer = Renderer(maps, load_probe("craniotomy_curvilinear"), device=device)
    rendered = renderer(pose)
    image_to_ras = pose @ renderer.grid.image_to_transducer()
    write_image(folder / "bmode.png", rendered.image[0])
    write_image(folder / "bmode.nrrd", rendered.image[0], image_to_ras)
    write_overview(folder / "overview.png", volume, maps, renderer, pose, rendered)
    print("4/5 Sweeping the transducer ...", flush=True)
    poses = sweep_poses(pose, "tilt", -20.0, 20.0, 41)
    frames = torch.cat([renderer(one).image for one in with_progress(poses, "    frame")]).cpu()
    write_animation(folder / "sweep.gif", frames)
    print("5/5 Timing ...", flush=True)
    _write_times(folder / "render_times.csv", maps, renderer, pose)
    print(f"\nWrote into {folder}:")
    print("  overview.png      MRI with the fan, impedance and B-mode side by side: look at this first")
    print("  bmode.png         the B-mode image, 512 x 512")
    print("  bmode.nrrd        the same with its place; load it in 3D Slicer together with")
    print("  mni152_t1.nii.gz  the brain that was rendered")
    print("  sweep.gif         the transducer tilting by 20 degrees to each side: open it in a browser")
    print("  render_times.csv  how long images of several sizes took here")


def _write_times(path: Path, maps: AcousticMaps, renderer: Renderer, pose: torch.Tensor) -> None:
    """A table of render times, on the screen and in a file."""
    lines = ["look,lines,samples,width_px,height_px,median_ms"]
    for name, samples in (("clinical", 200), ("clinical", 400), ("paper", 200)):
        timed = Renderer(maps, renderer.probe, look(name, samples=samples), renderer.device)
        times = []
        for _ in range(12):
            start = time.perf_counter()
            timed(pose).image.cpu()
            times.append(1000 * (time.perf_counter() - start))
        median = sorted(times[2:])[5]
        height, width = timed.grid.height_px, timed.grid.width_px
        lines.append(f"{name},{renderer.probe.lines},{samples},{width},{height},{median:.1f}")
        print(f"    {name:<9} {renderer.probe.lines} lines x {samples} samples to {width} x {height}: {median:.1f} ms")
    with written_whole(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
