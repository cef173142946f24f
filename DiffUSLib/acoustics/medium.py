"""The acoustic maps as the renderer samples them: channels side by side, relative to the medium outside."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING

import torch

from DiffUSLib.geometry.sampling import ras_to_grid, sample_trilinear

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
        impedance = maps.impedance.to(device=device, dtype=dtype)
        outside = maps.outside
        self._channels = torch.stack(
            [
                impedance - outside.impedance_mrayl,
                maps.attenuation.to(impedance) - outside.attenuation_db_cm_mhz,
                maps.echogenicity.to(impedance) - outside.echogenicity,
            ],
            dim=-1,
        )
        self._outside = torch.tensor(
            [outside.impedance_mrayl, outside.attenuation_db_cm_mhz, outside.echogenicity, 0.0],
            dtype=dtype,
            device=device,
        )
        self.ras_to_grid = ras_to_grid(maps.ijk_to_ras, tuple(impedance.shape)).to(device=device, dtype=dtype)

    def sample(self, grid: torch.Tensor, channels: int = 3) -> torch.Tensor:
        """The first channels at points (..., 3), mapped by `ras_to_grid`: (channels, ...)."""
        values = sample_trilinear(self._channels[..., :channels], grid)
        return values + self._outside[:channels].reshape(-1, *[1] * (grid.ndim - 1))

    def at(self, ijk_to_ras: torch.Tensor) -> Medium:
        """The same medium elsewhere: it shares the channels. `ijk_to_ras` as in the maps."""
        moved = copy.copy(self)
        shape = tuple(self._maps.impedance.shape)
        moved.ras_to_grid = ras_to_grid(ijk_to_ras, shape).to(self.ras_to_grid)
        return moved

    @functools.cached_property
    def soft_tissue_attenuation_db_cm_mhz(self) -> float:
        """Median attenuation of what scatters and is no bone, for which a sonographer sets the gain; 0 without any."""
        maps = self._maps
        step = max(1, round((maps.attenuation.numel() / 1e6) ** (1 / 3)))  # a million voxels are enough
        attenuation, impedance, echogenicity = (
            values.detach()[::step, ::step, ::step] for values in (maps.attenuation, maps.impedance, maps.echogenicity)
        )
        soft = attenuation[(echogenicity > TISSUE_ECHOGENICITY) & (impedance < BONE_MRAYL)]
        return float(soft.median()) if soft.numel() else 0.0
