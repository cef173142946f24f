"""What displacements of tissue are to be expected: small ones that bend little."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from DiffUSLib.geometry.bspline import Knots


class WarpPrior:
    """Normally distributed displacements whose log-density counts amplitude, stretch (membrane) and bending.

    -log p is 1/2 c times the integral of |u|^2 + 2 l^2 |grad u|^2 + l^4 |grad grad u|^2 (Whittle and Matern's field
    on splines), with c such that a component has the standard deviation `size_mm` in the middle of the box.

    Args:
        knots: of the splines.
        size_mm: standard deviation of each component.
        length_mm: l, over which displacements change.
    """

    def __init__(self, knots: Knots, size_mm: float, length_mm: float):
        self.size_mm = size_mm
        amplitude, membrane, bending = knots.gram()
        precision = amplitude + 2 * length_mm**2 * membrane + length_mm**4 * bending
        lower = np.linalg.cholesky(precision)
        center = np.array(knots.first_ras_mm) + knots.spacing_mm * (np.array(knots.shape) - 1) / 2
        middle = knots.weights(center[None]).toarray()[0]
        spread = np.linalg.norm(linalg.solve_triangular(lower, middle, lower=True))
        self.root = np.ascontiguousarray(
            linalg.solve_triangular(lower, np.eye(knots.count), lower=True).T * (size_mm / spread)
        )
        """(count, count): times independent standard normal numbers (count, 3), coefficients in mm."""
        self.precision = precision * (spread / size_mm) ** 2
        """(count, count) of a component's coefficients, 1/mm^2."""
