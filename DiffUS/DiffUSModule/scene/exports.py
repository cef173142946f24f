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


def sweepSteps(path, frames):
    """Write a recorded sweep as tracked .igs.mha or as .gif; a generator for BackgroundTask, touches no node.

    Args:
        frames: function that returns what SweepRecorder.frames does.

    Raises:
        DiffUSError: if the file cannot be written, or for another ending.
    """
    import torch

    from DiffUSLib import write_animation, write_tracked_frames, written_whole

    isTracked = path.lower().endswith(".mha")
    if not isTracked and not path.lower().endswith(".gif"):
        raise DiffUSError(_("A sweep is written as .igs.mha or .gif; choose one of these endings."))
    images, imageToReference, times = frames()
    with written_whole(path) as temporary:
        if isTracked:
            write_tracked_frames(temporary, images, {"ImageToReference": torch.from_numpy(imageToReference)}, times)
        else:
            write_animation(temporary, torch.from_numpy(images))
        yield  # who was cancelled ends here, and leaves no file
