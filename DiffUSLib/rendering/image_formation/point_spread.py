"""Resolution: the pulse along the beam, the width of the beam across it, and what they do to the scatterers."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len

from DiffUSLib.probes.probe import Probe
from DiffUSLib.rendering.image_formation.scatterers import CORRELATION_SITES

FWHM_TO_SIGMA = 1 / (2 * math.sqrt(2 * math.log(2)))
MIN_F_NUMBER = 1.0
"""Scanners open the receiving aperture with depth, but not wider than this."""


def pulse_sigma_mm(probe: Probe) -> float:
    """Standard deviation in mm of the echo of a point along the beam; its width (FWHM) is half the pulse's length."""
    return probe.cycles * probe.wavelength_mm / 2 * FWHM_TO_SIGMA


def _focused_width_mm(depth_mm, wavelength_mm: float, aperture_mm: float, focus_mm: float):
    """Width (FWHM) at each depth of a beam focused once, as a Gaussian beam (Siegman, Lasers, 1986, ch. 17)."""
    waist_fwhm = wavelength_mm * max(focus_mm / aperture_mm, MIN_F_NUMBER)
    waist_radius = waist_fwhm / math.sqrt(2 * math.log(2))
    rayleigh_mm = math.pi * waist_radius**2 / wavelength_mm
    return waist_fwhm * torch.sqrt(1 + ((depth_mm - focus_mm) / rayleigh_mm).square())


def lateral_sigma_mm(probe: Probe, depth_mm: torch.Tensor) -> torch.Tensor:
    """Standard deviation in mm of the two-way beam across the scan line, in the image plane.

    The transmitted beam has one focus; the receiving one follows the echo (dynamic focusing at F-number depth /
    aperture).
    """
    sent = _focused_width_mm(depth_mm, probe.wavelength_mm, probe.aperture_mm, probe.focus_mm)
    received = probe.wavelength_mm * (depth_mm / probe.aperture_mm).clamp(min=MIN_F_NUMBER)
    return FWHM_TO_SIGMA / torch.sqrt(sent.square().reciprocal() + received.square().reciprocal())


def elevation_sigma_mm(probe: Probe, depth_mm: torch.Tensor) -> torch.Tensor:
    """Standard deviation in mm of the two-way beam across the image plane; one fixed lens sends and receives."""
    width = _focused_width_mm(depth_mm, probe.wavelength_mm, probe.elevation_aperture_mm, probe.elevation_focus_mm)
    return width * FWHM_TO_SIGMA / math.sqrt(2)


def elevation_quadrature(planes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Offsets in standard deviations and weights (sum 1) of planes across a Gaussian beam (Gauss-Hermite)."""
    import numpy as np

    nodes, weights = np.polynomial.hermite_e.hermegauss(planes)
    return torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())


def blurred_noise_power(sigma: torch.Tensor, step_sites: torch.Tensor) -> torch.Tensor:
    """Power that the scatterers keep after a unit-area Gaussian blur along one axis.

    Args:
        sigma: (...) standard deviation of the blur in steps.
        step_sites: (...) distance between samples in scatterer sites.
    """
    reach = max(2, math.ceil(5 * float(sigma.detach().max())))
    lag = torch.arange(-reach, reach + 1, dtype=sigma.dtype, device=sigma.device)
    overlap = torch.exp(-(lag / (2 * sigma[..., None])).square())  # the blur correlated with itself
    overlap = overlap / overlap.sum(dim=-1, keepdim=True)
    likeness = torch.exp(-0.5 * (lag * step_sites[..., None] / CORRELATION_SITES).square())
    return (overlap * likeness).sum(dim=-1)


def smoothed_along_depth(lines: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Lines (..., N) averaged by a Gaussian of a standard deviation () in samples."""
    return _convolved(lines, _half_pulse(sigma))


def _convolved(lines: torch.Tensor, pulse: list) -> torch.Tensor:
    """Lines (..., N) convolved by a symmetric pulse, given from its middle to one side."""
    # The pulse spans few samples: a sum of shifted lines is quicker than a convolution of PyTorch, and exact to
    # the last digit on every device, where that would round to TF32 or to half precision.
    samples, reach = lines.shape[-1], len(pulse) - 1
    padded = F.pad(lines, (reach, reach))
    total = lines * pulse[0]
    for lag, weight in enumerate(pulse[1:], start=1):
        before, after = (padded[..., start : start + samples] for start in (reach - lag, reach + lag))
        if isinstance(weight, float):
            total = total.add(before + after, alpha=weight)
        else:
            total = total + weight * (before + after)
    return total


def _half_pulse(sigma: torch.Tensor) -> list:
    """Weights of a Gaussian of a standard deviation () in samples, from its middle to one side; both sum to 1.

    Numbers, or scalar tensors where the width takes a gradient.
    """
    taps = torch.arange(math.ceil(3 * float(sigma.detach())) + 1, dtype=torch.float64, device=sigma.device)
    pulse = torch.exp(-0.5 * (taps / sigma.double()).square())
    pulse = pulse / (2 * pulse.sum() - pulse[0])
    return list(pulse.to(sigma.dtype)) if pulse.requires_grad else pulse.tolist()


class PointSpread:
    """Gaussian blur of scan lines (..., L, N) by the pulse along depth and by the beam across lines.

    The beam's width changes with depth, so lines are blurred in the frequency domain, each depth by its own Gaussian.
    At the edges of the fan the beam reaches beyond the last line and the image fades.

    Args:
        probe: its pulse and beam.
        depth_mm: (N,) depth of the samples, equally spaced.
        power: blur powers (squared amplitudes) instead of amplitudes: the incoherent limit, without speckle.
        axial_scale, lateral_scale: width of pulse and beam, (N,) or a number, over those of the probe.
    """

    def __init__(
        self,
        probe: Probe,
        depth_mm: torch.Tensor,
        power: bool = False,
        axial_scale: float | torch.Tensor = 1.0,
        lateral_scale: float | torch.Tensor = 1.0,
    ):
        step_mm = depth_mm[1] - depth_mm[0]
        narrower = math.sqrt(2) if power else 1.0
        axial = (pulse_sigma_mm(probe) * axial_scale / step_mm / narrower).clamp(min=0.3)
        spacing_mm = probe.line_spacing_mm(depth_mm)
        lateral = lateral_sigma_mm(probe, depth_mm) * lateral_scale / spacing_mm / narrower
        lateral = lateral.clamp(0.3, probe.lines / 8)
        self._pulse = _half_pulse(axial)
        self._lines = probe.lines
        self._padded = next_fast_len(probe.lines + math.ceil(3 * float(lateral.detach().max())))
        cycles = torch.fft.fftfreq(self._padded, dtype=depth_mm.dtype, device=depth_mm.device)
        self._transfer = torch.exp(-2 * (math.pi * cycles[:, None] * lateral).square())
        self.noise_power = blurred_noise_power(lateral, spacing_mm / probe.wavelength_mm) * blurred_noise_power(
            axial, step_mm / probe.wavelength_mm
        )
        """(N,) power that scatterers of variance 1 keep at each depth."""

    def __call__(self, lines: torch.Tensor) -> torch.Tensor:
        """Blur real (..., L, N) lines."""
        return self._across_lines(self._along_depth(lines)).real

    def complex(self, in_phase: torch.Tensor, quadrature: torch.Tensor) -> torch.Tensor:
        """Blur (..., L, N) in-phase and quadrature parts: complex lines."""
        return self._across_lines(self._along_depth(torch.complex(in_phase, quadrature)))

    def _along_depth(self, lines: torch.Tensor) -> torch.Tensor:
        return _convolved(lines, self._pulse)

    def _across_lines(self, lines: torch.Tensor) -> torch.Tensor:
        spectrum = torch.fft.fft(lines, n=self._padded, dim=-2) * self._transfer
        return torch.fft.ifft(spectrum, dim=-2)[..., : self._lines, :]
