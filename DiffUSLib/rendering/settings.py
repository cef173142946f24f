"""What the renderer computes and how it shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import torch

from DiffUSLib.acoustics.tissue_axis import AXES
from DiffUSLib.acoustics.tissue_curves import TissueCurves
from DiffUSLib.errors import DiffUSError
from DiffUSLib.rendering import clinical
from DiffUSLib.rendering.propagation import PROPAGATIONS, SIGN_CONVENTIONS
from DiffUSLib.rendering.receiver import Receiver

LIMITS = {
    "samples": (2, 10_000),
    "width_px": (4, 8192),
    "height_px": (4, 8192),
    "interface_scatter_mm": (0, 1e6),
    "interface_width_mm": (0, 10),
    "sulcus_scatter_mm": (0, 1e6),
    "specular_mm": (0, 1e6),
    "tgc_db_cm_mhz": (0, 20),
    "elevation_planes": (1, 64),
    "gain_db": (-200, 200),
    "dynamic_range_db": (1, 300),
    "seed": (0, 2**63 - 1),
}
"""Lowest and highest values of the settings that are numbers."""


@dataclass(frozen=True)
class RenderSettings:
    """Stages of the image chain and their strengths; `look` gives the two named sets.

    As they are, without a look: all stages, tissues as in the maps, a receiver that changes nothing.

    Args:
        propagation: "single_scatter", "steady_state" or "reverberation" (see `DiffUSLib.rendering.propagation`).
        sign_convention: of "steady_state".
        samples: samples along a scan line.
        width_px, height_px: of the image.
        backscatter: echoes of the tissue between its interfaces.
        interface_scatter_mm: strength of the diffuse echo of rough interfaces, relative to white matter, for a
            reflection of 1 per mm of path; 0 switches it off.
        interface_width_mm: standard deviation of the lines that rough interfaces are, before pulse and beam; 0: as
            wide as impedance changes in the volume.
        sulcus_scatter_mm: strength of the echo of pia and vessels in sulci of an MRI, on the same scale; only together
            with a width.
        specular_mm: strength of the mirror-like echo of interfaces on the same scale; it follows the propagation
            model and falls with the cosine of the incidence angle.
        attenuation: loss in tissue on the way there and back.
        tgc_db_cm_mhz: time-gain compensation: loss per cm and MHz, one way, that the scanner makes up for from the
            face on; 0 for none, None for the mean loss of the tissue seen at each depth.
        point_spread: pulse and beam width.
        speckle: interference of scatterers fixed in the tissue; without it, the mean brightness they would have.
        clutter: echoes from beside the beam, which fill shadows and fluid.
        near_field: ring-down echoes in the first millimeters.
        elevation_planes: planes across the thickness of the beam.
        log_compression: decibel scale; without it, gray is proportional to amplitude.
        gain_db: brightens (positive) or darkens the image.
        dynamic_range_db: from black to white.
        paper_artifacts: the paper's speckle and depth-dependent blur.
        seed: of scatterers and artifacts.
        receiver: gain curves, resolution, clutter and gray map of a scanner.
        curves: by kind of axis ("mri", "ct", "labels"), what tissues are like in this look; else as in the maps.

    Raises:
        DiffUSError: for an unknown name or a value out of range.
    """

    propagation: str = "single_scatter"
    sign_convention: str = "energy_conserving"
    samples: int = 400
    width_px: int = 512
    height_px: int = 512
    backscatter: bool = True
    interface_scatter_mm: float = 500.0
    interface_width_mm: float = 0.0
    sulcus_scatter_mm: float = 0.0
    specular_mm: float = 100.0
    attenuation: bool = True
    tgc_db_cm_mhz: float | None = None
    point_spread: bool = True
    speckle: bool = True
    clutter: bool = True
    near_field: bool = True
    elevation_planes: int = 1
    log_compression: bool = True
    gain_db: float = 0.0
    dynamic_range_db: float = 60.0
    paper_artifacts: bool = False
    seed: int = 0
    receiver: Receiver = field(default_factory=Receiver)
    curves: Mapping[str, TissueCurves] = field(default_factory=dict)

    def __post_init__(self):
        unknown = set(self.curves) - set(AXES)
        if unknown:
            raise DiffUSError(f"there are no curves over '{min(unknown)}'; curves go over {', '.join(AXES)}.")
        for name, known in (("propagation", PROPAGATIONS), ("sign_convention", SIGN_CONVENTIONS)):
            if getattr(self, name) not in known:
                spoken = name.replace("_", " ")
                raise DiffUSError(
                    f"the {spoken} '{getattr(self, name)}' is unknown; choose one of {', '.join(known)}."
                )
        for name, (low, high) in LIMITS.items():
            value, whole = getattr(self, name), isinstance(getattr(type(self), name), int)
            if (name == "tgc_db_cm_mhz" and value is None) or isinstance(value, torch.Tensor):
                continue
            if not isinstance(value, int if whole else (int, float)) or not low <= value <= high:
                kind = "a whole number" if whole else "a number"
                raise DiffUSError(f"{name} is {value}; it must be {kind} from {low:g} to {high:g}.")


LOOKS = {
    "clinical": RenderSettings(
        interface_scatter_mm=clinical.INTERFACE_SCATTER_MM,
        interface_width_mm=clinical.INTERFACE_WIDTH_MM,
        sulcus_scatter_mm=clinical.SULCUS_SCATTER_MM,
        specular_mm=clinical.SPECULAR_MM,
        dynamic_range_db=clinical.DYNAMIC_RANGE_DB,
        receiver=clinical.RECEIVER,
        curves={"mri": clinical.MRI_CURVES, "ct": clinical.CT_CURVES},
    ),
    "paper": RenderSettings(
        propagation="steady_state",
        sign_convention="paper",
        samples=200,
        backscatter=False,
        interface_scatter_mm=0.0,
        specular_mm=1.0,
        attenuation=False,
        tgc_db_cm_mhz=0.0,
        point_spread=False,
        speckle=False,
        clutter=False,
        near_field=False,
        log_compression=False,
        paper_artifacts=True,
    ),
}
"""Named sets of settings: "clinical" passes for ultrasound; "paper" is the paper's pipeline and nothing else."""


def look(name: str, **changes) -> RenderSettings:
    """The settings of a look, with some of them changed.

    Raises:
        DiffUSError: for an unknown look or setting.
    """
    if name not in LOOKS:
        raise DiffUSError(f"the look '{name}' is unknown; choose one of {', '.join(LOOKS)}.")
    known = {field.name for field in fields(RenderSettings)}
    for change in changes:
        if change not in known:
            raise DiffUSError(f"the setting '{change}' is unknown; choose from {', '.join(sorted(known))}.")
    return replace(LOOKS[name], **changes)
