"""A volume from DICOM: choose the series, find its slices, and put them at their true places."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.io.dicom_files import StoredPixels, other_kind, quiet_pydicom, read_header, read_headers
from DiffUSLib.io.dicom_frames import Slice, count_slices, slices_of
from DiffUSLib.io.dicom_stacks import Stack, along, find_stacks, is_even, normal_of
from DiffUSLib.io.frames import LPS_TO_RAS

if TYPE_CHECKING:
    from pydicom import Dataset

_SHEAR = 0.02  # sideways for each mm along
_GAP = 1.5  # times both neighboring distances: slices are missing
_WIDEST_GAP, _WIDEST_GAP_MM = 3.05, 5.0  # times the median distance; filled by interpolation, and told
_FINEST = 0.2  # of the median distance: of the even grid


def read_dicom_volume(
    path: Path, series_uid: str | None = None, phase: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (K, J, I) and the (4, 4) IJK-to-RAS matrix in mm of a folder of slices or of one enhanced file.

    Slices that are not evenly spaced are interpolated at even places between their true ones, which is told.

    Raises:
        DiffUSError: if there is no such volume, or several and `phase` does not choose one.
    """
    with quiet_pydicom():
        headers = _headers(path)
    chosen = _choose_series(path, headers, series_uid)
    what = f"series {_series_uid(chosen[0])} of {path}" if path.is_dir() else str(path)
    with quiet_pydicom():
        slices = [one for header in chosen for one in slices_of(header)]
    pixels = StoredPixels()
    stacks, notes = find_stacks(slices, pixels, what)
    if max(len(stack.slices) for stack in stacks) < 2:
        one_file = "" if path.is_dir() else ": name the folder that holds all slices"
        raise DiffUSError(f"{what} has a single slice; choose a series that is a volume{one_file}.")
    stack = _choose_stack(stacks, phase, what)
    if stack.slices[0].shape[2] > 1:
        raise DiffUSError(f"{what} holds {stack.slices[0].shape[2]} values per voxel (colors); give a scalar series.")
    if stack.slices[0].inverted:
        notes.append(f"{what} shows its lowest values white (MONOCHROME1); they were inverted.")
    where = along(stack.slices)
    places, spacing_mm = _even_places(stack, where, what, notes)
    voxels = _interpolated(_stacked(stack.slices, pixels), where, places)
    for note in notes:
        warnings.warn(note, DiffUSWarning, stacklevel=3)
    return voxels, _matrix(stack.slices[0], spacing_mm)


def _headers(path: Path) -> list[Dataset]:
    if path.name.upper() == "DICOMDIR" and not path.is_dir():
        path = path.parent
    if path.is_dir():
        headers, others = read_headers(path)
        if not headers and others:
            raise DiffUSError(
                f"{path} holds no DICOM images ({', '.join(sorted(others))} only); name the folder of the MRI or CT."
            )
        if not headers:
            raise DiffUSError(f"{path} is a folder without DICOM images; name a volume file or a DICOM folder.")
        return headers
    header = read_header(path)
    if header is None or "Rows" not in header or other_kind(header):
        kind = other_kind(header) if header is not None else None
        what = f"a DICOM {kind}, no image" if kind else "no DICOM image"
        raise DiffUSError(f"{path} is {what}; name an MRI or CT file, or the folder of its slices.")
    return [header]


def _choose_series(path: Path, headers: list[Dataset], wanted: str | None) -> list[Dataset]:
    series: dict[str, list[Dataset]] = {}
    for header in headers:
        series.setdefault(_series_uid(header), []).append(header)
    counts = {uid: sum(map(count_slices, members)) for uid, members in series.items()}
    listed = "; ".join(
        f"{uid} ({_about(members[0])}{counts[uid]} slice{'s' * (counts[uid] != 1)})" for uid, members in series.items()
    )
    if wanted is not None:
        found = [uid for uid, members in series.items() if wanted in (uid, str(members[0].get("SeriesNumber", "")))]
        if len(found) != 1:
            raise DiffUSError(f"{path} has {'several' if found else 'no'} series {wanted}; it has: {listed}.")
        return series[found[0]]
    uid = max(series, key=counts.__getitem__)
    if len(series) > 1:
        warnings.warn(
            f"{path} holds {len(series)} series; the one with most slices, {uid}, was taken. There are: {listed}; "
            "--series UID takes another.",
            DiffUSWarning,
            stacklevel=4,
        )
    return series[uid]


def _series_uid(header: Dataset) -> str:
    return str(header.get("SeriesInstanceUID") or "without UID")


def _about(header: Dataset) -> str:
    """Modality, number and description of a series, as far as they are there."""
    words = [str(header.get(name) or "") for name in ("Modality", "SeriesNumber", "SeriesDescription")]
    return "".join(f"{word}, " for word in words if word)


def _choose_stack(stacks: list[Stack], phase: int | None, what: str) -> Stack:
    listed = "; ".join(f"{number}: {stack.description}" for number, stack in enumerate(stacks[:12], start=1))
    if phase is None and len(stacks) > 1:
        more = " ..." if len(stacks) > 12 else ""
        raise DiffUSError(f"{what} holds {len(stacks)} volumes ({listed}{more}); choose one with --phase N.")
    if phase is not None and not 1 <= phase <= len(stacks):
        raise DiffUSError(f"{what} has no volume {phase}; it holds {listed}.")
    return stacks[(phase or 1) - 1]


def _even_places(stack: Stack, where: np.ndarray, what: str, notes: list[str]) -> tuple[np.ndarray, float]:
    """Even places along the normal in mm, and their distance; ITK would lay the slices there whatever theirs are.

    If the slices' own places, `where` in mm, are even, these are returned.

    Raises:
        DiffUSError: if the slices are displaced sideways (gantry tilt), or too many are missing.
    """
    _check_upright(stack, where[-1] - where[0], what)
    steps = np.diff(where)
    mean = float(steps.mean())
    if is_even(where):
        return where, mean
    median = float(np.median(steps))
    padded = np.concatenate([[0.0], steps, [0.0]])
    gaps = np.flatnonzero(steps > _GAP * np.maximum(padded[:-2], padded[2:]))
    widest = max((float(steps[gap]) for gap in gaps), default=0.0)
    apart = f"{steps.min():.2f} to {steps.max():.2f} mm apart"
    if widest > max(_WIDEST_GAP * median, _WIDEST_GAP_MM):
        after = stack.slices[int(np.argmax(steps))].name
        raise DiffUSError(
            f"{what} lacks slices: {widest:.1f} mm lie between two of them (after {after}), {median:.2f} mm between "
            "the others; export the series again, completely."
        )
    count = round((where[-1] - where[0]) / max(float(steps.min()), _FINEST * median))
    places = np.linspace(where[0], where[-1], count + 1)
    spacing_mm = float(places[1] - places[0])
    reason = " (missing slices?)" if len(gaps) else ""
    notes.append(f"{what} has slices {apart}{reason}; it was interpolated at each {spacing_mm:.2f} mm.")
    return places, spacing_mm


def _check_upright(stack: Stack, height_mm: float, what: str) -> None:
    normal = normal_of(stack.slices[0])
    moved = np.array([one.position_lps_mm for one in stack.slices]) - stack.slices[0].position_lps_mm
    sideways = float(np.linalg.norm(moved - (moved @ normal)[:, None] * normal, axis=1).max())
    pixel = min(stack.slices[0].spacing_mm)
    if sideways > 0.5 * pixel or sideways > max(_SHEAR * height_mm, 0.02):
        tilt = math.degrees(math.atan2(sideways, height_mm))
        raise DiffUSError(
            f"{what} has sheared slices (gantry tilt of {tilt:.1f} degrees); resample it "
            "to a box (Slicer's DICOM module does so with 'acquisition geometry regularization')."
        )


def _stacked(slices: list[Slice], pixels: StoredPixels) -> np.ndarray:
    """(K, J, I) intensities: int16 where they fit, else int32 or float32."""
    images = []
    for one in slices:
        image = one.intensities(pixels(one.path, one.frame))
        fits = image.dtype.kind == "i" and image.min() >= -(2**15) and image.max() < 2**15
        images.append(image.astype(np.int16) if fits else image)
    voxels = np.stack(images)
    return voxels.astype(np.float32, copy=False) if voxels.dtype.kind == "f" else voxels


def _interpolated(voxels: np.ndarray, where: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Slices at `where` (mm, ascending), linearly interpolated at `places`; integers stay integers."""
    if places is where:
        return voxels
    result = np.empty((len(places), *voxels.shape[1:]), voxels.dtype)
    for index, place in enumerate(places):
        upper = int(np.clip(np.searchsorted(where, place), 1, len(where) - 1))
        share = (place - where[upper - 1]) / (where[upper] - where[upper - 1])
        mixed = (1 - share) * voxels[upper - 1] + share * voxels[upper]
        result[index] = np.rint(mixed) if voxels.dtype.kind == "i" else mixed
    return result


def _matrix(first: Slice, spacing_mm: float) -> np.ndarray:
    """IJK-to-RAS (PS3.3 C.7.6.2.1.1): columns run along the first axis with the second spacing."""
    matrix = np.eye(4)
    matrix[:3, 0] = first.axes_lps[0] * first.spacing_mm[1]
    matrix[:3, 1] = first.axes_lps[1] * first.spacing_mm[0]
    matrix[:3, 2] = normal_of(first) * spacing_mm
    matrix[:3, 3] = first.position_lps_mm
    return LPS_TO_RAS @ matrix
