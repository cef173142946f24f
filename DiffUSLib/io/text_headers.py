"""What the text headers of NRRD and MetaImage say about place and units; ITK reads past some of it."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from DiffUSLib.errors import DiffUSError, DiffUSWarning

TEXT_HEADER_ENDINGS = (".nrrd", ".nhdr", ".mha", ".mhd")

_MOST_BYTES = 1 << 20
_MM_OF_UNIT = {
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 1.0),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 10.0),
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers"), 1e-3),
}
_NO_UNIT = ("", "???", "none", "unknown", "pixel", "pixels")
# NRRD's spaces of a patient (teem.sourceforge.net/nrrd/format.html#space); others are of a scanner or of nothing.
_PATIENT_SPACES = re.compile(r"(right|left)-(anterior|posterior)-superior(-time)?|(r|l)(a|p)s(t)?", re.IGNORECASE)
_META_PLACE = ("offset", "position", "origin")


def header_fields(path: Path) -> dict[str, str]:
    """Fields of the header, names in lower case; empty if the file has none of these headers."""
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES)
    is_nrrd = content.startswith(b"NRRD")
    fields: dict[str, str] = {}
    for line in content.splitlines():
        text = line.decode("utf-8", errors="replace").strip()
        if is_nrrd and not text:
            break
        name, found, value = text.partition(":" if is_nrrd else "=")
        if found and not text.startswith("#") and not (is_nrrd and value.startswith("=")):
            fields[name.strip().lower()] = value.strip()
        if not is_nrrd and name.strip().lower() == "elementdatafile":
            break
    return fields


def told_place(path: Path) -> float:
    """Says what the header leaves open about the place in the patient; how many mm its unit of length is.

    Raises:
        DiffUSError: if the unit is unknown or differs between axes.
    """
    fields = header_fields(path)
    if "elementdatafile" in fields:
        if not any(name in fields for name in _META_PLACE):
            _note(f"{path} does not say where its first voxel is (no Offset); it was put at the origin.")
        return _mm([fields.get("distanceunits", "")], path)
    space = fields.get("space", "")
    if not _PATIENT_SPACES.fullmatch(space):
        what = f"is in the space {space}, not in that of a patient" if space else "names no space of a patient"
        _note(f"{path} {what}; its axes were taken as left, posterior, superior, as Slicer does.")
    missing = [name for name in ("space directions", "space origin") if name not in fields]
    if space and missing:
        _note(f"{path} has no {' and no '.join(missing)}; the first voxel and the axes may be elsewhere.")
    units = fields.get("space units") or fields.get("units") or ""
    return _mm(re.findall(r'"([^"]*)"', units) or units.split(), path)


def _mm(units: list[str], path: Path) -> float:
    named = {unit.strip().lower() for unit in units} - set(_NO_UNIT)
    if not named:
        return 1.0
    unknown = named - set(_MM_OF_UNIT)
    if unknown or len({_MM_OF_UNIT[unit] for unit in named}) > 1:
        raise DiffUSError(
            f"{path} gives its lengths in {' and '.join(sorted(named))}; write them in mm, or all in m, cm or um."
        )
    return _MM_OF_UNIT[named.pop()]


def _note(text: str) -> None:
    warnings.warn(text, DiffUSWarning, stacklevel=4)
