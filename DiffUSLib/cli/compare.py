"""`diffus compare`: measures of real ultrasound against what is rendered in its place."""

from __future__ import annotations

import argparse
import csv

import numpy as np

from DiffUSLib.appearance import load_appearance
from DiffUSLib.cli.options import use_threads
from DiffUSLib.cli.ultrasound_input import add_ultrasound_options, maps_behind, read_behind, read_ultrasound
from DiffUSLib.cli.volume_meaning import add_meaning_options
from DiffUSLib.evaluation.pair_measures import FrameComparison, table_one
from DiffUSLib.io import write_image
from DiffUSLib.io.files import check_folder, written_whole
from DiffUSLib.io.images import check_image_path

_MEASURES = ("ncc", "ssim", "mse", "mae")


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "compare",
        help="compare real ultrasound with what is rendered in its place",
        description="Measure NCC, SSIM, MSE and MAE inside the fan for the stages of the paper's Table 1, the default "
        "look and looks that `diffus match` fitted; the mean over the frames.",
        epilog="Example: diffus compare head.nii.gz sweep.igs.mha --look scanner.json --table measures.csv",
    )
    parser.add_argument("volume", metavar="VOLUME", help="MRI, CT or labels; or a picture of the slice, as FRAMES")
    parser.add_argument(
        "ultrasound", metavar="FRAMES", help="tracked ultrasound, a picture, or a reconstructed ultrasound volume"
    )
    add_meaning_options(parser)
    parser.add_argument(
        "--look", action="append", default=[], metavar="NAME|JSON", help="a further look; may be given several times"
    )
    add_ultrasound_options(parser)
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads (default: 1)")
    parser.add_argument("--table", metavar="CSV", help="write the measures to a file")
    parser.add_argument("-o", "--output", metavar="PNG", help="frame and rendered images of the middle frame")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    if arguments.output is not None:
        check_image_path(arguments.output)
    if arguments.table is not None:
        check_folder(arguments.table)
    use_threads(arguments.threads)
    looks = {name: load_appearance(name) for name in arguments.look}
    slices = read_ultrasound(arguments, planes=True)
    volume = read_behind(arguments.volume, arguments.spacing)
    maps = maps_behind(volume, arguments)
    comparisons = [FrameComparison(slices, index, volume, maps) for index in range(len(slices.images))]
    tables = [table_one(comparison, looks) for comparison in comparisons]
    rows = {
        row: [float(np.mean([getattr(table[row][1], name) for table in tables])) for name in _MEASURES]
        for row in tables[0]
    }
    print(f"{'':<40}{'NCC':>7}{'SSIM':>7}{'MSE':>8}{'MAE':>8}   mean of {len(tables)} frame(s)")
    for row, (ncc, ssim, mse, mae) in rows.items():
        print(f"{row:<40}{ncc:>7.3f}{ssim:>7.3f}{mse:>8.4f}{mae:>8.4f}")
    if arguments.table is not None:
        with written_whole(arguments.table) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["row", *_MEASURES])
            writer.writerows([row, *(f"{value:.4f}" for value in values)] for row, values in rows.items())
    if arguments.output is not None:
        middle = len(comparisons) // 2
        comparison, table = comparisons[middle], tables[middle]
        images = [comparison.ultrasound, table["default look"][0], *(table[name][0] for name in looks)]
        write_image(arguments.output, np.clip(np.hstack([image * comparison.mask for image in images]), 0, 1))
