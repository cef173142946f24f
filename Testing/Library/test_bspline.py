"""Splines against analytic values, quadrature, finite differences, and ITK's own B-spline transform."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.bspline import Knots, SplineSum, Warp
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io.warps import itk_transform, write_displacement, write_volume, write_warp
from DiffUSLib.registration.warp_prior import WarpPrior
from DiffUSLib.registration.warped_volume import warp_grid, warped_volume

LPS = np.array([-1.0, -1.0, 1.0])
KNOTS = Knots((-20.0, 5.0, 10.0), 12.0, (4, 5, 3))


def some_warp(size_mm=2.0):
    return Warp(KNOTS, size_mm * np.random.default_rng(3).normal(size=(KNOTS.count, 3)))


def points_around(count=300):
    random = np.random.default_rng(4)
    return np.array(KNOTS.first_ras_mm) + random.uniform(-3, 6, (count, 3)) * 12.0


def test_a_single_spline_has_the_textbook_values():
    coefficients = np.zeros((*KNOTS.shape, 3))
    coefficients[2, 2, 1, 0] = 1.0
    warp = Warp(KNOTS, coefficients.reshape(-1, 3))
    center = np.array(KNOTS.first_ras_mm) + 12.0 * np.array([2, 2, 1])
    points = center + 12.0 * np.array([[0, 0, 0], [1, 0, 0], [0, -1, 0], [1, 1, 1], [2, 0, 0]])
    expected = np.array([(2 / 3) ** 3, 1 / 6 * (2 / 3) ** 2, 1 / 6 * (2 / 3) ** 2, (1 / 6) ** 3, 0.0])
    assert np.allclose(warp.displacement_mm(points)[:, 0], expected)


def test_the_jacobian_is_that_of_finite_differences():
    warp, points, step = some_warp(), points_around(), 1e-4
    slopes = np.stack(
        [
            (warp.displacement_mm(points + step * axis) - warp.displacement_mm(points - step * axis)) / (2 * step)
            for axis in np.eye(3)
        ],
        axis=-1,
    )
    assert np.allclose(warp.jacobian(points), np.linalg.det(np.eye(3) + slopes), atol=1e-6)


def test_energies_are_integrals_over_space():
    """Of products of splines, by summing over a fine grid, which is exact for what vanishes at the border."""
    knots = Knots((0.0, 0.0, 0.0), 10.0, (2, 3, 2))
    axes = [np.arange(-20, 10 * (n + 1) + 0.1, 1.0) for n in knots.shape]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    values = knots.weights(points)
    slopes = [knots.weights(points, axis) for axis in range(3)]
    amplitude, membrane, bending = knots.gram()
    assert np.allclose(amplitude, (values.T @ values).toarray(), rtol=2e-3, atol=0.05)
    assert np.allclose(membrane, sum((s.T @ s).toarray() for s in slopes), rtol=5e-3, atol=5e-3)
    step = 1e-3
    second = np.zeros_like(bending)
    for axis in range(3):
        for n, shift in enumerate(step * np.eye(3)):
            bend = (knots.weights(points + shift, axis) - knots.weights(points - shift, axis)) / (2 * step)
            second += (bend.T @ bend).toarray()
            assert n < 3
    assert np.allclose(bending, second, rtol=2e-2, atol=2e-3)


def test_the_prior_has_the_size_asked_for():
    knots = Knots((0.0, 0.0, 0.0), 15.0, (5, 5, 5))
    prior = WarpPrior(knots, 2.0, 15.0)
    assert np.allclose(prior.root @ prior.root.T @ prior.precision, np.eye(knots.count), atol=1e-8)
    middle = knots.weights(np.full((1, 3), 30.0)).toarray()[0]
    assert np.linalg.norm(middle @ prior.root) == pytest.approx(2.0)


def test_gradients_reach_the_coefficients():
    weights = KNOTS.weights(points_around(20))
    coefficients = torch.randn(KNOTS.count, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda c: SplineSum.apply(c, weights), coefficients)


@pytest.mark.parametrize("ending", (".h5", ".tfm"))
def test_itk_reads_the_same_displacement(tmp_path, ending):
    warp, points = some_warp(), points_around(100)
    write_warp(tmp_path / f"warp{ending}", warp)
    transform = sitk.ReadTransform(str(tmp_path / f"warp{ending}"))
    moved = np.array([transform.TransformPoint((p * LPS).tolist()) for p in points]) * LPS
    assert np.allclose(moved, points + warp.displacement_mm(points), atol=1e-6)


def test_simpleitk_resamples_to_our_warped_volume(tmp_path):
    random = np.random.default_rng(5)
    voxels = torch.from_numpy(random.normal(size=(14, 15, 16)).astype(np.float32))
    matrix = torch.tensor([[0.0, -4.0, 0, 40], [5.0, 0, 0, -15], [0, 0, 4.5, -15], [0, 0, 0, 1]], dtype=torch.float64)
    volume, warp = Volume(voxels, matrix), some_warp()
    write_volume(tmp_path / "scan.nrrd", volume)
    image = sitk.ReadImage(str(tmp_path / "scan.nrrd"))
    lowest = float(voxels.min())
    theirs = sitk.GetArrayFromImage(sitk.Resample(image, image, itk_transform(warp), sitk.sitkLinear, lowest))
    ours = warped_volume(volume, warp).voxels.numpy()
    assert np.allclose(ours[2:-2, 2:-2, 2:-2], theirs[2:-2, 2:-2, 2:-2], atol=1e-4)
    assert float(np.abs(ours - voxels.numpy()).max()) > 0.5


def test_the_displacement_volume_is_a_displacement_field_of_itk(tmp_path):
    warp = some_warp()
    points, matrix = warp_grid(warp, 3.0)
    write_displacement(tmp_path / "displacement.nrrd", warp.displacement_mm(points), matrix)
    field = sitk.ReadImage(str(tmp_path / "displacement.nrrd"), sitk.sitkVectorFloat64)
    transform = sitk.DisplacementFieldTransform(field)
    for index in ((4, 5, 6), (10, 9, 8)):
        point = points[index[2], index[1], index[0]]
        moved = np.array(transform.TransformPoint((point * LPS).tolist())) * LPS
        assert np.allclose(moved, point + warp.displacement_mm(point), atol=1e-4)


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(DiffUSError, match="h5"):
        write_warp(tmp_path / "warp.nrrd", some_warp())
