"""Acoustic maps: what the renderer needs to know of a volume, and the choice of how to compute it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from DiffUSLib.acoustics.tissue import Tissue
from DiffUSLib.errors import DiffUSError
from DiffUSLib.volume import Volume

if TYPE_CHECKING:
    from DiffUSLib.acoustics.network import ImpedanceNetwork


@dataclass(frozen=True)
class AcousticMaps:
    """Acoustic properties on a voxel grid.

    Args:
        impedance: (K, J, I) acoustic impedance in MRayl, above zero.
        attenuation: (K, J, I) one-way attenuation in dB/cm/MHz.
        echogenicity: (K, J, I) backscatter amplitude relative to white matter = 1; 0 is anechoic.
        ijk_to_ras: (4, 4) float64, maps a voxel index (I, J, K, 1) to RAS in mm.
        outside: the medium outside the grid (the coupling medium).
        modality: "ct", "t1", "t1c", "t2" or "labels".
        notes: what was decided, clamped or assumed, in sentences.
        network: of an MRI, what its intensities went through.
    """

    impedance: torch.Tensor
    attenuation: torch.Tensor
    echogenicity: torch.Tensor
    ijk_to_ras: torch.Tensor
    outside: Tissue
    modality: str
    notes: tuple[str, ...] = ()
    network: ImpedanceNetwork | None = None

    def __post_init__(self):
        shapes = {tuple(t.shape) for t in (self.impedance, self.attenuation, self.echogenicity)}
        if len(shapes) != 1 or self.impedance.ndim != 3:
            raise DiffUSError("impedance, attenuation and echogenicity must be 3D grids of one shape.")
        if not bool((self.impedance > 0).all()):
            raise DiffUSError("the impedance must be above zero everywhere; correct the calibration or the mapping.")
        if not bool((self.attenuation >= 0).all() and (self.echogenicity >= 0).all()):
            raise DiffUSError("attenuation and echogenicity must be zero or above everywhere; correct the mapping.")

    def to(self, *args, **kwargs) -> AcousticMaps:
        """The same maps moved by `torch.Tensor.to`; the matrix stays float64 on the CPU."""
        names = ("impedance", "attenuation", "echogenicity")
        return replace(self, **{name: getattr(self, name).to(*args, **kwargs) for name in names})

    def at(self, ijk_to_ras: torch.Tensor) -> AcousticMaps:
        """The same voxels, shared, at another place; (4, 4) float64."""
        moved = copy.copy(self)  # the values need no second check
        object.__setattr__(moved, "ijk_to_ras", ijk_to_ras)
        return moved

    def has_voxels_of(self, other: AcousticMaps) -> bool:
        """Whether both hold the very same tensors in the same surroundings, be it at another place."""
        names = ("impedance", "attenuation", "echogenicity", "outside")
        return all(getattr(self, name) is getattr(other, name) for name in names)


def acoustic_maps(volume: Volume, modality: str = "auto", **options) -> AcousticMaps:
    """Compute acoustic maps from a volume.

    Args:
        volume: a CT in HU, an MRI, or a label map.
        modality: "auto", "ct", "t1", "t1c", "t2" or "labels".
        options: passed to `maps_from_ct`, `maps_from_mri` or `maps_from_labels`.

    Raises:
        DiffUSError: if the modality is unknown, the volume is constant, or an option does not belong to the modality.
    """
    from DiffUSLib.acoustics.ct import maps_from_ct
    from DiffUSLib.acoustics.labels import maps_from_labels
    from DiffUSLib.acoustics.modality import MODALITIES, detect_modality
    from DiffUSLib.acoustics.mri import maps_from_mri

    notes = ()
    if modality == "auto":
        guess = detect_modality(volume)
        modality = guess.modality
        notes = (f"Modality {modality} was chosen: {guess.reason}",)
    if modality not in MODALITIES:
        raise DiffUSError(f"modality '{modality}' is unknown; choose auto, {', '.join(MODALITIES)}.")
    try:
        if modality == "ct":
            maps = maps_from_ct(volume, **options)
        elif modality == "labels":
            maps = maps_from_labels(volume, **options)
        else:
            maps = maps_from_mri(volume, modality, **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        word = str(error).rsplit(" ", 1)[-1].split("'")[1] if "'" in str(error) else "?"
        raise DiffUSError(f"{word} is no option of modality {modality}.") from None
    return replace(maps, notes=notes + maps.notes)


def check_not_constant(volume: Volume) -> None:
    """Refuse a volume that shows nothing.

    Raises:
        DiffUSError: if all voxels have one value.
    """
    if bool(volume.voxels.min() == volume.voxels.max()):
        raise DiffUSError(f"{volume.name or 'the volume'} is constant; give a volume that shows some anatomy.")


def interpolate(values: torch.Tensor, knots, heights) -> torch.Tensor:
    """Piecewise linear interpolation, constant beyond the first and last knot; differentiable in values and heights.

    Args:
        values: tensor of any shape.
        knots: increasing positions, (N,).
        heights: the curve at the knots, (N,).
    """
    knots = torch.as_tensor(knots, dtype=values.dtype, device=values.device)
    heights = torch.as_tensor(heights, dtype=values.dtype, device=values.device)
    inside = values.clamp(knots[0], knots[-1])
    right = torch.bucketize(inside.detach(), knots).clamp_(1, len(knots) - 1)
    slopes = (heights[1:] - heights[:-1]) / (knots[1:] - knots[:-1])
    return heights[right - 1] + slopes[right - 1] * (inside - knots[right - 1])
