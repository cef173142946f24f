"""`diffus sweep`: a tracked sequence of images while the transducer moves."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

from DiffUSLib.cli import options
from DiffUSLib.cli.argument_types import numbers
from DiffUSLib.cli.dicom_output import add_dicom_template, is_dicom_output, write_dicom
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import MOTIONS, move
from DiffUSLib.io import write_tracked_frames
from DiffUSLib.io.animation import write_animation, write_video
from DiffUSLib.io.files import check_folder
from DiffUSLib.rendering.renderer import Renderer

MOST_FRAMES = 1000
SWEEP_MOTIONS = ("pan", "rock", "tilt", "slide")


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "sweep",
        help="render a moving transducer as a tracked sequence",
        description="Render a sweep: a tracked sequence with an ImageToReference transform for each frame, where the\n"
        "Reference frame is the volume's RAS. The motions, in the probe's own frame:\n"
        + "\n".join(f"  {name:<6} {MOTIONS[name][2]} ({MOTIONS[name][1]})" for name in SWEEP_MOTIONS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Example:\n  diffus sweep head.nii.gz -o sweep.igs.mha --motion tilt --range -15,15 --frames 31",
    )
    options.add_scene_options(parser)
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT", help="tracked sequence .igs.mha; .dcm or .mp4 without poses"
    )
    add_dicom_template(parser)
    motion = parser.add_argument_group("motion")
    motion.add_argument("--motion", default="tilt", choices=SWEEP_MOTIONS, help="default: tilt")
    motion.add_argument(
        "--range",
        type=numbers(2, "-15,15"),
        default=(-15.0, 15.0),
        metavar="FROM,TO",
        help="mm or degrees (default: -15,15)",
    )
    motion.add_argument("--frames", type=int, default=31, metavar="N", help="number of frames (default: 31)")
    motion.add_argument("--animation", metavar="GIF", help="also write an animation to look at")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    if not 2 <= arguments.frames <= MOST_FRAMES:
        raise DiffUSError(f"--frames is {arguments.frames}; give a number from 2 to {MOST_FRAMES}.")
    if not all(map(math.isfinite, arguments.range)):
        raise DiffUSError("--range must hold two finite numbers.")
    as_dicom, as_video = is_dicom_output(arguments), arguments.output.lower().endswith(".mp4")
    if not as_dicom and not as_video and not arguments.output.lower().endswith(".mha"):
        raise DiffUSError(f"{arguments.output} must end in .igs.mha (a tracked sequence), .dcm or .mp4.")
    check_folder(arguments.output)
    if arguments.animation:
        if Path(arguments.animation).suffix.lower() != ".gif":
            raise DiffUSError(f"{arguments.animation} must end in .gif.")
        check_folder(arguments.animation)
    setup = options.read_setup(arguments)
    maps = options.make_maps(arguments)
    maps, pose = options.place_transducer(arguments, setup, maps)
    renderer = Renderer(maps, setup.probe, setup.settings, setup.device)
    first, last = arguments.range
    poses = sweep_poses(pose, arguments.motion, first, last, arguments.frames)
    options.warn_if_empty(renderer, poses)
    frames = torch.cat([renderer(one).image for one in options.with_progress(poses, "frame")]).cpu()
    if as_dicom:
        write_dicom(arguments, frames, renderer)
    elif as_video:
        write_video(arguments.output, frames)
    else:
        image_to_ras = poses @ renderer.grid.image_to_transducer()
        write_tracked_frames(arguments.output, frames, {"ImageToReference": image_to_ras})
    print(f"Wrote {arguments.output} ({arguments.frames} frames).")
    if arguments.animation:
        write_animation(arguments.animation, frames)
        print(f"Wrote {arguments.animation}.")


def sweep_poses(pose: torch.Tensor, motion: str, first: float, last: float, frames: int) -> torch.Tensor:
    """(frames, 4, 4) poses of a motion of `MOTIONS` from `first` to `last`, in its unit (mm or degrees)."""
    return torch.stack([move(pose, **{motion: float(amount)}) for amount in torch.linspace(first, last, frames)])
