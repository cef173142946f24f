"""Find the fan of an ultrasound image: where the transducer is, how wide it looks and how deep."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.optimize import least_squares

from DiffUSLib.errors import DiffUSError
from DiffUSLib.probes.probe import Probe

#: Below this confidence a detection is refused: the image is probably not an ultrasound image.
MINIMUM_CONFIDENCE = 0.4
_DIRECTIONS_DEG = {"top": 90.0, "left": 0.0, "bottom": -90.0, "right": 180.0}
_MAXIMUM_FIT_POINTS = 300


@dataclass(frozen=True)
class FanGeometry:
    """The fan of an image in pixels: x to the right (column), y down (row), pixel centers at whole numbers.

    Args:
        kind: "curvilinear", "sector" (the face is a point) or "linear".
        apex_px: (x, y) where the side lines meet; for "linear" the middle of the transducer face.
        direction_deg: where the transducer looks, from +x toward +y: 90 is down (transducer at the top), 0 is right.
        half_angle_deg: half the opening; 0 for "linear".
        near_px, far_px: distance of face and deepest sample from `apex_px`.
        half_width_px: half the width of a linear fan; 0 otherwise.
        shape: (rows, columns) of the image.
        clip_px: (left, top, right, bottom) edges of the window that the scanner cut the fan to.
        confidence: 0 (no fan) to 1 (every part of the outline was seen).
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

    @property
    def angles_deg(self) -> tuple[float, float]:
        """Directions of the first and the last scan line, from +x toward +y."""
        return self.direction_deg - self.half_angle_deg, self.direction_deg + self.half_angle_deg

    @property
    def mask(self) -> np.ndarray:
        """(rows, columns) bool: the pixels inside the fan."""
        y, x = np.mgrid[: self.shape[0], : self.shape[1]]
        left, top, right, bottom = self.clip_px
        window = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
        return window & (_outside_distance(_parameters(self), self.kind, x, y) <= 0)

    def corners_px(self) -> np.ndarray:
        """(4, 2) x, y of the corners: face first line, face last line, deep last line, deep first line."""
        along, across = _axes(np.deg2rad(self.direction_deg))
        if self.kind == "linear":
            offsets = [(self.near_px, 1), (self.near_px, -1), (self.far_px, -1), (self.far_px, 1)]
            points = [along * depth + across * side * self.half_width_px for depth, side in offsets]
        else:
            half = np.deg2rad(self.half_angle_deg)
            rays = [along * np.cos(half) + across * side * np.sin(half) for side in (1, -1)]
            points = [rays[0] * self.near_px, rays[1] * self.near_px, rays[1] * self.far_px, rays[0] * self.far_px]
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
        """
        spacing = _isotropic(spacing_mm)
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


def detect_fan(image: np.ndarray, transducer_side: str = "auto") -> FanGeometry:
    """Find the fan of an ultrasound image or sequence. A face narrower than 20 pixels may be taken for a point.

    Args:
        image: (rows, columns) grey image, or (frames, rows, columns) of which the brightest frame counts per pixel.
        transducer_side: "top", "left", "bottom" or "right" if known. "auto" decides by the shape; a linear fan has
            no shape that tells and is taken to have its transducer at the top.

    Raises:
        DiffUSError: if the image is empty or constant, or holds no fan.
    """
    grey = _checked_grey(image)
    if transducer_side != "auto" and transducer_side not in _DIRECTIONS_DEG:
        raise DiffUSError(f"transducer side '{transducer_side}' is unknown; use auto, {', '.join(_DIRECTIONS_DEG)}.")
    candidates = []
    for foreground in _foregrounds(grey):
        candidates += [_scored(fan, grey, foreground) for fan in _fits(foreground, transducer_side)]
        if any(fan.confidence > 0.9 for fan in candidates):
            break
    if not candidates:
        raise DiffUSError("no fan was found: the image fills its whole frame; give the fan geometry by hand.")
    # A rectangle is the simpler explanation: a curved fan must be clearly better.
    best = max(candidates, key=lambda fan: fan.confidence + (0.03 if fan.kind == "linear" else 0.0))
    if best.confidence < MINIMUM_CONFIDENCE:
        raise DiffUSError(
            f"no fan was found (confidence {best.confidence:.2f}): this does not look like an ultrasound image; "
            "choose another image or give the fan geometry by hand."
        )
    return best


def _checked_grey(image: np.ndarray) -> np.ndarray:
    grey = np.asarray(image, dtype=np.float64)
    if grey.ndim == 3:
        grey = grey.max(axis=0) if grey.shape[0] else np.zeros((0, 0))
    if grey.ndim != 2 or min(grey.shape) < 16:
        raise DiffUSError("the image is empty or smaller than 16 x 16 pixels; choose an ultrasound image.")
    if not np.isfinite(grey).all():
        raise DiffUSError("the image holds NaN or infinite pixels; choose another image.")
    if grey.max() == grey.min():
        raise DiffUSError("the image is constant, nothing can be seen on it; choose another frame.")
    return grey


def _foregrounds(grey: np.ndarray):
    """Masks of the largest bright thing for a few thresholds just above the background."""
    background = np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]]))
    background = min(background, np.quantile(grey, 0.2))
    contrast = np.quantile(grey, 0.99) - background
    for share, reach_share in ((0.012, 0.004), (0.0, 0.004), (0.0, 0.012), (0.012, 0.012), (0.05, 0.012)):
        reach = max(1, round(reach_share * min(grey.shape)))
        bright = grey > background + share * contrast
        # Lone noise pixels and thin text go first, then holes between speckles close.
        bright &= ndimage.uniform_filter(bright.astype(np.float32), 3) > 0.4
        padded = np.pad(bright, 3 * reach)
        disc = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= reach + 0.3
        closed = ndimage.binary_closing(padded, disc, iterations=2)
        opened = ndimage.binary_opening(closed, disc)[3 * reach : -3 * reach, 3 * reach : -3 * reach]
        labels, count = ndimage.label(opened)
        if count == 0:
            continue
        sizes = np.bincount(labels.ravel())[1:]
        thing = ndimage.binary_fill_holes(labels == 1 + int(sizes.argmax()))
        if 0.02 < thing.mean() < 0.97:
            yield thing


def _axes(direction: float) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors along the beam and toward the marked side; the latter is +x when the beam points down."""
    along = np.array([np.cos(direction), np.sin(direction)])
    return along, np.array([along[1], -along[0]])


def _parameters(fan: FanGeometry) -> np.ndarray:
    lateral = fan.half_width_px if fan.kind == "linear" else np.deg2rad(fan.half_angle_deg)
    return np.array([*fan.apex_px, np.deg2rad(fan.direction_deg), lateral, fan.near_px, fan.far_px])


def _outside_distance(parameters: np.ndarray, kind: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance in pixels to the nearest edge's line or circle, negative inside the fan."""
    apex_x, apex_y, direction, lateral, near, far = parameters
    along, across = _axes(direction)
    dx, dy = x - apex_x, y - apex_y
    depth = dx * along[0] + dy * along[1]
    side = np.abs(dx * across[0] + dy * across[1])
    if kind == "linear":
        return np.maximum(np.maximum(near - depth, depth - far), side - lateral)
    radius = np.hypot(dx, dy)
    return np.maximum(np.maximum(near - radius, radius - far), side * np.cos(lateral) - depth * np.sin(lateral))


def _outline(mask: np.ndarray) -> np.ndarray:
    """(N, 2) x, y of the points midway between a mask pixel and a neighbor outside; none on the image border."""
    y, x = np.nonzero(mask[:, 1:] != mask[:, :-1])
    vertical = np.stack([x + 0.5, y], axis=1)
    y, x = np.nonzero(mask[1:] != mask[:-1])
    return np.concatenate([vertical, np.stack([x, y + 0.5], axis=1)]).astype(np.float64)


def _fits(mask: np.ndarray, transducer_side: str):
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    box = tuple(float(edge) for edge in (columns[0], rows[0], columns[-1], rows[-1]))
    outline = _outline(mask)
    inside_box = ((outline > np.add(box[:2], 1)) & (outline < np.subtract(box[2:], 1))).all(axis=1)
    whole = (0.0, 0.0, mask.shape[1] - 1.0, mask.shape[0] - 1.0)
    linear_side = "top" if transducer_side == "auto" else transducer_side
    sides = list(_DIRECTIONS_DEG) if transducer_side == "auto" else [transducer_side]
    for clip, points in ((whole, outline), (box, outline[inside_box])):
        if len(points) < 20:
            continue
        points = points[:: max(1, len(points) // _MAXIMUM_FIT_POINTS)]
        for side in sides:
            kinds = ("curvilinear", "linear") if side == linear_side else ("curvilinear",)
            yield from _fits_from(mask, points, np.deg2rad(_DIRECTIONS_DEG[side]), clip, kinds)


def _fits_from(mask: np.ndarray, points: np.ndarray, direction: float, clip: tuple, kinds: tuple[str, ...]):
    along, across = _axes(direction)
    y, x = np.nonzero(mask)
    depth, lateral = x * along[0] + y * along[1], x * across[0] + y * across[1]
    first, last = depth.min(), depth.max()
    middle = (lateral.min() + lateral.max()) / 2
    half_width = (lateral.max() - lateral.min()) / 2
    length = last - first
    scale = np.array([1.0, 1.0, 0.01, 0.01, 1.0, 1.0])

    def fitted(kind, start):
        if kind == "linear":  # the place along the beam is free: hold `near` at zero
            scale_fit, free = scale.copy(), np.array([True, True, True, True, False, True])
            scale_fit[3] = 1.0
        else:
            scale_fit, free = scale, np.ones(6, dtype=bool)

        def residual(step):
            values = start.copy()
            values[free] += step * scale_fit[free]
            return _outside_distance(values, kind, points[:, 0], points[:, 1])

        result = least_squares(residual, np.zeros(free.sum()), loss="cauchy", f_scale=1.5, max_nfev=40)
        values = start.copy()
        values[free] += result.x * scale_fit[free]
        return values, result.cost

    found = []
    for half_angle in np.deg2rad([25.0, 40.0]):
        for near_share in (0.05, 0.25):
            # Apex such that the fan is as wide at its end as the mask is.
            far = min(half_width / np.sin(half_angle), 3 * length)
            apex = along * (last - far) + across * middle
            start = np.array([*apex, direction, half_angle, max(near_share * far, far - length), far])
            found.append(fitted("curvilinear", start))
    values, _ = min(found, key=lambda item: item[1])
    fan = _geometry("curvilinear", values, mask.shape, clip)
    if fan is not None:
        yield fan
    if "linear" in kinds:
        start = np.array([*(along * first + across * middle), direction, half_width, 0.0, length])
        fan = _geometry("linear", fitted("linear", start)[0], mask.shape, clip)
        if fan is not None:
            yield fan


def _geometry(kind: str, values: np.ndarray, shape: tuple, clip: tuple) -> FanGeometry | None:
    """The fan of fitted parameters, or None when they describe none."""
    x, y, direction, lateral, near, far = (float(value) for value in values)
    size = np.hypot(*shape)
    if not (far > near and 0.05 * size < far - near < 2 * size):
        return None
    if kind == "curvilinear":
        if not np.deg2rad(5) < lateral < np.deg2rad(75) or far > 4 * size:
            return None
        if near < 0.02 * far:
            kind, near = "sector", 0.0
    elif lateral < 0.02 * size:
        return None
    direction_deg = (float(np.rad2deg(direction)) + 180) % 360 - 180
    half_angle, half_width = (0.0, lateral) if kind == "linear" else (float(np.rad2deg(lateral)), 0.0)
    return FanGeometry(kind, (x, y), direction_deg, half_angle, near, far, half_width, shape, clip, 0.0)


def _scored(fan: FanGeometry, grey: np.ndarray, foreground: np.ndarray) -> FanGeometry:
    """The fan with its confidence: overlap with the foreground, outline seen, and dark surroundings."""
    mask = fan.mask
    union = (mask | foreground).sum()
    if not mask.any() or mask.mean() > 0.97:
        return fan
    overlap = (mask & foreground).sum() / union
    tolerance = max(1.5, 0.006 * np.hypot(*grey.shape))
    edge_distance = ndimage.distance_transform_edt(foreground == ndimage.binary_erosion(foreground, border_value=1))
    outline = mask & ~ndimage.binary_erosion(mask, border_value=1)
    seen = (edge_distance[outline] <= tolerance).mean()
    outside = ~ndimage.binary_dilation(mask, iterations=int(np.ceil(tolerance)))
    if outside.sum() < 0.01 * grey.size:
        return fan
    background = np.quantile(grey[outside], 0.25)
    level = background + 0.05 * max(np.quantile(grey, 0.99) - background, 1e-12)
    dark = (grey[outside] <= level).mean()
    ramps = ((overlap, 0.8, 0.96), (seen, 0.5, 0.9), (dark, 0.6, 0.9))
    confidence = np.prod([np.clip((value - low) / (high - low), 0, 1) for value, low, high in ramps])
    # Ties between equally confident fans go to the better overlap.
    return replace(fan, confidence=float(confidence * (0.95 + 0.05 * overlap)))


def _isotropic(spacing_mm: tuple[float, float]) -> float:
    across, down = (float(value) for value in spacing_mm)
    if not (across > 0 and down > 0 and abs(across - down) <= 0.02 * across):
        raise DiffUSError(
            f"the pixel spacing {across:g} x {down:g} mm is missing or not square; "
            "give the spacing or resample the image."
        )
    return (across + down) / 2
