"""The recipe of a data set: a YAML file, read with errors that name the key."""

from __future__ import annotations

import difflib
import hashlib
import json
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from DiffUSLib.acoustics import MODALITIES
from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.files import existing_file
from DiffUSLib.probes.probe import load_probe
from DiffUSLib.rendering.settings import LOOKS


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] <= limits[1]:
        raise ValueError("the first number must not exceed the second")
    return limits


def _known_look(name: str) -> str:
    if name not in LOOKS:
        raise ValueError(f"choose from {', '.join(LOOKS)}")
    return name


def _known_modality(name: str) -> str:
    if name not in ("auto", *MODALITIES):
        raise ValueError(f"choose from auto, {', '.join(MODALITIES)}")
    return name


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
"""Two numbers between which a value is drawn, uniformly."""
Point = tuple[float, float, float]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Patient(_Part):
    """A volume to render, and a label map of it to store along (paths count from the recipe's folder).

    `series`, `phase` and `prefer` say which volume, where a file or folder holds several (see `io.read_volume`).
    """

    volume: str
    series: str | None = None
    phase: int | None = None
    prefer: Literal["sform", "qform"] | None = None
    modality: Annotated[str, AfterValidator(_known_modality)] = "auto"
    mapping: str | None = None
    labels: str | None = None
    label_values: tuple[int, ...] = ()
    """Labels that the label map must hold."""


class Poses(_Part):
    """Where the transducer stands.

    `surface`: on the skin (or what lies below the skull) within an angle around the default pose. `landmarks`: on the
    surface above one of the points, looking at it. `sweep`: along one motion from the default pose.
    """

    kind: Literal["surface", "landmarks", "sweep"] = "surface"
    within_deg: float = Field(45.0, ge=0, le=180)
    landmarks_ras_mm: tuple[Point, ...] = ()
    motion: Literal["pan", "push", "slide", "tilt", "rotate", "rock"] = "tilt"
    motion_range: Range = (-20.0, 20.0)
    tilt_deg: Range = (-15.0, 15.0)
    rotate_deg: Range = (-180.0, 180.0)
    rock_deg: Range = (-10.0, 10.0)


class TrackingError(_Part):
    """How far off the stored tracked poses are: a turn about a random axis, and a shift in a random direction.

    By default as published registrations of intra-operative ultrasound to MRI (ReMIND: 5th to 95th percentile of the
    rotation 2.1 to 8.5 degrees).
    """

    rotation_deg: Range = (2.1, 8.5)
    translation_mm: Range = (0.0, 10.0)


class Look(_Part):
    """How images are formed; ranges are drawn from anew for every batch."""

    look: Annotated[str, AfterValidator(_known_look)] = "clinical"
    gain_db: Range = (-4.0, 4.0)
    dynamic_range_db: Range = (50.0, 70.0)
    frequency_scale: Range = (0.9, 1.1)
    elevation_planes: int = Field(1, ge=1, le=9)


class Image(_Part):
    """Sizes of what is stored."""

    width_px: int = Field(256, ge=16, le=2048)
    height_px: int = Field(256, ge=16, le=2048)
    samples: int = Field(200, ge=16, le=4096)


class Cohort(_Part):
    """Cases for registration: tracked sweeps (.igs.mha) that stand wrong by a known error."""

    cases: int = Field(ge=1)
    frames: int = Field(7, ge=1, le=500)
    tilt_deg: Range = (-15.0, 15.0)


class Recipe(_Part):
    """Everything that decides the content of a data set."""

    seed: int = Field(0, ge=0)
    frames: int = Field(ge=1)
    frames_per_shard: int = Field(200, ge=1)
    frames_per_batch: int = Field(8, ge=1, le=256)
    """Frames that share patient, transducer and look, and are rendered together."""
    patients: tuple[Patient, ...] = Field(min_length=1)
    probes: tuple[str, ...] = Field(("craniotomy_curvilinear",), min_length=1)
    poses: Poses = Poses()
    tracking_error: TrackingError = TrackingError()
    looks: tuple[Look, ...] = Field((Look(),), min_length=1)
    image: Image = Image()
    cohort: Cohort | None = None
    store: tuple[Literal["bmode", "scan_lines", "labels", "impedance"], ...] = ("bmode",)

    @property
    def shards(self) -> int:
        """How many shards hold the frames."""
        return -(-self.frames // self.frames_per_shard)

    def portable(self) -> dict:
        """The recipe for a description: files by name, wherever they lie."""
        content = self.model_dump(mode="json")
        for patient in content["patients"]:
            patient.update({key: Path(patient[key]).name for key in ("volume", "labels") if patient[key]})
        return content

    def digest(self) -> str:
        """A text that changes with the content of the data set."""
        return hashlib.sha256(json.dumps(self.portable(), sort_keys=True).encode()).hexdigest()


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe; paths in it become absolute.

    Raises:
        DiffUSError: if the file is missing, is no YAML, has an unknown key (the nearest known one is named) or a value
            that does not fit, or names a volume or transducer that is not there.
    """
    existing_file(path)
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        where = "" if line is None else f" (line {line + 1})"
        raise DiffUSError(f"{path} is no YAML{where}; write lines such as `frames: 1000`.") from None
    if not isinstance(content, dict):
        raise DiffUSError(f"{path} is no recipe; write lines such as `frames: 1000`.")
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        # A key with a typo first: it is why another one is missing.
        mistakes = sorted(error.errors(), key=lambda mistake: mistake["type"] != "extra_forbidden")
        raise DiffUSError(f"{path}: {_sentence(mistakes[0])}") from None
    return _checked(recipe, Path(path).resolve().parent)


def _checked(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with absolute paths, after the checks that need more than the file itself."""
    for probe in recipe.probes:
        load_probe(probe)
    if recipe.poses.kind == "landmarks" and not recipe.poses.landmarks_ras_mm:
        raise DiffUSError("poses of the kind landmarks need landmarks_ras_mm; list at least one point.")
    patients = []
    for patient in recipe.patients:
        if "labels" in recipe.store and patient.labels is None:
            raise DiffUSError(f"labels are to be stored, and {patient.volume} has none; give its `labels:` file.")
        paths = {name: getattr(patient, name) for name in ("volume", "labels")}
        for path in filter(None, paths.values()):
            if not (folder / path).exists():
                raise DiffUSError(f"there is no file {folder / path}; paths count from the folder of the recipe.")
        absolute = {name: str(folder / path) for name, path in paths.items() if path is not None}
        patients.append(patient.model_copy(update=absolute))
    return recipe.model_copy(update={"patients": tuple(patients)})


def _sentence(error: Any) -> str:
    """What is wrong with a key, in words."""
    path = error["loc"]
    key = ".".join(str(part) for part in path)
    if error["type"] == "extra_forbidden":
        known = sorted(_part_at(path[:-1]).model_fields)
        near = difflib.get_close_matches(str(path[-1]), known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}."
        return f"the key {key} is unknown; {hint}"
    if error["type"] == "missing":
        return f"the key {key} is missing; add it."
    reason = error["msg"].removeprefix("Value error, ")
    return f"{key} is {error['input']!r}: {reason[:1].lower()}{reason[1:]}."


def _part_at(path: tuple) -> type[BaseModel]:
    """The part of the recipe at a path of keys and indices."""
    part: Any = Recipe
    for key in path:
        if isinstance(key, str):
            part = part.model_fields[key].annotation
        while get_origin(part) in (tuple, Union, types.UnionType):
            part = get_args(part)[0]
    return part
