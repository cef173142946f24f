"""Ultrasound of the scene, copied out so that a thread can work on it."""

from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from DiffUSLib import DiffUSError

from ..scene.volume_source import copyVolume, ijkToRasOf
from .transform_chain import chainOf, checkChain

MOST_FRAMES = 64
"""Copied out of a long sweep: enough to find the fan through shadows."""


@dataclass(frozen=True)
class UltrasoundFrames:
    """2D images with their places.

    Attributes:
        name: what the user chose.
        images: (N, H, W) gray.
        imageToRas: (N, 4, 4) from (column, row, 0, 1) to mm.
        numbers: of the frames in their sequence.
        shown: index of the frame that the views show.
        leftOut: which frames cannot be used and why, a phrase for each reason.
    """

    name: str
    images: np.ndarray
    imageToRas: np.ndarray
    numbers: tuple
    shown: int
    leftOut: tuple = ()


def imageNodeOf(node):
    """The volume node that a choice shows: the node itself, or the images' proxy of a sequence browser.

    Raises:
        DiffUSError: if a browser plays no images.
    """
    if not node.IsA("vtkMRMLSequenceBrowserNode"):
        return node
    for sequence in _sequencesOf(node):
        proxy = node.GetProxyNode(sequence)
        if proxy is not None and proxy.IsA("vtkMRMLVolumeNode"):
            return proxy
    raise DiffUSError(_("{name} plays no images; choose another sequence or an image.").format(name=node.GetName()))


def isThreeDimensional(imageNode):
    """True for a volume of several slices."""
    return imageNode.GetImageData() is not None and min(imageNode.GetImageData().GetDimensions()) > 1


def readUltrasound(node, patientNode):
    """Copy the chosen ultrasound out of the scene.

    Args:
        node: volume node or sequence browser.
        patientNode: the volume that it is to be aligned to, or None.

    Returns:
        UltrasoundFrames, or a VolumeCopy for a 3D ultrasound volume.

    Raises:
        DiffUSError: if it cannot be used, in one sentence.
    """
    imageNode = imageNodeOf(node)
    if imageNode is patientNode:
        text = _("{name} is both the volume and the ultrasound; choose another one for one of them.")
        raise DiffUSError(text.format(name=imageNode.GetName()))
    checkChain(imageNode)
    if isThreeDimensional(imageNode):
        if imageNode is not node:
            text = _("{name} plays 3D volumes; choose the volume that it shows, {image}, instead.")
            raise DiffUSError(text.format(name=node.GetName(), image=imageNode.GetName()))
        return copyVolume(imageNode)
    if node.IsA("vtkMRMLSequenceBrowserNode"):
        frames = _readSequence(node, imageNode)
    else:
        frames = UltrasoundFrames(node.GetName(), _pixels(node)[None], ijkToRasOf(node)[None], (0,), 0)
    _checkPixelSize(frames)
    return frames


def placesOf(node, numbers):
    """(N, 4, 4) array: where frames stand now, pixels to RAS in mm; for a volume that of its voxels, once."""
    imageNode = imageNodeOf(node)
    if not node.IsA("vtkMRMLSequenceBrowserNode"):
        return ijkToRasOf(imageNode)[None]
    return np.stack([_place(node, imageNode, chainOf(imageNode), number)[1] for number in numbers])


def _sequencesOf(browser):
    sequences = vtk.vtkCollection()
    browser.GetSynchronizedSequenceNodes(sequences, True)
    return [sequences.GetItemAsObject(index) for index in range(sequences.GetNumberOfItems())]


def _readSequence(browser, imageNode):
    from DiffUSLib import SkippedFrame, frame_problems, spread_frames, summarize_skipped

    chain = chainOf(imageNode)
    tracked = [browser.GetProxyNode(sequence) for sequence in _sequencesOf(browser)]
    tracked = [proxy for proxy in tracked if proxy is not None and proxy.IsA("vtkMRMLTransformNode")]
    if tracked and not any(proxy in chain for proxy in tracked):
        text = _("{image} is under none of the tracked transforms of {browser} ({names}), so its frames would all lie "
                 "in one place; put it under one of them in the module Transforms.")  # fmt: skip
        names = ", ".join(proxy.GetName() for proxy in tracked)
        raise DiffUSError(text.format(image=imageNode.GetName(), browser=browser.GetName(), names=names))
    images, places, links, used = [], [], [], []
    selected = browser.GetSelectedItemNumber()
    for number in spread_frames(browser.GetNumberOfItems(), MOST_FRAMES, selected):
        frame, place, played = _place(browser, imageNode, chain, number)
        if frame is not None:
            images.append(_pixels(frame))
            places.append(place)
            links.append(played)
            used.append(number)
    if not images:
        raise DiffUSError(_("{name} holds no frame; load it again.").format(name=browser.GetName()))
    if len({image.shape for image in images}) > 1:
        raise DiffUSError(_("The frames of {name} differ in size.").format(name=browser.GetName()))
    images, places = np.stack(images), np.stack(places)
    problems = frame_problems(images, places, used, np.stack(links, axis=1))
    leftOut = tuple(summarize_skipped(SkippedFrame(used[index], problems[index]) for index in sorted(problems)))
    good = [index for index in range(len(used)) if index not in problems]
    if not good:
        text = _("No frame of {name} can be used: {reasons}.")
        raise DiffUSError(text.format(name=browser.GetName(), reasons="; ".join(leftOut)))
    used = tuple(used[index] for index in good)
    shown = used.index(selected) if selected in used else 0
    return UltrasoundFrames(browser.GetName(), images[good], places[good], used, shown, leftOut)


def _place(browser, imageNode, chain, number):
    """Of one frame: data node of the image, (4, 4) pixels to RAS, (L, 4, 4) links that are played, the lowest first.

    All None if a sequence lacks it.
    """
    value = browser.GetMasterSequenceNode().GetNthIndexValue(number)
    frame = browser.GetSequenceNode(imageNode).GetDataNodeAtValue(value)
    if frame is None:
        return None, None, None
    matrix = vtk.vtkMatrix4x4()
    frame.GetIJKToRASMatrix(matrix)
    place, played = slicer.util.arrayFromVTKMatrix(matrix), []
    for transform in chain:
        sequence = browser.GetSequenceNode(transform)
        link = transform if sequence is None else sequence.GetDataNodeAtValue(value)
        if link is None:
            return None, None, None
        link = slicer.util.arrayFromTransformMatrix(link)
        if sequence is not None:
            played.append(link)
        place = link @ place
    return frame, place, np.reshape(played, (-1, 4, 4))


def _pixels(volumeNode):
    """(H, W) copy of a 2D image, colors as gray.

    Raises:
        DiffUSError: if it has no pixels.
    """
    from DiffUSLib import to_gray

    image = volumeNode.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0:
        raise DiffUSError(_("{name} has no pixels; load it again.").format(name=volumeNode.GetName()))
    return np.array(to_gray(slicer.util.arrayFromVolume(volumeNode)[0]))


def _checkPixelSize(frames):
    lengths = np.linalg.norm(frames.imageToRas[:, :3, :2], axis=1)
    if np.allclose(lengths, 1.0, atol=1e-3):
        text = _("{name} has no pixel size (1 mm): set its spacing in the module Volumes, or load the calibration.")
        raise DiffUSError(text.format(name=frames.name))
