"""The transforms between an ultrasound image and the patient: in words, and where a correction goes."""

import re
from itertools import pairwise

from slicer.i18n import tr as _

from DiffUSLib import DiffUSError

CORRECTION_ROLE = "DiffUS.Correction"
ACCEPTED_ATTRIBUTE = "DiffUS.Accepted"
PATIENT_FRAMES = ("ras", "reference", "world", "patient", "tracker")
_FRAMES = re.compile(r"(?:^|[\s_])([A-Z][A-Za-z0-9]*?)To([A-Z][A-Za-z0-9]*)(?:_\d+)?$")


def chainOf(node):
    """The transforms above a node, the lowest first."""
    chain, transform = [], node.GetParentTransformNode()
    while transform is not None:
        chain.append(transform)
        transform = transform.GetParentTransformNode()
    return chain


def isCorrection(transform):
    """True for a transform that an alignment put into the scene."""
    return transform.GetAttribute("DiffUS.Role") == CORRECTION_ROLE


def framesOf(transform):
    """("Probe", "Reference") of a transform whose name ends in ProbeToReference, also spelled otherwise, or None."""
    name = transform.GetName() or ""
    match = _FRAMES.search(name)
    if match:
        return match.groups()
    from DiffUSLib import split_transform_name

    try:
        frames = split_transform_name(re.sub(r"_\d+$", "", name.split()[-1] if name else ""))
    except DiffUSError:
        return None
    known = {*PATIENT_FRAMES, "image", "probe", "transducer"}
    return frames if known & {frame.lower() for frame in frames} else None


def anchorOf(imageNode, patientNode, pending=None):
    """The highest node of the ultrasound's chain that does not move the patient too: a correction goes above it.

    Args:
        patientNode: volume node, or None.
        pending: a correction that does not count.
    """
    moved = [pending, *(chainOf(patientNode) if patientNode is not None else ())]
    return [node for node in (imageNode, *chainOf(imageNode)) if node not in moved][-1]


def checkChain(imageNode):
    """Refuse a chain with a missing link, naming it, or one that bends space.

    Raises:
        DiffUSError: with one sentence.
    """
    chain = chainOf(imageNode)
    for transform in chain:
        if not transform.IsLinear():
            text = _("{transform}, above {image}, bends space; an alignment needs linear transforms.")
            raise DiffUSError(text.format(transform=transform.GetName(), image=imageNode.GetName()))
    tracked = [transform for transform in chain if not isCorrection(transform)]
    links = [framesOf(transform) for transform in tracked]
    if not links or None in links:
        return
    if links[0][0] == "Probe" and _isUncalibrated(imageNode):
        _refuse(imageNode, "Image", "Probe")
    for transform, ((_from, to), (nextFrom, nextTo)) in zip(tracked[1:], pairwise(links), strict=True):
        if to.lower() == nextTo.lower() != nextFrom.lower():
            text = _("{transform}, above {image}, stands the wrong way round: invert it in the module Transforms, and "
                     "name it {goal}To{start}.")  # fmt: skip
            names = {"transform": transform.GetName(), "start": nextFrom, "goal": nextTo}
            raise DiffUSError(text.format(image=imageNode.GetName(), **names))
        if to.lower() != nextFrom.lower():
            _refuse(imageNode, to, nextFrom)
    if links[-1][1].lower() not in PATIENT_FRAMES:
        _refuse(imageNode, links[-1][1], "Ras")


def _isUncalibrated(imageNode):
    """True if the image's own matrix holds nothing but the pixel size."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    imageNode.GetIJKToRASDirectionMatrix(matrix)
    return matrix.IsIdentity() and imageNode.GetOrigin() == (0.0, 0.0, 0.0)


def _refuse(imageNode, start, goal):
    text = _("The transforms above {image} have a missing link: nothing leads from {start} to {goal}; load or make "
             "{start}To{goal} and put it between them in the module Transforms.")  # fmt: skip
    raise DiffUSError(text.format(image=imageNode.GetName(), start=start, goal=goal))


def _nameOf(correction):
    name = correction.GetName()
    return name if correction.GetAttribute(ACCEPTED_ATTRIBUTE) else _("{name}, not accepted").format(name=name)


def describeChain(imageNode, patientNode, pending=None):
    """The way of the image to the patient, and what a correction moves; two sentences.

    Args:
        pending: correction of a running or undecided alignment, which is left out.
    """
    chain = [transform for transform in chainOf(imageNode) if transform is not pending]
    corrections = [transform for transform in chain if isCorrection(transform)]
    others = [transform for transform in chain if not isCorrection(transform)]
    frames = [framesOf(transform) for transform in others]
    names = [_("Image")]
    if None in frames:
        names += [transform.GetName() for transform in others]
    else:
        names += [to for _from, to in frames if to.lower() != "ras"]
    way = " → ".join([*names, _("RAS")])
    if corrections:
        way += " " + _("(corrected by {names})").format(names=", ".join(_nameOf(node) for node in corrections))
    anchor = anchorOf(imageNode, patientNode, pending)
    return _("{way}. The correction goes above {anchor}.").format(way=way, anchor=anchor.GetName())
