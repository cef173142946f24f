"""What the thread of a fit does; touches neither MRML nor Qt."""

from dataclasses import dataclass

import numpy as np

from ..live.torch_threads import oneTorchThread

MOST_FRAMES = 4
"""A look has few parameters: more frames take longer and change little."""


@dataclass(frozen=True)
class Match:
    """What a fit found.

    Attributes:
        appearance: DiffUSLib's Appearance.
        pictures: (N, H, W) arrays in [0, 1]: the real frame, and with a volume what it shows before and after.
        likeness: correlation with the frames before and after, and how much the anatomy explains; () without a volume.
    """

    appearance: object
    pictures: np.ndarray
    likeness: tuple = ()


class MatchJob:
    """One fit, from copies of what is in the scene.

    Args:
        makeSlices: function that returns DiffUSLib's UltrasoundSlices, the numbers of their frames, and the index of
            the one to show.
        maps: DiffUSLib's AcousticMaps of the patient, or None to use the frames alone.
        start: DiffUSLib's Appearance to start from.
        name: of the look.
    """

    def __init__(self, makeSlices, maps, start, name):
        self._makeSlices, self._maps, self._start, self._name = makeSlices, maps, start, name

    def steps(self):
        """Generator of DiffUSLib's FitProgress; its return value is the Match."""
        with oneTorchThread():
            return (yield from self._steps())

    def _steps(self):
        from dataclasses import replace

        from DiffUSLib import SliceComparison, fit_appearance, fit_to_frames

        slices, numbers, shown = self._makeSlices()
        source = f"fitted to {len(numbers)} frame(s)"
        if self._maps is None:
            fitted = fit_to_frames(slices, self._start, self._name)
            return Match(replace(fitted, source=source), slices.images[[shown]] / 255.0)
        result = yield from fit_appearance(slices, self._maps, self._start, self._name)
        result.check()
        fitted = replace(result.appearance, source=f"{source} and the volume behind them")
        pictures = []
        for appearance in (self._start, fitted):
            comparison = SliceComparison(slices, self._maps, shown, settings=appearance.settings())
            pictures.append(comparison.rendered(_identity())[0])
        pictures = np.stack([comparison.ultrasound, *pictures])
        return Match(fitted, pictures, (result.likeness_before, result.likeness, result.explained))


def _identity():
    import torch

    return torch.eye(4, dtype=torch.float64)[None]
