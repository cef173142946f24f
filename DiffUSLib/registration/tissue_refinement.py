"""Tissue parameters found together with the pose: impedances at the anchors of an MRI's curve, and the gain."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, replace

import torch

from DiffUSLib.acoustics import AcousticMaps, Anchor
from DiffUSLib.acoustics.curves import interpolate
from DiffUSLib.errors import DiffUSError
from DiffUSLib.registration.features import Anatomy, SmoothAnatomy, low_pass
from DiffUSLib.registration.objective import Objective
from DiffUSLib.registration.search import Step

_ITERATIONS = 30
_IMPEDANCE_SPREAD = 0.01  # of the impedance: literature values of one soft tissue scatter by about 1 %
_GAIN_SPREAD_DB = 6.0
_RATE = 0.15  # of the standard deviations above
_POSE_RATE_MM = 0.08


@dataclass(frozen=True)
class TissueRefinement:
    """What was found.

    Args:
        anchors: of the MRI's curve with refined impedances; only their ratios to each other can be seen in an image.
        gain_db: by which the rendered echoes stand higher above black than the renderer assumes.
        posterior: log-posterior with the refined tissues, to be compared with that before.
        posterior_before: at the same scale with the tissues as they were.
    """

    anchors: tuple[Anchor, ...]
    gain_db: float
    posterior: float
    posterior_before: float


def anchors_of(maps: AcousticMaps) -> tuple[Anchor, ...]:
    """The anchors that maps were made with.

    Raises:
        DiffUSError: if the maps come from a CT or from labels, or hold no curve.
    """
    if maps.network is None:
        raise DiffUSError(
            f"tissue parameters can be refined for an MRI only, whose curve has anchors; this is {maps.modality}."
        )
    return maps.network.anchors


class TissueObjective:
    """Log-posterior of corrections and tissues together.

    Args:
        objective: of the corrections, at the scale to refine at.
        anatomy: smoothed to that scale.
        shares: A maps (K, J, I): how much each anchor's impedance counts in each voxel, smoothed likewise.
        anchors: the A anchors.
    """

    def __init__(
        self, objective: Objective, anatomy: SmoothAnatomy, shares: list[torch.Tensor], anchors: tuple[Anchor, ...]
    ):
        self._objective, self._maps, self._shares, self._anchors = objective, anatomy.maps, shares, anchors
        self.spreads_mrayl = torch.tensor([_IMPEDANCE_SPREAD * anchor.impedance for anchor in anchors])

    def go_on_on_cpu(self) -> None:
        """Leave a GPU that ran out of memory."""
        self._objective.go_on_on_cpu()

    def impedance(self, changes_mrayl: torch.Tensor) -> torch.Tensor:
        """(K, J, I) in MRayl after changes (A,) at the anchors. The curve is linear in them."""
        return self._maps.impedance + sum(
            change * share for change, share in zip(changes_mrayl, self._shares, strict=True)
        )

    def posterior(self, units: torch.Tensor, changes_mrayl: torch.Tensor, gain_db: torch.Tensor) -> torch.Tensor:
        """() log-posterior of one correction (7,), changes (A,) at the anchors and a gain ()."""
        maps = replace(self._maps, impedance=self.impedance(changes_mrayl))
        prior = (changes_mrayl / self.spreads_mrayl).square().sum() + (gain_db / _GAIN_SPREAD_DB).square()
        adapted = self._objective.with_tissue(maps, 10 ** (gain_db / 10))
        return adapted.differentiable_posterior(units[None])[0] - prior / 2

    def adapted(self, refined: TissueRefinement) -> Objective:
        """The objective of corrections with the refined tissues."""
        pairs = zip(refined.anchors, self._anchors, strict=True)
        changes = torch.tensor([new.impedance - old.impedance for new, old in pairs])
        maps = replace(self._maps, impedance=self.impedance(changes))
        return self._objective.with_tissue(maps, 10 ** (refined.gain_db / 10))


def tissue_shares(anatomy: Anatomy, sigma_mm: float) -> Generator[None, None, list[torch.Tensor]]:
    """Smoothed shares of the anchors in each voxel, for `TissueObjective`. Yields after each; returns the list.

    A voxel between two anchors' intensities holds a share of both, by the line between them, near to which
    the curve runs; background and bone hold none.
    """
    anchors = anchors_of(anatomy.maps)
    intensities = torch.tensor([anchor.intensity for anchor in anchors])
    impedance, voxels = anatomy.maps.impedance, anatomy.volume.voxels.float()
    values = [anchor.impedance for anchor in anchors]
    tolerance = 1e-3 * max(values)
    tissue = (impedance > min(values) - tolerance) & (impedance < max(values) + tolerance)
    shares = []
    for index in range(len(anchors)):
        hat = torch.zeros(len(anchors))
        hat[index] = 1.0
        share = interpolate(voxels, intensities, hat) * tissue
        shares.append(low_pass(share, anatomy.volume.spacing_mm, sigma_mm))
        yield
    return shares


def refine_tissue(
    objective: TissueObjective, units: torch.Tensor, directions: torch.Tensor, anchors: tuple[Anchor, ...]
) -> Generator[Step, None, TissueRefinement]:
    """Adam on correction and tissues together, from a correction (7,). Yields after each iteration.

    Returns:
        the `TissueRefinement`, the best of all iterations.
    """
    free = directions.to(units)
    pose = torch.zeros(free.shape[1], requires_grad=True)
    tissue = torch.zeros(len(anchors) + 1, requires_grad=True)  # in standard deviations; the gain last
    optimizer = torch.optim.Adam([{"params": [pose], "lr": _POSE_RATE_MM}, {"params": [tissue], "lr": _RATE}])
    best, first = (-math.inf, units, tissue.detach().clone()), -math.inf
    for iteration in range(_ITERATIONS):
        optimizer.zero_grad()
        moved = units + free @ pose
        changes, gain = tissue[:-1] * objective.spreads_mrayl, tissue[-1] * _GAIN_SPREAD_DB
        try:
            value = objective.posterior(moved, changes, gain)
            (-value).backward()
        except torch.OutOfMemoryError:
            objective.go_on_on_cpu()
            continue
        first = float(value.detach()) if math.isinf(first) else first
        if float(value.detach()) > best[0]:
            best = (float(value.detach()), moved.detach(), tissue.detach().clone())
        yield Step("tissue", iteration, best[0], best[1])
        optimizer.step()
    changes, gain_db = best[2][:-1] * objective.spreads_mrayl, float(best[2][-1]) * _GAIN_SPREAD_DB
    refined = tuple(
        replace(anchor, impedance_mrayl=anchor.impedance + float(change))
        for anchor, change in zip(anchors, changes, strict=True)
    )
    return TissueRefinement(refined, gain_db, best[0], first)
