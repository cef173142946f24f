"""Two unlike ways to fill a fan with something like tissue, as gray in [0, 255]."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from Testing.Library.fan_shapes import Shape


def log_compressed(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Style A: Rayleigh speckle in Cartesian pixels times echogenicity, attenuation and shadows, log-compressed."""
    size = shape.inside.shape
    depth, side = np.clip(shape.depth, 0, 1), np.clip(shape.side, -1, 1)
    scale = max(size) / 500
    speckle = ndimage.gaussian_filter(rng.rayleigh(1, size), rng.uniform(0.6, 1.5) * max(scale, 0.7))
    level_db = 20 * np.log10(speckle / speckle.mean())
    level_db += rng.uniform(3, 9) * _smooth_field(rng, size, rng.uniform(20, 70) * scale)
    level_db -= rng.uniform(5, 40) * depth ** rng.uniform(0.7, 2)
    rows, columns = np.indices(size)
    for _ in range(rng.integers(0, 5)):  # vessels and cysts
        y, x = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        a, b = rng.uniform(10, 60, 2) * scale
        level_db[((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 < 1] -= rng.uniform(15, 60)
    for _ in range(rng.integers(0, 6)):  # fascia, diaphragm, bone
        at = rng.uniform(0.03, 0.9) + rng.uniform(-0.15, 0.15) * side
        level_db += rng.uniform(10, 30) * np.exp(-(((depth - at) / rng.uniform(0.005, 0.02)) ** 2))
    for _ in range(rng.integers(0, 4)):
        middle, half = rng.uniform(-1, 1), rng.uniform(0.03, 0.2)
        level_db -= rng.uniform(10, 50) * ((np.abs(side - middle) < half) & (depth > rng.uniform(0.1, 0.8)))
    return _with_losses(rng, shape, 255 * (level_db + rng.uniform(25, 45)) / rng.uniform(45, 75))


def along_lines(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Style B: noise sampled along scan lines, so that it widens with depth, with streaks and a gamma curve."""
    lines, samples = rng.integers(96, 256), rng.integers(256, 640)
    noise = rng.gamma(rng.uniform(0.8, 2), 1, (samples, lines))
    noise = ndimage.gaussian_filter(noise, (rng.uniform(0.4, 1.2), rng.uniform(0.3, 1.5)))
    layers = np.abs(np.cumsum(rng.normal(0, 1, samples)))[:, None]
    layers = ndimage.gaussian_filter1d(layers / (layers.mean() + 1e-9), 6, axis=0)
    blobs = np.exp(rng.uniform(0.5, 1.6) * _smooth_field(rng, (samples, lines), rng.uniform(12, 40)))
    field = noise * blobs * (0.3 + layers) * np.exp(-np.linspace(0, rng.uniform(0, 3), samples))[:, None]
    for _ in range(rng.integers(0, 3)):  # acoustic shadow behind gas or bone
        start, first = rng.integers(0, samples), rng.integers(0, lines)
        field[start:, first : first + rng.integers(4, lines // 4)] *= rng.uniform(0, 0.15)
    for _ in range(rng.integers(0, 3)):  # fluid
        y, x, a, b = rng.uniform(0, samples), rng.uniform(0, lines), rng.uniform(20, 120), rng.uniform(8, 50)
        r, c = np.indices(field.shape)
        field[((r - y) / a) ** 2 + ((c - x) / b) ** 2 < 1] *= rng.uniform(0, 0.1)
    row = np.clip(shape.depth, 0, 1) * (samples - 1)
    column = (np.clip(shape.side, -1, 1) + 1) / 2 * (lines - 1)
    image = ndimage.map_coordinates(field, [row, column], order=1)
    image = 255 * (image / (np.quantile(image[shape.inside], 0.97) + 1e-9)) ** rng.uniform(0.35, 0.9)
    return _with_losses(rng, shape, image * rng.uniform(0.3, 1.1))


def _with_losses(rng, shape: Shape, gray: np.ndarray) -> np.ndarray:
    """What is lost at the sides, near the face and deep down, and the receiver's noise."""
    depth, side = shape.depth, shape.side
    if rng.random() < 0.25:  # a side without contact
        edge, width = rng.uniform(0.45, 0.95), rng.uniform(0.02, 0.2)
        sign = rng.choice([-1, 1])
        gray = gray * (1 - rng.uniform(0.7, 1) / (1 + np.exp(-(sign * side - edge) / width)))
    if rng.random() < 0.1:
        gray = gray * (1 - rng.uniform(0.6, 1) * (depth < rng.uniform(0.02, 0.25)))
    elif rng.random() < 0.5:  # ring-down of the transducer
        gray = gray + rng.uniform(40, 160) * np.exp(-np.clip(depth, 0, 1) / rng.uniform(0.01, 0.05))
    if rng.random() < 0.2:
        gray = gray * (1 - np.clip((depth - rng.uniform(0.4, 0.9)) / rng.uniform(0.05, 0.3), 0, 1))
    if rng.random() < 0.7:
        gray = np.maximum(gray, rng.gamma(1.0, rng.uniform(0.8, 4), gray.shape))
    return np.clip(gray, 0, 255)


def _smooth_field(rng, size, sigma) -> np.ndarray:
    """Smooth noise of zero mean and unit standard deviation."""
    step = max(1, int(sigma / 3))
    coarse = rng.normal(size=[length // step + 8 for length in size])
    coarse = ndimage.gaussian_filter(coarse, sigma / step)
    fine = ndimage.zoom(coarse, step, order=1)[: size[0], : size[1]]
    return (fine - fine.mean()) / fine.std()
