"""`diffus track`: images of a screen and poses of a tracker become a tracked sweep."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import replace

import numpy as np

from DiffUSLib.cli.argument_types import numbers
from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.chain import read_calibration
from DiffUSLib.io.files import check_folder
from DiffUSLib.io.frame_checks import SkippedFrame, summarize_skipped
from DiffUSLib.io.image_streams import ImageStream, duplicates, read_image_stream
from DiffUSLib.io.pose_matching import MATCHES, match_poses
from DiffUSLib.io.pose_table import LENGTH_UNITS, QUATERNION_ORDERS, read_pose_table
from DiffUSLib.io.sweep_assembly import needs_pixel_size, sweep_transforms, tracked_sweep
from DiffUSLib.io.tracked_files import write_tracked_frames
from DiffUSLib.io.tracked_places import place_frames
from DiffUSLib.io.transform_names import split_transform_name
from DiffUSLib.ultrasound.depth_ruler import read_depth_ruler


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "track",
        help="make a tracked sweep of images and a table of poses",
        description="Put ultrasound images (a folder of PNG, JPEG or DICOM files, a DICOM clip, or a video) and the "
        "poses that a tracker logged together to a tracked sweep that `diffus register` and 3D Slicer read.\n\n"
        "POSES is a table of text with named columns: a time (time_s, timestamp_ms, ISO dates ...) or the name of the "
        "image; tx_mm, ty_mm, tz_mm (or x, y, z in m) with qx, qy, qz, qw, or m00 to m33, or one column 'matrix' of "
        "16 numbers.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Example:\n  diffus track recording.mp4 poses.csv --calibration device.xml --latency 0.2 "
        "-o sweep.igs.mha",
    )
    parser.add_argument(
        "images", metavar="IMAGES", help="folder of PNG, JPEG, BMP, TIFF or DICOM files, a DICOM clip, or a video"
    )
    parser.add_argument("poses", metavar="POSES", help="table of poses (.csv, .tsv or .txt)")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="tracked sweep, .igs.mha")
    parser.add_argument(
        "--transform",
        metavar="NAME",
        help="what the poses are (default: as POSES names its columns, else ProbeToReference with --calibration, else "
        "ImageToReference, the pose of the image's first pixel)",
    )
    parser.add_argument("--calibration", metavar="XML", help="PLUS device set with ImageToProbe")
    parser.add_argument(
        "--pixel-mm",
        type=_pixel_size,
        metavar="MM",
        help="size of a pixel, or X,Y (default: of the calibration or the images, else read from the depth ruler)",
    )
    parser.add_argument("--tick-mm", type=float, metavar="MM", help="what a tick of the depth ruler is worth")
    parser.add_argument("--units", choices=LENGTH_UNITS, help="of the translations, if their names do not say it")
    parser.add_argument("--quaternion", choices=QUATERNION_ORDERS, help="order of the columns q0 to q3")
    parser.add_argument("--columns", metavar="PREFIX", help="start of the names of the pose, if POSES has several")
    parser.add_argument("--match", default="auto", choices=MATCHES, help="images and poses by this (default: auto)")
    parser.add_argument("--fps", type=float, metavar="N", help="images per second, if the images do not tell times")
    parser.add_argument(
        "--first-image", type=float, metavar="SECONDS", help="time of the first image on the clock of the poses"
    )
    parser.add_argument(
        "--latency", type=float, default=0.0, metavar="SECONDS", help="how much later images arrive than poses"
    )
    parser.set_defaults(run=run)


def _pixel_size(text: str) -> tuple[float, float]:
    sizes = numbers(2, "0.2,0.2")(text if "," in text else f"{text},{text}")
    if not all(math.isfinite(size) and 0 < size < 10 for size in sizes):
        raise argparse.ArgumentTypeError(f"'{text}' is no size of a pixel in mm")
    return sizes


def run(arguments: argparse.Namespace) -> None:
    if not arguments.output.lower().endswith(".mha"):
        raise DiffUSError(f"{arguments.output} must end in .igs.mha, the format of tracked sequences.")
    check_folder(arguments.output)
    split_transform_name(arguments.transform or "ImageToReference")
    calibration = read_calibration(arguments.calibration) if arguments.calibration else None
    table = read_pose_table(arguments.poses, arguments.units, arguments.quaternion, arguments.columns)
    name = arguments.transform or table.transform
    name = name or ("ProbeToReference" if arguments.calibration else "ImageToReference")
    stream = _timed(read_image_stream(arguments.images), arguments.fps)
    notes = [*table.notes, *stream.notes]
    if table.transform and table.transform != name:
        notes.append(f"The table calls its poses {table.transform}; they are taken for {name}, as asked.")
    pixel_mm = None
    if needs_pixel_size(name, table.scale, calibration):
        pixel_mm = _find_pixel_size(stream, arguments.pixel_mm, arguments.tick_mm, notes)
    elif arguments.pixel_mm is not None:
        notes.append("--pixel-mm is not used: the poses or the calibration hold the size of a pixel.")
    matched = match_poses(stream, table, arguments.match, arguments.latency, arguments.first_image)
    problems = {int(index): "it repeats the image before" for index in np.flatnonzero(duplicates(stream.images))}
    problems = matched.problems | problems
    used = [index for index in range(len(stream.images)) if index not in problems]
    dropped = [SkippedFrame(index, problems[index]) for index in sorted(problems)]
    if dropped:
        notes.append(f"{len(dropped)} of {len(stream.images)} images dropped: {'; '.join(_short(dropped))}.")
    if not used:
        raise DiffUSError(f"no image has a pose: {'; '.join(summarize_skipped(dropped))}.")
    images = stream.images[used]
    transforms = sweep_transforms(matched.poses[used], name, table.scale, pixel_mm, calibration)
    if calibration is not None or "image" in map(str.lower, split_transform_name(name)):
        sweep = tracked_sweep(images, transforms, str(arguments.output))
        notes += place_frames(sweep, check_units=False).notes
    else:
        notes.append(f"{name} is no pose of the images: give the calibration to what uses the sweep.")
    times = None if stream.times_s is None else stream.times_s[used]
    write_tracked_frames(arguments.output, images, transforms, times)
    for note in notes:
        print(f"diffus: note: {note}", file=sys.stderr)
    print(f"Wrote {arguments.output}: {len(used)} frames, images and poses matched by {matched.way}.")


def _timed(stream: ImageStream, fps: float | None) -> ImageStream:
    if fps is None:
        return stream
    if not (math.isfinite(fps) and fps > 0):
        raise DiffUSError(f"--fps is {fps:g}; give a number of images per second.")
    return replace(stream, times_s=np.arange(len(stream.images)) / fps)


def _find_pixel_size(stream: ImageStream, given, tick_mm: float | None, notes: list[str]) -> tuple[float, float]:
    """Size (X, Y) of a pixel in mm: as given, as the images say, or by the depth ruler.

    Raises:
        DiffUSError: if none of them tells it.
    """
    if given is not None:
        return given
    if stream.pixel_mm is not None:
        return stream.pixel_mm
    ruler = read_depth_ruler(stream.images, tick_mm)
    notes.append(
        f"A depth ruler at column {ruler.column} has {ruler.count} ticks, {ruler.spacing_px:.2f} pixels apart; taken "
        f"for {ruler.tick_mm:g} mm, a pixel is {ruler.pixel_mm:.4f} mm (confidence {ruler.confidence:.2f}; "
        "--pixel-mm or --tick-mm says it better)."
    )
    return ruler.pixel_mm, ruler.pixel_mm


def _short(dropped: list[SkippedFrame]) -> list[str]:
    """One phrase for each reason; long lists of numbers become counts."""
    phrases = summarize_skipped(dropped)
    return [phrase if len(phrase) < 200 else f"{phrase[:120]} ...{phrase[phrase.rindex(':') :]}" for phrase in phrases]
