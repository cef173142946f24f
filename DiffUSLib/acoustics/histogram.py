"""What a histogram tells of a volume, whatever the offset and the scale of its intensities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from DiffUSLib.geometry.volume import Volume

_LEAST_SPIKE = 0.05
"""Of the voxels at one very value: background that was set. Real noise spreads; 12-bit CT has 1.3 % at one value."""

_SAMPLES_PER_AXIS = 96


def sample_voxels(volume: Volume, per_axis: int = _SAMPLES_PER_AXIS) -> np.ndarray:
    """About `per_axis` voxels along each axis, in float64, (K, J, I)."""
    k, j, i = (max(1, n // per_axis) for n in volume.voxels.shape)
    return volume.voxels.detach()[::k, ::j, ::i].to("cpu", torch.float64).numpy()


def shorth(values: np.ndarray, share: float) -> tuple[float, float]:
    """Middle and width of the shortest interval that holds a share of the values: where a mode is, and how narrow."""
    ordered = np.sort(values, axis=None)
    count = max(1, min(len(ordered) - 1, round(share * len(ordered))))
    if len(ordered) < 2:
        return float(ordered[0]) if len(ordered) else 0.0, 0.0
    widths = ordered[count:] - ordered[: len(ordered) - count]
    first = int(widths.argmin())
    return float(ordered[first] + ordered[first + count]) / 2, float(widths[first])


def share_of(condition: np.ndarray) -> float:
    """The share of True; 0 of nothing."""
    return float(condition.mean()) if condition.size else 0.0


def between(value: float, no: float, yes: float) -> float:
    """0 at `no`, 1 at `yes` (which may be below it) and linear between: how far a figure speaks for something."""
    return float(np.clip((value - no) / (yes - no), 0.0, 1.0))


def spikes(array: np.ndarray, least: float = _LEAST_SPIKE) -> list[float]:
    """Values that at least this share of the voxels have exactly, most frequent first."""
    values, counts = np.unique(array, return_counts=True)
    often = counts >= least * array.size
    return [float(value) for value in values[often][np.argsort(-counts[often], kind="stable")]]


@dataclass(frozen=True)
class Background:
    """What surrounds the anatomy in an MRI.

    Args:
        value: the one value that was set around it, or None if the background is noise, or there is none.
        zero: the intensity that stands for no signal, in the units of the volume.
    """

    value: float | None
    zero: float

    def signal(self, intensities):
        """Intensities above no signal, zero in the background; of an array or a tensor, in its own kind."""
        signal = intensities - self.zero
        signal[signal < 0] = 0
        if self.value is not None:
            signal[intensities == self.value] = 0
        return signal


def find_background(array: np.ndarray) -> Background:
    """The background of an MRI, whatever its value: below, among or far from the intensities of the anatomy.

    A value that many voxels have exactly and most of the border of the grid has is the background. It also is the zero
    of the signal, but for three: negative around an anatomy that is not (-1000 around a brain); among the intensities
    (z-scores in a mask around which zeros were set); or far below them. In the latter two the darkest anatomy gets a
    third of the brightest signal. Without such a value, noise at the dark end is the background.
    """
    border = np.concatenate(
        [face.ravel() for axis in range(3) for face in (array.take(0, axis), array.take(-1, axis))]
    )
    set_values = [value for value in spikes(array) if share_of(border == value) > 0.1]
    if set_values:
        value = max(set_values, key=lambda one: share_of(border == one))
        anatomy = array[array != value]
        if not anatomy.size:
            return Background(value, value)
        darkest, dark, bright = np.percentile(anatomy, [0.1, 1.0, 99.0])
        if value < 0 and darkest > max(value, -0.1 * bright):
            return Background(value, 0.0)
        among = share_of(anatomy < value - 0.05 * (bright - dark)) > 0.03
        far_below = value < dark - 3.0 * (bright - dark)
        return Background(value, float(darkest - 0.5 * (bright - darkest)) if among or far_below else value)
    low, high = np.percentile(array, [0.1, 99.5])
    dark, _ = shorth(array[array < low + 0.25 * (high - low)], 0.5)
    border_is_dark = share_of(border < low + 0.15 * (high - low)) > 0.1
    return Background(None, float(dark if border_is_dark and dark < low + 0.15 * (high - low) else low))
