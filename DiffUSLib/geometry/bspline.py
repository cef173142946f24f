"""Smooth displacements in space: cubic B-splines on a regular grid of knots."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import sparse


@dataclass(frozen=True)
class Knots:
    """A grid of knots along R, A and S whose splines all vanish, with two derivatives, at the border of the box.

    Args:
        first_ras_mm: (3,) place of the first coefficient.
        spacing_mm: between knots.
        shape: number of coefficients along R, A and S.
    """

    first_ras_mm: tuple[float, float, float]
    spacing_mm: float
    shape: tuple[int, int, int]

    @classmethod
    def around(cls, points_ras_mm: np.ndarray, spacing_mm: float, margin_mm: float) -> Knots:
        """Knots that let points (P, 3) and what lies within the margin around them move."""
        low, high = points_ras_mm.min(0) - margin_mm, points_ras_mm.max(0) + margin_mm
        shape = np.maximum(np.ceil((high - low) / spacing_mm).astype(int) + 1, 2)
        first = (low + high - (shape - 1) * spacing_mm) / 2
        return cls((float(first[0]), float(first[1]), float(first[2])), spacing_mm, tuple(int(n) for n in shape))  # type: ignore[arg-type]

    @property
    def count(self) -> int:
        """Coefficients of each component."""
        return int(np.prod(self.shape))

    def weights(self, points_ras_mm: np.ndarray, derivative: int | None = None) -> sparse.csr_matrix:
        """(P, count) values of the splines at points (P, 3), or their derivatives along one axis in 1/mm."""
        place = (np.asarray(points_ras_mm, dtype=np.float64) - self.first_ras_mm) / self.spacing_mm
        cell = np.floor(place).astype(np.int64)
        along = []
        for axis in range(3):
            fraction = place[:, axis] - cell[:, axis]
            values = _slope(fraction) / self.spacing_mm if axis == derivative else _value(fraction)
            index = cell[:, axis, None] + np.arange(-1, 3)
            inside = (index >= 0) & (index < self.shape[axis])
            along.append((values * inside, np.clip(index, 0, self.shape[axis] - 1)))
        (r, at_r), (a, at_a), (s, at_s) = along
        values = r[:, :, None, None] * a[:, None, :, None] * s[:, None, None, :]
        columns = (at_r[:, :, None, None] * self.shape[1] + at_a[:, None, :, None]) * self.shape[2]
        columns = columns + at_s[:, None, None, :]
        rows = np.arange(len(place) + 1) * 64
        return sparse.csr_matrix((values.ravel(), columns.ravel(), rows), shape=(len(place), self.count))

    def gram(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(count, count) integrals over space of products of splines, of their gradients, and of their second
        derivatives (all nine of them), in mm^3, mm and 1/mm."""
        one = [[_integrals(n, order) * self.spacing_mm ** (1 - 2 * order) for order in range(3)] for n in self.shape]

        def product(r: int, a: int, s: int) -> np.ndarray:
            return np.kron(np.kron(one[0][r], one[1][a]), one[2][s])

        membrane = product(1, 0, 0) + product(0, 1, 0) + product(0, 0, 1)
        bending = product(2, 0, 0) + product(0, 2, 0) + product(0, 0, 2)
        bending = bending + 2 * (product(1, 1, 0) + product(1, 0, 1) + product(0, 1, 1))
        return product(0, 0, 0), membrane, bending


@dataclass(frozen=True)
class Warp:
    """A displacement in space that is zero far from where it was found.

    Args:
        knots: of the splines.
        coefficients_mm: (count, 3) float64, along R, A and S.
    """

    knots: Knots
    coefficients_mm: np.ndarray

    def displacement_mm(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """(..., 3) at points (..., 3)."""
        points = np.asarray(points_ras_mm, dtype=np.float64)
        return (self.knots.weights(points.reshape(-1, 3)) @ self.coefficients_mm).reshape(points.shape)

    def jacobian(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """(...) determinant of the derivative of point + displacement: the change of volume; folded if not above 0."""
        points = np.asarray(points_ras_mm, dtype=np.float64)
        flat = points.reshape(-1, 3)
        slopes = np.stack([self.knots.weights(flat, axis) @ self.coefficients_mm for axis in range(3)], axis=-1)
        return np.linalg.det(np.eye(3) + slopes).reshape(points.shape[:-1])

    def scaled(self, amount: float) -> Warp:
        """This much of it."""
        return replace(self, coefficients_mm=amount * self.coefficients_mm)


class SplineSum(torch.autograd.Function):
    """Weights (P, count), a sparse matrix of SciPy, times coefficients (count, C); gradients reach the latter."""

    @staticmethod
    def forward(ctx, coefficients: torch.Tensor, weights: sparse.csr_matrix) -> torch.Tensor:
        ctx.weights = weights
        return torch.from_numpy(weights @ coefficients.detach().numpy())

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        return torch.from_numpy(ctx.weights.T @ gradient.contiguous().numpy()), None


def _value(t: np.ndarray) -> np.ndarray:
    """(P, 4) the four splines that reach a cell, at fractions t of it."""
    u = 1 - t
    return np.stack([u**3, 3 * t**3 - 6 * t**2 + 4, 3 * u**3 - 6 * u**2 + 4, t**3], axis=-1) / 6


def _slope(t: np.ndarray) -> np.ndarray:
    """(P, 4) their derivatives, per cell."""
    u = 1 - t
    return np.stack([-(u**2), 3 * t**2 - 4 * t, 4 * u - 3 * u**2, t**2], axis=-1) / 2


def _bend(t: np.ndarray) -> np.ndarray:
    """(P, 4) their second derivatives, per cell squared."""
    return np.stack([1 - t, 3 * t - 2, 1 - 3 * t, t], axis=-1)


def _integrals(count: int, order: int) -> np.ndarray:
    """(count, count) integrals of products of derivatives of the splines of unit spacing; exact by Gauss's rule."""
    nodes, weights = np.polynomial.legendre.leggauss(4)
    values = (_value, _slope, _bend)[order]((nodes + 1) / 2)
    cell = np.einsum("q,qi,qj->ij", weights / 2, values, values)
    matrix = np.zeros((count + 6, count + 6))
    for start in range(count + 3):
        matrix[start : start + 4, start : start + 4] += cell
    return matrix[3:-3, 3:-3]
