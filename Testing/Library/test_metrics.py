"""Image similarity against scikit-image, NumPy and known shifts."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift
from skimage.metrics import structural_similarity

from DiffUSLib.errors import DiffUSError
from DiffUSLib.similarity.metrics import compare_images

RNG = np.random.default_rng(5)
FIRST = gaussian_filter(RNG.random((80, 90)), 2)
FIRST = (FIRST - FIRST.min()) / np.ptp(FIRST)
SECOND = np.clip(0.6 * FIRST + 0.2 + 0.05 * RNG.normal(size=FIRST.shape), 0, 1)


def test_measures_over_the_whole_image_are_those_of_numpy_and_scikit_image():
    found = compare_images(FIRST, SECOND)
    assert found.ncc == pytest.approx(np.corrcoef(FIRST.ravel(), SECOND.ravel())[0, 1])
    assert found.mse == pytest.approx(((FIRST - SECOND) ** 2).mean())
    assert found.mae == pytest.approx(abs(FIRST - SECOND).mean())
    assert found.ssim == pytest.approx(structural_similarity(FIRST, SECOND, data_range=1.0), abs=0.02)


def test_only_pixels_inside_the_mask_count():
    mask = np.zeros(FIRST.shape, bool)
    mask[20:60, 20:60] = True
    spoiled = np.where(mask, SECOND, 1.0)
    inside = slice(20, 60)
    expected = np.corrcoef(FIRST[inside, inside].ravel(), SECOND[inside, inside].ravel())[0, 1]
    found = compare_images(FIRST, spoiled, mask)
    assert found.ncc == pytest.approx(expected)
    assert found.mse == pytest.approx(((FIRST - SECOND)[inside, inside] ** 2).mean())
    assert found.mae == pytest.approx(abs(FIRST - SECOND)[inside, inside].mean())
    # Structural similarity looks at 7 x 7 windows, so those at the edge of the mask see a little beyond it.
    assert found.ssim == pytest.approx(compare_images(FIRST, SECOND, mask).ssim, abs=0.2)
    assert found.ssim > compare_images(FIRST, spoiled).ssim + 0.2


def test_alignment_looks_at_the_mask_alone():
    textured = np.clip(FIRST + 0.1 * RNG.normal(size=FIRST.shape), 0, 1)
    moved = shift(textured, (3.0, -2.0), order=1, mode="nearest")
    mask = np.zeros(FIRST.shape, bool)
    mask[10:70, 10:80] = True
    frame = 3.0 * RNG.normal(size=FIRST.shape)  # the same in both images and outside the mask: it did not move
    found = compare_images(np.where(mask, textured, frame), np.where(mask, moved, frame), mask, align=True)
    np.testing.assert_allclose(found.shift_px, (-3.0, 2.0), atol=0.3)


def test_alignment_finds_a_known_shift():
    textured = np.clip(FIRST + 0.1 * RNG.normal(size=FIRST.shape), 0, 1)  # phase needs some detail to lock on to
    moved = shift(textured, (3.0, -2.0), order=1, mode="nearest")
    found = compare_images(textured, moved, align=True)
    np.testing.assert_allclose(found.shift_px, (-3.0, 2.0), atol=0.2)
    assert found.ncc > compare_images(textured, moved).ncc


def test_a_constant_image_has_no_correlation():
    assert np.isnan(compare_images(FIRST, np.zeros_like(FIRST)).ncc)


def test_images_of_other_shapes_and_empty_masks_are_refused():
    with pytest.raises(DiffUSError, match="resample"):
        compare_images(FIRST, FIRST[:-1])
    with pytest.raises(DiffUSError, match="mask"):
        compare_images(FIRST, SECOND, np.zeros(FIRST.shape, bool))
