"""Registration cohorts: tracked sweeps that stand wrong by a known error, beside the patient's volume."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from DiffUSLib.datasets.frames import prepared_patient, random_renderer
from DiffUSLib.datasets.pose_sampling import tracking_error
from DiffUSLib.datasets.recipe import Recipe
from DiffUSLib.geometry.pose import move
from DiffUSLib.io import write_tracked_frames, write_transform
from DiffUSLib.io.files import written_whole

_CASES = 1
"""First of the spawn key of a case: batches of single frames have keys of one number."""


def case_path(folder: Path, case: int) -> Path:
    """The description of a case; sweep and truth lie beside it. It is written last."""
    return folder / f"case-{case:04d}.json"


def make_case(recipe_json: str, folder: str, case: int) -> int:
    """Write one case: a sweep that tilts about a random place (.igs.mha, tracked wrong) and the truth (.tfm).

    Returns:
        how many frames the sweep has.

    Raises:
        DiffUSError: if a volume cannot be read or a file not be written.
    """
    torch.set_num_threads(1)
    recipe = Recipe.model_validate_json(recipe_json)
    cohort, path = recipe.cohort, case_path(Path(folder), case)
    assert cohort is not None
    if path.exists():
        return cohort.frames
    random = np.random.default_rng(np.random.SeedSequence(recipe.seed, spawn_key=(_CASES, case)))
    which = int(random.integers(len(recipe.patients)))
    prepared = prepared_patient(recipe, which)
    renderer, described = random_renderer(recipe, prepared, random)
    middle = prepared.poses.draw(random, 1)[0]
    poses = torch.stack([move(middle, tilt=float(tilt)) for tilt in np.linspace(*cohort.tilt_deg, cohort.frames)])
    with torch.inference_mode():
        images = torch.cat([renderer(pose).image for pose in poses])
    center = (middle @ torch.tensor([0.0, renderer.probe.depth_mm / 2, 0.0, 1.0], dtype=torch.float64))[:3]
    wrong = tracking_error(random, recipe.tracking_error, center.numpy())
    image_to_reference = wrong @ poses @ renderer.grid.image_to_transducer()
    sweep, truth = (path.with_suffix(ending) for ending in (".igs.mha", ".tfm"))
    write_tracked_frames(sweep, images, {"ImageToReference": image_to_reference})
    write_transform(truth, torch.linalg.inv(wrong))
    volume = Path(recipe.patients[which].volume).name
    content = {**described, "patient": which, "volume": volume, "sweep": sweep.name, "truth": truth.name}
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return cohort.frames
