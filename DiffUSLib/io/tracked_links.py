"""The way of tracked images into the patient link by link, as a scene of nested transforms needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from DiffUSLib.io.chain import compose_chain, fit_calibration
from DiffUSLib.io.tracked import TrackedFrames, hold_pixel_size
from DiffUSLib.io.tracked_places import moving_steps, place_frames
from DiffUSLib.io.transform_names import split_transform_name


@dataclass(frozen=True)
class TrackedLinks:
    """Where the frames of a tracked sequence are.

    The pixel (column, row) of frame n is, in the patient, at reference_to_ras @ probe_to_reference[n] @ image_to_probe
    @ (column x spacing, row x spacing, 0, 1).

    Attributes:
        pixel_spacing_mm: (X, Y) size of a pixel.
        image_to_probe: (4, 4) constant link from the image in mm to the tracked frame: the calibration without the
            pixel size. The identity where the tracking is that of the image.
        probe_to_reference: (N, 4, 4) link that follows the tracking.
        reference_to_ras: (4, 4) constant link to the patient; the identity where none is known.
        probe, reference: what the file calls these frames; "Image" where the tracking is that of the image.
        valid: (N,) bool, the frames that can be used.
        notes: what a user should know, in sentences.
    """

    pixel_spacing_mm: tuple[float, float]
    image_to_probe: torch.Tensor
    probe_to_reference: torch.Tensor
    reference_to_ras: torch.Tensor
    probe: str
    reference: str
    valid: torch.Tensor
    notes: tuple[str, ...]


def tracked_links(tracked: TrackedFrames, constants: Mapping[str, torch.Tensor] | None = None) -> TrackedLinks:
    """Take the way from Image to the patient, as `place_frames` finds it, apart into its links.

    Args:
        tracked: the sequence.
        constants: further transforms that hold for all images, such as those of `read_calibration`.

    Raises:
        DiffUSError: as `place_frames`.
    """
    placed = place_frames(tracked, constants)
    together, steps, valid = placed.links, placed.steps, placed.valid
    frames = ["Image", *(split_transform_name(name)[0 if inverted else 1] for name, inverted in steps)]
    # A file may repeat the calibration and the registration to the patient for each frame.
    moving = moving_steps(together, steps, valid)
    tracking_steps = [index for index, (name, _) in enumerate(steps) if name in tracked.transforms]
    moving = moving or tracking_steps or list(range(len(steps)))
    start, end = moving[0], moving[-1] + 1

    def between(first: int, last: int) -> torch.Tensor:
        parts = {name: together[name] for name, _ in steps[first:last]}
        return compose_chain(parts, frames[first], frames[last])

    def constant(first: int, last: int) -> torch.Tensor:
        return between(first, last).expand(len(valid), 4, 4)[valid][0]

    first_link, tracking = constant(0, start), between(start, end).expand(len(valid), 4, 4)
    spacing = torch.tensor(tracked.pixel_spacing_mm, dtype=torch.float64)
    if hold_pixel_size(compose_chain(together, "Image", placed.patient).expand(len(valid), 4, 4)[valid]):
        spacing = (first_link if start > 0 else tracking[valid])[..., :3, :2].norm(dim=-2).reshape(-1, 2).mean(0)
        per_mm = torch.diag(torch.cat([1 / spacing, torch.ones(2)]))
        first_link, tracking = (first_link @ per_mm, tracking) if start > 0 else (first_link, tracking @ per_mm)
    problem = fit_calibration(placed.image_to_patient[valid][0]).problem
    remark = f"The way from image to patient is far from rigid: {problem}; check the calibration." if problem else ""
    return TrackedLinks(
        pixel_spacing_mm=(float(spacing[0]), float(spacing[1])),
        image_to_probe=_with_normal(first_link),
        probe_to_reference=tracking if start > 0 else _with_normal(tracking),
        reference_to_ras=constant(end, len(steps)),
        probe=frames[start],
        reference=frames[end],
        valid=valid,
        notes=(*placed.notes, *filter(None, [remark])),
    )


def _with_normal(matrix: torch.Tensor) -> torch.Tensor:
    """(..., 4, 4) matrices with the unit normal of the image plane as third axis.

    A calibration of flat images says nothing about that axis: it may be scaled like the pixels, or missing.
    """
    normal = torch.linalg.cross(matrix[..., :3, 0], matrix[..., :3, 1])
    matrix = matrix.clone()
    matrix[..., :3, 2] = normal / normal.norm(dim=-1, keepdim=True)
    return matrix
