"""What a fit compares: real frames on their scan lines, and the gray that an appearance is expected to give there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from DiffUSLib.acoustics.maps import AcousticMaps
from DiffUSLib.acoustics.tissue_curves import TissueCurves, axis_of
from DiffUSLib.appearance.appearance import Appearance
from DiffUSLib.appearance.expected import expected_gray
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.sampling import Sampler, ras_to_index, transform_points
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import RenderSettings
from DiffUSLib.ultrasound.observation import UltrasoundSlices, observe

LINES, SAMPLES = 96, 160
SMOOTHING_MM = 0.5
_MARGIN_MM = 4.0
_LEAST_COVERAGE = 0.3
_PROPERTIES = ("impedance", "attenuation", "echogenicity")


class FrameModel:
    """Real frames, and what an appearance makes of the volume behind them.

    Args:
        slices: the frames with their places; gray from 0 to 255.
        maps: of the patient, with an axis of tissues, made without a look.
        knots: the curves over the tissues; only their positions count, and which of them there are.

    Attributes:
        observed: (S, L, N) gray in [0, 1].
        weights: (S, L, N): the area that a sample stands for, mean 1 inside the fan; 0 outside the window or volume.
        area_mm2: of the fan.
        poses: (S, 4, 4) TransducerToRas of the frames.
        probe: with L lines.

    Raises:
        DiffUSError: if the fans and the volume do not overlap.
    """

    def __init__(self, slices: UltrasoundSlices, maps: AcousticMaps, knots: TissueCurves):
        observation = observe(slices, LINES, SAMPLES, SMOOTHING_MM)
        self.observed = observation.values * (float(slices.images.max()) / 255)
        self.probe, self.poses = observation.probe, slices.transducer_to_ras
        origins, directions = self.probe.scan_lines(dtype=torch.float32)
        boundary = torch.arange(SAMPLES + 1) * (self.probe.depth_mm / SAMPLES)
        self._points = origins[:, None] + directions[:, None] * boundary[:, None]
        coarse = self._points[::8, ::8].reshape(-1, 3).double()
        ras = (coarse @ self.poses[:, :3, :3].transpose(1, 2) + self.poses[:, None, :3, 3]).reshape(-1, 3)
        part = maps.cropped_to(ras, _MARGIN_MM)
        settings = RenderSettings(speckle=False, near_field=False, samples=SAMPLES, width_px=4, height_px=4)
        self._renderer = Renderer(part, self.probe, settings, "cpu")
        coverage = float(self._renderer.coverage(self.poses).max())
        if coverage < _LEAST_COVERAGE:
            raise DiffUSError(
                f"only {coverage:.0%} of the ultrasound fan lies in the volume; check the transform, or give a volume "
                "that shows what the ultrasound shows."
            )
        self._sampler = _sampler(part, knots)
        self._to_index = ras_to_index(part.ijk_to_ras)
        with torch.no_grad():
            self._sampled = self._sampler(self._index(self.poses))
        depth = (boundary[1:] + boundary[:-1]) / 2
        area = self.probe.line_spacing_mm(depth)
        self.area_mm2 = float(area.sum()) * LINES * self.probe.depth_mm / SAMPLES
        inside = (self._sampled[-1] > 0.5).float()
        weights = observation.weights * area * inside[..., 1:] * inside[..., :-1]
        self.weights = weights / weights[weights > 0].mean()

    def expected(self, appearance: Appearance, poses: torch.Tensor | None = None) -> torch.Tensor:
        """(S, L, N) gray in [0, 1], without speckle, at these poses (S, 4, 4) or those of the frames.

        Differentiable to the poses and to an appearance of tensors. Its tissue curves must have the model's knots.
        """
        at = self.poses if poses is None else poses
        sampled = self._sampled if poses is None else self._sampler(self._index(poses))
        renderer = self._renderer.changed_to(settings=replace(appearance.settings(self._renderer.settings), curves={}))
        values = appearance.curves[axis_of(self._renderer.maps).kind].values()
        count = len(sampled) - len(_PROPERTIES) - 1
        properties = []
        for name, fixed in zip(_PROPERTIES, sampled[count:-1], strict=True):
            curve = torch.zeros(())
            if name in values:
                curve = (sampled[:count] * values[name].float().reshape(-1, 1, 1, 1)).sum(dim=0)
            properties.append(fixed + curve)
        power = renderer.lines_of(torch.stack(properties), at.float()).power
        receiver = appearance.receiver
        return expected_gray(power, appearance.dynamic_range_db, receiver.gamma, float(receiver.looks))

    def likeness(self, gray: torch.Tensor, weights: torch.Tensor | None = None) -> float:
        """Normalized cross-correlation of gray (S, L, N) with the frames, each frame by itself, in the mean."""
        weights = self.weights if weights is None else weights
        return float(np.mean([correlation(a, b, w) for a, b, w in zip(gray, self.observed, weights, strict=True)]))

    def _index(self, poses: torch.Tensor) -> torch.Tensor:
        """(S, L, N+1, 3) voxel coordinates of the samples."""
        return transform_points((self._to_index @ poses).float(), self._points)


def _sampler(maps: AcousticMaps, knots: TissueCurves) -> Sampler:
    """Samples the share of each knot, then of each property the part that no curve replaces, then 1 in the volume.

    Curves are linear in their heights, and so is sampling: shares that were sampled once serve all curves.
    """
    shape = maps.impedance.shape
    axis = axis_of(maps)
    applies = knots.apply_to(axis)
    shares = knots.shares(axis).reshape(*shape, -1) * applies[..., None]
    grids = list(shares.float().movedim(-1, 0).contiguous())
    outside = [0.0] * len(grids)
    beyond = (maps.outside.impedance_mrayl, maps.outside.attenuation_db_cm_mhz, maps.outside.echogenicity)
    replaced = knots.values()
    for name, value in zip(_PROPERTIES, beyond, strict=True):
        grid = getattr(maps, name).detach().float()
        grids.append(torch.where(applies, 0.0, grid) if name in replaced else grid)
        outside.append(value)
    return Sampler([*grids, torch.ones(shape)], [*outside, 0.0])


def correlation(first: torch.Tensor, second: torch.Tensor, weights: torch.Tensor) -> float:
    """Normalized cross-correlation of two tensors of one shape with weights."""
    share = weights / weights.sum()
    first, second = (values - (share * values).sum() for values in (first, second))
    product = (share * first * second).sum()
    return float(product / ((share * first.square()).sum() * (share * second.square()).sum() + 1e-20).sqrt())
