"""Shards: WebDataset tar files, each written whole, with a checksum beside it; made again only where needed."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tarfile
from pathlib import Path

import torch

from DiffUSLib import __version__
from DiffUSLib.datasets.frames import frames, prepared_patient
from DiffUSLib.datasets.recipe import Recipe
from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.files import written_whole

FORMAT = 1
DESCRIPTION = "dataset.json"


def shard_path(folder: Path, shard: int) -> Path:
    """The tar file of a shard."""
    return folder / f"shard-{shard:06d}.tar"


def begin(recipe: Recipe, folder: Path) -> bool:
    """Describe the data set in its folder, or make sure that the folder holds a part of the same one.

    Returns:
        whether it is new.

    Raises:
        DiffUSError: if another data set is there.
    """
    description = {
        "format": FORMAT,
        "diffus_version": __version__,
        "recipe": recipe.portable(),
        "recipe_sha256": recipe.digest(),
        "shards": recipe.shards,
    }
    path = folder / DESCRIPTION
    if path.exists():
        found = _read_json(path)
        if (found.get("recipe_sha256"), found.get("format")) != (recipe.digest(), FORMAT):
            raise DiffUSError(f"{folder} holds a data set of another recipe; choose another folder, or that recipe.")
        return False
    if folder.exists() and any(folder.iterdir()):
        raise DiffUSError(f"{folder} holds other files; choose an empty folder.")
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return True


def abandon(folder: Path) -> None:
    """Take back what `begin` wrote, where no shard came of it."""
    remove_leftovers(folder)
    if [path.name for path in folder.iterdir()] == [DESCRIPTION]:
        (folder / DESCRIPTION).unlink()
        with contextlib.suppress(OSError):  # a worker that was not stopped in time writes again
            folder.rmdir()


def remove_leftovers(folder: Path) -> None:
    """Remove what killed workers left half-written."""
    for path in folder.glob(".*-shard-*"):
        path.unlink(missing_ok=True)


def is_made(recipe: Recipe, folder: Path, shard: int) -> bool:
    """Whether a shard is there, whole."""
    path = shard_path(folder, shard)
    told = _read_json(path.with_suffix(".json"))
    return path.is_file() and told.get("sha256") == _sha256(path) and told.get("recipe_sha256") == recipe.digest()


def make_shard(recipe_json: str, folder: str, shard: int) -> int:
    """Render a shard and write it; returns how many frames it holds. Does nothing if it is there.

    Args:
        recipe_json: a recipe whose paths are absolute.
        folder: of the data set; every worker must see it.
        shard: its number.

    Raises:
        DiffUSError: if a frame cannot be made or the disk is full.
    """
    torch.set_num_threads(1)  # sums depend on the number of threads; workers are processes
    recipe = Recipe.model_validate_json(recipe_json)
    first = shard * recipe.frames_per_shard
    count = min(recipe.frames_per_shard, recipe.frames - first)
    path = shard_path(Path(folder), shard)
    if is_made(recipe, Path(folder), shard):
        return count
    volumes: dict[str, dict] = {}
    with (
        written_whole(path) as temporary,
        tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for number, files in enumerate(frames(recipe, first, count), start=first):
            patient = json.loads(files["json"])["patient"]
            if str(patient) not in volumes:
                volumes[str(patient)] = _decided(recipe, patient)
            for ending, content in sorted(files.items()):
                entry = tarfile.TarInfo(f"{number:09d}.{ending}")
                entry.size, entry.mode = len(content), 0o644
                tar.addfile(entry, io.BytesIO(content))
    told = {
        "sha256": _sha256(path),
        "frames": count,
        "first_frame": first,
        "recipe_sha256": recipe.digest(),
        "volumes": volumes,
    }
    with written_whole(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(told, sort_keys=True) + "\n", encoding="utf-8")
    return count


def volume_sentences(recipe: Recipe, folder: Path) -> list[str]:
    """What the volume of each patient was taken for, as the shards tell it."""
    volumes: dict[str, dict] = {}
    for shard in range(recipe.shards):
        volumes |= _read_json(shard_path(folder, shard).with_suffix(".json")).get("volumes", {})
    return [f"patient {patient}: {' '.join(volumes[patient]['told'])}" for patient in sorted(volumes, key=int)]


def _decided(recipe: Recipe, patient: int) -> dict:
    decision = prepared_patient(recipe, patient).maps.decision
    assert decision is not None  # the maps of a volume come with one
    return {**decision.report(), "told": decision.sentences()}


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
