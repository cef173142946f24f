"""Makes a data set, kills the run halfway with all its processes, lets it go on, and checks every byte.

    python Testing/killed_dataset.py FOLDER [--frames 2000] [--workers 2]

The patient is a ball of white matter with a core of fluid. What the killed run and the one after it made is compared
with a run that nobody disturbed, of one worker. Needs an empty folder; prints what was found, and ends with 1 if
anything is wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SHARDS = 20
IMAGE_PX = 64
RECIPE = """
seed: 12
frames: {frames}
frames_per_shard: {per_shard}
patients:
  - {{volume: ball.nrrd, modality: labels, mapping: {folder}/tissues.csv, labels: ball.nrrd}}
image: {{width_px: 64, height_px: 64, samples: 64}}
store: [bmode, labels]
"""
TIMEOUT_S = 1200


def write_patient(folder: Path, frames: int) -> None:
    """The ball, its tissues, and the recipe."""
    k, j, i = np.indices((60, 60, 60)) - 29.5
    distance_mm = 2 * np.sqrt(k**2 + j**2 + i**2)
    image = sitk.GetImageFromArray((distance_mm < 40).astype(np.uint8) + (distance_mm < 12))
    image.SetSpacing((2.0, 2.0, 2.0))
    image.SetOrigin((-59.0, -59.0, -59.0))
    sitk.WriteImage(image, str(folder / "ball.nrrd"))
    (folder / "tissues.csv").write_text("label,tissue\n0,water\n1,white matter\n2,cerebrospinal fluid\n")
    recipe = RECIPE.format(frames=frames, per_shard=-(-frames // SHARDS), folder=folder)
    (folder / "recipe.yaml").write_text(recipe)


def start(folder: Path, name: str, workers: int) -> subprocess.Popen:
    """`diffus dataset` in a process group of its own."""
    command = [sys.executable, "-m", "DiffUSLib.cli", "dataset", "recipe.yaml", "-o", name, "--workers", str(workers)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=folder, env=environment, start_new_session=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def kill_halfway(folder: Path, workers: int) -> dict[Path, int]:
    """Start a run, kill it when half of its shards are there; these, with the time of their last change."""
    out = folder / "killed"
    process, limit = start(folder, out.name, workers), time.monotonic() + TIMEOUT_S
    while len(done := list(out.glob("shard-*.json"))) < SHARDS // 2:
        if process.poll() is not None or time.monotonic() > limit:
            raise SystemExit("the run ended, or took too long, before it was killed")
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return {path.with_suffix(".tar"): path.with_suffix(".tar").stat().st_mtime_ns for path in done}


def finish(folder: Path, name: str, workers: int) -> float:
    """Run to the end; seconds."""
    began = time.monotonic()
    process = start(folder, name, workers)
    process.communicate(timeout=TIMEOUT_S)
    if process.returncode != 0:
        raise SystemExit(f"the run to {name} ended with {process.returncode}")
    return time.monotonic() - began


def what_is_wrong(folder: Path, kept: dict[Path, int], frames: int) -> list[str]:
    """Sentences; none if killing has changed nothing."""
    out, whole, wrong = folder / "killed", folder / "whole", []
    expected = {"dataset.json", *(f"shard-{n:06d}.{ending}" for n in range(SHARDS) for ending in ("tar", "json"))}
    for name in sorted(expected ^ {path.name for path in out.iterdir()}):
        wrong.append(f"{name} is there, or missing, against the plan")
    wrong += [f"{path.name} was made twice" for path, made in kept.items() if path.stat().st_mtime_ns != made]
    numbers: list[str] = []
    for path in sorted(out.glob("*.tar")):
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != json.loads(path.with_suffix(".json").read_text())["sha256"]:
            wrong.append(f"{path.name} is not what its checksum says")
        if content != (whole / path.name).read_bytes():
            wrong.append(f"{path.name} differs from that of the undisturbed run")
        numbers += _frames_in(content, wrong)
    if numbers != [f"{number:09d}" for number in range(frames)]:
        wrong.append(f"there are {len(numbers)} frames, {len(set(numbers))} of them different, instead of {frames}")
    return wrong


def _frames_in(content: bytes, wrong: list[str]) -> list[str]:
    """Numbers of the frames of a shard, each with picture, labels and pose."""
    files: dict[str, dict[str, bytes]] = {}
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for entry in tar:
            number, _, ending = entry.name.partition(".")
            files.setdefault(number, {})[ending] = tar.extractfile(entry).read()
    for number, parts in files.items():
        if set(parts) != {"bmode.png", "labels.png", "json"}:
            wrong.append(f"frame {number} holds {sorted(parts)}")
            continue
        sizes = {Image.open(io.BytesIO(parts[name])).size for name in ("bmode.png", "labels.png")}
        pose = np.array(json.loads(parts["json"])["transducer_to_ras"])
        if sizes != {(IMAGE_PX, IMAGE_PX)} or not np.isfinite(pose).all():
            wrong.append(f"frame {number} is damaged")
    return list(files)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    write_patient(folder, options.frames)
    kept = kill_halfway(folder, options.workers)
    left = sorted(path.name for path in (folder / "killed").iterdir() if path.name.startswith("."))
    print(f"Killed with {len(kept)} of {SHARDS} shards made and {len(left)} half-written.")
    print(f"Went on and ended after {finish(folder, 'killed', options.workers):.0f} s.")
    print(f"An undisturbed run of one worker took {finish(folder, 'whole', 1):.0f} s.")
    wrong = what_is_wrong(folder, kept, options.frames)
    size_mb = sum(path.stat().st_size for path in (folder / "killed").iterdir()) / 1e6
    print(
        *wrong or [f"All {options.frames} frames ({size_mb:.0f} MB) are the same to the byte."], sep="\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
