"""Curves of acoustic properties over an axis of tissues."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from DiffUSLib.acoustics.curves import interpolate
from DiffUSLib.acoustics.maps import AcousticMaps
from DiffUSLib.acoustics.tissue_axis import TissueAxis
from DiffUSLib.errors import DiffUSError

CURVE_LIMITS = {
    "echogenicity_db": (-80.0, 60.0),
    "impedance_mrayl": (1e-4, 20.0),
    "attenuation_db_cm_mhz": (0.0, 100.0),
}
"""Lowest and highest heights; echogenicity is that of white matter at 0 dB."""
MOST_KNOTS = 64


def axis_of(maps: AcousticMaps) -> TissueAxis:
    """The axis that tissues of these maps lie on.

    Raises:
        DiffUSError: if they were made without one.
    """
    if maps.axis is None:
        raise DiffUSError("these maps tell no tissues apart, so a look's curves have no meaning for them.")
    return maps.axis


@dataclass(frozen=True)
class TissueCurves:
    """Acoustic properties over the positions of a `TissueAxis`: straight between knots, constant beyond the last.

    Args:
        positions: increasing positions of the knots ("mri": see `AXES`; "ct": HU), or, for "labels", tissue names.
        echogenicity_db: backscatter amplitude in dB over white matter at each knot; empty: that of the maps.
        impedance_mrayl, attenuation_db_cm_mhz: likewise.

    The three may be tensors, which gradients reach.

    Raises:
        DiffUSError: if lengths do not fit, positions do not increase, or a value is out of range.
    """

    positions: tuple
    echogenicity_db: tuple[float, ...] = ()
    impedance_mrayl: tuple[float, ...] = ()
    attenuation_db_cm_mhz: tuple[float, ...] = ()

    def __post_init__(self):
        places = self.positions
        named = all(isinstance(place, str) for place in places)
        if not named and not all(_is_number(place) for place in places):
            raise DiffUSError("the positions of a curve must be numbers, or names of tissues.")
        rising = named or all(a < b for a, b in itertools.pairwise(places))
        if not (1 if named else 2) <= len(places) <= MOST_KNOTS or not rising or len(set(places)) < len(places):
            raise DiffUSError(f"a curve needs 2 to {MOST_KNOTS} increasing positions, or names of different tissues.")
        for name, (low, high) in CURVE_LIMITS.items():
            heights = getattr(self, name)
            if len(heights) not in (0, len(places)):
                raise DiffUSError(f"{name} has {len(heights)} values for {len(places)} positions.")
            if isinstance(heights, torch.Tensor):
                continue
            for height in heights:
                if not _is_number(height) or not low <= height <= high:
                    raise DiffUSError(f"{name} holds {height}; its values are numbers from {low:g} to {high:g}.")

    def applied_to(self, maps: AcousticMaps) -> AcousticMaps:
        """The maps with the properties that these curves give; the others, and voxels without position, stay."""
        axis = axis_of(maps)
        applies = self.apply_to(axis)
        changed: dict[str, Any] = {}
        for name, heights in self.values().items():
            values = getattr(maps, name)
            heights = heights.to(values)
            if axis.kind == "labels":
                curve = (self.shares(axis) @ heights).reshape(values.shape)
            else:
                curve = interpolate(axis.positions.nan_to_num(0.0).to(values), self.positions, heights)
            changed[name] = torch.where(applies, curve, values)
        return replace(maps, **changed)

    def shares(self, axis: TissueAxis) -> torch.Tensor:
        """(V, K) share of each of the K knots in each voxel."""
        positions = axis.positions.reshape(-1)
        if axis.kind == "labels":
            known = [axis.names.index(place) if place in axis.names else -1 for place in self.positions]
            return (positions[:, None] == torch.tensor(known, dtype=positions.dtype)).float()
        hats = torch.eye(len(self.positions))
        return torch.stack([interpolate(positions.nan_to_num(0.0), self.positions, hat) for hat in hats], dim=1)

    def apply_to(self, axis: TissueAxis) -> torch.Tensor:
        """(K, J, I) bool: the voxels that these curves say something of."""
        if axis.kind != "labels":
            return ~torch.isnan(axis.positions)
        known = torch.tensor([axis.names.index(place) for place in self.positions if place in axis.names])
        return torch.isin(axis.positions, known.to(axis.positions))

    def values(self) -> dict[str, torch.Tensor]:
        """Heights at the knots in the units of the maps (echogenicity as amplitude), by the name of the map.

        Between knots, these are what runs straight. Curves that are empty are left out.
        """
        found = {}
        for name, heights in (("impedance", self.impedance_mrayl), ("attenuation", self.attenuation_db_cm_mhz)):
            if len(heights):
                found[name] = torch.as_tensor(heights)
        if len(self.echogenicity_db):
            found["echogenicity"] = 10 ** (torch.as_tensor(self.echogenicity_db) / 20)
        return found


def with_curves(maps: AcousticMaps, curves: Mapping[str, TissueCurves]) -> AcousticMaps:
    """The maps with the curves for their axis; the maps themselves where there are none, or no axis is known."""
    if maps.axis is None or maps.axis.kind not in curves:
        return maps
    changed = curves[maps.axis.kind].applied_to(maps)
    takes_gradients = changed.attenuation.requires_grad or changed.echogenicity.requires_grad
    return changed if takes_gradients else changed.side_by_side()


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
