"""`diffus dataset`: rendered, labeled, tracked frames for machine learning, from a recipe."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.extras import optional


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "dataset",
        help="make a data set for machine learning",
        description="Render the frames of a recipe into WebDataset shards. What is there already is kept: a run that "
        "was stopped goes on where it was, and the same recipe gives the same bytes on any number of workers.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Example:\n  diffus dataset recipe.yaml -o frames --workers 2",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="YAML file; docs/datasets.md describes its keys")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help="folder of the shards")
    where = parser.add_argument_group("computers")
    where.add_argument("--workers", type=int, metavar="N", help="processes or jobs (default: one for each core)")
    where.add_argument(
        "--scheduler", metavar="ADDRESS|slurm|pbs",
        help="a Dask scheduler that runs, such as tcp://node1:8786; or the queue that dask-jobqueue sends jobs to, "
        "sized by Dask's configuration files",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    if arguments.workers is not None and arguments.workers < 1:
        raise DiffUSError(f"--workers is {arguments.workers}; give at least 1.")
    for package in ("pydantic", "yaml", "dask.distributed"):
        optional(package, "dataset")
    from DiffUSLib.datasets.engine import connected, make_cohort, make_dataset
    from DiffUSLib.datasets.recipe import read_recipe
    from DiffUSLib.datasets.shards import volume_sentences

    recipe = read_recipe(arguments.recipe)
    began = time.monotonic()
    with connected(arguments.workers, arguments.scheduler) as client:
        for progress in make_dataset(recipe, Path(arguments.output), client):
            seconds = time.monotonic() - began
            rate = progress.new_frames / seconds if seconds > 0 else 0.0
            left = (progress.all_frames - progress.frames) / rate if rate > 0 else None
            print(
                f"shard {progress.shards} of {progress.all_shards}, {progress.frames} frames"
                + (f", {rate:.0f} frames/s, {left / 60:.1f} min left" if left is not None else ""),
                file=sys.stderr,
                flush=True,
            )
        for cases in make_cohort(recipe, Path(arguments.output), client):
            print(f"case {cases} of {recipe.cohort.cases if recipe.cohort else 0}", file=sys.stderr, flush=True)
    print(*volume_sentences(recipe, Path(arguments.output)), sep="\n", file=sys.stderr, flush=True)
    print(f"{arguments.output} holds {recipe.frames} frames in {recipe.shards} shards; this run took {seconds:.0f} s.")
