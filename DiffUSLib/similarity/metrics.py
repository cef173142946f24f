"""How alike two images are, over the whole image or inside the fan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.extras import optional


@dataclass(frozen=True)
class ImageSimilarity:
    """Similarity of two images with gray in [0, 1].

    Args:
        ncc: normalized cross-correlation, -1 to 1 (1 is best); NaN if an image is constant.
        ssim: mean structural similarity (Wang 2004), -1 to 1 (1 is best).
        mse: mean squared error (0 is best).
        mae: mean absolute error (0 is best).
        shift_px: (rows, columns) that aligned the second image with the first, (0, 0) if not asked for.
    """

    ncc: float
    ssim: float
    mse: float
    mae: float
    shift_px: tuple[float, float] = (0.0, 0.0)


def compare_images(reference, image, mask=None, align: bool = False) -> ImageSimilarity:
    """Compare an image with a reference.

    Args:
        reference, image: (H, W) tensors or arrays, gray in [0, 1].
        mask: (H, W) bool; only these pixels count (for instance those inside the fan).
        align: first shift the image by phase cross-correlation, as the paper does before it compares.

    Raises:
        DiffUSError: if the shapes differ, the mask is empty or scikit-image is missing.
    """
    from scipy.ndimage import shift
    structural_similarity = optional("skimage.metrics", "metrics").structural_similarity
    phase_cross_correlation = optional("skimage.registration", "metrics").phase_cross_correlation

    first, second = _as_array(reference), _as_array(image)
    if first.ndim != 2 or first.shape != second.shape:
        raise DiffUSError(
            f"images of {first.shape} and {second.shape} pixels cannot be compared; resample one of them."
        )
    inside = np.ones(first.shape, bool) if mask is None else _as_array(mask).astype(bool)
    if inside.shape != first.shape or not inside.any():
        raise DiffUSError("the mask must have the shape of the images and hold at least one pixel.")
    moved = np.zeros(2)
    if align:
        moved = phase_cross_correlation(first * inside, second * inside, upsample_factor=10)[0]
        second = shift(second, moved, order=1)
    likeness = structural_similarity(first, second, data_range=1.0, full=True)[1]
    a, b = first[inside], second[inside]
    spread = a.std() * b.std()
    ncc = float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 0 else float("nan")
    return ImageSimilarity(
        ncc=ncc,
        ssim=float(likeness[inside].mean()),
        mse=float(np.square(a - b).mean()),
        mae=float(np.abs(a - b).mean()),
        shift_px=(float(moved[0]), float(moved[1])),
    )


def _as_array(values) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values, dtype=np.float64)
