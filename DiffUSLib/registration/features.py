"""What the ultrasound is expected to show at a pose: the rendered image, and edges of the volume."""

from __future__ import annotations

import copy
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from DiffUSLib.acoustics import AcousticMaps
from DiffUSLib.acoustics.medium import BONE_MRAYL, TISSUE_ECHOGENICITY
from DiffUSLib.geometry.sampling import Sampler, product, ras_to_index, transform_points, transform_vectors
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.probes.probe import Probe
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import RenderSettings

_FLOOR = 1e-3  # of the rendered power, 30 dB below white matter: what is darker is black
_GAS_MRAYL = 1.2
"""Impedance below that of all soft tissue (fat has 1.31): gas, lung, and voxels that hold a part of them."""
_KNEE = 0.1
"""Logarithm of the impedance against soft tissue from which on edges saturate: half that of fat."""


@dataclass(frozen=True)
class Anatomy:
    """The part of a volume and of its acoustic maps near the fans."""

    volume: Volume
    maps: AcousticMaps


@dataclass(frozen=True)
class SmoothAnatomy:
    """What an `Anatomy` becomes at one scale.

    Args:
        maps: smoothed.
        channels: (K, J, I, 2) smoothed `edge_values` and the length of their gradient, in its typical length per mm.
    """

    maps: AcousticMaps
    channels: torch.Tensor


def edge_values(anatomy: Anatomy) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What edges are looked for in (K, J, I), and where it is known (bool, None for everywhere).

    Of an MRI, its intensities. Of a CT or of labels, the logarithm of the impedance, whose differences are the
    reflections at interfaces, against the median of what is not fluid nor bone, and saturating: on a scanner's
    logarithmic scale bone and metal are no hundred times as bright as an organ's rim, and linear in HU they would
    drown it. Gas is left out: it is elsewhere on the day of the ultrasound, and its shadow is rendered anyway.
    """
    maps = anatomy.maps
    if maps.modality not in ("ct", "labels"):
        return anatomy.volume.voxels, None
    impedance = maps.impedance.float()
    known = impedance > _GAS_MRAYL
    tissue = impedance[known & (impedance < BONE_MRAYL) & (maps.echogenicity > TISSUE_ECHOGENICITY)]
    middle = float(tissue.median()) if tissue.numel() else maps.outside.impedance_mrayl
    relative = torch.log(impedance / middle)
    return _KNEE * torch.asinh(relative / _KNEE), None if bool(known.all()) else known


def low_pass(voxels: torch.Tensor, spacing_mm: tuple[float, float, float], sigma_mm: float) -> torch.Tensor:
    """(K, J, I) voxels filtered by a Gaussian; those that tell no more are left out, see `_strides`."""
    sigma = [sigma_mm / size for size in spacing_mm[::-1]]
    values = ndimage.gaussian_filter(voxels.detach().cpu().float().numpy(), sigma, truncate=3)
    kept = tuple(slice(None, None, step) for step in _strides(voxels.shape, spacing_mm, sigma_mm))
    return torch.from_numpy(np.ascontiguousarray(values[kept]))


def _strides(shape: tuple[int, ...], spacing_mm: tuple[float, float, float], sigma_mm: float) -> list[int]:
    """Of which voxels along K, J and I to keep one: about one for each standard deviation, and at least two."""
    return [max(1, min(int(sigma_mm / size), n // 2)) for n, size in zip(shape, spacing_mm[::-1], strict=True)]


def smoothed(anatomy: Anatomy, sigma_mm: float) -> Generator[None, None, SmoothAnatomy]:
    """Low-pass filters by a Gaussian of this standard deviation in mm, and leaves out voxels that tell no more.

    Yields after each part of the work; returns a `SmoothAnatomy`.
    """
    spacing = anatomy.volume.spacing_mm
    stride = _strides(anatomy.volume.voxels.shape, spacing, sigma_mm)
    matrix = anatomy.maps.ijk_to_ras.clone()
    matrix[:3, :3] *= torch.tensor(stride[::-1], dtype=matrix.dtype)
    maps: dict[str, Any] = {}
    for name in ("impedance", "attenuation", "echogenicity"):
        maps[name] = low_pass(getattr(anatomy.maps, name), spacing, sigma_mm)
        yield
    values, known = edge_values(anatomy)
    voxels = low_pass(values if known is None else values * known, spacing, sigma_mm).numpy()
    yield
    if known is not None:
        # Where nothing is known, what lies next to it goes on: no edge. Deep inside, the middle of all tissue.
        share = low_pass(known, spacing, sigma_mm).numpy()
        voxels = voxels / np.maximum(share, 1e-3)
        yield
    steps = [size * step for size, step in zip(spacing[::-1], stride, strict=True)]
    gradient = np.gradient(voxels, *steps) if min(voxels.shape) > 1 else np.zeros((3, *voxels.shape), np.float32)
    length = np.sqrt(sum(np.square(axis) for axis in gradient))
    typical = max(float(np.sqrt(np.square(length).mean())), 1e-12)
    channels = torch.from_numpy(np.stack([voxels, length], axis=-1) / np.float32(typical))
    yield
    return SmoothAnatomy(replace(anatomy.maps, ijk_to_ras=matrix, **maps), channels)


def crop(volume: Volume, maps: AcousticMaps, points_ras_mm: torch.Tensor, margin_mm: float) -> Anatomy:
    """The box around points (P, 3) with a margin, as far as the volume reaches (at least one corner of it)."""
    inverse = volume.ras_to_ijk
    index = points_ras_mm @ inverse[:3, :3].T + inverse[:3, 3]
    margin = margin_mm / torch.tensor(volume.spacing_mm, dtype=torch.float64)
    size = torch.tensor(volume.voxels.shape[::-1])
    first = (index.amin(0) - margin).floor().long().clamp_min(0).minimum(size - 2).clamp_min(0)
    last = (index.amax(0) + margin).ceil().long().clamp_min(1).minimum(size - 1).maximum(first)
    area = tuple(slice(int(first[axis]), int(last[axis]) + 1) for axis in (2, 1, 0))
    matrix = volume.ijk_to_ras.clone()
    matrix[:3, 3] += matrix[:3, :3] @ first.to(torch.float64)
    names = ("impedance", "attenuation", "echogenicity")
    parts = {name: getattr(maps, name).detach()[area].contiguous() for name in names}
    return Anatomy(
        replace(volume, voxels=volume.voxels.detach()[area].contiguous(), ijk_to_ras=matrix),
        replace(maps, ijk_to_ras=matrix, **parts),
    )


class Features:
    """Channels of the expected ultrasound on scan lines, differentiable to the pose.

    1. the renderer's log power without speckle: tissue, interfaces, attenuation and shadows;
    2. the length of the gradient of `edge_values`: edges whatever their direction and the sign of their echo;
    3. its square along the beam over that length: edges by the squared cosine of incidence;
    4. `edge_values` themselves: how bright a tissue is against others, which the renderer may have wrong.

    Args:
        anatomy: smoothed to the scale wanted.
        probe: with as many lines as wanted.
        samples: along a line.
        device: of the renderer.
    """

    def __init__(self, anatomy: SmoothAnatomy, probe: Probe, samples: int, device: torch.device):
        # Physics, named one by one: how a look is displayed must not change what is found.
        settings = RenderSettings(
            propagation="single_scatter",
            interface_scatter_mm=500.0,
            specular_mm=100.0,
            speckle=False,
            near_field=False,
            point_spread=False,
            log_compression=False,
            samples=samples,
            clutter=False,
        )
        self._anatomy, self._probe, self._step_mm = anatomy, probe, probe.depth_mm / samples
        self._render = Renderer(anatomy.maps, probe, settings, device=device)
        self._with_brightness = True
        self._prepare(self._render.device)

    def _prepare(self, device: torch.device) -> None:
        """Edges where the renderer is."""
        self._device = device
        self._sample = Sampler(self._anatomy.channels.to(device).unbind(-1), (0.0, 0.0))
        self._ras_to_index = ras_to_index(self._anatomy.maps.ijk_to_ras).float().to(device)
        origins, directions = self._probe.scan_lines(dtype=torch.float32)
        depth = (torch.arange(self._render.settings.samples) + 0.5) * self._step_mm
        self._points = (origins[:, None] + directions[:, None] * depth[:, None]).to(device)

    @property
    def device(self) -> torch.device:
        """Where it computes now: the CPU after the GPU ran out of memory."""
        return self._render.device

    def on_cpu(self) -> Features:
        """The same on the CPU."""
        changed = copy.copy(self)
        changed._render = self._render.on_cpu()
        changed._prepare(changed.device)
        return changed

    def with_maps(self, maps: AcousticMaps) -> Features:
        """The same for other acoustic maps on the same grid; gradients reach them if they ask for it.

        Without the fourth channel, which would explain in their place what tissues are to explain.
        """
        changed = copy.copy(self)
        changed._with_brightness = False
        changed._render = self._render.changed_to(
            maps=maps, settings=replace(self._render.settings, point_spread=True)
        )
        return changed

    def __call__(
        self, transducer_to_ras: torch.Tensor, gain=1.0, displacement_mm: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(B, 4 or 3, L, N) of poses (B, 4, 4); the gain is a factor of the rendered power.

        The displacement (B, L, N+1, 3) in RAS leads from where sound meets tissue to where the volume has it.
        """
        pose = transducer_to_ras.float()
        rendered = torch.log10(self._render.scan_lines(pose, displacement_mm).power * gain + _FLOOR)
        if self._device != self.device:
            self._prepare(self.device)
        points = transform_points(product(self._ras_to_index, pose.to(self.device)), self._points)
        if displacement_mm is not None:
            between = (displacement_mm[..., 1:, :] + displacement_mm[..., :-1, :]) / 2
            points = points + transform_vectors(self._ras_to_index[None], between.to(points))[0]
        intensity, edge = self._sample(points)
        along = torch.gradient(intensity, spacing=self._step_mm, dim=-1)[0]
        # A twentieth of the typical edge keeps flat regions from dividing by zero.
        channels = [rendered, edge, along.square() / (edge + 0.05)]
        return torch.stack([*channels, intensity] if self._with_brightness else channels, dim=1)

    def sample_ends_mm(self) -> torch.Tensor:
        """(L, N+1, 3) in the Transducer frame: where a displacement is wanted."""
        origins, directions = self._probe.scan_lines(dtype=torch.float64)
        depth = torch.arange(self._render.settings.samples + 1, dtype=torch.float64) * self._step_mm
        return origins[:, None] + directions[:, None] * depth[:, None]

    def coverage(self, transducer_to_ras: torch.Tensor) -> torch.Tensor:
        """(B,) share of the fan that lies inside the volume."""
        return self._render.coverage(transducer_to_ras)
