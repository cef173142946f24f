"""The volumes of a DICOM series: slices sorted by orientation, place and phase; what does not belong is named."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.dicom_files import StoredPixels
from DiffUSLib.io.dicom_frames import Slice

_SAME_DIRECTION = 5e-3
_SAME_PLACE_PIXELS = 0.05
_CANDIDATE_SHARE, _PHASE_SHARE = 0.25, 0.1
EVEN = 0.05  # of the mean distance: how far a slice may be from an even grid
_PLANES = ("sagittal", "coronal", "axial")


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices of one volume, along their common normal.

    Args:
        slices: sorted by place.
        label: what tells it from other volumes of the series; for people.
    """

    slices: list[Slice]
    label: str = ""

    @property
    def description(self) -> str:
        """For people: what it is."""
        rows, columns, _ = self.slices[0].shape
        plane = _PLANES[int(np.abs(normal_of(self.slices[0])).argmax())]
        return f"{self.label}{', ' * bool(self.label)}{len(self.slices)} {plane} slices of {columns} x {rows}"


def normal_of(one: Slice) -> np.ndarray:
    """(3,) unit vector across a slice, LPS."""
    normal = np.cross(one.axes_lps[0], one.axes_lps[1])
    return normal / np.linalg.norm(normal)


def along(slices: list[Slice]) -> np.ndarray:
    """(N,) places in mm along the normal of the first slice."""
    return np.array([one.position_lps_mm for one in slices]) @ normal_of(slices[0])


def find_stacks(slices: list[Slice], pixels: StoredPixels, what: str) -> tuple[list[Stack], list[str]]:
    """The volumes that a series holds, and sentences about what was left out.

    Raises:
        DiffUSError: if no slice says where it is; `what` names the series.
    """
    notes: list[str] = []
    placed = [one for one in slices if one.placed]
    if not placed:
        raise DiffUSError(f"{what} does not say where its slices are (screenshots?); export the original series.")
    kept = [one for one in placed if not one.is_localizer]
    if not kept:
        kept = placed
    stacks: list[Stack] = []
    phases: list[Stack] = []
    for group in _by_geometry(kept):
        line, strays = _on_one_line(group)
        unique, copies = _without_copies(line, pixels)
        if copies:
            notes.append(f"{what} holds {copies} slices twice; each was taken once.")
        found = _by_phase(unique)
        phases += found if len(found) > 1 else []
        stacks += found + [Stack([one]) for one in strays]
    most = max(len(stack.slices) for stack in stacks)
    candidates = [stack for stack in stacks if len(stack.slices) >= _least(most, stack in phases)]
    used = {id(one) for stack in candidates for one in stack.slices}
    copies_of = {id(one) for stack in stacks for one in stack.slices}
    left = [one for one in slices if id(one) not in used and (id(one) in copies_of or one not in kept)]
    if left:
        names = ", ".join(one.name for one in left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
        images = "an image that does" if len(left) == 1 else f"{len(left)} images that do"
        notes.append(f"{what} holds {images} not belong to the volume (localizer?), left out: {names}.")
    return candidates, notes


def _least(most: int, is_phase: bool) -> float:
    """How many slices a volume has at least, where the largest has `most`; fewer do not belong to it (localizers)."""
    return max(min(2, most), (_PHASE_SHARE if is_phase else _CANDIDATE_SHARE) * most)


def _by_geometry(slices: list[Slice]) -> list[list[Slice]]:
    """Groups of one size, pixel spacing and orientation."""
    groups: list[list[Slice]] = []
    for one in slices:
        for group in groups:
            first = group[0]
            if (
                first.shape == one.shape
                and np.allclose(first.spacing_mm, one.spacing_mm, rtol=1e-3)
                and np.abs(first.axes_lps - one.axes_lps).max() < _SAME_DIRECTION
            ):
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def _on_one_line(slices: list[Slice]) -> tuple[list[Slice], list[Slice]]:
    """Slices above each other, and strays beside them: at most one in ten, where the others are in line."""
    normal = normal_of(slices[0])
    positions = np.array([one.position_lps_mm for one in slices])
    sideways = positions - (positions @ normal)[:, None] * normal
    distance = np.linalg.norm(sideways - np.median(sideways, axis=0), axis=1)
    beside = distance > 0.5 * min(slices[0].spacing_mm)
    if beside.sum() > 0.1 * len(slices):
        beside[:] = False
    return (
        [one for one, is_stray in zip(slices, beside, strict=True) if not is_stray],
        [one for one, is_stray in zip(slices, beside, strict=True) if is_stray],
    )


def _places(slices: list[Slice]) -> list[list[Slice]]:
    """Slices by place along the normal; those at one place in the order of their numbers."""
    where = along(slices)
    tolerance = _SAME_PLACE_PIXELS * min(slices[0].spacing_mm)
    places: list[list[Slice]] = []
    last = -np.inf
    for index in np.argsort(where, kind="stable"):
        if where[index] - last > tolerance:
            places.append([])
            last = where[index]
        places[-1].append(slices[index])
    for place in places:
        place.sort(key=lambda one: (one.number, one.frame))
    return places


def _without_copies(slices: list[Slice], pixels: StoredPixels) -> tuple[list[Slice], int]:
    """The slices without those whose place and pixels are the same, and how many these were."""
    kept: list[Slice] = []
    for place in _places(slices):
        shown: list[np.ndarray] = []
        for one in place:
            image = one.intensities(pixels(one.path, one.frame)) if len(place) > 1 else None
            if image is None or not any(np.array_equal(image, other) for other in shown):
                kept.append(one)
                shown += [] if image is None else [image]
    return kept, len(slices) - len(kept)


def _by_phase(slices: list[Slice]) -> list[Stack]:
    """One stack, or one for each phase where several slices are at one place."""
    places = _places(slices)
    most = max(map(len, places))
    in_order = [one for place in places for one in place]
    if most == 1 and is_even(along(in_order)):
        return [Stack(in_order)]
    for keyword in slices[0].labels:
        groups: dict[str, list[Slice]] = {}
        for one in in_order:
            groups.setdefault(one.labels.get(keyword, ""), []).append(one)
        apart = all(len(group) == len(_places(group)) for group in groups.values())
        if (len(groups) == most if most > 1 else _are_interleaved(list(groups.values()))) and apart:
            return [Stack(group, f"{_words(keyword)} {value}".strip()) for value, group in groups.items()]
    if most == 1:
        return [Stack(in_order)]
    return [
        Stack([place[rank] for place in places if len(place) > rank], f"image {rank + 1} of {most} at each place")
        for rank in range(most)
    ]


def is_even(where: np.ndarray) -> bool:
    """Whether places in mm, ascending, are evenly spaced, but for the rounding of their decimals."""
    if len(where) < 3:
        return True
    mean = (where[-1] - where[0]) / (len(where) - 1)
    return bool(np.abs(where - (where[0] + mean * np.arange(len(where)))).max() <= EVEN * mean)


def _are_interleaved(groups: list[list[Slice]]) -> bool:
    """Whether slices that are uneven together are volumes in each other: phases between which the table moved."""
    ends = [along([groups[0][0], *group])[1:] for group in groups]
    overlap = len(groups) > 1 and max(where[0] for where in ends) < min(where[-1] for where in ends)
    return overlap and all(len(where) > 2 and is_even(where) for where in ends)


def _words(keyword: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in keyword).strip()
