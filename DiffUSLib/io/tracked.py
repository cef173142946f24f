"""Tracked ultrasound: image sequences with transforms per frame, as PLUS and SlicerIGSIO write them.

Frames of reference (PLUS): Image (pixels; X toward the marked side, Y away from the transducer), Probe (marker on the
probe), Reference (marker on the patient), Tracker. `XToY` maps coordinates in X to coordinates in Y, in mm. A frame
lies at Z = 0 of Image. The transforms name their own frames: the LPS of image files does not concern them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.chain import compose_chain
from DiffUSLib.io.transform_names import find_chain

#: Pixels below this size (mm) are none of an ultrasound image: the transforms are in meters.
SMALLEST_PIXEL_MM = 0.005
_LARGEST_PIXELS_PER_MM = 1 / SMALLEST_PIXEL_MM


@dataclass(frozen=True)
class TrackedFrames:
    """Ultrasound frames with their transforms.

    Attributes:
        images: (N, H, W) uint8, upright: X toward the marked side, Y away from the transducer ("MF").
        transforms: name such as "ProbeToTracker" -> (N, 4, 4) float64; the identity where invalid.
        statuses: the same names -> (N,) bool, whether the tracker saw it and its matrix can be read.
        image_statuses: (N,) bool, whether the image itself is valid.
        timestamps_s: (N,) float64; NaN where the file gives none.
        pixel_spacing_mm: (X, Y) of the file's header; (1, 1) where the transforms hold the pixel size, as PLUS does.
        orientation: UltrasoundImageOrientation of the file, before the frames were turned upright.
        fields: the file's other header fields.
        notes: what was changed while reading, in sentences.
        name: of the file.
        numbers: (N) what the file calls its frames; 0 to N - 1 if left empty.
        problems: name of a transform -> {index of a frame: why it is not valid}, in words that follow "frame 3".
    """

    images: torch.Tensor
    transforms: dict[str, torch.Tensor]
    statuses: dict[str, torch.Tensor]
    image_statuses: torch.Tensor
    timestamps_s: torch.Tensor
    pixel_spacing_mm: tuple[float, float] = (1.0, 1.0)
    orientation: str = "MF"
    fields: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    name: str = ""
    numbers: tuple[int, ...] = ()
    problems: dict[str, dict[int, str]] = field(default_factory=dict)

    def __post_init__(self):
        if not self.numbers:
            object.__setattr__(self, "numbers", tuple(range(len(self.images))))

    def matrices(
        self, from_frame: str, to_frame: str, constants: Mapping[str, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Transforms between two frames of reference, one per image.

        Args:
            from_frame, to_frame: for instance "Image" and "Reference".
            constants: further transforms that hold for all images, such as those of `read_calibration`. Where the file
                has one of the same name, the file's counts.

        Returns:
            (N, 4, 4) float64 matrices, and (N,) bool: valid where the image and every transform on the way are.

        Raises:
            DiffUSError: if a link is missing.
        """
        together = {**(constants or {}), **self.transforms}
        valid = self.image_statuses.clone()
        for name, _ in find_chain(together, from_frame, to_frame):
            valid &= self.statuses.get(name, torch.ones_like(valid))
        matrices = compose_chain(together, from_frame, to_frame)
        return matrices.expand(len(self.images), 4, 4).clone(), valid

    def image_to(
        self,
        to_frame: str,
        constants: Mapping[str, torch.Tensor] | None = None,
        pixel_spacing_mm: float | tuple[float, float] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Where the pixels are: maps from (column, row, 0, 1) to a frame in mm, as the file says it.

        `place_frames` chooses the frame, and leaves out frames that cannot be right.

        Args:
            to_frame, constants: as in `matrices`.
            pixel_spacing_mm: pixel size (X, Y), if neither the transforms nor the header hold it.

        Returns:
            As in `matrices`.

        Raises:
            DiffUSError: if a link or the pixel size is missing, or no frame is valid.
        """
        matrices, valid = self.matrices("Image", to_frame, constants)
        if not bool(valid.any()):
            raise DiffUSError(
                f"none of the {len(valid)} frames of {self.name or 'the sequence'} has valid tracking from Image to "
                f"{to_frame}; record again with the markers in sight."
            )
        if hold_pixel_size(matrices[valid]):
            return matrices, valid
        spacing = self.pixel_spacing_mm if pixel_spacing_mm is None else np.broadcast_to(pixel_spacing_mm, 2)
        x, y = (float(length) for length in spacing)
        if not (x > 0 and y > 0) or (pixel_spacing_mm is None and (x, y) == (1.0, 1.0)):
            raise DiffUSError(
                f"{self.name or 'the sequence'} does not hold the pixel spacing: its transforms only turn and shift, "
                "and its header says 1 mm; give the spacing in mm."
            )
        return matrices @ torch.diag(torch.tensor([x, y, 1.0, 1.0], dtype=torch.float64)), valid

    def from_meters(self) -> TrackedFrames:
        """The same frames with transforms in mm, where the file holds them in meters.

        Translations are multiplied by 1000; so are the axes of a link whose pixels would be below 0.005 mm.
        """
        return replace(self, transforms={name: _from_meters(value) for name, value in self.transforms.items()})


def hold_pixel_size(matrices: torch.Tensor) -> bool:
    """Whether (..., 4, 4) matrices from Image scale: then they take pixels, else mm. Single bad ones do not count."""
    return bool((pixel_lengths(matrices) - 1).abs().max() > 1e-3)


def pixel_lengths(matrices: torch.Tensor) -> torch.Tensor:
    """(2) lengths of the axes X and Y of (..., 4, 4) matrices: the median over all."""
    return matrices[..., :3, :2].norm(dim=-2).reshape(-1, 2).median(0).values


def _from_meters(matrices: torch.Tensor) -> torch.Tensor:
    scaled = matrices.clone()
    lengths = pixel_lengths(matrices)
    if float(lengths.max()) < SMALLEST_PIXEL_MM:  # from pixels to meters
        scaled[..., :3, :] *= 1000
    elif float(lengths.min()) > _LARGEST_PIXELS_PER_MM:  # from meters to pixels
        scaled[..., :3, :3] /= 1000
    else:
        scaled[..., :3, 3] *= 1000
    return scaled
