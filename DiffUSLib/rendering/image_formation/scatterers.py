"""Sub-resolution scatterers at fixed places in the tissue, the origin of speckle."""

from __future__ import annotations

import functools

import torch

from DiffUSLib.geometry.sampling import Sampler

CORRELATION_SITES = 3**-0.5
"""Standard deviation of the autocorrelation of the interpolated field (that of a cubic B-spline), in sites."""

_SITES = 96  # along each axis; then the field repeats

# The lattice is turned against the patient's axes, by no special angles, so that no image plane meets its repetition.
_LATTICE_AXES = torch.linalg.qr(
    torch.tensor([[0.70, 0.41, -0.37], [-0.29, 0.83, 0.53], [0.61, -0.23, 0.79]], dtype=torch.float64)
)[0]


@functools.lru_cache(maxsize=4)
def _field(seed: int, device: torch.device, dtype: torch.dtype) -> Sampler:
    """In-phase and quadrature amplitudes of variance 1/2 each, the first sites repeated at the end."""
    with torch.inference_mode(False):  # kept for later callers, who may want gradients
        generator = torch.Generator().manual_seed(seed)
        sites = torch.randn(_SITES, _SITES, _SITES, 2, generator=generator) * 0.5**0.5
        for axis in range(3):
            sites = torch.cat([sites, sites.narrow(axis, 0, 1)], dim=axis)
        return Sampler(sites.to(device=device, dtype=dtype).unbind(-1), (0.0, 0.0))


def release_scatterers() -> None:
    """Forget the kept scatterers, 7 MB for each seed, device and precision; the same are made again when needed."""
    _field.cache_clear()


def ras_to_sites(wavelength_mm: float, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """(1, 4, 4) matrix from RAS in mm to scatterer sites along the axes of the lattice.

    Sites are one wavelength apart: several in each resolution cell, as fully developed speckle needs.
    """
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = _LATTICE_AXES / wavelength_mm
    return matrix.to(dtype=dtype, device=device)[None]


def scatterers(sites: torch.Tensor, seed: int) -> torch.Tensor:
    """The scattering amplitude at points in the tissue.

    Args:
        sites: (..., 3) positions, as mapped by `ras_to_sites`.
        seed: another seed, another tissue.

    Returns:
        (2, ...) in-phase and quadrature parts: zero mean, together of variance 1 everywhere.
    """
    cell = sites.detach().floor()
    fraction = sites - cell
    # How often the field has repeated, from the middle of a cell: rounding leads into no other one.
    repetition = cell.add_(0.5).div_(_SITES).floor_()
    values = _field(seed, sites.device, sites.dtype)(torch.sub(sites, repetition, alpha=_SITES))
    # Between sites, interpolation averages several scatterers and would weaken them in a regular pattern: a mixture of
    # two with the weights f and 1 - f has the variance f^2 + (1 - f)^2 = 1 + 2 f (f - 1).
    x, y, z = torch.addcmul(torch.ones_like(fraction), fraction, fraction - 1, value=2).unbind(-1)
    return values * (x * y * z).rsqrt()
