"""Where in an image the fan of a known probe lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage, signal

from DiffUSLib.errors import DiffUSError
from DiffUSLib.probes.probe import Probe
from DiffUSLib.ultrasound.fan_detection.confidence import judge
from DiffUSLib.ultrasound.fan_detection.detection import checked_frames
from DiffUSLib.ultrasound.fan_detection.edges import moved_to_edges
from DiffUSLib.ultrasound.fan_detection.evidence import Evidence, gather_evidence
from DiffUSLib.ultrasound.fan_detection.geometry import FanGeometry
from DiffUSLib.ultrasound.fan_detection.turning import QUARTERS, enlarged, turned_back


def place_probe(images: np.ndarray, probe: Probe, pixel_mm: float) -> FanGeometry:
    """The fan of a probe of known size, at the place where the image is lit most inside and least around it.

    Args:
        images: (H, W) or (F, H, W) gray with square pixels.
        probe: its kind, depth, opening, radius and width are taken as they are.
        pixel_mm: size of a pixel.

    Raises:
        DiffUSError: if nothing of that shape and size is in the image.
    """
    placed = []
    for evidence in gather_evidence(checked_frames(images)):
        for side, quarters in QUARTERS.items():
            if side != "top" and probe.kind == "linear":
                continue
            view = evidence.turned(quarters)
            fan = _best_place(probe, pixel_mm * view.factor, view)
            if fan is not None:
                fan = judge(moved_to_edges(enlarged(fan, view), view), view).fan
                placed.append(turned_back(fan, side, evidence.shape))
    if not placed:
        raise DiffUSError(
            f"the probe {probe.name} ({probe.depth_mm:g} mm deep) does not fit into the image at {pixel_mm:g} mm a "
            "pixel; check both, or give the fan itself."
        )
    return max(placed, key=lambda fan: fan.confidence)


def _best_place(probe: Probe, pixel_mm: float, view: Evidence) -> FanGeometry | None:
    """The fan in pixels of the maps, or None if the image has no room for it."""
    near = probe.face_radius_mm / pixel_mm
    far = near + probe.depth_mm / pixel_mm
    half, half_width = probe.field_of_view_deg / 2, probe.width_mm / 2 / pixel_mm
    if probe.kind == "linear":
        half, near, far = 0.0, 0.0, probe.depth_mm / pixel_mm
    rows, columns = view.maps.shape[1:]
    wide = half_width if probe.kind == "linear" else far * np.sin(np.deg2rad(half))
    size = int(np.ceil(2 * wide)) + 5, int(np.ceil(far)) + 5
    if size[1] - near > 1.3 * rows or size[0] > 1.5 * columns or far - near < 8:
        return None
    shape = (size[1], size[0])
    clip = (0.0, 0.0, size[0] - 1.0, size[1] - 1.0)
    apex = ((size[0] - 1) / 2, 2.0)
    lone = FanGeometry(probe.kind, apex, 90.0, half, near, far, half_width if not half else 0.0, shape, clip, 0.0)
    inside = np.pad(lone.mask, 6)
    ring = ndimage.binary_dilation(inside, iterations=5) & ~ndimage.binary_dilation(inside)
    template = inside / inside.sum() - ring / ring.sum()
    lit = ndimage.uniform_filter((view.maps[0] > 0.1).astype(np.float32), 3)
    margin = max(size)  # the fan may reach beyond the image
    score = signal.fftconvolve(np.pad(lit, margin), template[::-1, ::-1], mode="valid")
    y, x = np.unravel_index(int(score.argmax()), score.shape)
    place = (apex[0] + 6 + x - margin, apex[1] + 6 + y - margin)
    whole = (0.0, 0.0, columns - 1.0, rows - 1.0)
    return replace(lone, apex_px=place, shape=(rows, columns), clip_px=whole)
