"""The fan of an ultrasound image: where the transducer is, how wide it looks and how deep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from DiffUSLib.errors import DiffUSError
from DiffUSLib.probes.probe import Probe

KINDS = ("curvilinear", "sector", "linear", "trapezoid")
#: From this confidence on a fan may be used without looking at it.
SURE = 0.9


@dataclass(frozen=True)
class FanGeometry:
    """The fan of an image in pixels: x to the right (column), y down (row), pixel centers at whole numbers.

    Args:
        kind: "curvilinear", "sector" (the face is a point), "linear" or "trapezoid" (virtual convex: the face is flat
            and the scan lines spread).
        apex_px: (x, y) where the side lines meet; for "linear" the middle of the transducer face.
        direction_deg: where the transducer looks, from +x toward +y: 90 is down (transducer at the top), 0 is right.
        half_angle_deg: half the opening; 0 for "linear".
        near_px, far_px: distance of face and deepest sample from `apex_px`; of a flat face along the direction.
        half_width_px: half the width of a linear fan; 0 otherwise.
        shape: (rows, columns) of the image.
        clip_px: (left, top, right, bottom) edges of the window that the scanner cut the fan to.
        confidence: 0 (no fan) to 1 (every part of the outline was seen).
        steer_deg: of a linear fan, how far its scan lines are turned from `direction_deg` (a parallelogram).
        flat_end: of a trapezoid, whether it ends at a line across `direction_deg` instead of an arc.
        is_given: whether a person gave it, so that nothing was looked for.
        doubts: what speaks against it, as short phrases.
    """

    kind: str
    apex_px: tuple[float, float]
    direction_deg: float
    half_angle_deg: float
    near_px: float
    far_px: float
    half_width_px: float
    shape: tuple[int, int]
    clip_px: tuple[float, float, float, float]
    confidence: float
    steer_deg: float = 0.0
    flat_end: bool = False
    is_given: bool = False
    doubts: tuple[str, ...] = ()

    @property
    def is_sure(self) -> bool:
        """Whether it may be used without looking at it."""
        return self.is_given or self.confidence >= SURE

    @property
    def sentence(self) -> str:
        """How sure this fan is and, where it is not, what to do; for people."""
        name = {"linear": "linear, steered" if self.steer_deg else "linear"}.get(self.kind, self.kind)
        if self.is_given:
            return f"The fan was given: {name}."
        if self.is_sure:
            return f"The fan was found: {name}, confidence {self.confidence:.2f}."
        why = f" ({'; '.join(self.doubts)})" if self.doubts else ""
        return (
            f"The fan is not sure: {name}, confidence {self.confidence:.2f}{why}. Look at its outline "
            "(`diffus fan FILE --picture PNG`) and give the right one with `--fan FILE` if it is wrong."
        )

    @property
    def angles_deg(self) -> tuple[float, float]:
        """Directions of the first and the last scan line, from +x toward +y."""
        middle = self.direction_deg + self.steer_deg
        return middle - self.half_angle_deg, middle + self.half_angle_deg

    @property
    def mask(self) -> np.ndarray:
        """(rows, columns) bool: the pixels inside the fan."""
        y, x = np.mgrid[: self.shape[0], : self.shape[1]]
        return self.contains(x, y)

    def contains(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Whether points (in pixels) lie in the fan and its window."""
        left, top, right, bottom = self.clip_px
        window = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
        return window & (self.outside_px(x, y) <= 0)

    def outside_px(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Distance in pixels from points to the nearest edge's line or circle, negative inside; clips do not count."""
        along, across = _axes(np.deg2rad(self.direction_deg))
        dx, dy = x - self.apex_px[0], y - self.apex_px[1]
        depth, side = dx * along[0] + dy * along[1], dx * across[0] + dy * across[1]
        if self.kind == "linear":
            steer = np.deg2rad(self.steer_deg)
            # Turning from +x toward +y is turning away from the marked side.
            beyond = (np.abs(side + depth * np.tan(steer)) - self.half_width_px) * np.cos(steer)
            return np.maximum(np.maximum(self.near_px - depth, depth - self.far_px), beyond)
        half, radius = np.deg2rad(self.half_angle_deg), np.hypot(dx, dy)
        near = self.near_px - (depth if self.kind == "trapezoid" else radius)
        far = (depth if self.flat_end else radius) - self.far_px
        return np.maximum(np.maximum(near, far), np.abs(side) * np.cos(half) - depth * np.sin(half))

    def corners_px(self) -> np.ndarray:
        """(4, 2) x, y of the corners: face first line, face last line, deep last line, deep first line."""
        along, across = _axes(np.deg2rad(self.direction_deg))
        if self.kind == "linear":
            slope = -np.tan(np.deg2rad(self.steer_deg))
            offsets = [(self.near_px, 1), (self.near_px, -1), (self.far_px, -1), (self.far_px, 1)]
            points = [along * depth + across * (side * self.half_width_px + depth * slope) for depth, side in offsets]
        else:
            half = np.deg2rad(self.half_angle_deg)
            rays = [along * np.cos(half) + across * side * np.sin(half) for side in (1, -1)]
            near = self.near_px / np.cos(half) if self.kind == "trapezoid" else self.near_px
            far = self.far_px / np.cos(half) if self.flat_end else self.far_px
            points = [rays[0] * near, rays[1] * near, rays[1] * far, rays[0] * far]
        return np.asarray(self.apex_px) + np.asarray(points)

    def image_to_transducer(self, spacing_mm: tuple[float, float]) -> np.ndarray:
        """(4, 4) matrix from (column, row, 0, 1) to the Transducer frame in mm.

        Args:
            spacing_mm: size of a pixel along the columns and rows in mm; must be equal for a fan.

        The marked side (+X) is taken to be at the image's right when the transducer is at the top, that is a rotation
        without mirror image. Elevation (+Z) has the scale of the pixels.
        """
        spacing = _isotropic(spacing_mm)
        along, across = _axes(np.deg2rad(self.direction_deg))
        face = np.asarray(self.apex_px) + along * self.near_px
        matrix = np.eye(4)
        matrix[0, :2] = across * spacing
        matrix[1, :2] = along * spacing
        matrix[2, 2] = spacing
        matrix[:2, 3] = -matrix[:2, :2] @ face
        return matrix

    def to_probe(self, spacing_mm: tuple[float, float], frequency_mhz: float, name: str = "detected") -> Probe:
        """The probe with this fan. Its frequency cannot be seen in the image and must be given in MHz.

        Args:
            spacing_mm: size of a pixel along the columns and rows in mm; must be equal.

        Raises:
            DiffUSError: if the scan lines of this fan are none that a Probe has (trapezoid, steered).
        """
        spacing = _isotropic(spacing_mm)
        if self.kind == "trapezoid" or self.steer_deg:
            what = "spread from a flat face (virtual convex)" if self.kind == "trapezoid" else "are steered to a side"
            raise DiffUSError(
                f"the scan lines of this ultrasound {what}, which DiffUS does not simulate; "
                "record with the plain image of the probe."
            )
        return Probe(
            name=name,
            kind=self.kind,
            depth_mm=(self.far_px - self.near_px) * spacing,
            frequency_mhz=frequency_mhz,
            field_of_view_deg=2 * self.half_angle_deg,
            radius_mm=self.near_px * spacing,
            width_mm=2 * self.half_width_px * spacing,
            source="found in an ultrasound image",
        )


def _axes(direction: float) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors along the beam and toward the marked side; the latter is +x when the beam points down."""
    along = np.array([np.cos(direction), np.sin(direction)])
    return along, np.array([along[1], -along[0]])


def _isotropic(spacing_mm: tuple[float, float]) -> float:
    across, down = (float(value) for value in spacing_mm)
    if not (across > 0 and down > 0 and abs(across - down) <= 0.02 * across):
        raise DiffUSError(
            f"the pixel spacing {across:g} x {down:g} mm is missing or not square; "
            "give the spacing or resample the image."
        )
    return (across + down) / 2
