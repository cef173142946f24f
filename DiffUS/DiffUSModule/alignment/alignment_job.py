"""What the thread of an alignment does; touches neither MRML nor Qt."""

import time
from dataclasses import dataclass, replace

import numpy as np

from ..live.torch_threads import oneTorchThread

SECONDS_BETWEEN_IMAGES = 0.25
"""A rendered image takes about 20 ms; the eye does not need more of them."""


@dataclass(frozen=True)
class FoundFan:
    """2D frames ready for alignment.

    Attributes:
        images: (N, H, W) with square pixels.
        imageToRas: (N, 4, 4) array.
        pixelShare: (2,) columns and rows of the stored pixels for one square pixel.
        fan: DiffUSLib's FanGeometry, or None if none was found.
        problem: why none was found, as DiffUSError, or None.
    """

    images: np.ndarray
    imageToRas: np.ndarray
    pixelShare: np.ndarray
    fan: object
    problem: Exception


def findFan(frames):
    """Make pixels square and find the fan in UltrasoundFrames.

    Raises:
        DiffUSError: if the matrices of the frames are no places of images.
    """
    import torch

    from DiffUSLib import DiffUSError, detect_fan, square_pixels

    images, matrices = square_pixels(frames.images, torch.from_numpy(frames.imageToRas))
    try:
        fan, problem = detect_fan(images), None
        fan.to_probe((1.0, 1.0), 5.0)  # a fan of a kind that is not simulated is a problem, too
    except DiffUSError as error:
        fan, problem = None, error
    imageToRas = matrices.numpy()
    share = (np.linalg.norm(m[0, :3, :2], axis=0) for m in (imageToRas, frames.imageToRas))
    return FoundFan(images, imageToRas, np.divide(*share), fan, problem)


def framesOf(frames, fan, count):
    """Function for AlignmentJob: slices of UltrasoundFrames.

    Args:
        fan: DiffUSLib's FanGeometry in square pixels, or None to find it.
        count: of frames to use at most.
    """

    def makeSlices():
        import torch

        from DiffUSLib import detect_fan, slices_from_images, spread_frames, square_pixels

        images, matrices = square_pixels(frames.images, torch.from_numpy(frames.imageToRas))
        picked = spread_frames(len(images), count, frames.shown)
        slices = slices_from_images(images[picked], matrices[picked], fan or detect_fan(images))
        return slices, [frames.numbers[index] for index in picked], picked.index(frames.shown)

    return makeSlices


def planesOf(volume, planes):
    """Function for AlignmentJob: slices of a 3D ultrasound volume (VolumeCopy).

    Args:
        planes: (P, 4, 4) planes to cut, or None for several along its axes.
    """

    def makeSlices():
        from DiffUSLib import slices_from_volume

        slices = slices_from_volume(volume.toLibrary(), planes_to_ras=planes)
        return slices, list(range(len(slices.images))), 0

    return makeSlices


@dataclass(frozen=True)
class Snapshot:
    """Where an alignment stands.

    Attributes:
        stage, iteration, score: as of DiffUSLib's Progress.
        correction: (4, 4) array in RAS.
        comparison: DiffUSLib's SliceComparison of the slice that is shown.
        rendered: (H, W) array of what the volume shows at its place, or None if none was made for this step.
    """

    stage: str
    iteration: int
    score: float
    correction: np.ndarray
    comparison: object
    rendered: object = None


@dataclass(frozen=True)
class Outcome:
    """What an alignment found.

    Attributes:
        result: DiffUSLib's RegistrationResult.
        report: names and plain values.
        comparison: DiffUSLib's SliceComparison.
        rendered: (2, H, W) array: what the volume shows at the slice's place before and after.
        correction: (4, 4) array in RAS.
        slices: DiffUSLib's UltrasoundSlices, where the tracking has them.
    """

    result: object
    report: dict
    comparison: object
    rendered: np.ndarray
    correction: np.ndarray
    slices: object


class AlignmentJob:
    """One alignment, from copies of what is in the scene.

    Args:
        makeSlices: function that returns DiffUSLib's UltrasoundSlices, the numbers of their frames, and the index of
            the one to show.
        volume: VolumeCopy of the patient.
        maps: DiffUSLib's AcousticMaps of it.
        settings: keyword arguments of DiffUSLib's RegistrationSettings.
        appearance: DiffUSLib's Appearance that the rendered images have, or None for the default. It does not
            change what is found.
    """

    def __init__(self, makeSlices, volume, maps, settings, appearance=None):
        self._makeSlices, self._volume, self._maps, self._settings = makeSlices, volume, maps, settings
        self._appearance = appearance

    def steps(self):
        """Generator of Snapshots; its return value is the Outcome."""
        with oneTorchThread():
            return (yield from self._steps())

    def _steps(self):
        import torch

        from DiffUSLib import Alignment, RegistrationSettings, SliceComparison, registration_report

        slices, numbers, shownSlice = self._makeSlices()
        alignment = Alignment(self._volume.toLibrary(), slices, RegistrationSettings(**self._settings), self._maps)
        look = None
        if self._appearance is not None:
            look = replace(self._appearance.settings(), speckle=False, near_field=False)
        comparison = SliceComparison(slices, self._maps, shownSlice, settings=look)
        identity = torch.eye(4, dtype=torch.float64)
        yield Snapshot("start", 0, 0.0, identity.numpy(), comparison, comparison.rendered(identity[None])[0])
        shown = time.perf_counter()
        for progress in alignment.steps():
            rendered = None
            if time.perf_counter() - shown > SECONDS_BETWEEN_IMAGES:
                rendered = comparison.rendered(progress.correction_ras[None])[0]
                shown = time.perf_counter()
            correction = progress.correction_ras.numpy()
            yield Snapshot(progress.stage, progress.iteration, progress.score, correction, comparison, rendered)
        result = alignment.result
        rendered = comparison.before_and_after(result)
        report = registration_report(result, list(numbers))
        return Outcome(result, report, comparison, rendered, result.correction_ras.numpy(), slices)
