"""`diffus register`: correct the place of tracked ultrasound by an MRI or CT."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from typing import Any

import torch

from DiffUSLib.acoustics import AcousticMaps
from DiffUSLib.cli.fan import add_fan_option, chosen_fan
from DiffUSLib.cli.options import add_volume_options, read_volume_and_place, use_threads
from DiffUSLib.cli.register_deformable import (
    add_deformable_options,
    check_deformable_options,
    checked_landmarks,
    deformed,
    read_cavity,
    read_landmarks,
)
from DiffUSLib.cli.register_extras import (
    calibrated,
    calibration_report,
    calibration_wishes,
    landmark_start,
    probe_path,
    slices_moved,
)
from DiffUSLib.cli.volume_meaning import add_meaning_options, told_maps
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import check_rigid
from DiffUSLib.io import read_transform, write_transform
from DiffUSLib.io.chain import read_calibration
from DiffUSLib.io.extras import optional
from DiffUSLib.io.files import check_folder, written_whole
from DiffUSLib.io.tracked import TrackedFrames
from DiffUSLib.io.tracked_files import ORIENTATIONS, read_tracked_frames
from DiffUSLib.io.tracked_places import PlacedFrames, place_frames
from DiffUSLib.io.transforms import check_transform_path
from DiffUSLib.registration import (
    PRESETS,
    Alignment,
    RegistrationResult,
    RegistrationSettings,
    SliceComparison,
    UltrasoundSlices,
    compare_sweeps,
    degrees_of_freedom_names,
    overlay,
    registration_report,
    slices_from_images,
    spread_frames,
    square_pixels,
)
from DiffUSLib.registration.alignment import seen_from
from DiffUSLib.ultrasound.fan_detection import fan_report
from DiffUSLib.ultrasound.observation import DEFAULT_FRAMES, pixel_size_mm


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "register",
        help="align tracked ultrasound to an MRI or CT",
        description="Find the rigid correction that makes tracked ultrasound agree with an MRI or CT, and say whether "
        "to trust it. Not for clinical use.",
        epilog="Example: diffus register head.nii.gz sweep.igs.mha -o correction.tfm --report report.json",
    )
    add_volume_options(parser)
    add_meaning_options(parser)
    parser.add_argument("frames_file", metavar="FRAMES", help="tracked ultrasound: .igs.mha or .igs.nrrd")
    parser.add_argument(
        "--initial",
        metavar="FILE",
        help="ReferenceToRas as Slicer saves it (default: that of FRAMES or the calibration, else the identity)",
    )
    parser.add_argument("--calibration", metavar="XML", help="PLUS device set with ImageToProbe")
    parser.add_argument(
        "--frames", type=frame_numbers, metavar="N,N,...", help="frames to use (default: 7 evenly spread valid ones)"
    )
    parser.add_argument("--spacing", type=float, metavar="MM", help="pixel size, if the file does not hold it")
    add_fan_option(parser)
    parser.add_argument(
        "--orientation", choices=ORIENTATIONS, help="of the stored frames (default: what FRAMES says, else MF)"
    )
    parser.add_argument(
        "--units", choices=("mm", "m"), help="of the tracking (default: mm, refused where it looks like meters)"
    )
    told = "; ".join(f"{name}: {preset.title}" for name, preset in PRESETS.items())
    parser.add_argument("--preset", default="quick", choices=PRESETS, help=f"how far to look: {told} (default: quick)")
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
        "--start",
        nargs="+",
        metavar=("landmarks", "FILE"),
        help="'landmarks US VOLUME': two point lists of Slicer (.mrk.json, .fcsv) of three or more points, where the "
        "tracked ultrasound shows them and where the volume does, with the same labels or in the same order",
    )
    parser.add_argument(
        "--calibrate",
        metavar="WHAT,WHAT",
        help="find along, with uncertainty: latency (of the images), scale, rotation (of ImageToProbe)",
    )
    parser.add_argument(
        "--check-against", metavar="FRAMES2", help="a second sweep of the same patient and tracker, which must agree"
    )
    parser.add_argument(
        "--refine-tissue",
        action="store_true",
        help="of an MRI: also find the impedances at the anchors of its curve and the gain (told in the report)",
    )
    add_deformable_options(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the starts (default: 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads (default: 1, often fastest)")
    parser.add_argument(
        "-o", "--output", required=True, metavar="CORRECTION", help=".tfm, moves the ultrasound in RAS"
    )
    parser.add_argument("--report", metavar="JSON", help="verdict, reasons and figures")
    parser.add_argument("--picture", metavar="PNG", help="ultrasound and rendered image before and after")
    parser.set_defaults(run=run)


def frame_numbers(text: str) -> list[int]:
    """A type for argparse: whole numbers with commas between them."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no list of frame numbers; write for instance 0,5,10") from None


def run(arguments: argparse.Namespace) -> None:
    check_transform_path(arguments.output)
    for path in (arguments.report, arguments.picture):
        if path is not None:
            check_folder(path)
    check_deformable_options(arguments)
    pairs, cavity = read_landmarks(arguments), read_cavity(arguments)
    use_threads(arguments.threads)
    wanted = set() if arguments.calibrate is None else calibration_wishes(arguments.calibrate)
    settings = RegistrationSettings(
        arguments.preset,
        arguments.dof,
        arguments.prior_mm,
        arguments.prior_deg,
        arguments.seed,
        arguments.device,
        arguments.refine_tissue,
    )
    landmarks = None if arguments.start is None else landmark_start(arguments.start)
    start = torch.eye(4, dtype=torch.float64) if landmarks is None else landmarks.correction_ras
    tracked, placed = read_placed(arguments, arguments.frames_file)
    count = 2 * DEFAULT_FRAMES + 1 if wanted else DEFAULT_FRAMES
    slices, used = make_slices(tracked, placed, arguments.frames, count, arguments.fan)
    volume, volume_place = read_volume_and_place(arguments)
    maps = told_maps(volume, arguments)
    assert maps.decision is not None  # the maps of a volume come with one

    def aligned(some: UltrasoundSlices) -> RegistrationResult:
        return follow(Alignment(volume, slices_moved(some, start), settings, maps))

    result = aligned(slices)
    extra: dict[str, Any] = {"volume": volume_place | maps.decision.report() | {"notes": list(maps.notes)}}
    if wanted:
        path = probe_path(tracked, placed, used, slices, start)
        moved = slices_moved(slices, start)
        calibration, result = calibrated(volume, moved, settings, maps, result, wanted, path)
        extra["calibration"] = calibration_report(calibration)
    result = seen_from(result, start, slices)
    if landmarks is not None:
        extra["start"] = {"landmarks": len(landmarks.residuals_mm), "rms_mm": landmarks.rms_mm}
        print(f"{len(landmarks.residuals_mm)} landmarks fit with {landmarks.rms_mm:.1f} mm (root mean square).")
    if arguments.check_against is not None:
        other = make_slices(*read_placed(arguments, arguments.check_against), fan_file=arguments.fan)[0]
        second = seen_from(aligned(other), start, slices)
        agreement = compare_sweeps(result, second, slices)
        result = replace(result, verdict=agreement.verdict, reasons=[agreement.reason, *result.reasons])
        extra["second_sweep"] = {"distance_mm": agreement.distance_mm, "verdict": second.verdict}
    if slices.fan is not None:
        extra["fan"] = fan_report(slices.fan, pixel_size_mm(torch.from_numpy(slices.image_to_transducer[None])))
    warp = None
    _tell(result)
    if arguments.deformable:
        warp, part = deformed(arguments, volume, slices, maps, result, cavity)
        extra |= part
    if pairs is not None:
        extra |= checked_landmarks(arguments, pairs, result, warp)
    _write(arguments, result, registration_report(result, used) | tracking_report(placed) | extra)
    if arguments.picture is not None:
        with written_whole(arguments.picture) as temporary:
            draw_picture(temporary, slices, maps, result)
    print(f"Wrote {arguments.output} after {result.seconds:.1f} s with frames {', '.join(map(str, used))}.")


def _write(arguments: argparse.Namespace, result: RegistrationResult, report: dict) -> None:
    """The correction, and the report if one is wanted."""
    write_transform(arguments.output, result.correction_ras)
    if arguments.report is not None:
        with written_whole(arguments.report) as temporary:
            temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _tell(result: RegistrationResult) -> None:
    """The verdict and what was found, in sentences."""
    print(f"{result.verdict.upper()}: {' '.join(result.reasons)}")
    axes = ", ".join(f"{value:+.1f}" for value in result.displacement_axes_mm)
    print(f"The ultrasound moves by {result.displacement_mm:.1f} mm (lateral, depth, elevation: {axes} mm).")
    if abs(result.image_scale - 1) > 0.005:
        way = "faster" if result.image_scale > 1 else "slower"
        print(f"It fits best if sound was {abs(result.image_scale - 1):.1%} {way} than the scanner assumes.")


def read_placed(arguments: argparse.Namespace, path: str) -> tuple[TrackedFrames, PlacedFrames]:
    """A sequence and where its frames are; says what is to be known of them."""
    tracked = read_tracked_frames(path, arguments.orientation)
    placed = place(tracked, arguments.initial, arguments.calibration, arguments.spacing, arguments.units)
    for note in placed.notes:
        print(f"diffus: note: {note}", file=sys.stderr)
    return tracked, placed


def follow(alignment: Alignment) -> RegistrationResult:
    """Runs an alignment and names its stages as it goes."""
    stage = None
    for progress in alignment.steps():
        if progress.stage != stage:
            stage = progress.stage
            print(f"{stage} ...", file=sys.stderr, flush=True)
    assert alignment.result is not None  # it ran to its end
    return alignment.result


def place(
    tracked: TrackedFrames,
    initial: str | None = None,
    calibration: str | None = None,
    spacing_mm: float | None = None,
    units: str | None = None,
) -> PlacedFrames:
    """The frames of a tracked sequence in RAS.

    Args:
        tracked: the sequence.
        initial: file with ReferenceToRas; without it, the sequence's own registration or the identity.
        calibration: PLUS device set.
        spacing_mm: pixel size.
        units: "mm" or "m" of the tracking; None for mm, checked.

    Raises:
        DiffUSError: if a file or link is missing, or no frame can be used.
    """
    constants = read_calibration(calibration) if calibration else {}
    reference_to_ras = None
    if initial is not None:
        reference_to_ras = read_transform(initial)
        check_rigid(reference_to_ras, f"the transform in {initial}")
    tracked = tracked.from_meters() if units == "m" else tracked
    return place_frames(tracked, constants, reference_to_ras, spacing_mm, check_units=units is None)


def make_slices(
    tracked: TrackedFrames,
    placed: PlacedFrames,
    frames: list[int] | None = None,
    count: int = DEFAULT_FRAMES,
    fan_file: str | None = None,
) -> tuple[UltrasoundSlices, list[int]]:
    """Slices of a tracked sequence in RAS, and the numbers of their frames.

    Args:
        tracked: the sequence.
        placed: where its frames are.
        frames: numbers of the frames to use; without it `count` of those that can be used, evenly spread.
        fan_file: the fan or the probe; without it, the fan is looked for.

    Raises:
        DiffUSError: if a frame is not there or cannot be used, or no fan is found.
    """
    good = placed.valid.nonzero().flatten().tolist()
    index_of = {number: index for index, number in enumerate(tracked.numbers)}
    if frames and len(set(frames)) < len(frames):
        raise DiffUSError("a frame is named twice; it would count as if there were more ultrasound than there is.")
    reasons = {frame.number: frame.reason for frame in placed.skipped}
    for number in frames or ():
        if number not in index_of:
            first, last = tracked.numbers[0], tracked.numbers[-1]
            raise DiffUSError(f"there is no frame {number}; {tracked.name} has the frames {first} to {last}.")
        if number in reasons:
            raise DiffUSError(f"frame {number} of {tracked.name} cannot be used: {reasons[number]}; leave it out.")
    if frames is None:
        frames = [tracked.numbers[good[index]] for index in spread_frames(len(good), count)]
    images, matrices = square_pixels(tracked.images.numpy()[good], placed.image_to_patient[good])
    picked = [good.index(index_of[number]) for number in frames]
    # The fan is the same in all frames: the more of them, the fewer shadows hide it.
    fan = chosen_fan(fan_file, images, pixel_size_mm(matrices))
    return slices_from_images(images[picked], matrices[picked], fan), frames


def tracking_report(placed: PlacedFrames) -> dict:
    """What was done with the tracking, as plain values that JSON can hold."""
    return {
        "frames_skipped": [{"frame": frame.number, "reason": frame.reason} for frame in placed.skipped],
        "tracking": {"steps": [name for name, _ in placed.steps], "notes": list(placed.notes)},
    }


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
