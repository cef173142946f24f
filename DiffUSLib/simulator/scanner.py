"""One B-mode image of an anatomy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from DiffUSLib.simulator.anatomy import Anatomy

LINES, SAMPLES = 128, 400


@dataclass(frozen=True)
class Scanner:
    """A machine with a curved probe.

    Args:
        field_of_view_deg, radius_mm, depth_mm: of the fan.
        frequency_mhz: loss grows with it.
        pixel_mm: of the images.
        dynamic_range_db: from black to white.
        interface: how bright interfaces are against tissue.
        pulse_mm, beam_mm: standard deviation along and across the beam in its focus.
        focus_mm: depth of the focus.
        clutter_db: noise, against echoes of white matter.
    """

    field_of_view_deg: float = 70.0
    radius_mm: float = 12.0
    depth_mm: float = 80.0
    frequency_mhz: float = 4.0
    pixel_mm: float = 0.35
    dynamic_range_db: float = 55.0
    interface: float = 10.0
    pulse_mm: float = 0.3
    beam_mm: float = 0.5
    focus_mm: float = 45.0
    clutter_db: float = -48.0

    def another(self, rng: np.random.Generator) -> Scanner:
        """The same fan on another machine: other interfaces, resolution, gray scale and noise."""
        return replace(
            self,
            dynamic_range_db=rng.uniform(45, 70),
            interface=self.interface * np.exp(rng.uniform(np.log(0.25), np.log(1.5))),
            pulse_mm=self.pulse_mm * rng.uniform(0.8, 1.8),
            beam_mm=self.beam_mm * rng.uniform(0.8, 2.0),
            focus_mm=self.focus_mm * rng.uniform(0.7, 1.3),
            clutter_db=self.clutter_db + rng.uniform(0, 14),
        )


HEAD_SCANNER = Scanner()
"""A small curved probe on the cortex."""
BODY_SCANNER = Scanner(
    field_of_view_deg=60.0, radius_mm=50.0, depth_mm=130.0, frequency_mhz=3.0, pixel_mm=0.5, focus_mm=70.0
)
"""A curved probe on the skin of the abdomen."""


@dataclass(frozen=True)
class Scene:
    """Where the image's tissue really is.

    Args:
        transducer_to_ras: (4, 4) true pose. X lateral, Y depth from the middle of the face, Z elevation; mm.
        speed_error: 0.03 if sound runs 3 % faster than the scanner assumes.
        displace: maps RAS points (..., 3) of the scene now to where that tissue is in the MRI.
        cavity: center (3,) in RAS mm and radius in mm of a resection, or None.
        scanner: that looks.
    """

    transducer_to_ras: np.ndarray
    speed_error: float = 0.0
    displace: Callable[[np.ndarray], np.ndarray] | None = None
    cavity: tuple[np.ndarray, float] | None = None
    scanner: Scanner = HEAD_SCANNER


def image_to_transducer(scanner: Scanner = HEAD_SCANNER) -> np.ndarray:
    """(4, 4) matrix from (column, row, 0, 1) of the images to the Transducer frame in mm."""
    half_angle = np.deg2rad(scanner.field_of_view_deg / 2)
    matrix = np.diag([scanner.pixel_mm, scanner.pixel_mm, 1.0, 1.0])
    matrix[0, 3] = -(scanner.radius_mm + scanner.depth_mm) * np.sin(half_angle) - 2
    matrix[1, 3] = -scanner.radius_mm * (1 - np.cos(half_angle)) - 2
    return matrix


def scan(anatomy: Anatomy, scene: Scene, seed: int) -> np.ndarray:
    """(rows, columns) uint8 B-mode image with speckle, attenuation, imperfect gain and TGC, and a shadow."""
    rng, scanner = np.random.default_rng(seed), scene.scanner
    angle = np.deg2rad(np.linspace(-scanner.field_of_view_deg / 2, scanner.field_of_view_deg / 2, LINES))
    depth = (np.arange(SAMPLES) + 0.5) * scanner.depth_mm / SAMPLES
    backscatter, interface, attenuation = _through_the_beam(anatomy, scene, angle, depth)
    random = (rng.normal(size=(2, LINES, SAMPLES)) * [[[1.0]], [[1.0j]]]).sum(0) / np.sqrt(2)
    field = backscatter * random + interface * (0.8 + 0.2 * random)
    field = _point_spread(field, angle, depth, scanner)
    level = 20 * np.log10(np.abs(field) + 1e-6)
    step_cm = scanner.depth_mm / SAMPLES / 10
    loss = 2 * scanner.frequency_mhz * np.cumsum(attenuation, axis=1) * step_cm
    compensation = 2 * scanner.frequency_mhz * rng.uniform(0.4, 0.6) * depth / 10
    level = (
        level - loss + compensation + rng.uniform(-4, 4) + rng.uniform(-5, 5) * np.sin(depth / 25 + rng.uniform(0, 6))
    )
    level = level - _shadow(angle, rng)[:, None]
    level = np.maximum(level, 6 - 14 * depth / 2.0)  # ring-down of the face
    noise = 20 * np.log10(np.abs(rng.normal(size=level.shape)) + 1e-3) + scanner.clutter_db + compensation * 0.7
    level = np.logaddexp(level * 0.23, noise * 0.23) / 0.23
    gray = np.clip(level / scanner.dynamic_range_db + 0.68, 0.01, 1) * 255
    return _to_pixels(gray, scanner)


def _through_the_beam(anatomy: Anatomy, scene: Scene, angle: np.ndarray, depth: np.ndarray):
    """Backscatter, interface echo and attenuation (lines, samples), averaged over the thickness of the beam."""
    path = depth * (1 + scene.speed_error)
    radius = scene.scanner.radius_mm + path
    plane = np.stack(
        [
            np.sin(angle)[:, None] * radius,
            np.cos(angle)[:, None] * radius - scene.scanner.radius_mm,
            np.zeros((len(angle), len(depth))),
        ],
        axis=-1,
    )
    rotation, origin = scene.transducer_to_ras[:3, :3], scene.transducer_to_ras[:3, 3]
    beam = np.stack([np.sin(angle), np.cos(angle), 0 * angle], axis=-1) @ rotation.T
    thickness = 0.6 + 0.012 * np.abs(path - scene.scanner.focus_mm + 5)
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
    # Steepness times the squared cosine of incidence.
    interface = scene.scanner.interface * along**2 / (steepness + 1e-3)
    if scene.cavity is not None:
        center, size = scene.cavity
        distance = np.linalg.norm(points - center, axis=-1) - size
        inside = distance < 0
        backscatter, attenuation = np.where(inside, 0.01, backscatter), np.where(inside, 0.002, attenuation)
        interface = np.where(inside, 0, interface) + 0.8 * np.exp(-((distance / 0.5) ** 2))
    return backscatter, interface, attenuation


def _point_spread(field: np.ndarray, angle: np.ndarray, depth: np.ndarray, scanner: Scanner) -> np.ndarray:
    """Pulse along depth, and a beam whose width grows away from its focus."""
    field = ndimage.gaussian_filter1d(field, scanner.pulse_mm / (depth[1] - depth[0]), axis=1)
    spacing = (scanner.radius_mm + depth) * (angle[1] - angle[0])
    wanted = (scanner.beam_mm + 0.012 * np.abs(depth - scanner.focus_mm)) / spacing
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


def _to_pixels(gray: np.ndarray, scanner: Scanner) -> np.ndarray:
    matrix, size = image_to_transducer(scanner), scanner.pixel_mm
    columns = int(np.ceil(-2 * matrix[0, 3] / size)) + 1
    rows = int(np.ceil((scanner.depth_mm - matrix[1, 3] + 2) / size)) + 1
    row, column = np.mgrid[:rows, :columns]
    x, y = column * size + matrix[0, 3], row * size + matrix[1, 3] + scanner.radius_mm
    angle, depth = np.rad2deg(np.arctan2(x, y)), np.hypot(x, y) - scanner.radius_mm
    line = (angle / scanner.field_of_view_deg + 0.5) * (LINES - 1)
    sample = depth / scanner.depth_mm * SAMPLES - 0.5
    inside = (line >= 0) & (line <= LINES - 1) & (depth >= 0) & (depth <= scanner.depth_mm)
    image = ndimage.map_coordinates(gray, [line, sample], order=1, mode="nearest")
    return np.where(inside, np.round(image), 0).astype(np.uint8)
