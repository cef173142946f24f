"""The renderer: acoustic maps seen by a probe from a pose."""

from __future__ import annotations

import copy
import functools
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from DiffUSLib.acoustics.medium import Medium
from DiffUSLib.acoustics.tissue_curves import with_curves
from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.geometry.sampling import product, transform_points, transform_vectors
from DiffUSLib.probes.probe import Probe
from DiffUSLib.rendering.device import choose_device
from DiffUSLib.rendering.image_formation import artifacts, display, point_spread
from DiffUSLib.rendering.image_formation.interfaces import ThinInterfaces
from DiffUSLib.rendering.image_formation.scatterers import ras_to_sites, scatterers
from DiffUSLib.rendering.needle import Needle, needle_echo
from DiffUSLib.rendering.propagation import log_two_way_transmission, propagate
from DiffUSLib.rendering.scan_conversion import ImageGrid, ScanConverter
from DiffUSLib.rendering.settings import RenderSettings, look

if TYPE_CHECKING:
    from DiffUSLib.acoustics.maps import AcousticMaps

MIN_LINE_SPACING_MM = 0.05
"""Lines closer than this, near the point where they meet, tell nothing about the change across them."""

SATURATION = 1e3
"""Largest amplitude that the receiver takes, relative to white matter; amplified echoes of bone exceed it."""

MOST_GAIN_DB = 100.0
"""Time-gain compensation of a scanner ends about here."""

MOST_SOFT_DB_CM_MHZ = 1.2
"""Attenuation of soft tissue ends about here; the time-gain compensation does not make up for more."""

LEAST_SEEN = 0.002
"""How much a depth without any tissue counts for the time-gain compensation, over white matter."""


@dataclass(frozen=True)
class ScanLines:
    """Echoes along scan lines, each (B, L, N); sample k lies at (k + 1/2) / N of the depth.

    Args:
        echoes: signed amplitude that each interface sends back, for a wave of amplitude 1 (before attenuation).
        power: squared envelope of what the transducer receives, after TGC; 1 = white matter.
        gray: the same as gray in [0, 1].
    """

    echoes: torch.Tensor
    power: torch.Tensor
    gray: torch.Tensor


@dataclass(frozen=True)
class RenderedImage:
    """B-mode images and what they were made from.

    Args:
        image: (B, H, W) gray in [0, 1]; probe at the top, marked side at the right; 0 outside the fan.
        mask: (H, W) bool, the pixels inside the fan.
        scan_lines: before scan conversion.
        grid: place and size of the pixels in the Transducer frame.
    """

    image: torch.Tensor
    mask: torch.Tensor
    scan_lines: ScanLines
    grid: ImageGrid


def _going_on_without_gpu_memory(method):
    """Let a method of `Renderer` start again on the CPU when the GPU runs out of memory."""

    @functools.wraps(method)
    def wrapped(self, *arguments):
        try:
            return method(self, *arguments)
        except torch.OutOfMemoryError:
            if self.device.type == "cpu":
                raise
            self._move_to_cpu()
            return method(self, *arguments)

    return wrapped


class Renderer:
    """Renders B-mode images of acoustic maps, differentiable to the pose and to the maps.

    Args:
        maps: impedance, attenuation and echogenicity on a grid; maps that require gradients receive them.
        probe: the fan.
        settings: stages of the image chain; the clinical look by default.
        device: "auto", "cpu", "cuda", "cuda:1", "mps".
        dtype: torch.float32 or torch.float64.

    Attributes:
        fallback: why it does not compute on the device asked for, as a sentence; else "".
        needle: that is in the patient, or None.

    Raises:
        DiffUSError: if the device does not exist or the dtype is another.
    """

    def __init__(
        self,
        maps: AcousticMaps,
        probe: Probe,
        settings: RenderSettings | None = None,
        device: str | torch.device = "auto",
        dtype: torch.dtype = torch.float32,
    ):
        self.maps = maps
        self.probe = probe
        self.settings = settings or look("clinical")
        self.dtype = dtype
        self.fallback = ""
        self.needle: Needle | None = None
        self._pause: Callable[[], None] | None = None
        if dtype not in (torch.float32, torch.float64):
            raise DiffUSError(f"the renderer cannot compute in {dtype}; choose torch.float32 or torch.float64.")
        self._prepare_with_memory(choose_device(device)[0])

    def changed_to(
        self,
        maps: AcousticMaps | None = None,
        probe: Probe | None = None,
        settings: RenderSettings | None = None,
    ) -> Renderer:
        """This renderer with other maps, probe or settings (None: the same). Takes milliseconds if the maps hold the
        same voxels, be it at another place: these are shared.
        """
        changed = copy.copy(self)
        changed.maps, changed.probe = maps or self.maps, probe or self.probe
        changed.settings = settings or self.settings
        shared = self._fixed_medium
        if changed.settings.curves != self.settings.curves:
            shared = None
        elif shared is not None and changed.maps is not self.maps:
            shared = shared.at(changed.maps.ijk_to_ras) if changed.maps.has_voxels_of(self.maps) else None
        changed._prepare_with_memory(self.device, shared)
        return changed

    def _prepare_with_memory(self, device: torch.device, medium: Medium | None = None) -> None:
        """Prepare there, or on the CPU if the memory there does not suffice."""
        try:
            self._prepare(device, medium)
        except torch.OutOfMemoryError:
            if device.type == "cpu":
                raise
            self._move_to_cpu()

    def on_cpu(self) -> Renderer:
        """This renderer on the CPU, for instance after a backward pass ran out of GPU memory."""
        changed = copy.copy(self)
        changed._prepare(torch.device("cpu"), self._fixed_medium if self.device.type == "cpu" else None)
        return changed

    def with_needle(self, needle: Needle | None) -> Renderer:
        """This renderer with a needle in the patient, or without one. Costs nothing."""
        changed = copy.copy(self)
        changed.needle = needle
        return changed

    def with_pause(self, pause: Callable[[], None] | None) -> Renderer:
        """This renderer, which calls `pause` between the parts of an image: what it raises ends the image. Costs
        nothing.
        """
        changed = copy.copy(self)
        changed._pause = pause
        return changed

    def _move_to_cpu(self) -> None:
        """Go on after the GPU ran out of memory, which is told."""
        self.fallback = f"{self.device} ran out of memory; rendering goes on, slower, on the CPU."
        warnings.warn(self.fallback, DiffUSWarning, 4)
        self._prepare(torch.device("cpu"))

    def _prepare(self, device: torch.device, medium: Medium | None = None) -> None:
        """Everything that does not depend on the pose; the medium is made of the maps if none is given."""
        self.device = device
        self.grid = ImageGrid.around(self.probe, self.settings.width_px, self.settings.height_px)
        options: Any = {"dtype": self.dtype, "device": device}
        probe, settings = self.probe, self.settings
        self._origins, self._directions = probe.scan_lines(**options)
        self._step_mm = probe.depth_mm / settings.samples
        self._depth_mm = (torch.arange(settings.samples, **options) + 0.5) * self._step_mm
        self._boundary_mm = torch.arange(settings.samples + 1, **options) * self._step_mm
        self._spacing_mm = probe.line_spacing_mm(self._depth_mm).clamp(min=MIN_LINE_SPACING_MM)
        offsets, weights = point_spread.elevation_quadrature(settings.elevation_planes)
        self._elevation = list(zip(offsets.tolist(), weights.tolist(), strict=True))
        receiver = settings.receiver
        self._point_spread = point_spread.PointSpread(
            probe,
            self._depth_mm,
            power=not settings.speckle,
            axial_scale=receiver.axial_scale,
            lateral_scale=receiver.lateral_factor(self._depth_mm),
        )
        self._thin = None
        if settings.interface_width_mm > 0:
            self._thin = ThinInterfaces(self._step_mm, self._spacing_mm, probe.lines, settings.interface_width_mm)
        self._receiver_log_gain = receiver.log_gain(probe.lines, self._depth_mm)
        self._ring_down = receiver.ring_down(self._depth_mm)
        self._convert = ScanConverter(probe, self.grid, settings.samples, self.dtype, device)
        medium = medium or Medium(with_curves(self.maps, settings.curves), device, self.dtype)
        self._fixed_medium = None if self._maps_take_gradients() else medium

    def _maps_take_gradients(self) -> bool:
        tensors: list[Any] = [self.maps.impedance, self.maps.attenuation, self.maps.echogenicity]
        for curves in self.settings.curves.values():
            tensors += [curves.echogenicity_db, curves.impedance_mrayl, curves.attenuation_db_cm_mhz]
        return any(isinstance(tensor, torch.Tensor) and tensor.requires_grad for tensor in tensors)

    def _medium(self) -> Medium:
        return self._fixed_medium or Medium(with_curves(self.maps, self.settings.curves), self.device, self.dtype)

    @_going_on_without_gpu_memory
    def __call__(self, transducer_to_ras: torch.Tensor) -> RenderedImage:
        """Render from poses TransducerToRas, (4, 4) or (B, 4, 4); a single pose gives a batch of one.

        Raises:
            DiffUSError: if the poses have another shape or are not finite.
        """
        lines = self.scan_lines(transducer_to_ras)
        image = self._convert(lines.gray)
        return RenderedImage(image, self._convert.mask, lines, self.grid)

    @_going_on_without_gpu_memory
    def echoes(self, transducer_to_ras: torch.Tensor) -> torch.Tensor:
        """Signed echoes of the interfaces alone, (B, L, N): sampling and propagation, the paper's forward model."""
        medium, pose = self._medium(), self._checked(transducer_to_ras)
        return self._propagate(self._sample(medium, pose, channels=1)[0])

    @_going_on_without_gpu_memory
    def scan_lines(self, transducer_to_ras: torch.Tensor, displacement_mm: torch.Tensor | None = None) -> ScanLines:
        """Echoes, received power and gray along the scan lines, each (B, L, N).

        Args:
            transducer_to_ras: (B, 4, 4) or (4, 4) poses.
            displacement_mm: (B, L, N+1, 3) in RAS, from where sound meets tissue to where the volume has it, at the
                ends of the samples; None where nothing has moved. Gradients reach it.
        """
        pose = self._checked(transducer_to_ras)
        return self.lines_of(self._sample(self._medium(), pose, 3, displacement_mm), pose)

    def lines_of(self, properties: torch.Tensor, pose: torch.Tensor) -> ScanLines:
        """The scan lines of tissue that was sampled along them.

        Args:
            properties: (3, B, L, N+1) impedance, attenuation and echogenicity, from the face to the full depth.
            pose: (B, 4, 4) TransducerToRas, for the scatterers.
        """
        settings = self.settings
        impedance, attenuation, echogenicity = properties
        echoes = self._propagate(impedance)
        log_gain = self._log_gain(attenuation, echogenicity)
        # Scatterers are seen through the interfaces above them; the echoes of a propagation model already are.
        seen = (log_gain + log_two_way_transmission(impedance)).exp()
        diffuse = self._interfaces(impedance)
        if settings.backscatter:
            diffuse = diffuse + _between(echogenicity)
        diffuse = diffuse * seen
        specular = settings.specular_mm / self._step_mm * echoes * log_gain.exp()
        if settings.clutter:
            diffuse = self._with_clutter(diffuse)
        if self.needle is not None:
            sigma_mm = point_spread.elevation_sigma_mm(self.probe, self._depth_mm)
            lines = (self._origins, self._directions, self._depth_mm, sigma_mm)
            needle, let_through = needle_echo(self.needle, pose, *lines)
            diffuse = diffuse * let_through
            specular = specular * let_through + needle * log_gain.exp()
        if settings.near_field:
            diffuse = diffuse + self._ring_down
        power = self._receive(diffuse.clamp(max=SATURATION), specular.clamp(-SATURATION, SATURATION), pose)
        sigma = torch.as_tensor(settings.receiver.smoothing_mm / self._step_mm).to(power)
        if settings.point_spread and float(sigma.detach()) > 0:
            power = point_spread.smoothed_along_depth(power, sigma)
        if settings.paper_artifacts:
            power = artifacts.paper_blur(artifacts.paper_speckle(_amplitude(power), settings.seed)).square()
        if settings.log_compression:
            gray = display.log_compress(power, settings.gain_db, settings.dynamic_range_db, settings.receiver.gamma)
        else:
            gray = display.linear_gray(_amplitude(power))
        return ScanLines(echoes, power, gray)

    @_going_on_without_gpu_memory
    def coverage(self, transducer_to_ras: torch.Tensor) -> torch.Tensor:
        """(B,) share of the fan that lies inside the volume; 0 means that the probe stands outside or looks away."""
        medium = self._medium()
        inside = medium.covers(self._points(self._checked(transducer_to_ras), medium.ras_to_index, 0.0))
        return inside.to(self.dtype).mean(dim=(1, 2))

    def _checked(self, transducer_to_ras: torch.Tensor) -> torch.Tensor:
        pose = torch.as_tensor(transducer_to_ras).to(device=self.device, dtype=self.dtype)
        shape = tuple(pose.shape)
        if shape[-2:] != (4, 4) or pose.ndim not in (2, 3) or pose.numel() == 0:
            raise DiffUSError(f"a pose is a 4 x 4 matrix, or a batch of them; this one has the shape {shape}.")
        if not bool(torch.isfinite(pose).all()):
            raise DiffUSError("the pose holds NaN or infinite numbers; set it anew.")
        return pose[None] if pose.ndim == 2 else pose

    def _points(self, pose: torch.Tensor, ras_to_target: torch.Tensor, offset: float, between=False) -> torch.Tensor:
        """(B, L, N+1, 3) samples, or (B, L, N, 3) between them, in the target frame; offset in elevation sigmas.

        The coordinates lie in planes of memory, which is quicker to work with.
        """
        matrix = product(ras_to_target, pose)
        depth_mm = self._depth_mm if between else self._boundary_mm
        origins = transform_points(matrix, self._origins).movedim(-1, 0)[..., None]
        directions = transform_vectors(matrix, self._directions).movedim(-1, 0)[..., None]
        points = torch.addcmul(origins, directions, depth_mm)
        if offset:
            aside_mm = offset * point_spread.elevation_sigma_mm(self.probe, depth_mm)
            points = points + matrix[:, :3, 2].T[..., None, None] * aside_mm
        return points.movedim(0, -1)

    def _sample(
        self, medium: Medium, pose: torch.Tensor, channels: int, displacement_mm: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(channels, B, L, N+1), averaged over the thickness of the beam."""
        moved: float | torch.Tensor = 0.0
        if displacement_mm is not None:
            moved = transform_vectors(medium.ras_to_index[None], displacement_mm.to(pose))[0]
        return sum(
            weight * medium.sample(self._points(pose, medium.ras_to_index, offset) + moved, channels)
            for offset, weight in self._planes()
        )

    def _planes(self) -> Iterator[tuple[float, Any]]:
        """Offsets in elevation sigmas, and weights; with a pause before each."""
        for plane in self._elevation:
            if self._pause is not None:
                self._pause()
            yield plane

    def _propagate(self, impedance: torch.Tensor) -> torch.Tensor:
        return propagate(impedance, self.settings.propagation, self.settings.sign_convention, self._pause)

    def _interfaces(self, impedance: torch.Tensor) -> torch.Tensor:
        """Diffuse amplitude (B, L, N) of rough interfaces, and of sulci in an MRI, relative to white matter."""
        settings = self.settings
        if self._thin is None:
            return settings.interface_scatter_mm * self._interface_density(impedance)
        edges, sulci = self._thin(_between(impedance))
        diffuse = settings.interface_scatter_mm * edges
        if self.maps.axis is not None and self.maps.axis.kind == "mri":
            diffuse = diffuse + settings.sulcus_scatter_mm * sulci
        return diffuse

    def _interface_density(self, impedance: torch.Tensor) -> torch.Tensor:
        """Reflection per mm across the steepest direction in the image plane, |grad ln Z| / 2; (B, L, N) in 1/mm.

        Where impedance changes quickly (pia and vessels around a sulcus, the falx), interfaces too rough to be mirrors
        scatter in all directions in proportion.
        """
        log_impedance = impedance.log()
        along = log_impedance.diff(dim=-1) / self._step_mm
        across = torch.gradient(_between(log_impedance), dim=-2)[0] / self._spacing_mm
        return (along.square() + across.square() + 1e-18).sqrt() / 2

    def _log_gain(self, attenuation: torch.Tensor, echogenicity: torch.Tensor) -> torch.Tensor:
        """Logarithm of the two-way amplitude factor of attenuation, TGC and the receiver's gain; (B, L, N)."""
        to_neper = 2 * self.probe.frequency_mhz / 10 / display.DB_PER_NEPER  # dB/cm/MHz, two ways, to neper per mm
        lost = _between(attenuation) if self.settings.attenuation else torch.zeros_like(attenuation[..., 1:])
        per_step = (self._made_up_for(lost, _between(echogenicity)) - lost) * (to_neper * self._step_mm)
        log_gain = (per_step.cumsum(-1) - per_step / 2).clamp(max=MOST_GAIN_DB / display.DB_PER_NEPER)
        return log_gain + self._receiver_log_gain

    def _made_up_for(self, lost: torch.Tensor, echogenicity: torch.Tensor) -> float | torch.Tensor:
        """Loss in dB/cm/MHz that the TGC makes up for, at each depth: (B, 1, N) or a number.

        A sonographer sets it by what is seen: the mean loss of the tissue at that depth, nothing in gel or fluid. Bone
        counts as soft tissue, so that its shadow stays one.
        """
        if self.settings.tgc_db_cm_mhz is not None:
            return self.settings.tgc_db_cm_mhz
        seen = echogenicity.clamp(max=1.0) + LEAST_SEEN
        return (lost.clamp(max=MOST_SOFT_DB_CM_MHZ) * seen).sum(dim=1, keepdim=True) / seen.sum(dim=1, keepdim=True)

    def _with_clutter(self, diffuse: torch.Tensor) -> torch.Tensor:
        """Diffuse amplitudes with the echoes from beside the beam."""
        share = 10 ** (torch.as_tensor(self.settings.receiver.clutter_db).to(diffuse) / 10)
        beside = diffuse.square().mean(dim=1, keepdim=True) * share
        return (diffuse.square() + beside + 1e-18).sqrt()

    def _receive(self, diffuse: torch.Tensor, specular: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
        """Squared envelope of diffuse and specular echoes after speckle, pulse and beam."""
        blur = self._point_spread if self.settings.point_spread else None
        if not self.settings.speckle:
            power = diffuse.square() + specular.square()
            return blur(power).clamp(min=0) if blur else power
        weights = self.settings.receiver.look_weights()
        return sum(
            weight * self._one_look(diffuse, specular, pose, self.settings.seed + look_number, blur)
            for look_number, weight in enumerate(weights)
        )

    def _one_look(self, diffuse, specular, pose, seed: int, blur) -> torch.Tensor:
        """The squared envelope with the scatterers of one seed."""
        in_phase, quadrature = diffuse * self._noise(pose, seed)
        if not blur:
            return (in_phase + specular).square() + quadrature.square()
        # Scatterers lose power in the blur, smooth interfaces do not: restore that of scatterers first.
        restore = blur.noise_power.rsqrt()
        lines = blur.complex(in_phase * restore + specular, quadrature * restore)
        return lines.real.square() + lines.imag.square()

    def _noise(self, pose: torch.Tensor, seed: int) -> torch.Tensor:
        """(2, B, L, N) scattering amplitudes of variance 1, summed over the thickness of the beam."""
        matrix = ras_to_sites(self.probe.wavelength_mm, self.dtype, self.device)
        total = sum(
            weight * scatterers(self._points(pose, matrix, offset, between=True), seed)
            for offset, weight in self._planes()
        )
        return total / math.sqrt(sum(weight * weight for _, weight in self._elevation))


def _amplitude(power: torch.Tensor) -> torch.Tensor:
    """Square root with a finite slope at zero."""
    return (power + 1e-18).sqrt()


def _between(values: torch.Tensor) -> torch.Tensor:
    """Values (..., N) in the middle of samples (..., N+1)."""
    return (values[..., :-1] + values[..., 1:]) / 2
