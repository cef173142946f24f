"""`diffus match`: the look of a scanner from its frames."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import numpy as np

from DiffUSLib.appearance import (
    FitResult,
    fit_appearance,
    fit_to_frames,
    load_appearance,
    save_appearance,
)
from DiffUSLib.cli.options import use_threads
from DiffUSLib.cli.ultrasound_input import add_ultrasound_options, maps_behind, read_behind, read_ultrasound
from DiffUSLib.cli.volume_meaning import add_meaning_options
from DiffUSLib.evaluation.pair_measures import FrameComparison
from DiffUSLib.io import write_image
from DiffUSLib.io.files import check_folder
from DiffUSLib.io.images import check_image_path
from DiffUSLib.rendering.settings import look


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "match",
        help="fit the look of a scanner to its frames",
        description="Fit a look (tissue brightness, gain, shading, contrast, resolution, speckle) to real frames, "
        "with the patient's volume behind them or from the frames alone. `--look FILE` of other commands uses it.",
        epilog="Example: diffus match sweep.igs.mha --volume head.nii.gz -o scanner.json --picture scanner.png",
    )
    parser.add_argument("ultrasound", metavar="FRAMES", help="tracked ultrasound (.igs.mha, .igs.nrrd) or a picture")
    parser.add_argument(
        "--volume", metavar="VOLUME", help="MRI, CT or labels of the patient, in the coordinates of the frames"
    )
    add_meaning_options(parser)
    parser.add_argument("--start", default="clinical", metavar="NAME|JSON", help="look to start from")
    parser.add_argument("--name", default="matched", help="of the look (default: matched)")
    parser.add_argument("--refine-pose", action="store_true", help="also correct the places of the frames by mm")
    add_ultrasound_options(parser)
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads (default: 1, often fastest)")
    parser.add_argument("-o", "--output", required=True, metavar="JSON", help="the look")
    parser.add_argument("--picture", metavar="PNG", help="frame, default look and fitted look side by side")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    check_folder(arguments.output)
    if arguments.picture is not None:
        check_image_path(arguments.picture)
    use_threads(arguments.threads)
    start = load_appearance(arguments.start)
    slices = read_ultrasound(arguments)
    source = f"fitted to {len(slices.images)} frame(s) of {arguments.ultrasound.replace(chr(92), '/').split('/')[-1]}"
    if arguments.volume is None:
        appearance = fit_to_frames(slices, start, arguments.name)
        save_appearance(replace(appearance, source=source), arguments.output)
        print(f"Wrote {arguments.output}: gain, shading, resolution and speckle; tissues are those of {start.name}.")
        return
    volume = read_behind(arguments.volume, arguments.spacing)
    maps = maps_behind(volume, arguments)
    result = _fit(fit_appearance(slices, maps, start, arguments.name, arguments.refine_pose))
    result.check()
    appearance = replace(result.appearance, source=f"{source} and {volume.name}")
    save_appearance(appearance, arguments.output)
    print(
        f"Likeness (NCC of the expected image) {result.likeness_before:.2f} before, {result.likeness:.2f} after; "
        f"explained by the anatomy in parts kept back: {result.explained:.2f}."
    )
    if arguments.picture is not None:
        placed = replace(slices, transducer_to_ras=result.transducer_to_ras)
        comparison = FrameComparison(placed, len(slices.images) // 2, volume, maps)
        clinical = look("clinical")
        images = [comparison.ultrasound, comparison.rendered(clinical), comparison.rendered(clinical, appearance)]
        write_image(arguments.picture, np.clip(np.hstack([image * comparison.mask for image in images]), 0, 1))
    print(f"Wrote {arguments.output} after {result.seconds:.1f} s.")


def _fit(fit) -> FitResult:
    """Run a fit; progress goes on one line of a terminal."""
    while True:
        try:
            progress = next(fit)
        except StopIteration as end:
            return end.value
        if sys.stderr.isatty():
            end_of_line = "\n" if progress.step == progress.steps else "\r"
            print(f"{progress.stage} {progress.step} of {progress.steps}", end=end_of_line, file=sys.stderr)
