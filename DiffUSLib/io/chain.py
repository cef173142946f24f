"""Chains of transforms multiplied, and the calibration file that holds their constant links."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import torch

from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.io.files import existing_file
from DiffUSLib.io.transform_names import find_chain

_LARGEST_SKEW_DEG = 5.0
_LARGEST_ASPECT = 1.5


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
        mirrored: whether the three axes are left-handed. A flat image has no third axis: only its sign may be wrong.
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
        return ""


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
        DiffUSWarning: if the matrix from Image is far from pixel spacings and a rigid motion, or left-handed.
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
        if element.get("From", "").lower() != "image":
            continue
        fit = fit_calibration(transforms[name])
        if fit.problem:
            warnings.warn(f"{name} in {path} is far from rigid: {fit.problem}; check it.", DiffUSWarning, stacklevel=2)
        elif fit.mirrored:
            text = (
                f"{name} in {path} is left-handed: its third axis means nothing for flat images and is not used, but "
                "if X or Y has the wrong sign, the images stand mirrored; check it."
            )
            warnings.warn(text, DiffUSWarning, stacklevel=2)
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
