"""The way of tracked images into the patient link by link, as a scene of nested transforms needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from DiffUSLib.io.chain import compose_chain, find_chain, fit_calibration, patient_frame, split_transform_name
from DiffUSLib.io.tracked import TrackedFrames, hold_pixel_size


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
        valid: (N,) bool, whether image and tracking are valid.
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
    """Take the way from Image to Ras, or to Reference if nothing leads on to Ras, apart into its links.

    Args:
        tracked: the sequence.
        constants: further transforms that hold for all images, such as those of `read_calibration`.

    Raises:
        DiffUSError: if a link or the pixel size is missing, or no frame is valid.
    """
    together = {**(constants or {}), **tracked.transforms}
    goal = patient_frame(together)
    whole, valid = tracked.image_to(goal, constants)
    steps = find_chain(together, "Image", goal)
    frames = ["Image", *(split_transform_name(name)[0 if inverted else 1] for name, inverted in steps)]
    # A file may repeat the calibration and the registration to the patient for each frame.
    moving = [index for index, (name, _) in enumerate(steps) if _moves(tracked.transforms.get(name), valid)]
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
    if hold_pixel_size(tracked.matrices("Image", goal, constants)[0][valid]):
        spacing = (first_link if start > 0 else tracking[valid])[..., :3, :2].norm(dim=-2).reshape(-1, 2).mean(0)
        per_mm = torch.diag(torch.cat([1 / spacing, torch.ones(2)]))
        first_link, tracking = (first_link @ per_mm, tracking) if start > 0 else (first_link, tracking @ per_mm)
    return TrackedLinks(
        pixel_spacing_mm=(float(spacing[0]), float(spacing[1])),
        image_to_probe=_with_normal(first_link),
        probe_to_reference=tracking if start > 0 else _with_normal(tracking),
        reference_to_ras=constant(end, len(steps)),
        probe=frames[start],
        reference=frames[end],
        valid=valid,
        notes=(*tracked.notes, *_remarks(whole, valid)),
    )


def _moves(matrices: torch.Tensor | None, valid: torch.Tensor) -> bool:
    """Whether (N, 4, 4) matrices differ between valid frames."""
    return matrices is not None and not torch.allclose(matrices[valid], matrices[valid][:1], rtol=0, atol=1e-9)


def _with_normal(matrix: torch.Tensor) -> torch.Tensor:
    """(..., 4, 4) matrices with the unit normal of the image plane as third axis.

    A calibration of flat images says nothing about that axis: it may be scaled like the pixels, or missing.
    """
    normal = torch.linalg.cross(matrix[..., :3, 0], matrix[..., :3, 1])
    matrix = matrix.clone()
    matrix[..., :3, 2] = normal / normal.norm(dim=-1, keepdim=True)
    return matrix


def _remarks(image_to_patient: torch.Tensor, valid: torch.Tensor) -> list[str]:
    remarks = []
    problem = fit_calibration(image_to_patient[valid][0]).problem
    if problem:
        remarks.append(f"The way from image to patient is far from rigid: {problem}; check the calibration.")
    skipped = len(valid) - int(valid.sum())
    if skipped:
        remarks.append(f"{skipped} of {len(valid)} frames have no valid tracking and are left out.")
    return remarks
