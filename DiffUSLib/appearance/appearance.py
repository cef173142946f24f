"""The look of one scanner as one object, beside probe and settings."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from DiffUSLib.acoustics.tissue_curves import TissueCurves
from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.files import written_whole
from DiffUSLib.rendering.receiver import Receiver
from DiffUSLib.rendering.settings import RenderSettings, look

FORMAT = "DiffUS appearance"
VERSION = 1
DEFAULT, PAPER = "clinical", "paper"
STRENGTH_LIMITS = {
    "interface_scatter_mm": (0.0, 1e6),
    "specular_mm": (0.0, 1e6),
    "dynamic_range_db": (10.0, 200.0),
    "interface_width_mm": (0.0, 10.0),
    "sulcus_scatter_mm": (0.0, 1e6),
}


@dataclass(frozen=True)
class Appearance:
    """How ultrasound of one scanner looks.

    Args:
        name: shown to people.
        curves: by kind of axis ("mri", "ct", "labels"): what tissues are like; without one, as in the maps.
        interface_scatter_mm, specular_mm, dynamic_range_db, interface_width_mm, sulcus_scatter_mm: as in
            `RenderSettings`.
        receiver: gain, resolution, clutter and gray map.
        source: which frames it was fitted to, or where its numbers come from.

    Raises:
        DiffUSError: for a value out of range.
    """

    name: str
    curves: dict[str, TissueCurves] = field(default_factory=dict)
    interface_scatter_mm: float = RenderSettings.interface_scatter_mm
    specular_mm: float = RenderSettings.specular_mm
    dynamic_range_db: float = RenderSettings.dynamic_range_db
    receiver: Receiver = field(default_factory=Receiver)
    source: str = ""
    interface_width_mm: float = RenderSettings.interface_width_mm
    sulcus_scatter_mm: float = RenderSettings.sulcus_scatter_mm

    def __post_init__(self):
        self.settings()  # refuses curves that are none
        for name, (low, high) in STRENGTH_LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, torch.Tensor):
                continue
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
                raise DiffUSError(f"{name} is {value}; it must be a number from {low:g} to {high:g}.")

    def settings(self, base: RenderSettings | None = None) -> RenderSettings:
        """The settings of the clinical look, or those given, with this look; `gain_db` of the base is kept."""
        return replace(
            base or look("clinical"),
            **{name: getattr(self, name) for name in STRENGTH_LIMITS},
            receiver=self.receiver,
            curves=self.curves,
        )

    @classmethod
    def of_settings(cls, name: str, settings: RenderSettings, source: str = "") -> Appearance:
        """The look that settings have."""
        return cls(
            name,
            dict(settings.curves),
            settings.interface_scatter_mm,
            settings.specular_mm,
            settings.dynamic_range_db,
            settings.receiver,
            source,
            settings.interface_width_mm,
            settings.sulcus_scatter_mm,
        )

    def to_json(self) -> str:
        """Text that `from_json` reads: one JSON object with format, version and the fields."""
        content = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "the look") -> Appearance:
        """Read what `to_json` wrote.

        Args:
            text: JSON.
            where: what it is, for messages: the name of a file.

        Raises:
            DiffUSError: if the text is no look of this version, or a value is out of range.
        """
        try:
            content = json.loads(text)
        except ValueError as error:
            raise DiffUSError(f"{where} cannot be read as JSON ({error}).") from None
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise DiffUSError(f"{where} is no look that DiffUS has written; make one with `diffus match`.")
        version = content.pop("version", None)
        if version != VERSION:
            raise DiffUSError(
                f"{where} is a look of version {version}, and this DiffUS reads version {VERSION}; match it again."
            )
        try:
            receiver = _made(Receiver, content.pop("receiver", {}))
            curves = content.pop("curves", {})
            if not isinstance(curves, dict):
                raise DiffUSError("curves must be an object with one entry for each kind of axis.")
            curves = {kind: _made(TissueCurves, entry) for kind, entry in curves.items()}
            return _made(cls, {**content, "curves": curves, "receiver": receiver})
        except DiffUSError as error:
            raise DiffUSError(f"{where}: {error}") from None


def _made(kind: type, content):
    """An object of a dataclass from what JSON held."""
    if not isinstance(content, dict):
        raise DiffUSError(f"a {kind.__name__} must be a JSON object.")
    known = {entry.name for entry in fields(kind)}
    unknown = sorted(set(content) - known)
    if unknown:
        raise DiffUSError(f"unknown fields {', '.join(unknown)}; known are {', '.join(sorted(known))}.")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
    for name in ("name", "source"):
        if not isinstance(values.get(name, ""), str):
            raise DiffUSError(f"{name} must be a text.")
    try:
        return kind(**values)
    except TypeError:
        raise DiffUSError(f"fields are missing or of the wrong kind in {kind.__name__}.") from None


def _folder():
    return resources.files("DiffUSLib") / "data" / "appearances"


def appearance_names() -> list[str]:
    """Names of the shipped looks, in alphabetical order."""
    shipped = [entry.name.removesuffix(".json") for entry in _folder().iterdir() if entry.name.endswith(".json")]
    return sorted([DEFAULT, *shipped])


def load_appearance(name_or_path: str | Path) -> Appearance:
    """A shipped look by its name, or one from a JSON file.

    Raises:
        DiffUSError: if there is no such look or file, or the file holds none.
    """
    if name_or_path == DEFAULT:
        return Appearance.of_settings(DEFAULT, look(DEFAULT), "the defaults of DiffUS")
    path = Path(name_or_path)
    if path.suffix.lower() == ".json":
        source, missing = path, f"the look file {path} does not exist; check the path."
    else:
        source = _folder() / f"{name_or_path}.json"
        known = ", ".join(appearance_names())
        missing = f"the look '{name_or_path}' is unknown; choose one of {known} or give a .json file."
    if not source.is_file():
        raise DiffUSError(missing)
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DiffUSError(f"the look file {path} cannot be read ({error}).") from None
    return Appearance.from_json(text, f"the look file {path.name}")


def look_settings(name_or_path: str | Path, **changes: Any) -> RenderSettings:
    """The settings of "paper", of a shipped look, or of a look file, with some of them changed.

    Raises:
        DiffUSError: if there is no such look, or a setting is unknown or out of range.
    """
    if name_or_path == PAPER:
        return look(PAPER, **changes)
    shown = load_appearance(name_or_path).settings()
    of_look = {name: getattr(shown, name) for name in (*STRENGTH_LIMITS, "receiver", "curves")}
    return look(DEFAULT, **{**of_look, **changes})


def save_appearance(appearance: Appearance, path: str | Path) -> None:
    """Write a look as a JSON file that `load_appearance` reads, whole or not at all.

    Raises:
        DiffUSError: if the file cannot be written.
    """
    with written_whole(path) as temporary:
        temporary.write_text(appearance.to_json(), encoding="utf-8")
