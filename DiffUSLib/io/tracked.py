"""Tracked ultrasound: image sequences with transforms per frame, as PLUS and SlicerIGSIO write them.

Frames of reference (PLUS): Image (pixels; X toward the marked side, Y away from the transducer), Probe (marker on the
probe), Reference (marker on the patient), Tracker. `XToY` maps coordinates in X to coordinates in Y, in mm. A frame
lies at Z = 0 of Image. The transforms name their own frames: the LPS of image files does not concern them.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.io.chain import compose_chain, find_chain, parse_matrix
from DiffUSLib.io.images import to_gray
from DiffUSLib.io.sequence_files import read_sequence_file, write_sequence_file

_IMAGE_STATUS = "ImageStatus"


@dataclass(frozen=True)
class TrackedFrames:
    """Ultrasound frames with their transforms.

    Attributes:
        images: (N, H, W) uint8, upright: X toward the marked side, Y away from the transducer ("MF").
        transforms: name such as "ProbeToTracker" -> (N, 4, 4) float64; the identity where invalid.
        statuses: the same names -> (N,) bool, whether the tracker saw it.
        image_statuses: (N,) bool, whether the image itself is valid.
        timestamps_s: (N,) float64; NaN where the file gives none.
        pixel_spacing_mm: (X, Y) of the file's header; (1, 1) where the transforms hold the pixel size, as PLUS does.
        orientation: UltrasoundImageOrientation of the file, before the frames were turned upright.
        fields: the file's other header fields.
        notes: what was changed while reading, in sentences.
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
        """Where the pixels are: maps from (column, row, 0, 1) to a frame in mm.

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


def hold_pixel_size(matrices: torch.Tensor) -> bool:
    """Whether (..., 4, 4) matrices from Image scale: then they take pixels, else mm."""
    return float((matrices[..., :3, :2].norm(dim=-2) - 1).abs().max()) > 1e-3


def read_tracked_frames(path: str | os.PathLike) -> TrackedFrames:
    """Read a tracked ultrasound sequence.

    Args:
        path: .igs.mha, .mha, .igs.nrrd or .nrrd file with Seq_FrameNNNN fields; 8-bit grey or RGB frames.

    Returns:
        The frames, upright and grey; transforms that the tracker marked as not OK are counted by `statuses`.

    Raises:
        DiffUSError: if there is no such file, or it does not hold 8-bit 2D frames with tracking, or is cut off.

    Warns:
        DiffUSWarning: if frames have no valid transform at all.
    """
    pixels, spacing, header = read_sequence_file(path)
    frames, fields = _split_fields(header)
    if not frames:
        raise DiffUSError(f"{path} holds no tracking (Seq_FrameNNNN fields); export it again from PLUS or Slicer.")
    if max(frames) >= len(pixels):
        raise DiffUSError(
            f"{path} describes {max(frames) + 1} frames and holds {len(pixels)} images; it is cut off or damaged."
        )
    notes: list[str] = []
    orientation = fields.get("UltrasoundImageOrientation") or fields.get("ultrasound image orientation") or ""
    images, spacing = _upright(_grey(pixels, notes), spacing, orientation, str(path), notes)
    count = len(images)
    transforms, statuses = _transforms(frames, count, str(path))
    tracked = TrackedFrames(
        images=torch.from_numpy(images.copy()),
        transforms=transforms,
        statuses=statuses,
        image_statuses=_flags(frames, count, (_IMAGE_STATUS, "Status")),
        timestamps_s=_timestamps(frames, count, str(path)),
        pixel_spacing_mm=spacing,
        orientation=orientation or "MF",
        fields=fields,
        notes=tuple(notes),
        name=os.path.basename(path),
    )
    seen = torch.stack(list(statuses.values())).any(0) if statuses else torch.zeros(count, dtype=torch.bool)
    unseen = count - int(seen.sum())
    if unseen:
        warnings.warn(f"{path}: {unseen} of {count} frames have no valid transform.", DiffUSWarning, stacklevel=2)
    return tracked


def write_tracked_frames(
    path: str | os.PathLike,
    images,
    transforms: Mapping[str, torch.Tensor],
    timestamps_s=None,
    statuses: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write a tracked ultrasound sequence that PLUS, Slicer IGSIO and ITK read. Whole or not at all.

    Args:
        path: .igs.mha or .mha file.
        images: (N, H, W) uint8, or floats in [0, 1]; X toward the marked side, Y away from the transducer.
        transforms: name such as "ImageToReference" -> (N, 4, 4); transforms from Image take pixels, so they hold the
            pixel spacing.
        timestamps_s: (N,) seconds; without it the frames are 0.1 s apart.
        statuses: name -> (N,) bool; without it every transform is valid.

    Raises:
        DiffUSError: if shapes do not match or the file cannot be written.
    """
    count = len(images)
    matrices = {name: np.asarray(matrix, dtype=np.float64) for name, matrix in transforms.items()}
    for name, matrix in matrices.items():
        if matrix.shape != (count, 4, 4) or not np.isfinite(matrix).all():
            raise DiffUSError(f"{name} must hold one matrix of 4 x 4 finite numbers for each of the {count} images.")
    times = np.arange(count) * 0.1 if timestamps_s is None else np.asarray(timestamps_s, dtype=np.float64)
    if times.shape != (count,):
        raise DiffUSError(f"there are {count} images and {times.size} timestamps; give one for each.")
    header = {"UltrasoundImageOrientation": "MFA", "UltrasoundImageType": "BRIGHTNESS"}
    for index in range(count):
        prefix = f"Seq_Frame{index:04d}_"
        for name, matrix in matrices.items():
            header[f"{prefix}{name}Transform"] = " ".join(f"{number:.12g}" for number in matrix[index].ravel())
            valid = statuses is None or name not in statuses or bool(statuses[name][index])
            header[f"{prefix}{name}TransformStatus"] = "OK" if valid else "INVALID"
        header[f"{prefix}Timestamp"] = f"{times[index]:.6f}"
        header[f"{prefix}{_IMAGE_STATUS}"] = "OK"
    write_sequence_file(path, images, header)


def _split_fields(header: Mapping[str, str]) -> tuple[dict[int, dict[str, str]], dict[str, str]]:
    """Fields of each frame by its number, and the fields of the whole file."""
    frames: dict[int, dict[str, str]] = {}
    fields = {}
    for key, value in header.items():
        start, _, name = key.removeprefix("Seq_Frame").partition("_")
        if key.startswith("Seq_Frame") and start.isdigit() and name:
            frames.setdefault(int(start), {})[name] = value.strip()
        else:
            fields[key] = value.strip()
    return frames, fields


def _transforms(
    frames: Mapping[int, Mapping[str, str]], count: int, path: str
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    names = {key.removesuffix("Transform") for frame in frames.values() for key in frame if key.endswith("Transform")}
    transforms = {name: torch.eye(4, dtype=torch.float64).repeat(count, 1, 1) for name in sorted(names)}
    statuses = {name: torch.zeros(count, dtype=torch.bool) for name in sorted(names)}
    for index, frame in frames.items():
        for name in names:
            text = frame.get(f"{name}Transform")
            if text is None or frame.get(f"{name}TransformStatus", "OK") != "OK":
                continue
            transforms[name][index] = parse_matrix(text, f"{name}Transform of frame {index} of {path}")
            statuses[name][index] = True
    return transforms, statuses


def _flags(frames: Mapping[int, Mapping[str, str]], count: int, keys: tuple[str, ...]) -> torch.Tensor:
    """(N,) bool: none of the keys says anything but OK."""
    flags = [all(frames.get(index, {}).get(key, "OK") == "OK" for key in keys) for index in range(count)]
    return torch.tensor(flags, dtype=torch.bool)


def _timestamps(frames: Mapping[int, Mapping[str, str]], count: int, path: str) -> torch.Tensor:
    try:
        seconds = [float(frames.get(index, {}).get("Timestamp", "nan")) for index in range(count)]
    except ValueError as error:
        raise DiffUSError(f"{path} holds a timestamp that is no number; correct or export it again.") from error
    return torch.tensor(seconds, dtype=torch.float64)


def _grey(pixels: np.ndarray, notes: list[str]) -> np.ndarray:
    """(N, H, W) uint8 from (N, H, W) or RGB (N, H, W, 3)."""
    if pixels.ndim == 3:
        return pixels
    colors = pixels[..., :3]
    if (colors == colors[..., :1]).all():
        return colors[..., 0]
    notes.append("Colors were turned to grey.")
    return np.stack([to_gray(frame) for frame in colors])


def _upright(
    images: np.ndarray, spacing: tuple[float, float], orientation: str, path: str, notes: list[str]
) -> tuple[np.ndarray, tuple[float, float]]:
    """Images and pixel spacing with X toward the marked side and Y away from the transducer.

    The tag names the directions of the stored X and Y: M(arked) or U(nmarked) side, F(ar) or N(ear) (documentation of
    PLUS, "Ultrasound image orientation"). A third letter is about the third axis of volumes and does not concern 2D
    frames. PLUS states its calibrations for MF images, so the transforms stay as they are.
    """
    if not orientation:
        notes.append("The file does not name its image orientation; MF was assumed.")
        return images, spacing
    letters = orientation.upper()
    tag = letters[:2] if len(letters) == 2 or letters[2:] in ("A", "D") else ""
    if {*tag} not in ({"M", "F"}, {"M", "N"}, {"U", "F"}, {"U", "N"}):
        raise DiffUSError(f"{path} has the image orientation {orientation}; known are MF, MN, UF, UN, FM, NM, FU, NU.")
    if tag[0] in "FN":
        images, spacing, tag = images.swapaxes(1, 2), spacing[::-1], tag[::-1]
    if tag[0] == "U":
        images = images[:, :, ::-1]
    if tag[1] == "N":
        images = images[:, ::-1, :]
    if letters[:2] != "MF":
        notes.append(f"Frames stored as {orientation} were turned upright (MF).")
    return images, spacing
