"""Ultrasound probes: the geometry of their scan lines and what their transducer sends."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from DiffUSLib.errors import DiffUSError

if TYPE_CHECKING:
    import torch

KINDS = ("curvilinear", "sector", "linear")
LIMITS = {"frequency_mhz": (0.1, 100.0), "field_of_view_deg": (1.0, 179.0), "cycles": (0.5, 20.0)}
DEFAULT_LIMITS = (0.1, 1000.0)
"""Lowest and highest values that a probe may have, in the unit of the field's name; the second for sizes in mm."""

MOST_LINES = 4096
SOUND_SPEED_MM_PER_US = 1.54
"""What a scanner assumes when it turns time into depth (soft tissue, 1540 m/s)."""


@dataclass(frozen=True)
class Probe:
    """A probe in its own Transducer frame.

    Transducer frame (mm): the origin is the middle of the transducer's face, X points to the marked side (lateral), Y
    away from the transducer (depth), Z = X x Y (elevation). Scan lines start on the face.

    Args:
        name: what people call it.
        kind: "curvilinear", "sector" (phased: all lines start at the origin) or "linear".
        depth_mm: length of a scan line from the face.
        frequency_mhz: center frequency.
        field_of_view_deg: opening angle between the outer scan lines (curvilinear and sector), below 180.
        radius_mm: radius of curvature of the face (curvilinear).
        width_mm: distance between the outer scan lines (linear).
        lines: number of scan lines.
        aperture_mm: active aperture along X; sets the lateral resolution.
        focus_mm: transmit focus in the image plane.
        elevation_aperture_mm: height of the elements along Z; sets the slice thickness.
        elevation_focus_mm: focus of the elevation lens.
        cycles: length of the transmitted pulse in periods.
        source: where these figures come from, or "typical".

    Raises:
        DiffUSError: for an unknown kind or a value out of range.
    """

    name: str
    kind: str
    depth_mm: float
    frequency_mhz: float
    field_of_view_deg: float = 0.0
    radius_mm: float = 0.0
    width_mm: float = 0.0
    lines: int = 256
    aperture_mm: float = 16.0
    focus_mm: float = 40.0
    elevation_aperture_mm: float = 8.0
    elevation_focus_mm: float = 40.0
    cycles: float = 2.0
    source: str = "typical"

    def __post_init__(self):
        if self.kind not in KINDS:
            raise DiffUSError(f"the probe kind '{self.kind}' is unknown; choose one of {', '.join(KINDS)}.")
        positive = ["depth_mm", "frequency_mhz", "aperture_mm", "focus_mm", "elevation_aperture_mm"]
        positive += ["elevation_focus_mm", "cycles"]
        positive += {"curvilinear": ["field_of_view_deg", "radius_mm"], "sector": ["field_of_view_deg"]}.get(
            self.kind, ["width_mm"]
        )
        for field in positive:
            low, high = LIMITS.get(field, DEFAULT_LIMITS)
            value = getattr(self, field)
            if not isinstance(value, (int, float)) or not low <= value <= high:
                raise DiffUSError(f"the probe's {field} is {value}; it must be a number from {low:g} to {high:g}.")
        if not isinstance(self.lines, int) or not 2 <= self.lines <= MOST_LINES:
            raise DiffUSError(f"the probe has {self.lines} lines; it needs a whole number from 2 to {MOST_LINES}.")
        if not isinstance(self.name, str) or not isinstance(self.source, str):
            raise DiffUSError("the probe's name and source must be texts.")

    @property
    def wavelength_mm(self) -> float:
        return SOUND_SPEED_MM_PER_US / self.frequency_mhz

    @property
    def face_radius_mm(self) -> float:
        """Distance from the point where the scan lines meet to the face; 0 for sector probes."""
        return self.radius_mm if self.kind == "curvilinear" else 0.0

    def line_angles_rad(self, **tensor_options) -> torch.Tensor:
        """(lines,) angle between each scan line and Y, positive toward X; zeros for linear probes."""
        import torch

        half = math.radians(self.field_of_view_deg) / 2 if self.kind != "linear" else 0.0
        return torch.linspace(-half, half, self.lines, **tensor_options)

    def scan_lines(self, **tensor_options) -> tuple[torch.Tensor, torch.Tensor]:
        """Origins in mm and unit directions of the scan lines, each (lines, 3), in the Transducer frame."""
        import torch

        angles = self.line_angles_rad(**tensor_options)
        zero = torch.zeros_like(angles)
        directions = torch.stack([angles.sin(), angles.cos(), zero], dim=1)
        if self.kind == "linear":
            half = self.width_mm / 2
            lateral = torch.linspace(-half, half, self.lines, **tensor_options)
            return torch.stack([lateral, zero, zero], dim=1), directions
        apex = torch.tensor([0.0, -self.face_radius_mm, 0.0], **tensor_options)
        return apex + self.face_radius_mm * directions, directions

    def line_spacing_mm(self, depth_mm: torch.Tensor) -> torch.Tensor:
        """Distance in mm between neighboring scan lines at each depth (mm) below the face."""
        if self.kind == "linear":
            return depth_mm * 0 + self.width_mm / (self.lines - 1)
        step = math.radians(self.field_of_view_deg) / (self.lines - 1)
        return (self.face_radius_mm + depth_mm) * step

    def extent_mm(self) -> tuple[float, float, float, float]:
        """The box around the fan in the Transducer frame: left, right, top, bottom (X, X, Y, Y) in mm."""
        if self.kind == "linear":
            return -self.width_mm / 2, self.width_mm / 2, 0.0, self.depth_mm
        half, reach = math.radians(self.field_of_view_deg) / 2, self.face_radius_mm + self.depth_mm
        right = reach * math.sin(half)
        return -right, right, self.face_radius_mm * (math.cos(half) - 1), self.depth_mm

    def outline_mm(self, arc_points: int = 64) -> torch.Tensor:
        """(P, 3) closed outline of the fan in the Transducer frame, in mm, from the face's left end clockwise."""
        import torch

        origins, directions = self.scan_lines(dtype=torch.float64)
        picked = torch.linspace(0, self.lines - 1, min(arc_points, self.lines)).round().long()
        near, far = origins[picked], origins[picked] + self.depth_mm * directions[picked]
        return torch.cat([near, far.flip(0), near[:1]])


def _preset_folder():
    return resources.files("DiffUSLib") / "data" / "probes"


def probe_names() -> list[str]:
    """Names of the shipped presets, in alphabetical order."""
    return sorted(
        entry.name.removesuffix(".json") for entry in _preset_folder().iterdir() if entry.name.endswith(".json")
    )


def load_probe(name_or_path: str | Path) -> Probe:
    """A shipped preset by its name, or a probe from a JSON file with the fields of `Probe`.

    Raises:
        DiffUSError: if there is no such preset or file, or if the file does not describe a probe.
    """
    path = Path(name_or_path)
    if path.suffix.lower() == ".json":
        source, missing = path, f"the probe file {path} does not exist; check the path."
    else:
        source = _preset_folder() / f"{name_or_path}.json"
        missing = (
            f"the probe '{name_or_path}' is unknown; choose one of {', '.join(probe_names())} or give a .json file."
        )
    if not source.is_file():
        raise DiffUSError(missing)
    try:
        values = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DiffUSError(f"the probe file {path} cannot be read as JSON ({error}).") from None
    if not isinstance(values, dict):
        raise DiffUSError(f"the probe file {path} must hold one JSON object with the probe's fields.")
    known = {field.name for field in fields(Probe)}
    unknown, needed = sorted(set(values) - known), {"name", "kind", "depth_mm", "frequency_mhz"} - set(values)
    if unknown or needed:
        problem = f"has unknown fields {', '.join(unknown)}" if unknown else f"lacks {', '.join(sorted(needed))}"
        raise DiffUSError(f"the probe file {path} {problem}; its fields are {', '.join(sorted(known))}.")
    return Probe(**values)


def save_probe(probe: Probe, path: str | Path) -> None:
    """Write a probe as a JSON file that `load_probe` reads."""
    from DiffUSLib.io.files import written_whole

    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(asdict(probe), indent=2) + "\n", encoding="utf-8")
