"""The acoustic maps as the renderer samples them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from DiffUSLib.geometry.sampling import Sampler, ras_to_index

if TYPE_CHECKING:
    from DiffUSLib.acoustics.maps import AcousticMaps

TISSUE_ECHOGENICITY = 0.2
"""What scatters at least this much (relative to white matter) counts as tissue, not as fluid or coupling gel."""

BONE_MRAYL = 2.2
"""Impedance above that of all soft tissue."""


class Medium:
    """Samples impedance, attenuation and echogenicity, in this order, at any point.

    Args:
        maps: the acoustic maps. Outside their grid is the medium `maps.outside`, reached within one voxel.
        device, dtype: where and how to sample.
    """

    def __init__(self, maps: AcousticMaps, device: torch.device, dtype: torch.dtype):
        self._maps = maps
        outside = maps.outside
        grids = [
            values.to(device=device, dtype=dtype) for values in (maps.impedance, maps.attenuation, maps.echogenicity)
        ]
        self._sampler = Sampler(grids, (outside.impedance_mrayl, outside.attenuation_db_cm_mhz, outside.echogenicity))
        self.ras_to_index = ras_to_index(maps.ijk_to_ras).to(device=device, dtype=dtype)

    def sample(self, index: torch.Tensor, channels: int = 3) -> torch.Tensor:
        """The first channels at voxel coordinates (..., 3), mapped by `ras_to_index`: (channels, ...)."""
        return self._sampler(index, channels)

    def covers(self, index: torch.Tensor) -> torch.Tensor:
        """(...) bool: which voxel coordinates (..., 3) lie in a voxel."""
        sizes = torch.tensor(self._sampler.shape_kji[::-1], dtype=index.dtype, device=index.device)
        return ((index >= -0.5) & (index <= sizes - 0.5)).all(dim=-1)

    def at(self, ijk_to_ras: torch.Tensor) -> Medium:
        """The same medium elsewhere: it shares the grids. `ijk_to_ras` as in the maps."""
        moved = copy.copy(self)
        moved.ras_to_index = ras_to_index(ijk_to_ras).to(self.ras_to_index)
        return moved
