"""Gain over depth and lines that a frame shows, whatever the anatomy: this needs no volume."""

from __future__ import annotations

import torch

from DiffUSLib.appearance.appearance import Appearance
from DiffUSLib.appearance.expected import expected_gray
from DiffUSLib.appearance.parameters import Parameters
from DiffUSLib.probes.probe import Probe

CELL_MM2 = 4.0
"""Area over which errors of a model are alike: how much a frame counts against the prior."""
_STEPS = 80
_RATE = 0.2


def misfit(gray: torch.Tensor, observed: torch.Tensor, weights: torch.Tensor, area_mm2: float) -> torch.Tensor:
    """() negative log-likelihood of frames, up to a constant; the size of the errors is estimated from them.

    Args:
        gray: (S, L, N) local means that a model expects.
        observed: (S, L, N) local means of the frames.
        weights: (S, L, N) area that each sample stands for, in any unit; 0 where nothing counts.
        area_mm2: of a fan whose samples all count.
    """
    error = (weights * (gray - observed).square()).sum() / weights.sum()
    cells = float((weights > 0).float().mean()) * len(observed) * area_mm2 / CELL_MM2
    return cells / 2 * torch.log(error + 1e-8)


def uniform_gray(appearance: Appearance, lines: int, depth_mm: torch.Tensor) -> torch.Tensor:
    """(L, N) gray that tissue like white matter would have everywhere, without any loss."""
    receiver = appearance.receiver
    power = (2 * receiver.log_gain(lines, depth_mm)).exp().expand(lines, len(depth_mm))
    return expected_gray(power, appearance.dynamic_range_db, receiver.gamma, float(receiver.looks))


def fit_shading(
    observed: torch.Tensor, weights: torch.Tensor, probe: Probe, start: Appearance
) -> tuple[Parameters, torch.Tensor]:
    """The receiver whose gain curves explain frames (S, L, N) best if all tissue were alike."""
    samples = observed.shape[2]
    depth_mm = (torch.arange(samples) + 0.5) * (probe.depth_mm / samples)
    area_mm2 = float(probe.line_spacing_mm(depth_mm).sum()) * probe.lines * probe.depth_mm / samples
    parameters = Parameters(start, None, fixed=("clutter_db", "gamma"))
    vector = torch.zeros(parameters.count, requires_grad=True)
    optimizer = torch.optim.Adam([vector], lr=_RATE)
    for _ in range(_STEPS):
        optimizer.zero_grad()
        gray = uniform_gray(parameters.appearance(vector), probe.lines, depth_mm).expand_as(observed)
        (misfit(gray, observed, weights, area_mm2) + parameters.penalty(vector)).backward()
        optimizer.step()
    return parameters, vector.detach()


def shading_alone(observed: torch.Tensor, weights: torch.Tensor, probe: Probe, start: Appearance) -> torch.Tensor:
    """(L, N) gray of uniform tissue with the gain that fits the frames best."""
    parameters, vector = fit_shading(observed, weights, probe, start)
    samples = observed.shape[2]
    depth_mm = (torch.arange(samples) + 0.5) * (probe.depth_mm / samples)
    with torch.no_grad():
        return uniform_gray(parameters.appearance(vector), probe.lines, depth_mm)
