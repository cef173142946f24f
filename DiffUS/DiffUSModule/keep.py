"""Images and sweeps as nodes and files."""

import numpy as np
import slicer
from slicer.i18n import tr as _

from DiffUSLib import DiffUSError

from .transducer import showAsUltrasound
from .volume_source import ijkToRasOf


def snapshot(transducer):
    """A copy of the image as a volume of its own that stays where it is; returns the node."""
    name = slicer.mrmlScene.GenerateUniqueName(f"{transducer.name} {_('snapshot')}")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    image = transducer.image
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ijkToRasOf(image)))
    slicer.util.updateVolumeFromArray(node, np.array(slicer.util.arrayFromVolume(image)))
    showAsUltrasound(node)
    return node


def exportImage(transducer, path):
    """Write the image, with its place in the patient except for .png."""
    from DiffUSLib import write_image

    image = transducer.image
    write_image(path, np.array(slicer.util.arrayFromVolume(image))[0], ijkToRasOf(image))


def exportSweep(recorder, path):
    """Write a recorded sweep as tracked .igs.mha or as .gif.

    Raises:
        DiffUSError: if nothing was recorded, or for another ending.
    """
    import torch

    from DiffUSLib import write_animation, write_tracked_frames

    if recorder.frameCount == 0:
        raise DiffUSError(_("Nothing was recorded; press Record and move the transducer."))
    images, imageToReference, times = recorder.frames()
    if path.lower().endswith(".mha"):
        write_tracked_frames(path, images, {"ImageToReference": torch.from_numpy(imageToReference)}, times)
    elif path.lower().endswith(".gif"):
        write_animation(path, torch.from_numpy(images))
    else:
        raise DiffUSError(_("A sweep is written as .igs.mha or .gif; choose one of these endings."))
