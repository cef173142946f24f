"""Similarity measures against direct computations with NumPy and SciPy, and what they must not react to."""

import numpy as np
import pytest
import torch
from scipy import interpolate, ndimage

from DiffUSLib.errors import DiffUSError
from DiffUSLib.similarity import lc2, lncc, mind_ssc, mutual_information, ngf, regression, similarity, similarity_names
from DiffUSLib.similarity.lc2 import gradient_magnitude
from DiffUSLib.similarity.mind import descriptor

ALL = similarity_names()


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


def reference_lncc(moving, fixed, mask, half):
    correlations, weights = [], []
    for _, area in windows(mask, half):
        inside = mask[area]
        u, p = fixed[area][inside], moving[area][inside]
        correlations.append(np.corrcoef(u, p)[0, 1])
        weights.append(u.std() * inside.sum())
    return np.average(correlations, weights=weights)


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


def test_lncc_equals_the_correlation_coefficient_of_each_window():
    moving, fixed = textures()
    fixed = fixed + moving
    mask = fan_mask()
    value = lncc(tensor(moving), tensor(fixed), torch.from_numpy(mask), window=(7, 7))
    assert value.item() == pytest.approx(reference_lncc(moving, fixed, mask, 3), abs=5e-3)


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


def test_regression_equals_the_r_squared_of_one_least_squares_fit():
    """Two slices that share their weights against numpy's solution on windows subtracted pixel by pixel."""
    images = textures(count=6, seed=14)
    fixed = [images[4] + 0.8 * images[0] - images[1], images[5] + 0.8 * images[2] - images[3]]
    mask = fan_mask()

    def without_window(image):
        return np.array([image[place] - image[area][mask[area]].mean() for place, area in windows(mask, 4)])

    design = np.stack([without_window(image) for image in images[:4]]).reshape(2, 2, -1).transpose(1, 0, 2)
    design, target = design.reshape(2, -1).T, np.concatenate([without_window(image) for image in fixed])
    residual = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    expected = -0.5 * np.log((residual**2).sum() / (target**2).sum())
    moving = tensor(*images[:4]).reshape(2, 2, 40, 44)
    value = regression(moving, tensor(*fixed), torch.from_numpy(mask), window=(9, 9), joint=2)
    assert value.shape == (1,)
    assert value.item() == pytest.approx(expected, rel=5e-3)


def test_gradient_magnitude_equals_numpy():
    image = textures()[0]
    value = gradient_magnitude(tensor(image))[0].numpy()
    assert value == pytest.approx(np.hypot(*np.gradient(image)), abs=2e-3)


def test_ngf_equals_its_definition():
    moving, fixed = textures(seed=2)
    mask = fan_mask()
    inner = mask.copy()
    for axis in (0, 1):
        inner &= np.roll(mask, 1, axis) & np.roll(mask, -1, axis)
    (fy, fx), (my, mx) = np.gradient(fixed), np.gradient(moving)
    f2, m2 = fx**2 + fy**2, mx**2 + my**2
    cosine = (fx * mx + fy * my) ** 2 / ((f2 + 0.25 * f2[inner].mean()) * (m2 + 0.25 * m2[inner].mean()))
    value = ngf(tensor(moving), tensor(fixed), torch.from_numpy(mask))
    assert value.item() == pytest.approx(cosine[inner].mean(), rel=1e-6)


def test_mind_descriptor_equals_its_definition():
    image = textures(seed=4)[0]
    weights = np.ones_like(image)
    value = descriptor(tensor(image), tensor(weights), distance_px=2, patch=3)[0].numpy()
    row, column = 20, 21
    neighbors = [image[row + dr - 1 : row + dr + 2, column + dc - 1 : column + dc + 2] for dr, dc in
                 ((-2, 0), (0, 2), (2, 0), (0, -2))]  # fmt: skip
    distances = np.array([((neighbors[i] - neighbors[(i + 1) % 4]) ** 2).mean() for i in range(4)])
    assert value[:, row, column] == pytest.approx(np.exp(-distances / distances.mean()), abs=2e-3)


def test_mind_of_different_images_is_lower():
    moving, fixed = textures(seed=6)
    ones = torch.ones(40, 44)
    assert mind_ssc(tensor(moving), tensor(moving), ones).item() == pytest.approx(1)
    assert mind_ssc(tensor(moving), tensor(fixed), ones).item() < 0.85


def test_mutual_information_equals_a_spline_histogram():
    moving, fixed = textures(shape=(24, 20), seed=7)
    fixed = fixed + 0.5 * moving**2
    mask = fan_mask((24, 20))
    bins = 16
    spline = interpolate.BSpline.basis_element([-2, -1, 0, 1, 2], extrapolate=False)

    def spread(image):
        values = image[mask]
        place = np.clip((values - values.mean()) / values.std(), -3, 3) / 3 * ((bins - 1) / 2 - 2) + (bins - 1) / 2
        return np.nan_to_num(spline(place[:, None] - np.arange(bins)))

    joint = spread(fixed).T @ spread(moving) / mask.sum()
    expected = joint * np.log(
        np.where(joint > 0, joint, 1) / np.where(joint > 0, np.outer(joint.sum(1), joint.sum(0)), 1)
    )
    value = mutual_information(tensor(moving), tensor(fixed), torch.from_numpy(mask), bins=bins)
    assert value.item() == pytest.approx(expected.sum(), rel=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_likeness_wins(name):
    """A noisy copy scores higher than a shifted copy, which scores higher than another image."""
    clean, noise, other = textures(count=3, seed=8, smooth=2.5)
    fixed, mask = tensor(clean + 0.05 * noise), torch.from_numpy(fan_mask())
    scores = [similarity(name)(tensor(image), fixed, mask).item() for image in (clean, np.roll(clean, 2, 1), other)]
    assert scores[0] > scores[1] > scores[2]


@pytest.mark.parametrize("name", ALL)
def test_gain_and_offset_do_not_matter(name):
    moving, fixed = textures(seed=9)
    mask, measure = torch.from_numpy(fan_mask()), similarity(name)
    plain = measure(tensor(moving), tensor(fixed), mask)
    changed = measure(tensor(0.01 * moving - 3), tensor(40 * fixed + 100), mask)
    assert changed.item() == pytest.approx(plain.item(), abs=1e-3)


@pytest.mark.parametrize("name", ["lncc", "lc2", "ngf", "mind_ssc"])
def test_slow_time_gain_hardly_matters(name):
    clean, noise = textures(seed=10)
    fixed = clean + 0.4 * noise
    gain = np.linspace(0.6, 1.5, 40)[:, None]
    mask, measure = torch.from_numpy(fan_mask()), similarity(name)
    plain = measure(tensor(clean), tensor(fixed), mask).item()
    assert measure(tensor(clean), tensor(fixed * gain), mask).item() == pytest.approx(plain, rel=0.06)


def test_time_gain_in_decibels_hardly_matters_to_regression():
    """On a log-compressed image TGC is an offset that grows with depth."""
    clean, noise = textures(seed=10)
    fixed, ramp = clean + 0.4 * noise, np.linspace(-3, 3, 40)[:, None]
    mask = torch.from_numpy(fan_mask())
    plain = regression(tensor(clean), tensor(fixed), mask, window=(9, 9)).item()
    assert regression(tensor(clean), tensor(fixed + ramp), mask, window=(9, 9)).item() == pytest.approx(
        plain, rel=0.03
    )


@pytest.mark.parametrize("name", ALL)
def test_what_lies_outside_the_mask_does_not_matter(name):
    moving, fixed = textures(seed=11)
    mask = np.zeros((40, 44), bool)
    mask[10:30, 12:32] = True
    far = np.ones((40, 44), bool)
    far[6:34, 8:36] = False  # the descriptors look four pixels beyond the mask
    measure = similarity(name)
    values = [
        measure(tensor(moving + shift * far), tensor(fixed - shift * far), torch.from_numpy(mask)).item()
        for shift in (0, 5)
    ]
    assert values[1] == pytest.approx(values[0], rel=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_a_batch_scores_each_image_alone(name):
    one, two = textures(seed=12)
    mask, measure = torch.from_numpy(fan_mask()), similarity(name)
    both = measure(tensor(one, two), tensor(one), mask)
    alone = [measure(tensor(image), tensor(one), mask).item() for image in (one, two)]
    assert both.tolist() == pytest.approx(alone, rel=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_each_image_can_have_its_own_mask(name):
    moving, fixed = textures(seed=12)
    other = np.roll(fan_mask(), 5, axis=1)
    masks, measure = torch.from_numpy(np.stack([fan_mask(), other])), similarity(name)
    both = measure(tensor(moving, moving), tensor(fixed), masks)
    alone = [measure(tensor(moving), tensor(fixed), mask).item() for mask in masks]
    assert both.tolist() == pytest.approx(alone, rel=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_gradient_equals_finite_differences(name):
    moving, fixed = (tensor(image).requires_grad_() for image in textures(shape=(9, 8), seed=13, smooth=0.7))
    mask = torch.ones(9, 8, dtype=torch.float64)
    mask[:2, :2] = 0
    assert torch.autograd.gradcheck(
        lambda *images: similarity(name)(*images, mask), (moving, fixed), eps=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("name", ALL)
def test_constant_images_score_without_nan(name):
    flat = torch.zeros(1, 20, 20, requires_grad=True)
    value = similarity(name)(flat, torch.rand(1, 20, 20), torch.ones(20, 20))
    value.sum().backward()
    assert torch.isfinite(value).all() and torch.isfinite(flat.grad).all()


def test_unknown_similarity_is_refused():
    with pytest.raises(DiffUSError, match="lncc"):
        similarity("ssim")
