"""How gray real ultrasound of the brain is, and the default look in its place: gain and gray map were chosen by this.

    python Testing/gray_of_real_frames.py FOLDER

FOLDER: as in `compare_with_real_ultrasound.py`. Only where the transducer had contact (local mean above half of its
median), and in the volume. Prints percentiles of gray, and its median in gray and white matter of the MRI.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from compare_with_real_ultrasound import PIXEL_MM, read_all
from scipy import ndimage

from DiffUSLib.evaluation.pair_measures import FrameComparison
from DiffUSLib.rendering.settings import look

PERCENTILES = (10, 25, 50, 75, 90, 97, 99)
MATTER = (0.75, 2.3)  # on the axis of tissues: 1 gray, 2 white matter
_LOCAL_MM = 5.0


def with_contact(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(H, W) bool: the part of the mask where the frame (H, W) shows anything."""
    sigma = _LOCAL_MM / PIXEL_MM
    mean = ndimage.gaussian_filter(image * mask, sigma) / (ndimage.gaussian_filter(mask.astype(float), sigma) + 1e-6)
    bright = mask & (mean > 0.3 * mean[mask].max())
    return mask & (mean > 0.5 * np.median(mean[bright]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'':<24}" + "".join(f"{f'{percent} %':>7}" for percent in PERCENTILES) + f"{'matter':>8}")
    for name, (slices, volume, maps) in read_all(arguments.folder).items():
        comparison = FrameComparison(slices, 0, volume, maps)
        seen = with_contact(comparison.ultrasound, comparison.mask)
        positions = maps.axis.positions[0].numpy()
        matter = seen & (positions > MATTER[0]) & (positions < MATTER[1])
        for kind, image in (("real", comparison.ultrasound), ("default", comparison.rendered(look("clinical")))):
            shown = "".join(f"{gray:>7.2f}" for gray in np.percentile(image[seen], PERCENTILES))
            print(f"{name + ', ' + kind:<24}{shown}{np.median(image[matter]):>8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
