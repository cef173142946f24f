"""Small scenes whose truth is known, for several test files."""

import numpy as np
import torch
from scipy import ndimage

from DiffUSLib.acoustics import AcousticMaps, tissue
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.probes.probe import Probe

PROBES = {
    "curvilinear": Probe("curved", "curvilinear", 70.0, 5.0, field_of_view_deg=70.0, radius_mm=24.0, lines=192),
    "sector": Probe("phased", "sector", 70.0, 5.0, field_of_view_deg=75.0, lines=192),
    "linear": Probe("flat", "linear", 70.0, 5.0, width_mm=50.0, lines=192),
}
BRAIN = (1.6, 0.6, 1.0)  # impedance in MRayl, attenuation in dB/cm/MHz, echogenicity


def oblique_affine(
    spacing=(1.0, 1.0, 1.0), angles_deg=(0.0, 0.0, 0.0), center_ras=(0.0, 0.0, 0.0), shape=(81, 81, 81)
):
    """IJK-to-RAS (4, 4) of a grid (I, J, K voxels) turned about its center, which lies at `center_ras`."""
    rotation = np.eye(3)
    for axis, angle in enumerate(np.radians(angles_deg)):
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        turn = np.eye(3)
        turn[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        rotation = turn @ rotation
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag(spacing)
    affine[:3, 3] = np.asarray(center_ras) - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return torch.from_numpy(affine)


def voxel_positions_ras(affine, shape):
    """(K, J, I, 3) RAS positions of the voxels of a grid of (I, J, K) voxels."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape[::-1]], indexing="ij")[::-1], axis=-1)
    matrix = affine.numpy()
    return index @ matrix[:3, :3].T + matrix[:3, 3]


def uniform_maps(shape=(81, 81, 81), affine=None, values=BRAIN, dtype=torch.float32):
    """Acoustic maps (shape in I, J, K) of one tissue."""
    affine = oblique_affine(shape=shape) if affine is None else affine
    impedance, attenuation, echogenicity = (torch.full(shape[::-1], value, dtype=dtype) for value in values)
    return AcousticMaps(impedance, attenuation, echogenicity, affine, tissue("water"), "labels")


def sphere_maps(center_ras, radius_mm, affine, shape, inside_echogenicity, sphere_values=None):
    """Brain with a sphere (soft edge of one voxel) of another echogenicity, and of other values if given."""
    maps = uniform_maps(shape, affine)
    distance = np.linalg.norm(voxel_positions_ras(affine, shape) - np.asarray(center_ras), axis=-1)
    share = torch.from_numpy(np.clip((radius_mm - distance) + 0.5, 0, 1)).float()
    maps.echogenicity.lerp_(torch.full_like(maps.echogenicity, inside_echogenicity), share)
    for grid, value in zip((maps.impedance, maps.attenuation), sphere_values or (), strict=False):
        grid.lerp_(torch.full_like(grid, value), share)
    return maps


def blobs(size=72, seed=0):
    """A volume with three kinds of smooth lumps, and acoustic maps that follow it; 1 mm voxels, middle at RAS 0."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size,) * 3), 3)
    level = 1 / (1 + np.exp(-noise / noise.std() * 4)) + 0.7 / (1 + np.exp(-noise / noise.std() * 4 + 4))
    voxels = torch.from_numpy(level).float()
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, 3] = -(size - 1) / 2
    maps = AcousticMaps(
        1.5 + 0.1 * voxels, 0.3 * voxels, 0.1 + 0.5 * voxels, matrix, tissue("water"), "t1", ("made up",)
    )
    return Volume(voxels * 100, matrix), maps
