"""One B-mode image of an anatomy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from DiffUSLib.simulator.anatomy import Anatomy

FIELD_OF_VIEW_DEG, RADIUS_MM, DEPTH_MM, FREQUENCY_MHZ = 70.0, 12.0, 80.0, 4.0
LINES, SAMPLES = 128, 400
PIXEL_MM = 0.35
_DYNAMIC_RANGE_DB = 55.0


@dataclass(frozen=True)
class Scene:
    """Where the image's tissue really is.

    Args:
        transducer_to_ras: (4, 4) true pose. X lateral, Y depth from the middle of the face, Z elevation; mm.
        speed_error: 0.03 if sound runs 3 % faster than the scanner assumes.
        displace: maps RAS points (..., 3) of the scene now to where that tissue is in the MRI.
        cavity: center (3,) in RAS mm and radius in mm of a resection, or None.
    """

    transducer_to_ras: np.ndarray
    speed_error: float = 0.0
    displace: Callable[[np.ndarray], np.ndarray] | None = None
    cavity: tuple[np.ndarray, float] | None = None


def image_to_transducer() -> np.ndarray:
    """(4, 4) matrix from (column, row, 0, 1) of the images to the Transducer frame in mm."""
    half_width = (RADIUS_MM + DEPTH_MM) * np.sin(np.deg2rad(FIELD_OF_VIEW_DEG / 2))
    matrix = np.diag([PIXEL_MM, PIXEL_MM, 1.0, 1.0])
    matrix[0, 3] = -half_width - 2
    matrix[1, 3] = -RADIUS_MM * (1 - np.cos(np.deg2rad(FIELD_OF_VIEW_DEG / 2))) - 2
    return matrix


def scan(anatomy: Anatomy, scene: Scene, seed: int) -> np.ndarray:
    """(rows, columns) uint8 B-mode image with speckle, attenuation, imperfect gain and TGC, and a shadow."""
    rng = np.random.default_rng(seed)
    angle = np.deg2rad(np.linspace(-FIELD_OF_VIEW_DEG / 2, FIELD_OF_VIEW_DEG / 2, LINES))
    depth = (np.arange(SAMPLES) + 0.5) * DEPTH_MM / SAMPLES
    backscatter, interface, attenuation = _through_the_beam(anatomy, scene, angle, depth)
    random = (rng.normal(size=(2, LINES, SAMPLES)) * [[[1.0]], [[1.0j]]]).sum(0) / np.sqrt(2)
    field = backscatter * random + interface * (0.8 + 0.2 * random)
    field = _point_spread(field, angle, depth)
    level = 20 * np.log10(np.abs(field) + 1e-6)
    step_cm = DEPTH_MM / SAMPLES / 10
    loss = 2 * FREQUENCY_MHZ * np.cumsum(attenuation, axis=1) * step_cm
    compensation = 2 * FREQUENCY_MHZ * rng.uniform(0.4, 0.6) * depth / 10
    level = (
        level - loss + compensation + rng.uniform(-4, 4) + rng.uniform(-5, 5) * np.sin(depth / 25 + rng.uniform(0, 6))
    )
    level = level - _shadow(angle, rng)[:, None]
    level = np.maximum(level, 6 - 14 * depth / 2.0)  # ring-down of the face
    noise = 20 * np.log10(np.abs(rng.normal(size=level.shape)) + 1e-3) - 48 + compensation * 0.7
    level = np.logaddexp(level * 0.23, noise * 0.23) / 0.23
    gray = np.clip((level + 0.68 * _DYNAMIC_RANGE_DB) / _DYNAMIC_RANGE_DB, 0.01, 1) * 255
    return _to_pixels(gray)


def _through_the_beam(anatomy: Anatomy, scene: Scene, angle: np.ndarray, depth: np.ndarray):
    """Backscatter, interface echo and attenuation (lines, samples), averaged over the thickness of the beam."""
    path = depth * (1 + scene.speed_error)
    radius = RADIUS_MM + path
    plane = np.stack(
        [
            np.sin(angle)[:, None] * radius,
            np.cos(angle)[:, None] * radius - RADIUS_MM,
            np.zeros((len(angle), len(depth))),
        ],
        axis=-1,
    )
    rotation, origin = scene.transducer_to_ras[:3, :3], scene.transducer_to_ras[:3, 3]
    beam = np.stack([np.sin(angle), np.cos(angle), 0 * angle], axis=-1) @ rotation.T
    thickness = 0.6 + 0.012 * np.abs(path - 40)
    totals = [0.0, 0.0, 0.0]
    for offset, weight in ((-1.4, 0.25), (0.0, 0.5), (1.4, 0.25)):
        points = plane + np.array([0, 0, 1.0]) * (offset * thickness)[None, :, None]
        points = points @ rotation.T + origin
        for index, values in enumerate(_tissue(anatomy, scene, points, beam)):
            totals[index] = totals[index] + weight * values
    return totals


def _tissue(anatomy: Anatomy, scene: Scene, points: np.ndarray, beam: np.ndarray):
    source = scene.displace(points) if scene.displace else points
    backscatter = anatomy.sample("echogenicity", source)
    attenuation = anatomy.sample("attenuation", source)
    reach = 0.7
    gradient = np.stack(
        [
            anatomy.sample("stiffness", source + reach * axis) - anatomy.sample("stiffness", source - reach * axis)
            for axis in np.eye(3)
        ],
        axis=-1,
    ) / (2 * reach)
    steepness = np.linalg.norm(gradient, axis=-1)
    along = (gradient * beam[:, None, :]).sum(-1)
    interface = 10.0 * along**2 / (steepness + 1e-3)  # steepness times the squared cosine of incidence
    if scene.cavity is not None:
        center, size = scene.cavity
        distance = np.linalg.norm(points - center, axis=-1) - size
        inside = distance < 0
        backscatter, attenuation = np.where(inside, 0.01, backscatter), np.where(inside, 0.002, attenuation)
        interface = np.where(inside, 0, interface) + 0.8 * np.exp(-((distance / 0.5) ** 2))
    return backscatter, interface, attenuation


def _point_spread(field: np.ndarray, angle: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Pulse along depth, and a beam whose width grows away from its focus."""
    field = ndimage.gaussian_filter1d(field, 0.3 / (depth[1] - depth[0]), axis=1)
    spacing = (RADIUS_MM + depth) * (angle[1] - angle[0])
    wanted = (0.5 + 0.012 * np.abs(depth - 45)) / spacing
    widths = np.geomspace(max(wanted.min(), 0.3), wanted.max() + 0.01, 4)
    blurred = np.stack([ndimage.gaussian_filter1d(field, width, axis=0) * np.sqrt(width) for width in widths])
    place = np.interp(wanted, widths, np.arange(4))
    lower = np.clip(place.astype(int), 0, 2)
    share = place - lower
    column = np.arange(len(depth))
    return blurred[lower, :, column].T * (1 - share) + blurred[lower + 1, :, column].T * share


def _shadow(angle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Loss in dB of each line: poor contact at one edge and often a shadow somewhere."""
    span = angle[-1] - angle[0]
    edge = 18 / (1 + np.exp((angle - angle[0] - rng.uniform(-0.1, 0.08) * span) / (0.02 * span)))
    edge = edge[::-1] if rng.random() < 0.5 else edge
    if rng.random() < 0.6:
        edge = edge + 15 * np.exp(-(((angle - rng.uniform(angle[0], angle[-1])) / np.deg2rad(2.5)) ** 4))
    return edge


def _to_pixels(gray: np.ndarray) -> np.ndarray:
    matrix = image_to_transducer()
    columns = int(np.ceil(-2 * matrix[0, 3] / PIXEL_MM)) + 1
    rows = int(np.ceil((DEPTH_MM - matrix[1, 3] + 2) / PIXEL_MM)) + 1
    row, column = np.mgrid[:rows, :columns]
    x, y = column * PIXEL_MM + matrix[0, 3], row * PIXEL_MM + matrix[1, 3] + RADIUS_MM
    angle, depth = np.rad2deg(np.arctan2(x, y)), np.hypot(x, y) - RADIUS_MM
    line = (angle / FIELD_OF_VIEW_DEG + 0.5) * (LINES - 1)
    sample = depth / DEPTH_MM * SAMPLES - 0.5
    inside = (line >= 0) & (line <= LINES - 1) & (depth >= 0) & (depth <= DEPTH_MM)
    image = ndimage.map_coordinates(gray, [line, sample], order=1, mode="nearest")
    return np.where(inside, np.round(image), 0).astype(np.uint8)
