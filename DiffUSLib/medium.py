"""The acoustic maps as the renderer samples them: channels side by side, relative to the medium outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from DiffUSLib.sampling import ras_to_grid, sample_trilinear

if TYPE_CHECKING:
    from DiffUSLib.acoustics.maps import AcousticMaps


def interface_density(impedance: torch.Tensor, ijk_to_ras: torch.Tensor) -> torch.Tensor:
    """Reflection per mm of path across the steepest direction: |grad ln Z| / 2, (K, J, I) in 1/mm.

    Small interfaces reflect s = d(ln Z) / 2. Where impedance changes quickly (pia, vessels and cortex around a
    sulcus, the falx), unresolved rough interfaces scatter in all directions in proportion.
    """
    log_impedance = impedance.log()
    to_ras = torch.linalg.inv(ijk_to_ras[:3, :3]).to(impedance)  # row: how one index changes along RAS, in 1/mm
    slopes = []
    for axis in range(3):
        if impedance.shape[axis] > 1:
            slopes.append(torch.gradient(log_impedance, dim=axis)[0])
        else:
            slopes.append(torch.zeros_like(log_impedance))
    slope_k, slope_j, slope_i = slopes
    squared = sum(
        (slope_i * to_ras[0, a] + slope_j * to_ras[1, a] + slope_k * to_ras[2, a]).square() for a in range(3)
    )
    return (squared + 1e-18).sqrt() / 2


class Medium:
    """Samples impedance, attenuation, echogenicity and interface density at any point.

    Args:
        maps: the acoustic maps. Outside their grid is the medium `maps.outside`, reached within one voxel.
        device, dtype: where and how to sample.
    """

    def __init__(self, maps: AcousticMaps, device: torch.device, dtype: torch.dtype):
        impedance = maps.impedance.to(device=device, dtype=dtype)
        outside = maps.outside
        self._channels = torch.stack(
            [
                impedance - outside.impedance_mrayl,
                maps.attenuation.to(impedance) - outside.attenuation_db_cm_mhz,
                maps.echogenicity.to(impedance) - outside.echogenicity,
                interface_density(impedance, maps.ijk_to_ras),
            ],
            dim=-1,
        )
        self._outside = torch.tensor(
            [outside.impedance_mrayl, outside.attenuation_db_cm_mhz, outside.echogenicity, 0.0],
            dtype=dtype,
            device=device,
        )
        self.ras_to_grid = ras_to_grid(maps.ijk_to_ras, tuple(impedance.shape)).to(device=device, dtype=dtype)

    def sample(self, grid: torch.Tensor, channels: int = 4) -> torch.Tensor:
        """The first channels at points (..., 3), mapped by `ras_to_grid`: (channels, ...)."""
        values = sample_trilinear(self._channels[..., :channels], grid)
        return values + self._outside[:channels].reshape(-1, *[1] * (grid.ndim - 1))
