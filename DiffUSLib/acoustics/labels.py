"""Acoustic maps from label maps (segmentations)."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

import torch

from DiffUSLib.acoustics.decision import VolumeDecision
from DiffUSLib.acoustics.label_signs import ROUNDING
from DiffUSLib.acoustics.maps import AcousticMaps
from DiffUSLib.acoustics.tissue import Tissue, tissue
from DiffUSLib.acoustics.tissue_axis import TissueAxis
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume, check_not_constant

_MOST_NAMED = 12  # labels written out in a message
_CORTEX = 1000  # FreeSurfer numbers parts of the cortex and of the white matter below from here on
_ENOUGH, _OWN_NUMBERS = 8, 200  # so many labels, or numbers this high, are no accident


def label_set_names() -> tuple[str, ...]:
    """The label sets that come with DiffUS."""
    return tuple(_label_sets())


def maps_from_labels(volume: Volume, mapping: Mapping | str | Path | None = None) -> AcousticMaps:
    """Acoustic maps of a label map: every label becomes one row of the tissue table.

    Args:
        volume: integer voxels (stored as any dtype).
        mapping: label -> tissue (a name or a `Tissue`) as a dict, as a CSV file with the columns label and tissue, as
            a JSON file with one object, or one of `label_set_names()`. By default the shipped set that has every
            label of the volume. Label 0, also the medium outside the grid, is the coupling medium (water) if the
            mapping does not say otherwise; the abdominal sets take what was not segmented for soft tissue.

    Raises:
        DiffUSError: if voxels are not integers, a label has no tissue, a tissue is unknown, the file is malformed, or
            none or several of the shipped sets fit.
    """
    check_not_constant(volume)
    voxels = volume.voxels.detach()
    numbers = voxels.round().to(torch.int64)
    if voxels.is_floating_point() and bool(((voxels - numbers).abs() > ROUNDING).any()):
        raise DiffUSError(
            f"{volume.name or 'the volume'} has fractional values; a label map holds whole numbers only."
        )
    labels = torch.unique(numbers)
    present = labels.tolist()
    notes = []
    if mapping is None:
        mapping = _fitting_set(present)
        notes.append(f"Labels were read as {mapping}, the shipped set that has all {len(present)} of them.")
    if isinstance(mapping, str) and mapping in _label_sets():
        notes.append(f"Label names: {_label_sets()[mapping]['source']}.")
    name = "as given" if isinstance(mapping, Mapping) else Path(mapping).name
    table = {0: tissue("water"), **read_label_mapping(mapping)}
    missing = [label for label in present if label not in table]
    if missing:
        raise DiffUSError(
            f"{_enumerate(missing)} of {volume.name or 'the volume'} {'has' if len(missing) == 1 else 'have'} no "
            "tissue; add a line label,tissue for each to a mapping file and choose it as mapping."
        )
    if 0 in present:
        notes.append(f"Label 0 and what lies outside the grid are {table[0].name}.")
    rows = [table[label] for label in present]
    index = torch.searchsorted(labels, numbers)

    def spread(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=voxels.device)[index]

    names = tuple(dict.fromkeys(row.name for row in rows))
    return AcousticMaps(
        spread([row.impedance_mrayl for row in rows]),
        spread([row.attenuation_db_cm_mhz for row in rows]),
        spread([row.echogenicity for row in rows]),
        volume.ijk_to_ras,
        table[0],
        "labels",
        tuple(notes),
        decision=VolumeDecision("labels", label_set=name),
        axis=TissueAxis("labels", spread([float(names.index(row.name)) for row in rows]), names),
    )


def read_label_mapping(mapping: Mapping | str | Path) -> dict[int, Tissue]:
    """Label -> tissue from a dict, a shipped label set, a CSV file (label,tissue) or a JSON file (one object).

    Raises:
        DiffUSError: if the file is missing or malformed, a label is no whole number or a tissue is unknown.
    """
    if isinstance(mapping, Mapping):
        pairs, name = list(mapping.items()), "the label mapping"
    elif str(mapping) in _label_sets():
        shipped = files("DiffUSLib") / "data" / f"labels_{mapping}.csv"
        with shipped.open(encoding="utf-8") as stream:
            pairs, name = [(row["label"], row["tissue"]) for row in csv.DictReader(stream)], str(mapping)
    else:
        path = Path(mapping)
        if not path.is_file():
            raise DiffUSError(f"label mapping '{path}' is neither a file nor one of {', '.join(label_set_names())}.")
        pairs, name = _read_pairs(path), path.name
    table: dict[int, Tissue] = {}
    for label, row in pairs:
        try:
            number = int(str(label).strip())
        except ValueError:
            raise DiffUSError(f"label '{label}' of {name} is no whole number.") from None
        row = row if isinstance(row, Tissue) else tissue(row)
        if table.setdefault(number, row) != row:
            raise DiffUSError(f"label {number} has two tissues in {name}; keep one.")
    return table


def _read_pairs(path: Path) -> list[tuple[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DiffUSError(f"label mapping {path.name} is not a text file; save it as CSV or JSON.") from None
    if path.suffix.lower() == ".json":
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise DiffUSError(f"line {error.lineno} of label mapping {path.name} is not JSON: {error.msg}.") from None
        if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
            raise DiffUSError(f'label mapping {path.name} must be one JSON object like {{"2": "white matter"}}.')
        return list(content.items())
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    reader.fieldnames = [(field or "").strip().lower() for field in reader.fieldnames or ()]
    if not {"label", "tissue"} <= set(reader.fieldnames):
        raise DiffUSError(f"label mapping {path.name} must start with the line label,tissue.")
    pairs = [(row["label"], row["tissue"]) for row in reader]
    for number, (label, name) in enumerate(pairs, start=2):
        if not label or not name:
            raise DiffUSError(f"line {number} of label mapping {path.name} lacks its label or its tissue.")
    if not pairs:
        raise DiffUSError(f"label mapping {path.name} has no lines below its first.")
    return pairs


def fitting_label_sets(labels: list[int]) -> list[str]:
    """The shipped sets that have every one of these labels; a set whose signature is present goes before others."""
    fitting = [name for name in _label_sets() if set(labels) <= set(read_label_mapping(name))]
    signed = [name for name in fitting if (sign := _label_sets()[name]["signature"]) and set(sign) <= set(labels)]
    return signed or fitting


def _fitting_set(labels: list[int]) -> str:
    drawn = [label for label in labels if label != 0]
    if len(drawn) == 1:
        raise DiffUSError(
            f"this is a mask: it has the label {drawn[0]} alone, which does not tell a tissue; choose a mapping file "
            f"with a line label,tissue for 0 and {drawn[0]}, or the image that the mask belongs to."
        )
    if drawn == [1, 2, 4]:
        raise DiffUSError(
            "the labels 1, 2 and 4 are those of tumors in BraTS, which leave out the brain around them; choose the "
            "MRI that they belong to, or a mapping file with a line label,tissue for each."
        )
    fitting = fitting_label_sets(labels)
    if fitting == ["freesurfer"] and min(drawn) >= _CORTEX:
        raise DiffUSError(
            f"{_enumerate(drawn)} are those of the cortex in FreeSurfer, without what lies below it; choose the whole "
            "segmentation (aparc+aseg), or a mapping file with a line label,tissue for each."
        )
    if len(fitting) == 1 and (len(drawn) >= _ENOUGH or max(drawn) > _OWN_NUMBERS):
        return fitting[0]
    known = ", ".join(label_set_names())
    if len(fitting) == 1:
        raise DiffUSError(
            f"{_enumerate(drawn)} are too few to tell which label set they are of ({fitting[0]} has them all); "
            f"choose a mapping: {known}, or a file with a line label,tissue for each."
        )
    if fitting:
        raise DiffUSError(f"the labels fit several label sets ({', '.join(fitting)}); choose one of them as mapping.")
    nearest = {name: [x for x in labels if x not in read_label_mapping(name)] for name in _label_sets()}
    best = min(nearest, key=lambda name: len(nearest[name]))
    raise DiffUSError(
        f"no shipped label set ({known}) has all labels: {best} comes nearest and lacks {_enumerate(nearest[best])}; "
        "choose a mapping file with a line label,tissue for each label."
    )


def _enumerate(labels: list[int]) -> str:
    named = ", ".join(str(label) for label in labels[:_MOST_NAMED])
    more = f" and {len(labels) - _MOST_NAMED} more" if len(labels) > _MOST_NAMED else ""
    return f"label{'s' if len(labels) > 1 else ''} {named}{more}"


@cache
def _label_sets() -> dict:
    return json.loads((files("DiffUSLib") / "data" / "label_sets.json").read_text(encoding="utf-8"))
