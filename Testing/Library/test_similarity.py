"""Similarity measures against direct computations with NumPy and SciPy, and what they must not react to."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from DiffUSLib.similarity import lc2, regression
from DiffUSLib.similarity.lc2 import gradient_magnitude

ALL = [lc2, regression]


def textures(shape=(40, 44), seed=0, smooth=1.0, count=2):
    rng = np.random.default_rng(seed)
    return [ndimage.gaussian_filter(rng.normal(size=shape), smooth) / 0.2 for _ in range(count)]


def tensor(*images):
    return torch.from_numpy(np.stack(images))


def fan_mask(shape=(40, 44)):
    rows, columns = np.indices(shape)
    return np.abs(columns - shape[1] / 2) < 6 + 0.4 * rows


def windows(mask, half):
    """Rows and columns of the pixels inside the mask with the masked window around each."""
    for row, column in zip(*np.nonzero(mask), strict=True):
        area = (
            slice(max(row - half, 0), row + half + 1),
            slice(max(column - half, 0), column + half + 1),
        )
        yield (row, column), area


def reference_lc2(channels, fixed, mask, half):
    explained, weights = [], []
    for _, area in windows(mask, half):
        inside = mask[area]
        u = fixed[area][inside]
        design = np.stack([channel[area][inside] for channel in channels] + [np.ones(inside.sum())], axis=1)
        residual = u - design @ np.linalg.lstsq(design, u, rcond=None)[0]
        explained.append(1 - residual.var() / u.var())
        weights.append(u.std() * inside.sum())
    return np.average(explained, weights=weights)


def test_lc2_equals_the_r_squared_of_a_least_squares_fit():
    first, second, fixed = textures(count=3, seed=5)
    fixed = fixed + first - 0.5 * second
    mask = fan_mask()
    value = lc2(tensor(first, second).unsqueeze(0), tensor(fixed), torch.from_numpy(mask), window=(7, 7))
    # The damping that keeps flat windows finite takes a little away.
    assert value.item() == pytest.approx(reference_lc2([first, second], fixed, mask, 3), abs=0.02)


def test_lc2_of_a_linear_combination_is_one_whatever_its_signs():
    image = textures(smooth=2.0)[0]
    gradient = np.hypot(*np.gradient(image))
    for a, b in ((1.0, 0.0), (-2.0, 3.0), (0.5, -1.0)):
        value = lc2(tensor(image), tensor(a * image + b * gradient + 7), torch.ones(40, 44))
        assert value.item() > 0.95


def reference_regression(channels, fixed, mask, half):
    """Of images (S, C, H, W) and (S, H, W), window by window, by NumPy's least squares."""

    def over_windows(image, function):
        filled = np.zeros_like(image)
        for place, area in windows(mask, half):
            filled[place] = function(image[place], image[area][mask[area]])
        return filled

    def detail_of(image):
        return over_windows(image, lambda here, around: here - around.mean())

    def power_of(image):
        return over_windows(image, lambda here, around: (around**2).mean())

    details = np.stack([detail_of(image) for image in fixed])
    parts = np.stack([[detail_of(channel) for channel in image] for image in channels])
    powers = np.stack([power_of(image) for image in details])
    most = 10 * np.median(powers[:, mask])
    weights = 1 / (1 + powers[:, mask].ravel() / most)
    design = np.stack([parts[:, channel][:, mask].ravel() for channel in range(parts.shape[1])], axis=1)
    mix = np.linalg.lstsq(design * weights[:, None], details[:, mask].ravel() * weights, rcond=None)[0]
    left = details - np.einsum("schw,c->shw", parts, mix)
    noises = np.stack([power_of(image) for image in left])
    return -0.5 * np.log((noises / (1 + noises / most))[:, mask].sum() / (powers / (1 + powers / most))[:, mask].sum())


def test_regression_equals_a_weighted_least_squares_fit_and_the_power_that_it_leaves():
    """Two slices that share their weights against NumPy, window by window."""
    images = textures(count=6, seed=14)
    fixed = [images[4] + 0.8 * images[0] - images[1], images[5] + 0.8 * images[2] - images[3]]
    fixed[0][10:16, 20:26] -= 20.0  # a hole
    mask = fan_mask()
    moving = np.stack(images[:4]).reshape(2, 2, 40, 44)
    value = regression(torch.from_numpy(moving), tensor(*fixed), torch.from_numpy(mask), window=(9, 9), joint=2)
    assert value.shape == (1,)
    assert value.item() == pytest.approx(reference_regression(moving, fixed, mask, 4), rel=5e-3)


@pytest.mark.parametrize("depth", [3.0, 30.0])
def test_a_hole_that_no_volume_explains_does_not_hide_the_right_place(depth):
    """However deep: a least-squares fit of the whole image would prefer the place whose edge runs along the hole's."""
    clean, noise, other = textures(count=3, seed=16, smooth=2.0)
    hole = np.zeros_like(clean)
    hole[16:22, 18:24] = -depth
    fixed, mask = tensor(clean + 0.5 * noise + hole), torch.from_numpy(fan_mask())
    alike = other + 0.3 * ndimage.gaussian_filter(hole, 2.0)
    right, wrong = (regression(tensor(image), fixed, mask, window=(9, 9)).item() for image in (clean, alike))
    assert right > wrong


def test_gradient_magnitude_equals_numpy():
    image = textures()[0]
    value = gradient_magnitude(tensor(image))[0].numpy()
    assert value == pytest.approx(np.hypot(*np.gradient(image)), abs=2e-3)


@pytest.mark.parametrize("measure", ALL)
def test_likeness_wins(measure):
    """A noisy copy scores higher than a shifted copy, which scores higher than another image."""
    clean, noise, other = textures(count=3, seed=8, smooth=2.5)
    fixed, mask = tensor(clean + 0.05 * noise), torch.from_numpy(fan_mask())
    scores = [measure(tensor(image), fixed, mask).item() for image in (clean, np.roll(clean, 2, 1), other)]
    assert scores[0] > scores[1] > scores[2]


@pytest.mark.parametrize("measure", ALL)
def test_gain_and_offset_do_not_matter(measure):
    moving, fixed = textures(seed=9)
    mask = torch.from_numpy(fan_mask())
    plain = measure(tensor(moving), tensor(fixed), mask)
    changed = measure(tensor(0.01 * moving - 3), tensor(40 * fixed + 100), mask)
    assert changed.item() == pytest.approx(plain.item(), abs=1e-3)


def test_slow_time_gain_hardly_matters_to_lc2():
    clean, noise = textures(seed=10)
    fixed = clean + 0.4 * noise
    gain = np.linspace(0.6, 1.5, 40)[:, None]
    mask = torch.from_numpy(fan_mask())
    plain = lc2(tensor(clean), tensor(fixed), mask).item()
    assert lc2(tensor(clean), tensor(fixed * gain), mask).item() == pytest.approx(plain, rel=0.06)


def test_time_gain_in_decibels_hardly_matters_to_regression():
    """On a log-compressed image TGC is an offset that grows with depth."""
    clean, noise = textures(seed=10)
    fixed, ramp = clean + 0.4 * noise, np.linspace(-3, 3, 40)[:, None]
    mask = torch.from_numpy(fan_mask())
    plain = regression(tensor(clean), tensor(fixed), mask, window=(9, 9)).item()
    assert regression(tensor(clean), tensor(fixed + ramp), mask, window=(9, 9)).item() == pytest.approx(
        plain, rel=0.03
    )


@pytest.mark.parametrize("measure", ALL)
def test_what_lies_outside_the_mask_does_not_matter(measure):
    moving, fixed = textures(seed=11)
    mask = np.zeros((40, 44), bool)
    mask[10:30, 12:32] = True
    far = np.ones((40, 44), bool)
    far[6:34, 8:36] = False  # the descriptors look four pixels beyond the mask
    values = [
        measure(tensor(moving + shift * far), tensor(fixed - shift * far), torch.from_numpy(mask)).item()
        for shift in (0, 5)
    ]
    assert values[1] == pytest.approx(values[0], rel=1e-6)


@pytest.mark.parametrize("measure", ALL)
def test_a_batch_scores_each_image_alone(measure):
    one, two = textures(seed=12)
    mask = torch.from_numpy(fan_mask())
    both = measure(tensor(one, two), tensor(one), mask)
    alone = [measure(tensor(image), tensor(one), mask).item() for image in (one, two)]
    assert both.tolist() == pytest.approx(alone, rel=1e-9)


@pytest.mark.parametrize("measure", ALL)
def test_each_image_can_have_its_own_mask(measure):
    moving, fixed = textures(seed=12)
    other = np.roll(fan_mask(), 5, axis=1)
    masks = torch.from_numpy(np.stack([fan_mask(), other]))
    both = measure(tensor(moving, moving), tensor(fixed), masks)
    alone = [measure(tensor(moving), tensor(fixed), mask).item() for mask in masks]
    assert both.tolist() == pytest.approx(alone, rel=1e-9)


@pytest.mark.parametrize("measure", ALL)
def test_gradient_equals_finite_differences(measure):
    moving, fixed = (tensor(image).requires_grad_() for image in textures(shape=(9, 8), seed=13, smooth=0.7))
    mask = torch.ones(9, 8, dtype=torch.float64)
    mask[:2, :2] = 0
    assert torch.autograd.gradcheck(lambda *images: measure(*images, mask), (moving, fixed), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("measure", ALL)
def test_constant_images_score_without_nan(measure):
    flat = torch.zeros(1, 20, 20, requires_grad=True)
    value = measure(flat, torch.rand(1, 20, 20), torch.ones(20, 20))
    value.sum().backward()
    assert torch.isfinite(value).all() and torch.isfinite(flat.grad).all()
