"""Where a fit starts: an appearance in which everything that may change has its knots."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import torch

from DiffUSLib.acoustics.maps import AcousticMaps
from DiffUSLib.acoustics.tissue_axis import TissueAxis
from DiffUSLib.acoustics.tissue_curves import CURVE_LIMITS, TissueCurves, axis_of
from DiffUSLib.appearance.appearance import Appearance, load_appearance

MRI_KNOTS = (-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.3, 2.7, 3.3)
CT_KNOTS = (-150.0, -100.0, -60.0, -20.0, 0.0, 20.0, 40.0, 60.0, 90.0, 130.0, 180.0, 300.0)
DEPTH_KNOTS, LINE_KNOTS = 7, 9


def fit_start(start: Appearance | None, maps: AcousticMaps | None, depth_mm: float) -> Appearance:
    """The look with curves over depth, lines and, with maps, tissues.

    Args:
        start: the clinical look by default.
        maps: whose axis the tissue curves go over; where the look has no curves, they follow the maps.
        depth_mm: of the probe.
    """
    start = start or load_appearance("clinical")
    receiver = start.receiver
    depth_mm_knots = torch.linspace(0, depth_mm, DEPTH_KNOTS)
    only = replace(receiver, gain_db=0.0, line_gain_db=())
    depth_gain = (only.log_gain(1, depth_mm_knots)[0] * 8.685889638).tolist()
    only = replace(receiver, gain_db=0.0, depth_gain_db=())
    line_gain = (only.log_gain(LINE_KNOTS, torch.zeros(1))[:, 0].expand(LINE_KNOTS) * 8.685889638).tolist()
    receiver = replace(
        receiver, depth_gain_db=tuple(depth_gain), depth_gain_reach_mm=depth_mm, line_gain_db=tuple(line_gain)
    )
    curves = dict(start.curves)
    if maps is not None and maps.axis is not None:
        kind = maps.axis.kind
        curves[kind] = _completed(curves.get(kind), maps)
    return replace(start, receiver=receiver, curves=curves)


def _completed(curves: TissueCurves | None, maps: AcousticMaps) -> TissueCurves:
    """All three curves: as they are where there are some, else as the maps have them in the median."""
    axis = axis_of(maps)
    if curves is None:
        places: tuple = axis.names or {"mri": MRI_KNOTS, "ct": CT_KNOTS}[axis.kind]
        curves = TissueCurves(tuple(places))
    changed = {}
    for field, values in (
        ("echogenicity_db", 20 * torch.log10(maps.echogenicity.clamp(min=1e-2))),
        ("impedance_mrayl", maps.impedance),
        ("attenuation_db_cm_mhz", maps.attenuation),
    ):
        if not len(getattr(curves, field)):
            changed[field] = _medians(values, axis, curves.positions, CURVE_LIMITS[field])
    return replace(curves, **changed)


def _medians(values: torch.Tensor, axis: TissueAxis, places: tuple, limits: tuple[float, float]) -> tuple[float, ...]:
    """Median of values (K, J, I) near each place of the axis; places without voxels take from their neighbors."""
    positions, flat = axis.positions.reshape(-1).numpy(), values.detach().reshape(-1).numpy()
    if axis.names:
        found = [
            float(np.median(flat[positions == axis.names.index(name)])) if name in axis.names else 0.0
            for name in places
        ]
        return tuple(float(np.clip(value, *limits)) for value in found)
    known = np.isfinite(positions)
    positions, flat = positions[known], flat[known]
    order = np.argsort(positions)
    positions, flat = positions[order], flat[order]
    edges = np.searchsorted(positions, [places[0] - 1e6, *(np.add(places[1:], places[:-1]) / 2), places[-1] + 1e6])
    medians = np.array([np.median(flat[a:b]) if b > a else np.nan for a, b in itertools.pairwise(edges)])
    filled = np.interp(places, np.array(places)[np.isfinite(medians)], medians[np.isfinite(medians)])
    return tuple(float(np.clip(value, *limits)) for value in filled)
