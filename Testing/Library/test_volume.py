"""Volumes, their matrices, and trilinear sampling in any orientation."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from scipy.ndimage import map_coordinates

from DiffUSLib.acoustics.shrink import shrink_volume
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.sampling import Sampler, ras_to_index, transform_points
from DiffUSLib.geometry.volume import Volume
from Testing.Library.scenes import oblique_affine

angles = st.tuples(*[st.floats(-180, 180)] * 3)
spacings = st.tuples(*[st.floats(0.3, 4)] * 3)


@settings(max_examples=30)
@given(angles=angles, spacing=spacings, seed=st.integers(0, 100))
def test_sampling_agrees_with_scipy_on_oblique_anisotropic_grids(angles, spacing, seed):
    rng = np.random.default_rng(seed)
    shape = (9, 7, 5)
    affine = oblique_affine(spacing, angles, (12.0, -40.0, 7.0), shape)
    voxels = rng.normal(size=shape[::-1])
    ijk = rng.uniform(0, np.array(shape) - 1, (50, 3))
    ras = ijk @ affine.numpy()[:3, :3].T + affine.numpy()[:3, 3]
    index = transform_points(ras_to_index(affine)[None], torch.from_numpy(ras))[0]
    values = Sampler([torch.from_numpy(voxels)], [0.0])(index)[0]
    expected = map_coordinates(voxels, ijk[:, ::-1].T, order=1)
    np.testing.assert_allclose(values.numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("is_wide", [False, True])  # all points within the grid, or some beyond its border
@pytest.mark.parametrize("takes_gradient", [False, True])
@pytest.mark.parametrize("is_side_by_side", [False, True])  # in memory, voxel by voxel
def test_values_and_slopes_agree_with_grid_sample_of_pytorch(is_wide, takes_gradient, is_side_by_side):
    generator = torch.Generator().manual_seed(1)
    grids = torch.randn(2, 5, 7, 9, dtype=torch.float64, generator=generator)
    if is_side_by_side:
        grids = grids.movedim(0, -1).contiguous().movedim(-1, 0)
    sizes = torch.tensor([9.0, 7.0, 5.0], dtype=torch.float64)
    spread = torch.rand(300, 3, dtype=torch.float64, generator=generator)
    index = (spread * (sizes + 6) - 3.5 if is_wide else spread * (sizes - 1.001)).requires_grad_()
    reference = index.detach().clone().requires_grad_()
    values = Sampler(grids.clone().requires_grad_(takes_gradient).unbind(), (0.5, -2.0))(index)
    outside = torch.tensor([0.5, -2.0], dtype=torch.float64)
    relative = (grids - outside[:, None, None, None])[None]
    place = ((2 * reference + 1) / sizes - 1).reshape(1, -1, 1, 1, 3)
    expected = F.grid_sample(relative, place, align_corners=False).reshape(2, -1) + outside[:, None]
    np.testing.assert_allclose(values.detach(), expected.detach(), atol=1e-12)
    weights = torch.randn(2, 300, dtype=torch.float64, generator=generator)
    (slope,) = torch.autograd.grad((values * weights).sum(), index)
    (expected_slope,) = torch.autograd.grad((expected * weights).sum(), reference)
    np.testing.assert_allclose(slope, expected_slope, atol=1e-11)


@pytest.mark.parametrize("dim", [0, -1])
def test_grids_are_shared_not_copied(dim):
    grids = torch.zeros([2, 4, 4, 4] if dim == 0 else [4, 4, 4, 2])
    sample = Sampler(grids.unbind(dim), (0.0, 0.0))
    grids += 3.0
    assert sample(torch.ones(1, 3)).flatten().tolist() == [3.0, 3.0]


def test_outside_the_grid_is_zero_and_the_border_is_one_voxel_wide():
    voxels = torch.ones(4, 4, 4, dtype=torch.float64)
    affine = torch.eye(4, dtype=torch.float64)
    points = torch.tensor([[3.0, 1, 1], [3.5, 1, 1], [4.0, 1, 1], [9.0, 1, 1]], dtype=torch.float64)
    index = transform_points(ras_to_index(affine)[None], points)[0]
    np.testing.assert_allclose(Sampler([voxels], [0.0])(index)[0], [1, 0.5, 0, 0], atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 6, 6), (6, 1, 6), (6, 6, 1)])
def test_a_volume_of_one_slice_is_sampled_in_its_plane(shape):
    voxels = torch.arange(36, dtype=torch.float64).reshape(shape)
    k, j, i = (torch.arange(n) for n in shape)
    index = torch.cartesian_prod(k, j, i).flip(1).double()
    np.testing.assert_allclose(Sampler([voxels], [0.0])(index)[0], voxels.flatten(), atol=1e-9)


def test_the_number_of_threads_does_not_change_the_values():
    grids = [torch.rand(8, 8, 8), *torch.rand(8, 8, 8, 2).unbind(-1)]
    sample, index = Sampler(grids, (0.0, 0.0, 0.0)), torch.rand(1000, 3) * 10 - 1
    kept = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = sample(index)
        for threads in (2, 3, 5):
            torch.set_num_threads(threads)
            assert torch.equal(one, sample(index))
    finally:
        torch.set_num_threads(kept)


def test_matrices_of_a_volume():
    affine = oblique_affine((0.5, 1.0, 2.0), (10, 20, 30), (5.0, 6.0, 7.0), (10, 12, 14))
    volume = Volume(torch.zeros(14, 12, 10), affine)
    np.testing.assert_allclose(volume.spacing_mm, (0.5, 1.0, 2.0))
    np.testing.assert_allclose(volume.center_ras_mm, (5.0, 6.0, 7.0))
    np.testing.assert_allclose(volume.ras_to_ijk @ volume.ijk_to_ras, np.eye(4), atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint16, torch.uint8, torch.int64, torch.float64])
def test_any_real_voxels_are_taken(dtype):
    assert int(Volume(torch.ones(2, 2, 2).to(dtype), torch.eye(4)).voxels.max()) == 1


def sheared():
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, 1] = matrix[:3, 0]
    return matrix


@pytest.mark.parametrize(
    "voxels,matrix,words",
    [
        (torch.zeros(4, 4), torch.eye(4), "2 dimensions"),
        (np.zeros((2, 2, 2)), torch.eye(4), "tensor"),
        (torch.zeros(2, 2, 2, dtype=torch.complex64), torch.eye(4), "real"),
        (torch.zeros(0, 4, 4), torch.eye(4), "no voxels"),
        (torch.full((2, 2, 2), float("nan")), torch.eye(4), "NaN"),
        (torch.full((2, 2, 2), float("inf")), torch.eye(4), "NaN or infinite"),
        (torch.zeros(2, 2, 2), torch.eye(3), "4 x 4"),
        (torch.zeros(2, 2, 2), torch.eye(4) * float("nan"), "finite"),
        (torch.zeros(2, 2, 2), torch.ones(4, 4), "0 0 0 1"),
        (torch.zeros(2, 2, 2), torch.diag(torch.tensor([1.0, 0.0, 1.0, 1.0])), "span"),
        (torch.zeros(2, 2, 2), sheared(), "span"),
    ],
)
def test_bad_volumes_are_refused_with_a_sentence(voxels, matrix, words):
    with pytest.raises(DiffUSError, match=words) as error:
        Volume(voxels, matrix, "scan.nii")
    assert "scan.nii" in str(error.value)


def test_shrunk_volume_keeps_place_and_mean():
    """A linear ramp in RAS stays the same ramp, at the places of the new voxels; the finest axes shrink first."""
    shape = (24, 30, 9)
    affine = oblique_affine((0.5, 0.4, 2.0), (20.0, -10.0, 35.0), (12.0, -40.0, 7.0), shape)
    k, j, i = np.indices(shape[::-1])
    ramp = np.array([0.3, -0.7, 0.2])

    def values_at(matrix, i, j, k):
        return np.stack([i, j, k], -1) @ matrix[:3, :3].T @ ramp + matrix[:3, 3] @ ramp

    volume = Volume(torch.from_numpy(values_at(affine.numpy(), i, j, k)), affine, "ramp")
    small = shrink_volume(volume, 24 * 30 * 9 // 10)
    assert small.voxels.shape[0] == 9
    assert 400 < small.voxels.numel() <= 648
    k, j, i = np.indices(small.voxels.shape)
    expected = values_at(small.ijk_to_ras.numpy(), i, j, k)
    np.testing.assert_allclose(small.voxels.numpy(), expected, atol=1e-4)


def test_shrunk_labels_are_labels_at_their_place():
    """A label map of two halves: no label between them appears, and the border stays within half a block."""
    voxels = torch.full((8, 40, 40), 2, dtype=torch.int16)
    voxels[:, :, 20:] = 41
    small = shrink_volume(Volume(voxels, torch.eye(4)), 8 * 40 * 40 // 20)
    assert set(small.voxels.unique().tolist()) == {2, 41}
    x = small.ijk_to_ras[0, 0] * torch.arange(small.voxels.shape[2]) + small.ijk_to_ras[0, 3]
    assert bool(((small.voxels[0, 0] == 41) == (x >= 20)).all())


def test_shrunk_labels_do_not_exceed_the_limit():
    """Blocks of 3 in 5 voxels leave 2 over: those are cut off, though the middle of a further block lies in them."""
    assert shrink_volume(Volume(torch.ones(5, 5, 5, dtype=torch.int16), torch.eye(4)), 1).voxels.numel() == 1


def test_small_volume_is_not_shrunk():
    volume = Volume(torch.ones(4, 4, 4), torch.eye(4))
    assert shrink_volume(volume, 64) is volume


def test_flat_volume_shrinks_in_its_plane():
    volume = Volume(torch.rand(1, 50, 50), torch.eye(4))
    assert shrink_volume(volume, 700).voxels.shape == (1, 25, 25)
