"""What `diffus register` does besides aligning: starts from landmarks, and calibration along the way."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import torch

from DiffUSLib.acoustics import AcousticMaps
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io.points import point_pairs, read_points
from DiffUSLib.io.tracked import TrackedFrames
from DiffUSLib.io.tracked_places import PlacedFrames
from DiffUSLib.registration import (
    CALIBRATED,
    LandmarkStart,
    ProbePath,
    RegistrationResult,
    RegistrationSettings,
    SweepCalibration,
    UltrasoundSlices,
    start_from_landmarks,
)
from DiffUSLib.registration.calibration import Calibration, nearest_rigid


def landmark_start(words: list[str]) -> LandmarkStart:
    """The start that `--start landmarks US VOLUME` asks for.

    Raises:
        DiffUSError: if the words are others, or the lists do not fit together.
    """
    if words[0] != "landmarks" or len(words) != 3:
        raise DiffUSError(
            "--start needs the word landmarks and two point lists: in the ultrasound, and in the volume."
        )
    return start_from_landmarks(*point_pairs(*(read_points(path) for path in words[1:])))


def slices_moved(slices: UltrasoundSlices, start: torch.Tensor) -> UltrasoundSlices:
    """The slices after a start (4, 4)."""
    return replace(slices, transducer_to_ras=start @ slices.transducer_to_ras)


def calibration_wishes(text: str) -> set[str]:
    """What `--calibrate` names.

    Raises:
        DiffUSError: for an unknown word.
    """
    wanted = text.split(",")
    for word in wanted:
        if word not in CALIBRATED:
            raise DiffUSError(f"--calibrate knows no '{word}'; choose from {', '.join(CALIBRATED)}.")
    return set(wanted)


def probe_path(
    tracked: TrackedFrames, placed: PlacedFrames, used: list[int], slices: UltrasoundSlices, start: torch.Tensor
) -> ProbePath | None:
    """The probe's path over time, of the frames that can be used; None where they have no increasing times.

    Args:
        tracked, placed: the whole sequence.
        used: numbers of the frames of the slices.
        slices: of these frames, where the tracking has them.
        start: (4, 4) by which the slices to align were moved.
    """
    valid = placed.valid.nonzero().flatten().tolist()
    times = tracked.timestamps_s.numpy()[valid]
    kept = [n for n, time in enumerate(times) if np.isfinite(time) and (n == 0 or time > times[:n].max())]
    if len(kept) < 3:
        return None
    index = [valid.index(tracked.numbers.index(number)) for number in used]
    # Probe and image are one body: what moves the pixels of one frame to those of another moves the transducer, too.
    motions = placed.image_to_patient[valid] @ torch.linalg.inv(placed.image_to_patient[valid][index[0]])
    poses = start @ nearest_rigid(motions @ slices.transducer_to_ras[0])
    return ProbePath(times[kept], poses.numpy()[kept], times[index])


def calibrated(
    volume: Volume,
    slices: UltrasoundSlices,
    settings: RegistrationSettings,
    maps: AcousticMaps,
    result: RegistrationResult,
    wanted: set[str],
    path: ProbePath | None,
) -> tuple[Calibration, RegistrationResult]:
    """What was found along with the correction, and the result with the correction that belongs to it."""
    run = SweepCalibration(volume, slices, settings, maps, result.correction_ras, wanted, path)
    print("calibration ...", file=sys.stderr, flush=True)
    for _ in run.steps():
        pass
    assert run.found is not None  # it ran to its end
    for parameter in run.found.parameters:
        doubt = "" if parameter.determined else "; this sweep does not tell it"
        print(f"{parameter.name}: {parameter.value:.3g} +- {parameter.uncertainty:.2g} {parameter.unit}{doubt}")
    return run.found, replace(result, correction_ras=run.found.correction_ras)


def calibration_report(calibration: Calibration) -> list[dict]:
    """Plain values that JSON can hold."""
    return [
        {
            "name": parameter.name,
            "unit": parameter.unit,
            "value": parameter.value,
            "standard_deviation": parameter.uncertainty,
            "determined": parameter.determined,
        }
        for parameter in calibration.parameters
    ]
