"""`diffus register`: correct the place of tracked ultrasound by an MRI or CT."""

from __future__ import annotations

import argparse
import json
import sys

import torch

from DiffUSLib.acoustics import AcousticMaps, acoustic_maps
from DiffUSLib.cli.options import MODALITIES, add_volume_options, read_chosen_volume, use_threads
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import check_rigid
from DiffUSLib.io import read_transform, write_transform
from DiffUSLib.io.chain import patient_frame, read_calibration
from DiffUSLib.io.extras import optional
from DiffUSLib.io.files import check_folder, written_whole
from DiffUSLib.io.tracked import TrackedFrames, read_tracked_frames
from DiffUSLib.io.transforms import check_transform_path
from DiffUSLib.registration import (
    PRESETS,
    Alignment,
    RegistrationResult,
    RegistrationSettings,
    SliceComparison,
    UltrasoundSlices,
    degrees_of_freedom_names,
    overlay,
    registration_report,
    slices_from_images,
    spread_frames,
    square_pixels,
)
from DiffUSLib.ultrasound.fan_detection import detect_fan


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "register",
        help="align tracked ultrasound to an MRI or CT",
        description="Find the rigid correction that makes tracked ultrasound agree with an MRI or CT, and say whether "
        "to trust it. Not for clinical use.",
        epilog="Example: diffus register head.nii.gz sweep.igs.mha -o correction.tfm --report report.json",
    )
    add_volume_options(parser)
    parser.add_argument("frames_file", metavar="FRAMES", help="tracked ultrasound: .igs.mha or .igs.nrrd")
    parser.add_argument(
        "--initial",
        metavar="FILE",
        help="ReferenceToRas as Slicer saves it (default: that of FRAMES or the calibration, else the identity)",
    )
    parser.add_argument("--calibration", metavar="XML", help="PLUS device set with ImageToProbe")
    parser.add_argument(
        "--frames", type=_frame_numbers, metavar="N,N,...", help="frames to use (default: 7 evenly spread valid ones)"
    )
    parser.add_argument("--spacing", type=float, metavar="MM", help="pixel size, if the file does not hold it")
    parser.add_argument("--modality", default="auto", choices=MODALITIES[:-1], help="of the volume (default: auto)")
    parser.add_argument("--preset", default="quick", choices=PRESETS, help="how far to look (default: quick)")
    parser.add_argument(
        "--dof",
        default="rigid_and_scale",
        choices=degrees_of_freedom_names(),
        help="what may change (default: rigid_and_scale, the scale of the images because scanners assume one speed "
        "of sound)",
    )
    expected = "expected error of the tracking per axis (default: that of the preset"
    shown = [
        ", ".join(f"{name} {getattr(preset, field):g}" for name, preset in PRESETS.items())
        for field in ("prior_mm", "prior_deg")
    ]
    parser.add_argument("--prior-mm", type=float, metavar="MM", help=f"{expected}, {shown[0]})")
    parser.add_argument("--prior-deg", type=float, metavar="DEG", help=f"{expected}, {shown[1]})")
    parser.add_argument(
        "--refine-tissue",
        action="store_true",
        help="of an MRI: also find the impedances at the anchors of its curve and the gain (told in the report)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the starts (default: 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads (default: 1, often fastest)")
    parser.add_argument(
        "-o", "--output", required=True, metavar="CORRECTION", help=".tfm, moves the ultrasound in RAS"
    )
    parser.add_argument("--report", metavar="JSON", help="verdict, reasons and figures")
    parser.add_argument("--picture", metavar="PNG", help="ultrasound and rendered image before and after")
    parser.set_defaults(run=run)


def _frame_numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of frame numbers; write for instance 0,5,10") from None


def run(arguments: argparse.Namespace) -> None:
    check_transform_path(arguments.output)
    for path in (arguments.report, arguments.picture):
        if path is not None:
            check_folder(path)
    use_threads(arguments.threads)
    settings = RegistrationSettings(
        arguments.preset,
        arguments.dof,
        arguments.prior_mm,
        arguments.prior_deg,
        arguments.seed,
        arguments.device,
        arguments.refine_tissue,
    )
    tracked = read_tracked_frames(arguments.frames_file)
    slices, used = make_slices(tracked, arguments.initial, arguments.calibration, arguments.frames, arguments.spacing)
    volume = read_chosen_volume(arguments)
    maps = acoustic_maps(volume, modality=arguments.modality)
    alignment = Alignment(volume, slices, settings, maps)
    stage = None
    for progress in alignment.steps():
        if progress.stage != stage:
            stage = progress.stage
            print(f"{stage} ...", file=sys.stderr, flush=True)
    result = alignment.result
    write_transform(arguments.output, result.correction_ras)
    if arguments.report is not None:
        report = json.dumps(registration_report(result, used), indent=2)
        with written_whole(arguments.report) as temporary:
            temporary.write_text(report + "\n", encoding="utf-8")
    if arguments.picture is not None:
        with written_whole(arguments.picture) as temporary:
            draw_picture(temporary, slices, maps, result)
    print(f"{result.verdict.upper()}: {' '.join(result.reasons)}")
    axes = ", ".join(f"{value:+.1f}" for value in result.displacement_axes_mm)
    print(f"The ultrasound moves by {result.displacement_mm:.1f} mm (lateral, depth, elevation: {axes} mm).")
    if abs(result.image_scale - 1) > 0.005:
        way = "faster" if result.image_scale > 1 else "slower"
        print(f"It fits best if sound was {abs(result.image_scale - 1):.1%} {way} than the scanner assumes.")
    print(f"Wrote {arguments.output} after {result.seconds:.1f} s with frames {', '.join(map(str, used))}.")


def make_slices(
    tracked: TrackedFrames,
    initial: str | None = None,
    calibration: str | None = None,
    frames: list[int] | None = None,
    spacing_mm: float | None = None,
) -> tuple[UltrasoundSlices, list[int]]:
    """Slices of a tracked sequence in RAS, and the numbers of their frames.

    Args:
        tracked: the sequence.
        initial: file with ReferenceToRas; without it, the sequence's own ReferenceToRas or the identity.
        calibration: PLUS device set.
        frames: numbers of the frames to use.
        spacing_mm: pixel size.

    Raises:
        DiffUSError: if a file or link is missing, a frame is not there or not valid, or no fan is found.
    """
    constants = read_calibration(calibration) if calibration else {}
    goal = patient_frame((*tracked.transforms, *constants)) if initial is None else "Reference"
    image_to_goal, valid = tracked.image_to(goal, constants, spacing_mm)
    if initial is not None:
        reference_to_ras = read_transform(initial)
        check_rigid(reference_to_ras, f"the transform in {initial}")
        image_to_goal = reference_to_ras @ image_to_goal
    good = valid.nonzero().flatten().tolist()
    if frames and len(set(frames)) < len(frames):
        raise DiffUSError("a frame is named twice; it would count as if there were more ultrasound than there is.")
    for number in frames or ():
        if not 0 <= number < len(valid):
            raise DiffUSError(f"there is no frame {number}; {tracked.name} has the frames 0 to {len(valid) - 1}.")
        if number not in good:
            raise DiffUSError(f"frame {number} of {tracked.name} has no valid tracking; leave it out.")
        if _is_constant(tracked.images[number]):
            raise DiffUSError(f"frame {number} of {tracked.name} is constant; leave it out.")
    skipped = len(valid) - len(good)
    if skipped:
        print(f"{skipped} of {len(valid)} frames have no valid tracking and are skipped.", file=sys.stderr)
    if frames is None:
        seen = [number for number in good if not _is_constant(tracked.images[number])]
        if 0 < len(seen) < len(good):
            print(f"{len(good) - len(seen)} of {len(valid)} frames are constant and are skipped.", file=sys.stderr)
            good = seen
        frames = [good[index] for index in spread_frames(len(good))]
    images, matrices = square_pixels(tracked.images.numpy()[good], image_to_goal[good])
    picked = [good.index(number) for number in frames]
    # The fan is the same in all frames: the more of them, the fewer shadows hide it.
    return slices_from_images(images[picked], matrices[picked], detect_fan(images)), frames


def _is_constant(image: torch.Tensor) -> bool:
    return bool(image.max() == image.min())


def draw_picture(path, slices: UltrasoundSlices, maps: AcousticMaps, result: RegistrationResult) -> None:
    """Write a PNG of the middle slice: the ultrasound, what is rendered before and after, and checkerboards."""
    Figure = optional("matplotlib.figure", "pictures").Figure
    middle = len(slices.images) // 2
    comparison = SliceComparison(slices, maps, middle, device="cpu")
    ultrasound, mask = comparison.ultrasound, comparison.mask
    figure = Figure(figsize=(10, 6.4), facecolor="black", layout="constrained")
    images = comparison.before_and_after(result)
    for row, name, rendered in zip(figure.subplots(2, 3), ("before", "after"), images, strict=True):
        panels = {
            "ultrasound": ultrasound,
            f"rendered, {name}": rendered,
            f"checkerboard, {name}": overlay(ultrasound, rendered, mask, "checkerboard"),
        }
        for axis, (title, image) in zip(row, panels.items(), strict=True):
            axis.imshow(image, cmap="gray", vmin=0, vmax=1)
            axis.set_title(title, color="white")
            axis.axis("off")
    figure.suptitle(f"{result.verdict}: moved by {result.displacement_mm:.1f} mm", color="white")
    figure.savefig(path, format="png", dpi=110)
