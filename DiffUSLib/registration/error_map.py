"""How far off the tissue may be after registration, everywhere: from the curvature of the posterior."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from scipy import linalg, sparse
from scipy.special import gammaincinv

from DiffUSLib.geometry.bspline import Warp
from DiffUSLib.geometry.pose import rigid_matrix
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.registration.deformation import Deformation
from DiffUSLib.registration.warp_fit import WarpFit
from DiffUSLib.registration.warped_volume import warp_grid

CALIBRATION = 1.1
"""Factor of the predicted errors, by which 90 % of targets lie within the map of 90 %; fitted to only three cases of
simulated brain shift (tier T4, seven slices, seeds 1002 to 1004, which are not reported), whose rigid step had not
failed."""
_STEP_MM = 0.5
_BLOCK = 4
_GRID_MM = 5.0
_TILTS_DEG = 20.0
_SHIFTS_MM = 15.0
_VIEW_BLOCK = 12


@dataclass(frozen=True)
class ErrorMap:
    """Predicted length of the error of where tissue is put, in mm.

    Args:
        median_mm, p90_mm: volumes over the box around the fans: half, and 90 %, of errors are below.
        next_view: sentence on the additional view of the probe that would shrink the error most.
        mean_mm: of the median within the fans now, and expected with that view.
    """

    median_mm: Volume
    p90_mm: Volume
    next_view: str
    mean_mm: tuple[float, float]


class WarpPosterior:
    """Normal approximation to the posterior of a displacement, by Gauss and Newton.

    The noise that speckle leaves is measured by the residuals; how many samples are independent is the objective's.

    Args:
        fit: at its optimum.
        numbers: of the optimum.
        calibration: factor of the predicted errors.
    """

    def __init__(self, fit: WarpFit, numbers: torch.Tensor, calibration: float = CALIBRATION):
        self.fit, self.calibration = fit, calibration
        self._mix, self._precision, gram = _information(fit, fit.displacement(numbers))
        precision = np.kron(np.eye(3), fit.prior.precision) + gram
        self.covariance = linalg.cho_solve(linalg.cho_factor(precision), np.eye(len(precision)))
        """(3 count, 3 count) of the coefficients, those along R first."""

    def spread(self, points_ras_mm: np.ndarray, covariance: np.ndarray | None = None) -> np.ndarray:
        """(P, 3, 3) covariance of the displacement at points (P, 3), in mm^2, uncalibrated."""
        weights = self.fit.knots.weights(points_ras_mm)
        covariance = self.covariance if covariance is None else covariance
        count = self.fit.knots.count
        result = np.empty((len(points_ras_mm), 3, 3))
        for a in range(3):
            for b in range(a, 3):
                part = covariance[a * count : (a + 1) * count, b * count : (b + 1) * count]
                result[:, a, b] = result[:, b, a] = np.asarray(weights.multiply(weights @ part).sum(1)).ravel()
        return result

    def quantiles_mm(
        self, points_ras_mm: np.ndarray, shares: tuple[float, ...] = (0.5, 0.9), left_out: Warp | None = None
    ) -> np.ndarray:
        """(P, len(shares)) lengths of the error below which these shares lie, at points (P, 3).

        Args:
            left_out: displacement that was found but not applied.
        """
        spread = self.spread(points_ras_mm) + self._beyond(points_ras_mm)
        if left_out is not None:
            moved = left_out.displacement_mm(points_ras_mm)
            spread = spread + moved[:, :, None] * moved[:, None]
        return self.calibration * length_quantiles(spread, shares)

    def _beyond(self, points_ras_mm: np.ndarray) -> np.ndarray:
        """(P, 3, 3) what is to be expected of tissue (the prior) and the splines, which fade away, cannot tell."""
        told = np.square(self.fit.knots.weights(points_ras_mm) @ self.fit.prior.root).sum(1)
        return np.maximum(self.fit.prior.size_mm**2 - told, 0)[:, None, None] * np.eye(3)

    def with_view(self, transducer_to_ras: torch.Tensor) -> np.ndarray:
        """The covariance that an additional image from this pose (4, 4) would leave."""
        objective = self.fit.objective.seen_from(transducer_to_ras[None])
        view = self.fit.of(objective)
        gradients = _gradients(view, torch.zeros(view.ends.shape, dtype=torch.float32), self._mix)
        rows = _rows(view, gradients, _VIEW_BLOCK) * np.sqrt(self._precision)
        seen = rows @ self.covariance
        inner = np.eye(len(seen)) + seen @ rows.T
        return self.covariance - seen.T @ linalg.solve(inner, seen, assume_a="pos")


def error_map(deformation: Deformation, calibration: float = CALIBRATION) -> Generator[None, None, ErrorMap]:
    """The map of a `Deformation` that ran to its end. Yields after each part of the work."""
    result, fit = deformation.result, deformation.fit
    assert result is not None and fit is not None  # it ran to its end
    posterior = WarpPosterior(fit, deformation.numbers, calibration)
    yield
    left_out = None if result.is_better else fit.warp(deformation.numbers)
    points, matrix = warp_grid(result.warp, _GRID_MM)
    slabs = []
    for slab in points:
        slabs.append(posterior.quantiles_mm(slab.reshape(-1, 3), left_out=left_out).reshape(*slab.shape[:-1], 2))
        yield
    values = torch.from_numpy(np.stack(slabs).astype(np.float32))
    place = torch.from_numpy(matrix)
    sentence, means = yield from _next_view(posterior, deformation)
    return ErrorMap(Volume(values[..., 0], place), Volume(values[..., 1], place), sentence, means)


def length_quantiles(spread: np.ndarray, shares: tuple[float, ...]) -> np.ndarray:
    """(P, len(shares)) quantiles of the length of normal vectors of covariance (P, 3, 3): its square taken for a
    gamma distribution of the same mean and variance (Satterthwaite)."""
    mean = np.trace(spread, axis1=1, axis2=2)
    variance = 2 * np.einsum("pij,pij->p", spread, spread)
    shape = mean**2 / np.maximum(variance, 1e-30)
    scale = variance / np.maximum(mean, 1e-30)
    return np.sqrt(np.stack([gammaincinv(shape, share) * scale for share in shares], axis=-1))


def _information(fit: WarpFit, displacement: torch.Tensor) -> tuple[torch.Tensor, float, np.ndarray]:
    """The mix of the channels, the mean of the independent samples per squared residual, and the information of the
    images on the coefficients (3 count, 3 count)."""
    explained = fit.objective.displaced(fit.units, displacement)
    rows = _gradients(fit, displacement, explained.mix) * explained.precision.double().sqrt().unsqueeze(-1).numpy()
    weights, products = _blocks(fit, rows)
    count = fit.knots.count
    gram = np.zeros((3 * count, 3 * count))
    for a in range(3):
        for b in range(a, 3):
            part = (weights.T @ sparse.diags(products[:, a, b]) @ weights).toarray()
            gram[a * count : (a + 1) * count, b * count : (b + 1) * count] = part
            gram[b * count : (b + 1) * count, a * count : (a + 1) * count] = part.T
    counted = explained.precision[explained.precision > 0]
    return explained.mix, float(counted.mean()), gram


def _gradients(fit: WarpFit, displacement: torch.Tensor, mix: torch.Tensor) -> np.ndarray:
    """(S, L, N, 3) change of what is expected per mm that tissue moves along R, A and S; each point by itself."""
    slopes = []
    for axis in torch.eye(3):
        up, down = (
            torch.einsum("scln,c->sln", fit.objective.displaced(fit.units, displacement + step * axis).parts, mix)
            for step in (_STEP_MM, -_STEP_MM)
        )
        slopes.append((up - down) / (2 * _STEP_MM))
    return torch.stack(slopes, dim=-1).numpy().astype(np.float64)


def _middles(fit: WarpFit, block: int) -> np.ndarray:
    """(S, L / block, N / block, 3) places of the middles of blocks of lines and samples."""
    ends = fit.ends[:, :, :-1]
    lines, samples = ends.shape[1] // block, ends.shape[2] // block
    half = block // 2
    return ends[:, half : lines * block : block, half : samples * block : block]


def _blocks(fit: WarpFit, gradients: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Splines (B, count) at the middles of blocks of samples, and sums (B, 3, 3) of products of gradients there."""
    s, n_lines, n_samples, _ = gradients.shape
    lines, samples = n_lines // _BLOCK, n_samples // _BLOCK
    parts = gradients[:, : lines * _BLOCK, : samples * _BLOCK].reshape(s, lines, _BLOCK, samples, _BLOCK, 3)
    products = np.einsum("slambi,slambj->slmij", parts, parts).reshape(-1, 3, 3)
    return fit.knots.weights(_middles(fit, _BLOCK).reshape(-1, 3)), products


def _rows(fit: WarpFit, gradients: np.ndarray, block: int) -> np.ndarray:
    """(3 B, 3 count) rows whose products sum to the information of a view."""
    s, n_lines, n_samples, _ = gradients.shape
    lines, samples = n_lines // block, n_samples // block
    parts = gradients[:, : lines * block, : samples * block].reshape(s, lines, block, samples, block, 3)
    products = np.einsum("slambi,slambj->slmij", parts, parts).reshape(-1, 3, 3)
    values, vectors = np.linalg.eigh(products)
    roots = (vectors * np.sqrt(np.maximum(values, 0))[:, None]).transpose(0, 2, 1)  # (B, 3, 3): rows
    weights = fit.knots.weights(_middles(fit, block).reshape(-1, 3)).toarray()
    return np.einsum("bki,bn->bkin", roots, weights).reshape(3 * len(weights), -1)


def _next_view(posterior: WarpPosterior, deformation: Deformation):
    """Which of a few more views leaves the least error within the fans, as a sentence, and the mean of the median
    error within the fans now and then. Yields after each."""
    fit = posterior.fit
    inside = fit.ends[:, ::8, ::8].reshape(-1, 3)
    poses = deformation.slices.transducer_to_ras
    middle = poses[len(poses) // 2]
    now = posterior.calibration * length_quantiles(posterior.spread(inside), (0.5,)).mean()
    best: tuple[float, str] = (np.inf, "")
    for words, motion, beam in _views():
        left = posterior.with_view(middle @ motion)
        then = posterior.calibration * length_quantiles(posterior.spread(inside, left), (0.5,)).mean()
        toward = "" if beam is None else f" toward the patient's {_side(middle[:3, :3] @ beam)}"
        best = min(best, (float(then), words + toward))
        yield
    sentence = (
        f"One more image would shrink the error most from the middle frame's place, {best[1]}: from {now:.2f} to "
        f"{best[0]:.2f} mm (mean of the median within the fans)."
    )
    return sentence, (float(now), best[0])


def _views() -> list[tuple[str, torch.Tensor, torch.Tensor | None]]:
    """Motions (4, 4) of the probe in its own frame, in words, and where they lead the beam (X lateral, Y depth)."""
    views: list[tuple[str, torch.Tensor, torch.Tensor | None]] = []
    x, _, z = torch.eye(3, dtype=torch.float64)
    for sign in (1.0, -1.0):
        # A turn about +Z leads Y, the beam, to -X; one about +X leads it to +Z.
        views.append((f"tilted by {_TILTS_DEG:g} degrees", _turned(2, -sign * _TILTS_DEG), sign * x))
        views.append((f"tilted by {_TILTS_DEG:g} degrees", _turned(0, sign * _TILTS_DEG), sign * z))
        views.append((f"slid by {_SHIFTS_MM:g} mm", _shifted(0, sign * _SHIFTS_MM), sign * x))
        views.append((f"slid by {_SHIFTS_MM:g} mm", _shifted(2, sign * _SHIFTS_MM), sign * z))
    views.append(("turned by 90 degrees about the beam", _turned(1, 90.0), None))
    return views


def _side(direction_ras: torch.Tensor) -> str:
    """The patient's side that a direction (3,) leads to most."""
    axis = int(direction_ras.abs().argmax())
    return (("left", "right"), ("back", "front"), ("feet", "head"))[axis][int(direction_ras[axis] > 0)]


def _turned(axis: int, degrees: float) -> torch.Tensor:
    vector = torch.zeros(1, 3, dtype=torch.float64)
    vector[0, axis] = np.deg2rad(degrees)
    return rigid_matrix(vector, torch.zeros(1, 3, dtype=torch.float64))[0]


def _shifted(axis: int, length_mm: float) -> torch.Tensor:
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[axis, 3] = length_mm
    return matrix
