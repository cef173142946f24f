"""A synthetic head with a craniotomy: contrast T1 MRI, CT and labels on one grid, for demonstrations and tests.

A schematic head, not a model of anyone: skin, fat, skull with marrow, fluid, folded cortex, white matter, deep gray
matter, ventricles with choroid plexus, falx, sagittal sinus, a vessel, and a tumor with edema under the craniotomy.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from scipy import ndimage

from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume

# Label (number of the FreeSurfer color table), T1 intensity, HU.
_TISSUES = {
    "air": (0, 0.0, -1000.0),
    "white matter": (2, 190.0, 29.0),
    "gray matter": (3, 135.0, 38.0),
    "cerebrospinal fluid": (24, 45.0, 6.0),
    "ventricle": (4, 40.0, 5.0),
    "tumor": (57, 345.0, 46.0),
    "edema": (77, 148.0, 24.0),
    "choroid plexus": (31, 120.0, 50.0),
    "falx": (98, 95.0, 65.0),
    "blood": (30, 60.0, 55.0),
    "skin": (118, 120.0, 45.0),
    "fat": (125, 230.0, -90.0),
    "cortical bone": (515, 10.0, 1300.0),
    "trabecular bone": (516, 70.0, 500.0),
}
_SIZE_MM = (180.0, 220.0, 180.0)
_BRAIN_CENTER = np.array([0.0, 2.0, -4.0], dtype=np.float32)
_BRAIN_AXES = np.array([64.0, 82.0, 64.0], dtype=np.float32)
_FLUID_MM, _SKULL_MM, _SCALP_MM = 2.5, 6.5, 6.0  # thickness of the layers around the brain
_WINDOW_DIRECTION = np.array([0.62, 0.10, 0.78])
_WINDOW_RADIUS_MM = 27.0
_TUMOR_CENTER = np.array([27.0, 16.0, 26.0], dtype=np.float32)
_TARGET = np.array([13.0, 2.0, 13.0])  # in the body of the right lateral ventricle
_FOLD_LENGTH_MM = 18.0
# One lateral ventricle (right side): points on its axis in mm, and the radius there.
_VENTRICLE = (
    ((9.0, 34.0, 4.0), 4.5),
    ((8.0, 18.0, 12.0), 6.0),
    ((13.0, -6.0, 14.0), 5.5),
    ((22.0, -32.0, 8.0), 7.0),
    ((17.0, -58.0, 4.0), 2.5),
)
_TEMPORAL_HORN = (((22.0, -32.0, 8.0), 5.0), ((31.0, -14.0, -12.0), 3.0), ((29.0, 4.0, -18.0), 1.5))


@dataclass(frozen=True)
class HeadPhantom:
    """A synthetic head.

    Args:
        t1: contrast T1 intensities (the tumor enhances), with mild noise and a bias field.
        ct: HU, with mild noise.
        labels: numbers of the FreeSurfer color table (`maps_from_labels` knows them).
        entry_ras_mm: where the transducer touches the cortex in the middle of the craniotomy.
        target_ras_mm: a point in the right lateral ventricle to look at.
    """

    t1: Volume
    ct: Volume
    labels: Volume
    entry_ras_mm: tuple[float, float, float]
    target_ras_mm: tuple[float, float, float]


def head_phantom(spacing_mm: float = 1.0, seed: int = 0) -> HeadPhantom:
    """Make the synthetic head.

    Args:
        spacing_mm: voxel size, 0.5 to 4 mm.
        seed: of the folds, the noise and the bias field.

    Raises:
        DiffUSError: if the spacing is out of range.
    """
    if not 0.5 <= spacing_mm <= 4.0:
        raise DiffUSError(f"a head phantom with {spacing_mm:g} mm voxels is not possible; choose 0.5 to 4 mm.")
    random = np.random.default_rng(seed)
    shape = tuple(round(size / spacing_mm) for size in _SIZE_MM)  # I, J, K
    origin = [-(n - 1) / 2 * spacing_mm for n in shape]
    axes = [
        (np.arange(n, dtype=np.float32) * spacing_mm + o).astype(np.float32)
        for n, o in zip(shape, origin, strict=True)
    ]
    x, y, z = axes[0][None, None, :], axes[1][None, :, None], axes[2][:, None, None]

    names = list(_TISSUES)
    index = {name: number for number, name in enumerate(names)}
    depth, window = _layers(x, y, z)
    tissues = _outer_head(depth, window, index)
    _add_brain(tissues, depth, (x, y, z), axes, spacing_mm, random, index)

    labels, intensities, hounsfield = (np.array([_TISSUES[name][c] for name in names]) for c in range(3))
    t1 = _acquire(intensities.astype(np.float32)[tissues], random, 3.0, spacing_mm)
    t1 *= 1.0 + 0.06 * (x / 90.0 + 0.5 * z / 90.0)
    ct = _acquire(hounsfield.astype(np.float32)[tissues], random, 6.0, spacing_mm)
    matrix = torch.diag(torch.tensor([spacing_mm, spacing_mm, spacing_mm, 1.0], dtype=torch.float64))
    matrix[:3, 3] = torch.tensor(origin, dtype=torch.float64)

    direction = _WINDOW_DIRECTION / np.linalg.norm(_WINDOW_DIRECTION)
    return HeadPhantom(
        t1=Volume(torch.from_numpy(np.maximum(t1, 0.0)), matrix, "head phantom T1"),
        ct=Volume(torch.from_numpy(np.maximum(ct, -1024.0)), matrix, "head phantom CT"),
        labels=Volume(torch.from_numpy(labels.astype(np.int16)[tissues]), matrix, "head phantom labels"),
        entry_ras_mm=_entry(tissues, index, direction, origin, spacing_mm),
        target_ras_mm=(float(_TARGET[0]), float(_TARGET[1]), float(_TARGET[2])),
    )


def _layers(x, y, z):
    """Depth below the brain's surface in mm (negative outside, first order), and distance to the window's axis."""
    u, v, w = x - _BRAIN_CENTER[0], y - _BRAIN_CENTER[1], z - _BRAIN_CENTER[2]
    a, b, c = _BRAIN_AXES
    b = b * (1.0 - 0.04 * np.cos(np.clip(v, -80, 80) * (np.pi / 80)))  # slightly egg-shaped
    w = np.where(w < 0, w * 1.12, w)  # a flatter base
    scaled = np.sqrt((u / a) ** 2 + (v / b) ** 2 + (w / c) ** 2)
    slope = np.sqrt((u / a**2) ** 2 + (v / b**2) ** 2 + (w / c**2) ** 2)
    depth = (1.0 - scaled) * scaled / (slope + 1e-6)
    d = (_WINDOW_DIRECTION / np.linalg.norm(_WINDOW_DIRECTION)).astype(np.float32)
    along = u * d[0] + v * d[1] + w * d[2]
    across = np.sqrt(np.maximum(u * u + v * v + w * w - along * along, 0.0))
    window = np.where(along > 0, across, np.float32(1e3))
    return depth.astype(np.float32), window.astype(np.float32)


def _outer_head(depth, window, index):
    """Skin, fat, skull and fluid around the brain, with the craniotomy cut out."""
    tissues = np.full(depth.shape, index["air"], dtype=np.uint8)
    skull = _FLUID_MM + _SKULL_MM
    for name, outer in (
        ("skin", skull + _SCALP_MM),
        ("fat", skull + _SCALP_MM - 2.5),
        ("cortical bone", skull),
        ("trabecular bone", skull - 2.0),
        ("cortical bone", _FLUID_MM + 2.0),
        ("cerebrospinal fluid", _FLUID_MM),
    ):
        tissues[depth > -outer] = index[name]
    # Scalp and skull are retracted, the dura is open.
    tissues[(window < _WINDOW_RADIUS_MM) & (depth < -_FLUID_MM)] = index["air"]
    return tissues


def _add_brain(tissues, depth, grid, axes, spacing_mm, random, index):
    x, y, z = grid
    brain = depth > 0
    sulcus = _sulci(depth, axes, spacing_mm, random)
    side = np.abs(x)
    above = z > 18.0 - (y - 5.0) ** 2 / 220.0  # above the corpus callosum
    fissure = np.where(above, side - 2.0, np.float32(1e3))  # signed distance, negative inside
    fold = np.minimum(sulcus, fissure)
    cortex = 2.8 + spacing_mm * 0.1
    tissues[brain] = index["white matter"]
    tissues[brain & ((depth < cortex) | (fold < cortex))] = index["gray matter"]
    tissues[brain & (fold < 0)] = index["cerebrospinal fluid"]

    window = [slice(*np.searchsorted(axis, (-45.0, 45.0))) for axis in axes]
    window[1] = slice(*np.searchsorted(axes[1], (-72.0, 50.0)))
    inner = tuple(window[::-1])
    part = tissues[inner]
    px, py, pz = (
        np.abs(axes[0][window[0]])[None, None],
        axes[1][window[1]][None, :, None],
        axes[2][window[2]][:, None, None],
    )
    for center, radii in (((13.0, -12.0, 2.0), (9.0, 15.0, 9.0)), ((25.0, 6.0, 1.0), (7.0, 18.0, 10.0))):
        part[_ellipsoid(px, py, pz, center, radii) < 1] = index["gray matter"]  # thalamus and basal ganglia
    lateral = np.minimum(_tube(px, py, pz, _VENTRICLE), _tube(px, py, pz, _TEMPORAL_HORN))
    third = np.maximum(px - 2.2, np.sqrt((py + 2.0) ** 2 + (pz - 1.0) ** 2) - 13.0)
    lateral_or_third = np.minimum(lateral, third)
    part[(lateral_or_third < 0) & (depth[inner] > 6)] = index["ventricle"]
    plexus = _tube(px, py, pz, (((17.0, -22.0, 8.0), 1.5), ((22.0, -33.0, 4.0), 3.2)))
    part[(plexus < 0) & (lateral < -0.8)] = index["choroid plexus"]

    tx, ty, tz = x - _TUMOR_CENTER[0], y - _TUMOR_CENTER[1], z - _TUMOR_CENTER[2]
    wobble = 1.5 * np.sin(tx / 4.0) * np.cos(ty / 5.0) + 1.2 * np.sin(tz / 3.5 + 1.0)
    tumor = np.sqrt(tx**2 + (ty / 1.2) ** 2 + tz**2) + wobble
    matter = brain & (tissues != index["ventricle"]) & (depth > 2)
    tissues[matter & (tissues == index["white matter"]) & (tumor < 17)] = index["edema"]
    tissues[matter & (tumor < 11)] = index["tumor"]
    vessel = _tube(x, y, z, (((8.0, 45.0, -12.0), 1.6), ((30.0, 20.0, -14.0), 1.6), ((46.0, -8.0, -2.0), 1.4)))
    tissues[brain & (vessel < 0)] = index["blood"]
    tissues[above & (side < 0.55 + spacing_mm * 0.25) & (depth > -_FLUID_MM) & (depth < 40)] = index["falx"]
    sinus = above & (side + np.abs(depth + 0.5) < 4.5) & (depth > -_FLUID_MM)
    tissues[sinus & (z > 0)] = index["blood"]


def _sulci(depth, axes, spacing_mm, random):
    """Signed distance in mm to folds that reach from the surface inward; negative in the fluid of a sulcus.

    The folds are where a random field of one wavelength crosses zero. It depends on the direction from the center
    alone, apart from a gentle warp, so that sulci run inward.
    """
    step = max(1, round(2.0 / spacing_mm))
    x, y, z = (
        (axis[::step] - c).astype(np.float32).reshape(s)
        for axis, c, s in zip(axes, _BRAIN_CENTER, ((1, 1, -1), (1, -1, 1), (-1, 1, 1)), strict=True)
    )
    length = np.sqrt(x * x + y * y + z * z) + 1e-3
    reach = 68.0 / length  # onto a sphere
    warp = 2.5
    px = x * reach + warp * np.sin(y / 11.0 + z / 9.0)
    py = y * reach + warp * np.sin(z / 10.0 + x / 12.0)
    pz = z * reach + warp * np.sin(x / 9.0 - y / 13.0)
    field = np.zeros(length.shape, dtype=np.float32)
    waves = 18
    for _ in range(waves):
        direction = random.normal(size=3)
        direction *= 2 * np.pi / _FOLD_LENGTH_MM / np.linalg.norm(direction)
        a, b, c = direction.astype(np.float32)
        field += np.cos(px * a + py * b + pz * c + np.float32(random.uniform(0, 2 * np.pi)))
    field *= np.sqrt(2.0 / waves)
    bottom = 15.0 + 5.0 * np.sin(px / 13.0) * np.cos(py / 15.0 + pz / 11.0)  # depth of the sulci varies
    slopes = np.gradient(field, spacing_mm * step)
    slope = np.sqrt(sum(s * s for s in slopes))
    distance = np.abs(field) / np.maximum(slope, 0.30)
    distance, bottom = (_refine(value, step, depth.shape) for value in (distance, bottom))
    width = 1.5 * (1.0 - 0.65 * np.clip(depth / bottom, 0.0, 1.0))
    return np.maximum(distance - width, depth - bottom)


def _refine(values, step, shape):
    """Coarse values, taken every step voxels, on the full grid by linear interpolation."""
    coarse = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None, None]
    coarse = torch.nn.functional.pad(coarse, (0, 1, 0, 1, 0, 1), mode="replicate")
    size = [n * step + 1 for n in values.shape]
    fine = torch.nn.functional.interpolate(coarse, size=size, mode="trilinear", align_corners=True)[0, 0]
    return fine[: shape[0], : shape[1], : shape[2]].numpy()


def _ellipsoid(x, y, z, center, radii):
    return sum(((g - c) / r) ** 2 for g, c, r in zip((x, y, z), center, radii, strict=True))


def _tube(x, y, z, points):
    """Signed distance in mm to a tube along points ((x, y, z), radius)."""
    nearest = None
    for (start, radius), (stop, next_radius) in pairwise(points):
        delta = [float(b - a) for a, b in zip(start, stop, strict=True)]
        squared = sum(d * d for d in delta)
        along = sum((g - s) * d for g, s, d in zip((x, y, z), start, delta, strict=True)) / squared
        along = np.clip(along, 0.0, 1.0)
        offset = sum((g - s - along * d) ** 2 for g, s, d in zip((x, y, z), start, delta, strict=True))
        distance = np.sqrt(offset) - (radius + along * (next_radius - radius))
        nearest = distance if nearest is None else np.minimum(nearest, distance)
    return nearest


def _acquire(values, random, noise, spacing_mm):
    """Blur by the resolution of a scanner (about 1 mm) and add noise."""
    blurred = ndimage.gaussian_filter(values, 0.45 / spacing_mm, truncate=2.5)
    return blurred + noise * random.standard_normal(values.shape, dtype=np.float32)


def _entry(tissues, index, direction, origin, spacing_mm):
    """Where a line from outside, toward the middle of the brain, first meets the cortex."""
    for distance in np.arange(100.0, 0.0, -0.25):
        place = _BRAIN_CENTER + direction * distance
        i, j, k = (round(float((p - o) / spacing_mm)) for p, o in zip(place, origin, strict=True))
        inside = 0 <= k < tissues.shape[0] and 0 <= j < tissues.shape[1] and 0 <= i < tissues.shape[2]
        if inside and tissues[k, j, i] == index["gray matter"]:
            return tuple(float(value) for value in place)
    raise AssertionError("the line to the middle of the brain does not meet the cortex")
