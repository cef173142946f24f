"""Registration of a user's own clinical cases with landmarks: the RESECT data set and folders laid out like it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io import read_volume
from DiffUSLib.registration.alignment import RegistrationSettings, register
from DiffUSLib.registration.volume_planes import slices_from_volume

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


@dataclass(frozen=True)
class ClinicalCase:
    """Files of one patient."""

    name: str
    mri: Path
    ultrasound: Path
    landmarks: Path


@dataclass(frozen=True)
class ClinicalOutcome:
    """Mean target registration error in mm at the landmarks, before and after."""

    name: str
    landmarks: int
    before_mm: float
    after_mm: float
    verdict: str
    seconds: float


def find_cases(folder: Path) -> list[ClinicalCase]:
    """Cases under a folder, by the names of RESECT: CaseN-T1 or CaseN-FLAIR, CaseN-US-before, CaseN-MRI-beforeUS.tag.

    Raises:
        DiffUSError: if there is none, or a case lacks a file.
    """
    if not folder.is_dir():
        raise DiffUSError(f"{folder} is no folder; name the one that holds the cases.")
    cases = []
    for tag in sorted(folder.rglob("*-MRI-beforeUS.tag")):
        name = tag.name.removesuffix("-MRI-beforeUS.tag")
        found = {}
        for kind, patterns in (
            ("MRI", (f"{name}-T1.nii*", f"{name}-FLAIR.nii*")),
            ("US", (f"{name}-US-before.nii*",)),
        ):
            files = [path for pattern in patterns for path in sorted(folder.rglob(pattern))]
            if not files:
                raise DiffUSError(f"{name} has landmarks and no {kind} ({' or '.join(patterns)}); add the file.")
            found[kind] = files[0]
        cases.append(ClinicalCase(name, found["MRI"], found["US"], tag))
    if not cases:
        raise DiffUSError(f"{folder} holds no landmarks named CaseN-MRI-beforeUS.tag, as RESECT has them.")
    return cases


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


def run_case(case: ClinicalCase, settings: RegistrationSettings, planes: int = 7) -> ClinicalOutcome:
    """Registers the 3D ultrasound of a case to its MRI and measures at the landmarks."""
    mri, ultrasound = read_volume(case.mri), read_volume(case.ultrasound)
    in_mri, in_ultrasound = read_landmarks(case.landmarks)
    result = register(mri, slices_from_volume(ultrasound, planes), settings)
    correction = result.correction_ras.numpy()
    moved = in_ultrasound @ correction[:3, :3].T + correction[:3, 3]
    before, after = (float(np.linalg.norm(points - in_mri, axis=1).mean()) for points in (in_ultrasound, moved))
    return ClinicalOutcome(case.name, len(in_mri), before, after, result.verdict, result.seconds)
