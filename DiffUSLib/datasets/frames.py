"""The frames of a recipe: drawn from the seed and their number alone, so that any worker makes the same bytes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch

from DiffUSLib.acoustics import AcousticMaps, acoustic_maps
from DiffUSLib.datasets.pose_sampling import PoseSampler, tracking_error
from DiffUSLib.datasets.recipe import Look, Patient, Recipe
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io import read_volume
from DiffUSLib.io.extras import optional
from DiffUSLib.io.files import file_ending
from DiffUSLib.io.images import to_uint8
from DiffUSLib.io.nifti import NIFTI_ENDINGS
from DiffUSLib.probes.probe import load_probe
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import RenderSettings, look

_SPECKLE_SEEDS = 4
"""So many fields of scatterers are drawn from: a new one costs as much as an image. Place and frequency, which are
never the same twice, make the grain differ."""


class PreparedPatient:
    """What a worker keeps of a patient: maps, a renderer that holds them, labels, poses."""

    def __init__(self, patient: Patient, recipe: Recipe):
        options = {} if patient.mapping is None else {"mapping": patient.mapping}
        volume = read_volume(patient.volume, patient.series, patient.phase, patient.prefer)
        self.maps: AcousticMaps = acoustic_maps(volume, patient.modality, **options).side_by_side()
        self.renderer = Renderer(self.maps, load_probe(recipe.probes[0]), _settings(recipe, recipe.looks[0]), "cpu")
        self.poses = PoseSampler(self.maps, recipe.poses)
        self.labels = None if patient.labels is None else _labels(patient)


def frames(recipe: Recipe, first: int, count: int) -> Iterator[dict[str, bytes]]:
    """The files of frames `first` to `first + count - 1`: ending (such as "bmode.png") to content.

    A batch of frames shares patient, transducer and look. Batches do not depend on where shards begin.

    Raises:
        DiffUSError: if a volume cannot be read or a label that is asked for is missing.
    """
    size = recipe.frames_per_batch
    for batch in range(first // size, (first + count - 1) // size + 1):
        for number, files in enumerate(_batch(recipe, batch), start=batch * size):
            if first <= number < first + count:
                yield files


def _batch(recipe: Recipe, batch: int) -> list[dict[str, bytes]]:
    random = np.random.default_rng(np.random.SeedSequence(recipe.seed, spawn_key=(batch,)))
    which = int(random.integers(len(recipe.patients)))
    prepared = prepared_patient(recipe, which)
    renderer, described = random_renderer(recipe, prepared, random)
    poses = prepared.poses.draw(random, recipe.frames_per_batch)
    with torch.inference_mode():
        rendered = renderer(poses)
    common = {**described, "patient": which}
    result = []
    for index, pose in enumerate(poses):
        image_to_ras = pose @ renderer.grid.image_to_transducer()
        middle = (pose @ torch.tensor([0.0, renderer.probe.depth_mm / 2, 0.0, 1.0], dtype=torch.float64))[:3]
        wrong = tracking_error(random, recipe.tracking_error, middle.numpy())
        files = {"bmode.png": _png(to_uint8(rendered.image[index]))} if "bmode" in recipe.store else {}
        if "scan_lines" in recipe.store:
            files["scan_lines.npy"] = _npy(rendered.scan_lines.gray[index].numpy().astype(np.float16))
        if "labels" in recipe.store and prepared.labels is not None:
            files["labels.png"] = _png(_in_plane(prepared.labels, image_to_ras, rendered.mask))
        if "impedance" in recipe.store:
            volume = Volume(prepared.maps.impedance, prepared.maps.ijk_to_ras)
            files["impedance.npy"] = _npy(_in_plane(volume, image_to_ras, rendered.mask).astype(np.float16))
        told = {
            **common,
            "transducer_to_ras": pose.tolist(),
            "image_to_ras": image_to_ras.tolist(),
            "tracked_image_to_ras": (wrong @ image_to_ras).tolist(),
            "correction_ras": torch.linalg.inv(wrong).tolist(),
        }
        files["json"] = json.dumps(told, sort_keys=True).encode()
        result.append(files)
    return result


def random_renderer(
    recipe: Recipe, prepared: PreparedPatient, random: np.random.Generator
) -> tuple[Renderer, dict[str, float | str]]:
    """A renderer of a patient with a transducer and a look that are drawn, and what was drawn."""
    name = recipe.probes[int(random.integers(len(recipe.probes)))]
    chosen = recipe.looks[int(random.integers(len(recipe.looks)))]
    settings = _settings(recipe, chosen, random)
    probe = load_probe(name)
    probe = replace(probe, frequency_mhz=probe.frequency_mhz * random.uniform(*chosen.frequency_scale))
    renderer = prepared.renderer.changed_to(probe=probe, settings=settings)
    return renderer, {
        "probe": name, "frequency_mhz": probe.frequency_mhz, "depth_mm": probe.depth_mm, "look": chosen.look,
        "gain_db": settings.gain_db, "dynamic_range_db": settings.dynamic_range_db, "speckle_seed": settings.seed,
        "pixel_mm": renderer.grid.spacing_mm,
    }  # fmt: skip


@lru_cache(maxsize=2)
def _prepared(recipe_json: str, which: int) -> PreparedPatient:
    recipe = Recipe.model_validate_json(recipe_json)
    return PreparedPatient(recipe.patients[which], recipe)


def prepared_patient(recipe: Recipe, which: int) -> PreparedPatient:
    """A patient of a recipe; the last two are kept."""
    return _prepared(recipe.model_dump_json(), which)


def _settings(recipe: Recipe, chosen: Look, random: np.random.Generator | None = None) -> RenderSettings:
    """The settings of a look, its ranges drawn from (their middle without a generator)."""

    def draw(limits: tuple[float, float]) -> float:
        return sum(limits) / 2 if random is None else float(random.uniform(*limits))

    image = recipe.image
    sizes = {"samples": image.samples, "width_px": image.width_px, "height_px": image.height_px}
    seed = 0 if random is None else int(random.integers(_SPECKLE_SEEDS))
    given = {"gain_db": draw(chosen.gain_db), "dynamic_range_db": draw(chosen.dynamic_range_db)}
    return look(chosen.look, **given, **sizes, elevation_planes=chosen.elevation_planes, seed=seed)


def _labels(patient: Patient) -> Volume:
    path = str(patient.labels)
    is_nifti = file_ending(path, NIFTI_ENDINGS) is not None
    volume = read_volume(path, prefer=patient.prefer if is_nifti else None)
    present = set(torch.unique(volume.voxels).tolist())
    missing = [label for label in patient.label_values if label not in present]
    if missing:
        raise DiffUSError(f"{patient.labels} does not hold the label {missing[0]}; correct label_values.")
    if min(present) < 0 or max(present) > 65_535 or any(label != int(label) for label in present):
        raise DiffUSError(f"{patient.labels} is no label map: it must hold whole numbers from 0 to 65535.")
    return volume


def _in_plane(volume: Volume, image_to_ras: torch.Tensor, mask: torch.Tensor) -> np.ndarray:
    """(H, W) nearest voxels at the pixels inside the fan; 0 elsewhere."""
    rows, columns = mask.nonzero().unbind(1)
    pixels = torch.stack([columns, rows, torch.zeros_like(rows), torch.ones_like(rows)]).double()
    index = (volume.ras_to_ijk @ image_to_ras @ pixels)[:3].round().long().flip(0)
    size = torch.tensor(volume.voxels.shape)[:, None]
    inside = ((index >= 0) & (index < size)).all(0)
    values = volume.voxels[tuple(index.clamp(min=0).minimum(size - 1))] * inside
    plane = torch.zeros(mask.shape, dtype=volume.voxels.dtype)
    plane[mask] = values.to(plane.dtype)
    array = plane.numpy()
    if np.issubdtype(array.dtype, np.floating):
        return array
    return array.astype(np.uint8 if array.max() < 256 else np.uint16)


def _png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    optional("PIL.Image", "dataset").fromarray(pixels).save(stream, format="PNG", compress_level=3)
    return stream.getvalue()


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()
