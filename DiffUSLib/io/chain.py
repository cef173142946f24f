"""Chains of transforms between named frames, and the calibration file that holds their constant links."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import torch

from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.io.files import existing_file

_NAME = re.compile(r"(.+?)To([A-Z0-9].*)")
_LARGEST_SKEW_DEG = 5.0
_LARGEST_ASPECT = 1.5


def split_transform_name(name: str) -> tuple[str, str]:
    """("Probe", "Tracker") of "ProbeToTracker".

    Raises:
        DiffUSError: if the name does not have that form.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise DiffUSError(f"the transform name '{name}' does not have the form FromToTo, for instance ProbeToTracker.")
    return match[1], match[2]


def find_chain(names: Iterable[str], from_frame: str, to_frame: str) -> list[tuple[str, bool]]:
    """The shortest way from one frame to another.

    Args:
        names: transform names such as "ProbeToTracker"; each link can be walked both ways.
        from_frame, to_frame: frame names; upper and lower case do not matter.

    Returns:
        (name, inverted) for every step, in walking order; empty if both frames are the same.

    Raises:
        DiffUSError: if a link is missing; the sentence names the two sides that nothing connects.
    """
    links = {name: split_transform_name(name) for name in names}
    start, goal = from_frame.lower(), to_frame.lower()
    steps_to: dict[str, list[tuple[str, bool]]] = {start: []}
    queue = [start]
    while queue and goal not in steps_to:
        frame = queue.pop(0)
        for name, ends in links.items():
            source, target = (end.lower() for end in ends)
            for here, there, inverted in ((source, target, False), (target, source, True)):
                if here == frame and there not in steps_to:
                    steps_to[there] = [*steps_to[frame], (name, inverted)]
                    queue.append(there)
    if goal not in steps_to:
        raise DiffUSError(_missing_link(links, from_frame, to_frame, set(steps_to)))
    return steps_to[goal]


def patient_frame(names: Iterable[str]) -> str:
    """The frame of the patient that transforms of these names lead to: Ras if one ends there, else Reference."""
    return "Ras" if any(name.lower().endswith("toras") for name in names) else "Reference"


def compose_chain(transforms: Mapping[str, torch.Tensor], from_frame: str, to_frame: str) -> torch.Tensor:
    """The transform between two frames that are linked through others.

    Args:
        transforms: name such as "ProbeToTracker" -> (4, 4) or (N, 4, 4) matrix; constant and per-frame ones mix.
        from_frame, to_frame: frame names.

    Returns:
        (4, 4) or (N, 4, 4) float64 matrix from the one to the other.

    Raises:
        DiffUSError: if a link is missing, or one that must be inverted is singular.
    """
    result = torch.eye(4, dtype=torch.float64)
    for name, inverted in find_chain(transforms, from_frame, to_frame):
        matrix = transforms[name].to(torch.float64)
        if inverted:
            if bool((torch.linalg.det(matrix).abs() < 1e-12).any()):
                raise DiffUSError(f"the transform {name} is singular, so the chain cannot go back through it.")
            matrix = torch.linalg.inv(matrix)
        result = matrix @ result
    return result


@dataclass(frozen=True)
class CalibrationFit:
    """How near an ImageToProbe matrix is to pixel spacings and a rigid motion.

    Attributes:
        scale_mm: lengths in mm of the three axes (pixel spacing in X and Y; Z has no meaning for a 2D image).
        skew_deg: how far the axes X and Y are from being at right angles, in degrees.
        mirrored: whether the three axes are left-handed.
    """

    scale_mm: tuple[float, float, float]
    skew_deg: float
    mirrored: bool

    @property
    def problem(self) -> str:
        """What makes the matrix improbable as a calibration, in words; empty if nothing does."""
        x, y, _ = self.scale_mm
        if min(x, y) <= 0:
            return "an axis has no length"
        if max(x, y) > _LARGEST_ASPECT * min(x, y):
            return f"pixels would be {x:.3g} x {y:.3g} mm"
        if self.skew_deg > _LARGEST_SKEW_DEG:
            return f"the image axes are {self.skew_deg:.1f} degrees off a right angle"
        return "the axes are mirrored" if self.mirrored else ""


def fit_calibration(matrix: torch.Tensor) -> CalibrationFit:
    """Measure a (4, 4) ImageToProbe matrix; see `CalibrationFit`."""
    axes = matrix[:3, :3].to(torch.float64)
    lengths = axes.norm(dim=0)
    x, y = axes[:, 0], axes[:, 1]
    cosine = float((x @ y) / (lengths[0] * lengths[1]).clamp_min(1e-30))
    skew = abs(float(torch.rad2deg(torch.asin(torch.tensor(max(-1.0, min(1.0, cosine)))))))
    return CalibrationFit(tuple(lengths.tolist()), skew, bool(torch.linalg.det(axes) < 0))


def read_calibration(path: str | os.PathLike) -> dict[str, torch.Tensor]:
    """Read the constant transforms of a PLUS device set configuration.

    Args:
        path: XML file with CoordinateDefinitions/Transform elements (From, To, Matrix).

    Returns:
        name such as "ImageToProbe" -> (4, 4) float64 matrix.

    Raises:
        DiffUSError: if there is no such file, or it is not XML, or defines no transform, or one badly.

    Warns:
        DiffUSWarning: if the matrix from Image is far from pixel spacings and a rigid motion.
    """
    existing_file(path)
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, ValueError) as error:
        raise DiffUSError(f"{path} is not a PLUS configuration: it is no valid XML ({error}).") from error
    elements = [element for block in root.iter("CoordinateDefinitions") for element in block.iter("Transform")]
    if not elements:
        raise DiffUSError(f"{path} defines no transform (CoordinateDefinitions/Transform); give a PLUS device set.")
    transforms = {}
    for element in elements:
        name = f"{element.get('From')}To{element.get('To')}"
        transforms[name] = parse_matrix(element.get("Matrix", ""), f"{name} in {path}")
        problem = fit_calibration(transforms[name]).problem if element.get("From") == "Image" else ""
        if problem:
            warnings.warn(f"{name} in {path} is far from rigid: {problem}; check it.", DiffUSWarning, stacklevel=2)
    return transforms


def parse_matrix(text: str, what: str) -> torch.Tensor:
    """(4, 4) float64 tensor of 16 numbers in reading order.

    Raises:
        DiffUSError: if they are not 16 finite numbers that end in 0 0 0 1.
    """
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        numbers = []
    matrix = torch.tensor(numbers, dtype=torch.float64)
    if len(numbers) != 16 or not bool(torch.isfinite(matrix).all()):
        raise DiffUSError(f"{what} does not hold 16 finite numbers; correct or export it again.")
    if numbers[12:] != [0.0, 0.0, 0.0, 1.0]:
        raise DiffUSError(f"{what} does not end in the row 0 0 0 1; correct or export it again.")
    return matrix.reshape(4, 4)


def _missing_link(links: Mapping[str, tuple[str, str]], from_frame: str, to_frame: str, reached: set[str]) -> str:
    if not links:
        return f"there is no transform at all, so {from_frame} cannot be brought to {to_frame}."
    spelled = {end.lower(): end for ends in links.values() for end in ends}
    near = sorted(spelled.get(frame, from_frame) for frame in reached)
    far = sorted(end for lower, end in spelled.items() if lower not in reached)
    hint = " (for instance ImageToProbe from a calibration file)" if from_frame.lower() == "image" else ""
    return (
        f"the way from {from_frame} to {to_frame} has a missing link: there are {', '.join(links)}, "
        f"and nothing connects {', '.join(near)} with {', '.join(far) or to_frame}; add that transform{hint}."
    )
