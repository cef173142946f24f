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

    The pixel (column, row) of frame n is, in the patient, at the product of all links (the last one leftmost) with
    (column x spacing, row x spacing, 0, 1).

    Attributes:
        pixel_spacing_mm: (X, Y) size of a pixel.
        links: name such as "ImageToProbe" -> matrix in mm, from the image to the patient: (4, 4) for a constant link,
            (N, 4, 4) for the one that follows the tracking. Image is in mm here: the pixel size is taken out, and its
            third axis is the normal of the image plane (that of a calibration means nothing for flat images).
        valid: (N,) bool, whether image and tracking are valid.
        notes: what a user should know, in sentences.
    """

    pixel_spacing_mm: tuple[float, float]
    links: dict[str, torch.Tensor]
    valid: torch.Tensor
    notes: tuple[str, ...] = ()


def tracked_links(tracked: TrackedFrames, constants: Mapping[str, torch.Tensor] | None = None) -> TrackedLinks:
    """Take the way from Image to Ras, or to Reference if nothing leads on to Ras, apart into at most three links.

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
    moving = [index for index, (name, _) in enumerate(steps) if name in tracked.transforms] or range(len(steps))
    cuts = (0, moving[0], moving[-1] + 1, len(steps))
    links = {}
    for start, end in zip(cuts[:-1], cuts[1:], strict=True):
        if start < end:
            parts = {name: together[name] for name, _ in steps[start:end]}
            links[f"{frames[start]}To{frames[end]}"] = compose_chain(parts, frames[start], frames[end])
    first = next(iter(links))
    notes = list(tracked.notes)
    problem = fit_calibration(whole[valid][0]).problem
    if problem:
        notes.append(f"The way from image to patient is far from rigid: {problem}; check the calibration.")
    skipped = len(valid) - int(valid.sum())
    if skipped:
        notes.append(f"{skipped} of {len(valid)} frames have no valid tracking and are left out.")
    spacing = torch.tensor(tracked.pixel_spacing_mm, dtype=torch.float64)
    lengths = links[first][..., :3, :2].norm(dim=-2)
    if hold_pixel_size(tracked.matrices("Image", goal, constants)[0][valid]):
        spacing = lengths if lengths.ndim == 1 else lengths[valid].mean(0)
        links[first] = links[first] @ torch.diag(torch.cat([1 / spacing, torch.ones(2)]))
    links[first] = _with_normal(links[first])
    return TrackedLinks((float(spacing[0]), float(spacing[1])), links, valid, tuple(notes))


def _with_normal(matrix: torch.Tensor) -> torch.Tensor:
    """(..., 4, 4) matrices whose third axis is the unit normal of the first two."""
    normal = torch.linalg.cross(matrix[..., :3, 0], matrix[..., :3, 1])
    matrix = matrix.clone()
    matrix[..., :3, 2] = normal / normal.norm(dim=-1, keepdim=True)
    return matrix
