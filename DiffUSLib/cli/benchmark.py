"""`diffus benchmark`: times against the paper's dense solve."""

from __future__ import annotations

import argparse
import json

import torch

from DiffUSLib.evaluation import benchmark
from DiffUSLib.io.files import check_folder, written_whole
from DiffUSLib.rendering.device import choose_device


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "benchmark",
        help="measure speed and memory",
        description="Measure DiffUS against the paper's method as published: a dense solve for each depth.",
    )
    parser.add_argument("--json", metavar="FILE", help="also write the table as JSON")
    parser.add_argument(
        "--quick", action="store_true", help="a small part of the table, in seconds instead of minutes"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    if arguments.json:
        check_folder(arguments.json)
    device, reason = choose_device(arguments.device)
    scene = benchmark.Scene(device)
    for note in scene.maps.notes:
        print(note)
    kept, threads = torch.get_num_threads(), benchmark.best_thread_count(scene)
    print(f"{reason}; PyTorch {torch.__version__}, {threads} CPU threads (the fastest number measured).")
    print(f"Echoes differ from the dense solve by {benchmark.agreement(scene):.1e} of the strongest (float64).")
    repeats = 10 if arguments.quick else 40
    rows = []
    print(f"{'rays':>5} {'samples':>8} {'pass':>17} {'ours ms':>9} {'dense ms':>10} {'ratio':>8} {'peak MB':>8}")
    torch.set_num_threads(threads)
    try:
        for rays in benchmark.QUICK_RAYS if arguments.quick else benchmark.RAYS:
            for samples in benchmark.QUICK_SAMPLES if arguments.quick else benchmark.SAMPLES:
                for backward in (False, True):
                    row = benchmark.measure_row(scene, rays, samples, backward, repeats)
                    rows.append(row)
                    print(
                        f"{row.rays:>5} {row.samples:>8} {row.pass_:>17} {row.ours_ms:>9.2f} {row.dense_ms:>10.0f} "
                        f"{row.ratio:>8.0f} {row.ours_peak_mb:>8.1f}",
                        flush=True,
                    )
        for name, value in benchmark.further_figures(scene, repeats).items():
            print(f"{name}: {value:.2f}")
    finally:
        torch.set_num_threads(kept)
    if arguments.json:
        with written_whole(arguments.json) as temporary:
            temporary.write_text(json.dumps([row.as_dict() for row in rows], indent=2) + "\n", encoding="utf-8")
        print(f"Wrote {arguments.json}.")
