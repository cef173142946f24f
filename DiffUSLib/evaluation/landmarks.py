"""Registration of a user's own clinical cases with landmarks: RESECT, ReMIND2Reg, and folders laid out like them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from DiffUSLib.acoustics import acoustic_maps
from DiffUSLib.acoustics.decision import VolumeDecision
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io import read_volume
from DiffUSLib.registration.alignment import RegistrationSettings, register
from DiffUSLib.ultrasound.volume_planes import slices_from_volume

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_REMIND_MRI = {"0001": "t1c", "0002": "t2"}


@dataclass(frozen=True)
class ClinicalCase:
    """Files of one patient.

    Args:
        landmarks: one MNI tag file with pairs, or two tables of voxel indices: in the MRI and in the ultrasound.
        modality: of the MRI, or "auto".
    """

    name: str
    mri: Path
    ultrasound: Path
    landmarks: tuple[Path, ...]
    modality: str = "auto"


@dataclass(frozen=True)
class ClinicalOutcome:
    """Mean target registration error in mm at the landmarks, before and after, and what the MRI was taken for."""

    name: str
    landmarks: int
    before_mm: float
    after_mm: float
    verdict: str
    seconds: float
    decision: VolumeDecision


def find_cases(folder: Path) -> list[ClinicalCase]:
    """Cases under a folder, by the names of the data sets.

    RESECT: CaseN-T1 or CaseN-FLAIR, CaseN-US-before, CaseN-MRI-beforeUS.tag. ReMIND2Reg: imagesTr/ReMIND2Reg_NNNN_0000
    (ultrasound), _0001 (contrast T1) and _0002 (T2), and tables of the same names in landmarksTr.

    Raises:
        DiffUSError: if there is none, or a case lacks a file.
    """
    if not folder.is_dir():
        raise DiffUSError(f"{folder} is no folder; name the one that holds the cases.")
    cases = [_resect_case(folder, tag) for tag in sorted(folder.rglob("*-MRI-beforeUS.tag"))]
    for table in sorted(folder.rglob("ReMIND2Reg_*_0000.csv")):
        cases += _remind_cases(folder, table)
    if not cases:
        raise DiffUSError(
            f"{folder} holds no landmarks named CaseN-MRI-beforeUS.tag (as in RESECT) or ReMIND2Reg_NNNN_0000.csv."
        )
    return cases


def _resect_case(folder: Path, tag: Path) -> ClinicalCase:
    name = tag.name.removesuffix("-MRI-beforeUS.tag")
    mri = _first(folder, name, "MRI", f"{name}-T1.nii*", f"{name}-FLAIR.nii*")
    return ClinicalCase(name, mri, _first(folder, name, "US", f"{name}-US-before.nii*"), (tag,))


def _remind_cases(folder: Path, table: Path) -> list[ClinicalCase]:
    """One case for each MRI of a patient that has landmarks."""
    name = table.name.removesuffix("_0000.csv")
    ultrasound = _first(folder, name, "US", f"{name}_0000.nii*")
    cases = []
    for suffix, modality in _REMIND_MRI.items():
        other = table.with_name(f"{name}_{suffix}.csv")
        if other.is_file():
            mri = _first(folder, name, "MRI", f"{name}_{suffix}.nii*")
            cases.append(ClinicalCase(f"{name} {modality}", mri, ultrasound, (other, table), modality))
    if not cases:
        raise DiffUSError(f"{table} has no counterpart {name}_0001.csv or {name}_0002.csv for the MRI; add the file.")
    return cases


def _first(folder: Path, name: str, kind: str, *patterns: str) -> Path:
    files = [path for pattern in patterns for path in sorted(folder.rglob(pattern))]
    if not files:
        raise DiffUSError(f"{name} has landmarks and no {kind} ({' or '.join(patterns)}); add the file.")
    return files[0]


def landmarks_of(case: ClinicalCase, mri: Volume, ultrasound: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of points in the MRI and in the ultrasound, each (N, 3) in RAS mm.

    Raises:
        DiffUSError: if a file holds no points, or the tables differ in length.
    """
    if len(case.landmarks) == 1:
        return read_landmarks(case.landmarks[0])
    points = []
    for path, volume in zip(case.landmarks, (mri, ultrasound), strict=True):
        try:
            index = np.loadtxt(path, delimiter=",", ndmin=2)
        except ValueError:
            index = np.empty((0, 0))
        if not len(index) or index.shape[1] != 3 or not np.isfinite(index).all():
            raise DiffUSError(f"{path} is no table of voxel indices i,j,k with one landmark in each line.")
        matrix = volume.ijk_to_ras.numpy()
        points.append(index @ matrix[:3, :3].T + matrix[:3, 3])
    if len(points[0]) != len(points[1]):
        raise DiffUSError(
            f"{case.landmarks[0]} and {case.landmarks[1].name} hold {len(points[0])} and {len(points[1])} landmarks; "
            "they must be pairs."
        )
    return points[0], points[1]


def read_landmarks(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of points from an MNI tag file: in the first volume and in the second, each (N, 3) in RAS mm.

    Raises:
        DiffUSError: if the file holds no pairs.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    _, _, points = text.partition("Points")
    pairs = []
    for line in points.partition("=")[2].splitlines():
        numbers = re.findall(_NUMBER, line.partition('"')[0])
        if len(numbers) >= 6:
            pairs.append([float(number) for number in numbers[:6]])
    if not pairs:
        raise DiffUSError(f"{path} holds no pairs of points; it should be an MNI tag file of two volumes.")
    values = np.array(pairs)
    return values[:, :3], values[:, 3:]


def run_case(
    case: ClinicalCase, settings: RegistrationSettings, planes: int = 7, prefer: str | None = None
) -> ClinicalOutcome:
    """Registers the 3D ultrasound of a case to its MRI and measures at the landmarks; `prefer` as in `read_volume`.

    Raises:
        DiffUSError: if a file cannot be read, holds no landmarks, or the volumes do not meet.
    """
    mri, ultrasound = (read_volume(path, prefer=prefer) for path in (case.mri, case.ultrasound))
    in_mri, in_ultrasound = landmarks_of(case, mri, ultrasound)
    maps = acoustic_maps(mri, modality=case.modality)
    result = register(mri, slices_from_volume(ultrasound, planes), settings, maps)
    correction = result.correction_ras.numpy()
    moved = in_ultrasound @ correction[:3, :3].T + correction[:3, 3]
    before, after = (float(np.linalg.norm(points - in_mri, axis=1).mean()) for points in (in_ultrasound, moved))
    assert maps.decision is not None  # the maps of a volume come with one
    return ClinicalOutcome(case.name, len(in_mri), before, after, result.verdict, result.seconds, maps.decision)
