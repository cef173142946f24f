"""Names such as ProbeToTracker: the frames that they link, and the way from one frame to another."""

from __future__ import annotations

import re
from collections.abc import Iterable

from DiffUSLib.errors import DiffUSError

#: Frames that lie in the patient, the best first. Patient and World are other names of RAS (Slicer's World is RAS).
PATIENT_FRAMES = ("ras", "patient", "world", "reference", "tracker")
#: Frames that a tracker knows: nothing ties them to the patient's images unless a registration does.
TRACKED_FRAMES = ("reference", "tracker")

_SPELLINGS = (
    re.compile(r"(.+?)To([A-Z0-9].*)"),  # ProbeToTracker, also TorsoToTool
    re.compile(r"(.+?)[_\s-]to[_\s-](.+)", re.IGNORECASE),  # probe_to_tracker
    re.compile(r"(.+?)To(.+)"),  # probeTotracker
    re.compile(r"([A-Za-z]+)2([A-Za-z].*)"),  # Probe2Tracker
    re.compile(r"(image|probe|transducer|reference|tracker|ras|patient|world)to([a-z].*)", re.IGNORECASE),
)


def split_transform_name(name: str) -> tuple[str, str]:
    """("Probe", "Tracker") of "ProbeToTracker", also spelled probeTotracker, probe_to_tracker or Probe2Tracker.

    Raises:
        DiffUSError: if the name does not say which frames it links.
    """
    for spelling in _SPELLINGS:
        match = spelling.fullmatch(name.strip())
        ends = [end.strip(" _-") for end in match.groups()] if match else []
        if ends and all(ends):
            return ends[0], ends[1]
    raise DiffUSError(f"the transform name '{name}' does not have the form FromToTo, for instance ProbeToTracker.")


def links_of(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The frames that each name links; names that do not say so are left out."""
    links = {}
    for name in names:
        try:
            links[name] = split_transform_name(name)
        except DiffUSError:
            continue
    return links


def find_chain(names: Iterable[str], from_frame: str, to_frame: str) -> list[tuple[str, bool]]:
    """The shortest way from one frame to another.

    Args:
        names: transform names such as "ProbeToTracker"; each link can be walked both ways. Names that do not say which
            frames they link do not count.
        from_frame, to_frame: frame names; upper and lower case do not matter.

    Returns:
        (name, inverted) for every step, in walking order; empty if both frames are the same.

    Raises:
        DiffUSError: if a link is missing; the sentence names the two sides that nothing connects.
    """
    links = links_of(names)
    steps_to = _ways(links, from_frame)
    if to_frame.lower() not in steps_to:
        raise DiffUSError(_missing_link(links, from_frame, to_frame, set(steps_to)))
    return steps_to[to_frame.lower()]


def patient_frame(names: Iterable[str], candidates: Iterable[str] = PATIENT_FRAMES) -> str:
    """The frame of the patient that transforms of these names lead to from Image, walked in either direction.

    Args:
        names: transform names.
        candidates: frames in lower case, the best first.

    Returns:
        The first of the candidates that a way leads to, as the names spell it. Where none does, the first of those
        that are mentioned, else "Reference": the missing link to it is what to tell.
    """
    links = links_of(names)
    spelled = {end.lower(): end for ends in links.values() for end in ends}
    reached = _ways(links, "Image")
    candidates = tuple(candidates)
    mentioned = [frame for frame in candidates if frame in spelled]
    found = next((frame for frame in mentioned if frame in reached), None)
    if found is None or ("ras" in mentioned and "ras" not in reached):
        # A registration to RAS that nothing connects must not be passed over in silence.
        found = "ras" if "ras" in mentioned else next(iter(mentioned), "reference")
    return "Ras" if found == "ras" else spelled.get(found, found.capitalize())


def _ways(links: dict[str, tuple[str, str]], start: str) -> dict[str, list[tuple[str, bool]]]:
    """The steps to every frame that can be reached, the frames in lower case."""
    steps_to: dict[str, list[tuple[str, bool]]] = {start.lower(): []}
    queue = [start.lower()]
    while queue:
        frame = queue.pop(0)
        for name, ends in links.items():
            source, target = (end.lower() for end in ends)
            for here, there, inverted in ((source, target, False), (target, source, True)):
                if here == frame and there not in steps_to:
                    steps_to[there] = [*steps_to[frame], (name, inverted)]
                    queue.append(there)
    return steps_to


def _missing_link(links: dict[str, tuple[str, str]], from_frame: str, to_frame: str, reached: set[str]) -> str:
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
