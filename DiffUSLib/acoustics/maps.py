"""Acoustic maps: what the renderer needs to know of a volume."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from DiffUSLib.acoustics.tissue import Tissue
from DiffUSLib.errors import DiffUSError

if TYPE_CHECKING:
    from DiffUSLib.acoustics.decision import VolumeDecision
    from DiffUSLib.acoustics.network import ImpedanceNetwork
    from DiffUSLib.acoustics.tissue_axis import TissueAxis


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
        decision: what was decided about the volume; None where the maps were made by hand.
        axis: where the voxels lie among the tissues, for the curves of an appearance; None where that is not known.
    """

    impedance: torch.Tensor
    attenuation: torch.Tensor
    echogenicity: torch.Tensor
    ijk_to_ras: torch.Tensor
    outside: Tissue
    modality: str
    notes: tuple[str, ...] = ()
    network: ImpedanceNetwork | None = None
    decision: VolumeDecision | None = None
    axis: TissueAxis | None = None

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
        moved = {name: getattr(self, name).to(*args, **kwargs) for name in names}
        axis = self.axis and replace(self.axis, positions=self.axis.positions.to(moved["impedance"].device))
        return replace(self, axis=axis, **moved)

    def at(self, ijk_to_ras: torch.Tensor) -> AcousticMaps:
        """The same voxels, shared, at another place; (4, 4) float64."""
        moved = copy.copy(self)  # the values need no second check
        object.__setattr__(moved, "ijk_to_ras", ijk_to_ras)
        return moved

    def side_by_side(self) -> AcousticMaps:
        """The same maps with attenuation and echogenicity in turn in memory: quicker to sample on a CPU.

        Not for maps that take gradients.
        """
        both = torch.stack([self.attenuation, self.echogenicity], dim=-1)
        return replace(self, attenuation=both[..., 0], echogenicity=both[..., 1])

    def cropped_to(self, points_ras_mm: torch.Tensor, margin_mm: float) -> AcousticMaps:
        """The part in a box around points (P, 3) with a margin, as far as the grid reaches (at least one corner)."""
        inverse = torch.linalg.inv(self.ijk_to_ras)
        index = points_ras_mm.to(inverse) @ inverse[:3, :3].T + inverse[:3, 3]
        margin = margin_mm / self.ijk_to_ras[:3, :3].norm(dim=0)
        size = torch.tensor(self.impedance.shape[::-1])
        first = (index.amin(0) - margin).floor().long().clamp_min(0).minimum(size - 1)
        last = (index.amax(0) + margin).ceil().long().clamp_min(0).minimum(size - 1).maximum(first)
        area = tuple(slice(int(first[axis]), int(last[axis]) + 1) for axis in (2, 1, 0))
        matrix = self.ijk_to_ras.clone()
        matrix[:3, 3] += matrix[:3, :3] @ first.to(matrix)
        names = ("impedance", "attenuation", "echogenicity")
        parts = {name: getattr(self, name)[area] for name in names}
        if self.axis is not None:
            parts["axis"] = replace(self.axis, positions=self.axis.positions[area])
        return replace(self, ijk_to_ras=matrix, **parts)

    def has_voxels_of(self, other: AcousticMaps) -> bool:
        """Whether both hold the very same tensors in the same surroundings, be it at another place."""
        names = ("impedance", "attenuation", "echogenicity", "outside")
        return all(getattr(self, name) is getattr(other, name) for name in names)
