"""What the thread of a search for brain shift does; touches neither MRML nor Qt."""

from dataclasses import dataclass

import numpy as np

from ..live.torch_threads import oneTorchThread


@dataclass(frozen=True)
class ShiftProgress:
    """Where it stands: "halves" or "together" as DiffUSLib's DeformationProgress, then "map"; the step from 0."""

    stage: str
    iteration: int


@dataclass(frozen=True)
class Shift:
    """What was found.

    Attributes:
        result: DiffUSLib's DeformationResult.
        coefficientsMm: (R, A, S, 3) array of the cubic B-splines, along R, A and S: from where the corrected
            ultrasound has tissue to where the volume has it.
        firstRasMm, spacingMm: place of the first coefficient, and the distance between them.
        errorsMm: (K, J, I) array: 90 % of the errors are expected below.
        errorsToRas: (4, 4) array of its voxels.
        nextView: sentence on the additional view that would shrink the error most.
    """

    result: object
    coefficientsMm: np.ndarray
    firstRasMm: tuple
    spacingMm: float
    errorsMm: np.ndarray
    errorsToRas: np.ndarray
    nextView: str

    @property
    def sentences(self):
        """What there is to know, for people."""
        result, told = self.result, [self.result.sentence]
        if result.is_better:
            mean, most = result.displacement_mm
            told.append(f"Tissue moved by {mean:.1f} mm on average and {most:.1f} mm at most within the fans.")
        return " ".join([*told, self.nextView])


class ShiftJob:
    """One search, from copies of what is in the scene.

    Args:
        slices: DiffUSLib's UltrasoundSlices of the alignment.
        rigid: its RegistrationResult.
        volume: VolumeCopy of the patient.
        maps: DiffUSLib's AcousticMaps of it.
    """

    def __init__(self, slices, rigid, volume, maps):
        self._slices, self._rigid, self._volume, self._maps = slices, rigid, volume, maps

    def steps(self):
        """Generator of ShiftProgress; its return value is the Shift."""
        with oneTorchThread():
            return (yield from self._steps())

    def _steps(self):
        from DiffUSLib import Deformation, error_map

        search = Deformation(self._volume.toLibrary(), self._slices, self._rigid, maps=self._maps)
        for progress in search.steps():
            yield ShiftProgress(progress.stage, progress.iteration)
        errors = yield from _counted(error_map(search))
        warp = search.result.warp
        return Shift(
            result=search.result,
            coefficientsMm=np.array(warp.coefficients_mm).reshape(*warp.knots.shape, 3),
            firstRasMm=warp.knots.first_ras_mm,
            spacingMm=warp.knots.spacing_mm,
            errorsMm=errors.p90_mm.voxels.numpy(),
            errorsToRas=errors.p90_mm.ijk_to_ras.numpy(),
            nextView=errors.next_view,
        )


def _counted(work):
    """Steps of the error map as ShiftProgress; returns what it does."""
    iteration = 0
    while True:
        try:
            next(work)
        except StopIteration as stop:
            return stop.value
        yield ShiftProgress("map", iteration)
        iteration += 1
