"""Where the frames of a tracked sequence are in the patient, and which of them cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.chain import compose_chain
from DiffUSLib.io.frame_checks import SkippedFrame, frame_problems, summarize_skipped
from DiffUSLib.io.frames import LPS_TO_RAS
from DiffUSLib.io.tracked import SMALLEST_PIXEL_MM, TrackedFrames, pixel_lengths
from DiffUSLib.io.transform_names import (
    PATIENT_FRAMES,
    TRACKED_FRAMES,
    find_chain,
    links_of,
    patient_frame,
    split_transform_name,
)

_LIKE_METERS = 5.0  # a tracker that stands nearer than 5 mm does not exist, one within 5 m does
_DISAGREEMENT_MM = 1.0


@dataclass(frozen=True)
class PlacedFrames:
    """Frames at their place in the patient.

    Attributes:
        image_to_patient: (N, 4, 4) float64 from (column, row, 0, 1) to RAS in mm; meaningless where not valid.
        valid: (N,) bool, the frames to use.
        skipped: the other frames, by their own numbers, and why.
        steps: (name, inverted) of the transforms on the way from Image to `patient`.
        links: name -> (N, 4, 4) or (4, 4) of all transforms, those of the calibration too.
        patient: the frame that counts as RAS.
        notes: what a user should know, in sentences.
    """

    image_to_patient: torch.Tensor
    valid: torch.Tensor
    skipped: tuple[SkippedFrame, ...]
    steps: tuple[tuple[str, bool], ...]
    links: Mapping[str, torch.Tensor]
    patient: str
    notes: tuple[str, ...]


def place_frames(
    tracked: TrackedFrames,
    constants: Mapping[str, torch.Tensor] | None = None,
    reference_to_ras: torch.Tensor | None = None,
    pixel_spacing_mm: float | tuple[float, float] | None = None,
    check_units: bool = True,
) -> PlacedFrames:
    """Place the frames of a sequence in the patient, and leave out those that cannot be right.

    The way goes over whatever transforms there are, in either direction, to RAS; where nothing leads there, to
    Patient, World, Reference or Tracker, the first that is reached, which then counts as RAS. See `frame_problems` for
    what is left out besides frames that the tracker marked.

    Args:
        tracked: the sequence.
        constants: further transforms that hold for all images, such as those of `read_calibration`.
        reference_to_ras: (4, 4) registration of the patient in mm; counts instead of one among the transforms.
        pixel_spacing_mm: pixel size (X, Y), if neither the transforms nor the header hold it.
        check_units: refuse transforms that look like meters.

    Raises:
        DiffUSError: if a link or the pixel size is missing, transforms look like meters, or no frame can be used.
    """
    constants, notes = dict(constants or {}), list(tracked.notes)
    together = {**constants, **tracked.transforms}
    if "lps" in _ends(together) and "ras" not in _ends(together):
        together["LpsToRas"] = constants["LpsToRas"] = torch.from_numpy(LPS_TO_RAS.copy())
    candidates = PATIENT_FRAMES if reference_to_ras is None else (*TRACKED_FRAMES, *PATIENT_FRAMES[:3])
    patient = patient_frame(together, candidates)
    steps = find_chain(together, "Image", patient)
    if check_units:
        _check_units(tracked, together, steps)
    tracked = _without_broken(tracked, steps)
    problems = _marked_frames(tracked, steps)
    valid = torch.ones(len(tracked.images), dtype=torch.bool)
    valid[list(problems)] = False
    if bool(valid.any()):
        matrices, valid_again = tracked.image_to(patient, constants, pixel_spacing_mm)
        valid &= valid_again
        tracking = [tracked.transforms[step].numpy() for step, _ in steps if step in tracked.transforms]
        problems |= frame_problems(tracked.images.numpy(), matrices.numpy(), tracked.numbers, tracking, valid.numpy())
        valid[list(problems)] = False
    skipped = tuple(SkippedFrame(tracked.numbers[index], problems[index]) for index in sorted(problems))
    if not bool(valid.any()):
        raise DiffUSError(
            f"none of the {len(valid)} frames of {tracked.name or 'the sequence'} can be used: "
            f"{'; '.join(summarize_skipped(skipped))}; record again with the markers in sight."
        )
    notes += _notes_on_patient(patient, reference_to_ras is not None, together)
    notes += _notes_on_links(tracked, constants, together, steps, valid)
    if skipped:
        notes.append(f"{len(skipped)} of {len(valid)} frames left out: {'; '.join(summarize_skipped(skipped))}.")
    if reference_to_ras is not None:
        matrices = torch.as_tensor(reference_to_ras, dtype=torch.float64) @ matrices
    return PlacedFrames(matrices, valid, skipped, tuple(steps), together, patient, tuple(notes))


def moving_steps(links: Mapping[str, torch.Tensor], steps, valid: torch.Tensor) -> list[int]:
    """Which of the steps (name, inverted) of a chain differ between the valid frames."""
    moving = []
    for index, (name, _) in enumerate(steps):
        matrices = links[name]
        if matrices.ndim == 3 and not torch.allclose(matrices[valid], matrices[valid][:1], rtol=0, atol=1e-9):
            moving.append(index)
    return moving


def _ends(names) -> set[str]:
    return {end.lower() for ends in links_of(names).values() for end in ends}


def _marked_frames(tracked: TrackedFrames, steps) -> dict[int, str]:
    """Frames whose image, or a transform on the way, the file itself marks as not valid or does not hold."""
    bad_images = (~tracked.image_statuses).nonzero().flatten().tolist()
    problems = dict.fromkeys(bad_images, "its image is marked as not valid")
    for name, _ in steps:
        found = tracked.problems.get(name, {})
        for index in (~tracked.statuses[name]).nonzero().flatten().tolist() if name in tracked.statuses else ():
            problems.setdefault(index, found.get(index, f"{name} is marked INVALID"))
    return problems


def _without_broken(tracked: TrackedFrames, steps) -> TrackedFrames:
    """The same sequence; matrices that are not finite, or cannot be inverted as the way needs, are marked so."""
    transforms, statuses, problems = dict(tracked.transforms), dict(tracked.statuses), dict(tracked.problems)
    for name, inverted in steps:
        if name not in transforms:
            continue
        broken = ~torch.isfinite(transforms[name]).all(dim=-1).all(dim=-1)
        told = {index: f"{name} does not hold 16 finite numbers" for index in broken.nonzero().flatten().tolist()}
        if inverted:
            singular = ~broken & (torch.linalg.det(transforms[name].nan_to_num()).abs() < 1e-12)
            told |= {index: f"{name} is singular" for index in singular.nonzero().flatten().tolist()}
            broken |= singular
        transforms[name] = torch.where(broken[:, None, None], torch.eye(4, dtype=torch.float64), transforms[name])
        statuses[name] = statuses[name] & ~broken
        problems[name] = told | problems.get(name, {})
    return replace(tracked, transforms=transforms, statuses=statuses, problems=problems)


def _check_units(tracked: TrackedFrames, together, steps) -> None:
    """Refuse transforms that look like meters.

    Raises:
        DiffUSError: with what makes them look so.
    """
    way_out = "convert them, or say so (--units m; --units mm if they are right)"
    for name, inverted in steps:
        lengths = pixel_lengths(together[name].reshape(-1, 4, 4))
        if "image" not in (end.lower() for end in split_transform_name(name)) or float(lengths.min()) <= 0:
            continue
        pixel = float(1 / lengths.min()) if inverted else float(lengths.max())
        if pixel < SMALLEST_PIXEL_MM:
            rows = tracked.images.shape[1]
            raise DiffUSError(
                f"{name} of {tracked.name or 'the sequence'} looks like meters: a pixel would be {pixel:.2g} mm and "
                f"the whole image {pixel * rows:.2g} mm high; {way_out}."
            )
    reach = {}
    for name, _ in steps:
        matrices = tracked.transforms[name][tracked.statuses[name]] if name in tracked.transforms else torch.empty(0)
        if len(matrices) > 1 and float((matrices[1:] - matrices[:-1]).abs().max()) > 1e-9:
            lengths = matrices[:, :3, 3].norm(dim=1)
            # Poses may count from the first one or from where the tracking was lost: zeros say nothing.
            reach[name] = float(lengths.median()) if float(lengths.min()) > 0 else _LIKE_METERS
    if reach and max(reach.values()) < _LIKE_METERS:
        told = ", ".join(f"{name} {length:.3g}" for name, length in reach.items())
        raise DiffUSError(
            f"the translations of {tracked.name or 'the sequence'} look like meters ({told}): no tracker works within "
            f"5 mm; {way_out}."
        )


def _notes_on_patient(patient: str, given: bool, together) -> list[str]:
    if given:
        if patient.lower() not in TRACKED_FRAMES:
            return [f"The tracking leads to {patient} already; the initial transform was applied on top of it."]
        replaced = [name for name, ends in links_of(together).items() if {"ras"} & {end.lower() for end in ends}]
        return [f"The initial transform counts instead of {', '.join(replaced)}."] if replaced else []
    if "LpsToRas" in together and patient == "Ras":
        return ["LPS of the transforms was turned to RAS."]
    return [] if patient == "Ras" else [f"Nothing leads on from {patient} to RAS, so {patient} counts as RAS."]


def _notes_on_links(tracked: TrackedFrames, constants, together, steps, valid) -> list[str]:
    """The links that are there but not used, and those that contradict the ones that are."""
    used = {name for name, _ in steps}
    twice = [name for name in constants if name in tracked.transforms and name in used]
    unused = sorted(name for name in links_of(together) if name not in used and name != "LpsToRas")
    notes = [f"Not used: {', '.join(unused)}."] if unused else []
    height, width = tracked.images.shape[1:]
    middle = torch.tensor([width / 2, height / 2, 0, 1], dtype=torch.float64)
    for name in (*unused, *twice):
        others = {other: value for other, value in together.items() if other != name}
        link = constants[name] if name in twice else together[name]
        start, end = links_of([name])[name]
        try:
            there = compose_chain(together if name in twice else others, "Image", start) @ middle
            ends = compose_chain(together if name in twice else others, "Image", end) @ middle
        except DiffUSError:
            continue
        apart = ((link @ there.unsqueeze(-1)).squeeze(-1) - ends)[..., :3].norm(dim=-1).expand(len(valid))
        status = valid & tracked.statuses.get(name, torch.ones_like(valid))
        worst = float(apart[status].max()) if bool(status.any()) else 0.0
        if worst > _DISAGREEMENT_MM:
            source = f"The {name} of the calibration file" if name in twice else name
            notes.append(f"{source} contradicts the transforms used by up to {worst:.1f} mm; check which is right.")
    return notes
