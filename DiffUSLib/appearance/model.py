"""What a fit compares: real frames on their scan lines, and the gray that an appearance is expected to give there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from DiffUSLib.acoustics.maps import AcousticMaps
from DiffUSLib.acoustics.tissue_curves import TissueCurves
from DiffUSLib.appearance.appearance import Appearance
from DiffUSLib.appearance.expected import expected_gray
from DiffUSLib.errors import DiffUSError
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import RenderSettings
from DiffUSLib.ultrasound.observation import UltrasoundSlices, observe

LINES, SAMPLES = 96, 160
SMOOTHING_MM = 0.5
_MARGIN_MM = 4.0
_LEAST_COVERAGE = 0.3


class FrameModel:
    """Real frames and how likely an appearance makes them.

    Args:
        slices: the frames with their places; gray from 0 to 255.
        maps: of the patient, with an axis of tissues; or None: then only what needs no anatomy can be asked.

    Attributes:
        observed: (S, L, N) gray in [0, 1].
        area_mm2: of the fan.
        weights: (S, L, N): the area that a sample stands for, mean 1 inside the fan; 0 outside the window or volume.

    Raises:
        DiffUSError: if the fans and the volume do not overlap.
    """

    def __init__(self, slices: UltrasoundSlices, maps: AcousticMaps):
        observation = observe(slices, LINES, SAMPLES, SMOOTHING_MM)
        self.slices = slices
        self.observed = observation.values * (float(slices.images.max()) / 255)
        self.probe = observation.probe
        depth = (torch.arange(SAMPLES) + 0.5) * (self.probe.depth_mm / SAMPLES)
        area = self.probe.line_spacing_mm(depth)
        self.poses = slices.transducer_to_ras
        origins, directions = replace(self.probe, lines=9).scan_lines(dtype=torch.float64)
        reach = torch.linspace(0, self.probe.depth_mm, 9, dtype=torch.float64)
        points = (origins[:, None] + directions[:, None] * reach[:, None]).reshape(-1, 3)
        ras = (points @ self.poses[:, :3, :3].transpose(1, 2) + self.poses[:, None, :3, 3]).reshape(-1, 3)
        self.maps = maps.cropped_to(ras, _MARGIN_MM)
        self._kind = maps.axis.kind if maps.axis is not None else None
        self._shares = None
        settings = RenderSettings(speckle=False, near_field=False, samples=SAMPLES, width_px=4, height_px=4)
        self._renderer = Renderer(self.maps, self.probe, settings, "cpu")
        coverage = float(self._renderer.coverage(self.poses).max())
        if coverage < _LEAST_COVERAGE:
            raise DiffUSError(
                f"only {coverage:.0%} of the ultrasound fan lies in the volume; check the transform, or give a volume "
                "that shows what the ultrasound shows."
            )
        self.area_mm2 = float(area.sum()) * LINES * self.probe.depth_mm / SAMPLES
        inside = self._inside()
        self.weights = observation.weights * area * inside
        self.weights = self.weights / self.weights[self.weights > 0].mean()

    def _inside(self) -> torch.Tensor:
        """(S, L, N) 1 where the volume is."""
        maps = self.maps
        ones = torch.ones_like(maps.impedance)
        here = replace(maps, impedance=ones * 9, attenuation=ones * 0, echogenicity=ones)
        outside = replace(maps.outside, echogenicity=0.0)
        settings = replace(
            self._renderer.settings, attenuation=False, interface_scatter_mm=0.0, specular_mm=0.0, clutter=False,
            point_spread=False,
        )  # fmt: skip
        here = replace(here, impedance=ones * outside.impedance_mrayl, outside=outside)
        power = Renderer(here, self.probe, settings, "cpu").scan_lines(self.poses).power
        return (power > 0.25).float()

    def expected(self, appearance: Appearance, poses: torch.Tensor | None = None) -> torch.Tensor:
        """(S, L, N) gray in [0, 1], without speckle, at these poses (S, 4, 4) or those of the frames.

        Differentiable to the poses and to an appearance of tensors.
        """
        settings = replace(appearance.settings(self._renderer.settings), curves={})
        curves = appearance.curves.get(self._kind)
        maps = self.maps if curves is None else curves.applied_to(self.maps, self._shares_of(curves))
        renderer = self._renderer.changed_to(maps=maps, settings=settings)
        power = renderer.scan_lines(self.poses if poses is None else poses).power
        receiver = appearance.receiver
        return expected_gray(power, appearance.dynamic_range_db, receiver.gamma, float(receiver.looks))

    def _shares_of(self, curves: TissueCurves) -> torch.Tensor:
        """(V, K) shares of the knots in each voxel, kept for as long as the knots stay."""
        if self._shares is None or self._shares[0] != curves.positions:
            self._shares = (curves.positions, curves.shares(self.maps.axis))
        return self._shares[1]

    def likeness(self, gray: torch.Tensor, weights: torch.Tensor | None = None) -> float:
        """Normalized cross-correlation of gray (S, L, N) with the frames, each frame by itself, in the mean."""
        weights = self.weights if weights is None else weights
        return float(np.mean([correlation(a, b, w) for a, b, w in zip(gray, self.observed, weights, strict=True)]))


def correlation(first: torch.Tensor, second: torch.Tensor, weights: torch.Tensor) -> float:
    """Normalized cross-correlation of two tensors of one shape with weights."""
    share = weights / weights.sum()
    first, second = (values - (share * values).sum() for values in (first, second))
    product = (share * first * second).sum()
    return float(product / ((share * first.square()).sum() * (share * second.square()).sum() + 1e-20).sqrt())
