"""Acoustic maps from CT in Hounsfield units."""

from __future__ import annotations

import csv
import json
from functools import cache
from importlib.resources import files
from pathlib import Path

import SimpleITK
import torch
import torch.nn.functional as F

from DiffUSLib.acoustics.curves import interpolate
from DiffUSLib.acoustics.decision import VolumeDecision
from DiffUSLib.acoustics.maps import AcousticMaps
from DiffUSLib.acoustics.tissue import tissue
from DiffUSLib.acoustics.tissue_axis import TissueAxis
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume, check_not_constant

DEFAULT_CALIBRATION = "siemens_120kvp_standard"
LOWEST_HU, HIGHEST_HU = -1024.0, 3071.0
AIR_HU = -900.0
# Density in kg/m3 over H = HU + 1000 (Schneider 1996, piecewise fit as published with k-Wave): upper H, slope, offset.
_DENSITY_PIECES = (
    (930.0, 1.025793, -5.6804),
    (1098.0, 0.908271, 103.615),
    (1260.0, 0.510837, 539.998),
    (float("inf"), 0.662537, 348.856),
)
_AIR_DENSITY, _AIR_SPEED = 1.2, 331.0
_BLEND_HU = (200.0, 400.0)  # soft tissue (Mast) to skull (Webb)
# Curves over HU through the tissues of the table. Fluid lies at 0-15 HU, parenchyma at 30-70 HU.
_TISSUE_KNOTS = (
    (-1000.0, "air"),
    (-800.0, "lung"),
    (-500.0, "lung"),
    (-150.0, "fat"),
    (-60.0, "fat"),
    (-5.0, "cerebrospinal fluid"),
    (15.0, "cerebrospinal fluid"),
    (30.0, "soft tissue"),
    (180.0, "soft tissue"),
    (500.0, "trabecular bone"),
    (1300.0, "cortical bone"),
)
_DENSE_BONE_HU, _CLIPPED_SHARE = 1300.0, 0.002
_LEAST_MRAYL = 1e-4
_SMALL_MM = 1.6
_SKIN_HU = -300.0  # half way between air and skin
_WATER_HU = 0.0
_SKIN_EDGE_HU = -150.0  # below fat: partial volume of air and skin


def calibration_names() -> tuple[str, ...]:
    """The CT calibrations that come with DiffUS."""
    return tuple(_shipped_calibrations())


def maps_from_ct(
    volume: Volume,
    calibration: str | Path = DEFAULT_CALIBRATION,
    coupled: bool = True,
    rescaling: tuple[float, float] = (1.0, 0.0),
    lumen: str = "air",
) -> AcousticMaps:
    """Acoustic maps of a CT volume.

    Density: Schneider 1996. Speed of sound: Mast 2000 in soft tissue, Webb 2018 in bone (for the scanner of the
    calibration), blended smoothly between 200 and 400 HU; air below -900 HU. Differentiable to the voxels.

    Args:
        volume: voxels in HU; values outside -1024 to 3071 HU are clamped and noted.
        calibration: one of `calibration_names()`, or a CSV file with the columns hu, density_kg_m3, sound_speed_m_s
            and, if wanted, attenuation_db_cm_mhz.
        coupled: fill the air around the body with the coupling medium, as gel or saline does in an examination.
        lumen: "air" or "fluid": what air inside the body is taken for. Bowel or a cavity may be filled with fluid when
            the patient is scanned; lungs become fluid, too.
        rescaling: slope and intercept that make HU of the voxels, for instance (1, -1024) where 1024 was added.

    Raises:
        DiffUSError: if the volume is constant, the rescaling has no slope, the lumen is unknown, or the calibration is
            unknown or cannot be read.
    """
    check_not_constant(volume)
    if lumen not in ("air", "fluid"):
        raise DiffUSError(f"the lumen '{lumen}' is unknown; choose air or fluid.")
    slope, intercept = rescaling
    if not (0 < slope < float("inf") and abs(intercept) < float("inf")):
        raise DiffUSError(
            f"the rescaling {slope:g},{intercept:g} needs a slope above zero; write for instance 1,-1024."
        )
    voxels = volume.voxels if volume.voxels.is_floating_point() else volume.voxels.to(torch.float32)
    voxels = voxels * slope + intercept if rescaling != (1.0, 0.0) else voxels
    notes = []
    clamped = int(((voxels < LOWEST_HU) | (voxels > HIGHEST_HU)).sum())
    if clamped:
        notes.append(f"{clamped} voxels outside {LOWEST_HU:.0f} to {HIGHEST_HU:.0f} HU were clamped.")
    hu = voxels.clamp(LOWEST_HU, HIGHEST_HU)
    highest = float(hu.detach().max())
    cut = float((hu.detach() == highest).double().mean())
    if highest < _DENSE_BONE_HU and cut > _CLIPPED_SHARE:
        notes.append(f"{cut:.1%} of the voxels have the highest value, {highest:.0f} HU: bone is too soft.")
    knots = [knot for knot, _ in _TISSUE_KNOTS]
    rows = [tissue(name) for _, name in _TISSUE_KNOTS]
    attenuation = interpolate(hu, knots, [row.attenuation_db_cm_mhz for row in rows])
    impedance = impedance_from_hu(hu, calibration)
    if calibration in _shipped_calibrations():
        source = _shipped_calibrations()[calibration]["source"]
        notes.append(f"CT calibration: {source}; Schneider density, Mast speed of sound in soft tissue.")
    else:
        table = read_calibration(calibration)
        if "attenuation_db_cm_mhz" in table:
            attenuation = interpolate(hu, table["hu"], table["attenuation_db_cm_mhz"])
        notes.append(f"CT calibration: {Path(calibration).name}.")
    echogenicity = interpolate(hu, knots, [row.echogenicity for row in rows])
    notes.append("Attenuation and echogenicity follow the HU; contrast-filled vessels are taken for bone.")
    outside = tissue("water")
    exterior = _exterior_air(hu, volume.ijk_to_ras)
    positions = _without_noise(hu.detach(), volume.spacing_mm)
    if lumen == "fluid":
        inner = (hu.detach() < _SKIN_EDGE_HU) & ~exterior
        fluid = tissue("water")
        impedance = torch.where(inner, fluid.impedance_mrayl, impedance)
        attenuation = torch.where(inner, fluid.attenuation_db_cm_mhz, attenuation)
        echogenicity = torch.where(inner, fluid.echogenicity, echogenicity)
        positions = positions.masked_fill(inner, float("nan"))
        notes.append(f"Air inside the body, {float(inner.double().mean()):.1%} of the voxels, was taken for fluid.")
    if coupled and bool(exterior.any()):
        impedance = torch.where(exterior, outside.impedance_mrayl, impedance)
        attenuation = torch.where(exterior, outside.attenuation_db_cm_mhz, attenuation)
        echogenicity = torch.where(exterior, outside.echogenicity, echogenicity)
        positions = positions.masked_fill(exterior, float("nan"))
        notes.append(f"The air around the body was replaced by the coupling medium ({outside.name}).")
    return AcousticMaps(
        impedance,
        attenuation,
        echogenicity,
        volume.ijk_to_ras,
        outside,
        "ct",
        tuple(notes),
        decision=VolumeDecision("ct", rescaling=(slope, intercept), clamped_voxels=clamped, lumen=lumen),
        axis=TissueAxis("ct", positions),
    )


def impedance_from_hu(hu: torch.Tensor, calibration: str | Path = DEFAULT_CALIBRATION) -> torch.Tensor:
    """Acoustic impedance in MRayl over HU; same shape as given, differentiable. Sources: see `maps_from_ct`.

    Args:
        hu: Hounsfield units; values outside -1024 to 3071 HU count as these.
        calibration: as in `maps_from_ct`.

    Raises:
        DiffUSError: if the calibration is unknown or cannot be read.
    """
    hu = hu.clamp(LOWEST_HU, HIGHEST_HU)
    if calibration in _shipped_calibrations():
        entry = _shipped_calibrations()[calibration]
        density = density_from_hu(hu)
        sound_speed = sound_speed_from_hu(hu, entry["bone_slope_m_s_per_hu"], entry["bone_intercept_m_s"])
    else:
        table = read_calibration(calibration)
        density = interpolate(hu, table["hu"], table["density_kg_m3"])
        sound_speed = interpolate(hu, table["hu"], table["sound_speed_m_s"])
    return (density * sound_speed * 1e-6).clamp_min(_LEAST_MRAYL)


def density_from_hu(hu: torch.Tensor) -> torch.Tensor:
    """Density in kg/m3 (Schneider 1996); air below -900 HU, joined smoothly up to -800 HU."""
    shifted = hu + 1000.0
    density = torch.zeros_like(shifted)
    lower = -float("inf")
    for upper, slope, offset in _DENSITY_PIECES:
        density = torch.where((shifted >= lower) & (shifted < upper), slope * shifted + offset, density)
        lower = upper
    return torch.lerp(torch.full_like(hu, _AIR_DENSITY), density, _smooth_step(hu, AIR_HU, AIR_HU + 100))


def sound_speed_from_hu(hu: torch.Tensor, bone_slope: float, bone_intercept: float) -> torch.Tensor:
    """Speed of sound in m/s: Mast 2000 over the density, Webb 2018 (slope in m/s per HU, intercept in m/s) in bone."""
    soft = (density_from_hu(hu) + 349.0) / 0.893
    bone = bone_slope * hu + bone_intercept
    speed = torch.lerp(soft, bone, _smooth_step(hu, *_BLEND_HU))
    return torch.lerp(torch.full_like(hu, _AIR_SPEED), speed, _smooth_step(hu, AIR_HU, AIR_HU + 100))


def read_calibration(path: str | Path) -> dict[str, list[float]]:
    """Read a CT calibration: columns hu, density_kg_m3, sound_speed_m_s and, if wanted, attenuation_db_cm_mhz.

    Raises:
        DiffUSError: if the file is missing or malformed; the message says what to correct.
    """
    path = Path(path)
    if not path.is_file():
        raise DiffUSError(f"CT calibration '{path}' is neither a file nor one of {', '.join(calibration_names())}.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            fields = [(field or "").strip() for field in reader.fieldnames or ()]
            reader.fieldnames = fields
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error):
        raise DiffUSError(f"CT calibration {path.name} is not a text file; save it as CSV.") from None
    wanted = [name for name in ("hu", "density_kg_m3", "sound_speed_m_s") if name not in fields]
    if wanted:
        raise DiffUSError(f"CT calibration {path.name} has no column {', '.join(wanted)}; add it to the first line.")
    names = ["hu", "density_kg_m3", "sound_speed_m_s"]
    names += ["attenuation_db_cm_mhz"] if "attenuation_db_cm_mhz" in fields else []
    table: dict[str, list[float]] = {name: [] for name in names}
    for number, row in enumerate(rows, start=2):
        for name in names:
            try:
                value = float(row[name])
            except (TypeError, ValueError):
                raise DiffUSError(f"line {number} of CT calibration {path.name} has no number for {name}.") from None
            lowest = {"hu": -1e6, "attenuation_db_cm_mhz": 0.0}.get(name, 1e-6)
            if not lowest <= value < 1e6:
                raise DiffUSError(f"line {number} of CT calibration {path.name}: {name} = {value:g} is not possible.")
            table[name].append(value)
    if len(rows) < 2 or any(b <= a for a, b in zip(table["hu"], table["hu"][1:], strict=False)):
        raise DiffUSError(f"CT calibration {path.name} needs at least two lines with increasing hu.")
    return table


@cache
def _shipped_calibrations() -> dict:
    return json.loads((files("DiffUSLib") / "data" / "ct_calibrations.json").read_text(encoding="utf-8"))


def _smooth_step(values: torch.Tensor, start: float, stop: float) -> torch.Tensor:
    """0 below start, 1 above stop, with a continuous slope."""
    t = ((values - start) / (stop - start)).clamp(0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _without_noise(hu: torch.Tensor, spacing_mm: tuple[float, float, float]) -> torch.Tensor:
    """HU averaged over three voxels along each axis whose voxels are small: backscatter is less sharp."""
    sizes = zip(spacing_mm[::-1], hu.shape, strict=True)
    window = [3 if size < _SMALL_MM and count > 2 else 1 for size, count in sizes]
    padding = [size // 2 for size in window]
    return F.avg_pool3d(hu[None], window, stride=1, padding=padding, count_include_pad=False)[0]


def _exterior_air(hu: torch.Tensor, ijk_to_ras: torch.Tensor) -> torch.Tensor:
    """Mask of the air around the body and the partial-volume voxels at the skin."""
    # In a clipped CT the lowest value stands for air, too; from water upward it is tissue, of a block without air.
    lowest = float(hu.detach().min())
    skin = max(_SKIN_HU, lowest) if lowest < _WATER_HU else _SKIN_HU
    body = SimpleITK.GetImageFromArray((hu.detach() > skin).to(torch.uint8).cpu().numpy())
    # A scan cuts lungs and bowel at its first and last slice: these faces do not open to the room.
    margin = [0, 0, 0]
    margin[int(ijk_to_ras[2, :3].abs().argmax())] = 1
    filled = SimpleITK.BinaryFillhole(SimpleITK.ConstantPad(body, margin, margin, 1))
    exterior = SimpleITK.Equal(SimpleITK.Crop(filled, margin, margin), 0)
    grown = SimpleITK.BinaryDilate(exterior, [1, 1, 1], SimpleITK.sitkCross)
    mask = torch.from_numpy(SimpleITK.GetArrayFromImage(grown)).to(torch.bool).to(hu.device)
    return mask & ((hu.detach() < _SKIN_EDGE_HU) | (hu.detach() <= skin))
