"""The part of an appearance that frames show alone: gain and shading, grain and speckle."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from DiffUSLib.acoustics.maps import AcousticMaps
from DiffUSLib.acoustics.tissue import tissue
from DiffUSLib.appearance.appearance import Appearance
from DiffUSLib.appearance.defaults import fit_start
from DiffUSLib.appearance.shading import fit_shading
from DiffUSLib.appearance.texture import DEPTHS, Texture, frame_textures
from DiffUSLib.geometry.pose import look_at
from DiffUSLib.probes.probe import Probe
from DiffUSLib.rendering.receiver import LIMITS
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.ultrasound.observation import UltrasoundSlices, observe

_SHADING_LINES, _SHADING_SAMPLES = 64, 96
_SMOOTHING_MM = 1.0
_MIDDLE_DB, _MOST_PIXELS = 10.0, 1024
_FWHM_OF_AVERAGE = 2 * math.sqrt(2 * math.log(2)) * math.sqrt(2)


def fit_to_frames(slices: UltrasoundSlices, start: Appearance, name: str = "matched") -> Appearance:
    """Gain curves, point spread and speckle contrast from frames, without a volume; tissues stay those of the start.

    Gain over depth and lines: what makes even tissue as bright as the frames are in the mean. Point spread and
    speckle: the grain of the frames against that of even tissue rendered with the same probe.

    Args:
        slices: the frames; gray from 0 to 255.
        start: the look to start from.
        name: of the look.

    Raises:
        DiffUSError: if the frames show too little.
    """
    shaded = _shaded(slices, fit_start(start, None, slices.probe.depth_mm))
    return replace(with_grain_of(slices, shaded), name=name)


def with_grain_of(slices: UltrasoundSlices, appearance: Appearance) -> Appearance:
    """The look with the grain and speckle contrast of frames.

    Raises:
        DiffUSError: if the frames show too little.
    """
    textures, probe = frame_textures(slices), slices.probe
    pixel_mm = math.sqrt(abs(np.linalg.det(slices.image_to_transducer[:2, :2])))
    receiver = appearance.receiver
    for _ in range(3):  # widths of grain are not quite proportional to those of the beam
        own = _texture_of_even_tissue(replace(appearance, receiver=receiver), probe, pixel_mm)
        axial = _median_ratio([t.axial_mm for t in textures], own.axial_mm)
        lateral = _median_ratio([t.lateral_mm for t in textures], own.lateral_mm)
        spread = own.grain / max(float(np.median([t.grain for t in textures])), 1e-3)
        depth_cm = (np.arange(DEPTHS) + 0.5) * probe.depth_mm / 10 / DEPTHS
        wanted = lateral * np.array([float(receiver.lateral_factor(torch.tensor(10 * d))) for d in depth_cm])
        known = np.isfinite(wanted)
        scale, growth = receiver.lateral_scale, receiver.lateral_growth_per_cm
        if known.any():
            # Structures make grain seem wider, never narrower, and a line through two depths smears the third: growth
            # beyond that of the beam counts only where all depths show it.
            least = float(np.min(wanted[known]))
            growth = max(float(np.polyfit(depth_cm, wanted, 1)[0]), 0.0) if known.all() else 0.0
            scale = max(float(np.min(wanted[known] - growth * depth_cm[known])), 0.0) if growth else least
        # The autocorrelation of averaged noise is as wide as a Gaussian of sqrt(2) times the standard deviation.
        ratio = float(np.nanmedian(axial)) if np.isfinite(axial).any() else 1.0
        longer = float(np.nanmedian(own.axial_mm)) ** 2 * (ratio**2 - 1)
        smoothing = math.sqrt(max(receiver.smoothing_mm**2 + longer / _FWHM_OF_AVERAGE**2, 0.0))
        shorter = ratio if smoothing == 0 else 1.0
        receiver = replace(
            receiver,
            axial_scale=_within("axial_scale", receiver.axial_scale * shorter),
            smoothing_mm=_within("smoothing_mm", smoothing),
            lateral_scale=_within("lateral_scale", scale),
            lateral_growth_per_cm=_within("lateral_growth_per_cm", growth),
            looks=_within("looks", receiver.looks * spread**2),
        )
    return replace(appearance, receiver=receiver)


def _shaded(slices: UltrasoundSlices, start: Appearance) -> Appearance:
    observation = observe(slices, _SHADING_LINES, _SHADING_SAMPLES, _SMOOTHING_MM)
    observed = observation.values * (float(slices.images.max()) / 255)
    parameters, vector = fit_shading(observed, observation.weights, observation.probe, start)
    return parameters.frozen(vector)


def _texture_of_even_tissue(appearance: Appearance, probe: Probe, pixel_mm: float) -> Texture:
    """The texture of even tissue without loss in the middle of the look's gray, on pixels like those of the frames."""
    size = math.ceil(probe.depth_mm / 4) + 3
    ones = torch.ones(size, size, size)
    matrix = torch.diag(torch.tensor([8.0, 8.0, 8.0, 1.0], dtype=torch.float64))
    matrix[:3, 3] = -4.0 * (size - 1)
    maps = AcousticMaps(ones * 1.6, ones * 0.0, ones, matrix, tissue("water"), "labels")
    left, right, top, bottom = probe.extent_mm()
    shape = [int(np.clip(extent / pixel_mm, 32, _MOST_PIXELS)) for extent in (right - left, bottom - top)]
    settings = replace(
        appearance.settings(),
        curves={},
        receiver=replace(appearance.receiver, gain_db=_MIDDLE_DB, depth_gain_db=(), line_gain_db=()),
        near_field=False,
        width_px=shape[0],
        height_px=shape[1],
    )
    renderer = Renderer(maps, probe, settings, "cpu")
    pose = look_at((0.0, 0.0, probe.depth_mm / 2), (0.0, 0.0, 0.0))
    with torch.no_grad():
        rendered = renderer(pose)
    grid = rendered.grid.image_to_transducer().numpy()
    images, mask = rendered.image.numpy() * 255, rendered.mask.numpy()
    return frame_textures(UltrasoundSlices(images, mask, grid, pose[None], probe))[0]


def _median_ratio(widths: list[np.ndarray], own: np.ndarray) -> np.ndarray:
    """(3,) median of the widths of frames over those rendered on such pixels; NaN where none is known."""
    stacked = np.stack(widths)
    medians = [np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else np.nan for column in stacked.T]
    return np.array(medians) / own


def _within(name: str, value: float) -> float:
    low, high = LIMITS[name]
    return float(np.clip(value, low, high))
