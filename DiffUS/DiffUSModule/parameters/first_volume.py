"""The volume that is taken where the user has chosen none."""

import slicer


def takeFirstVolume(parameters):
    """Choose the first volume of the scene that may be a patient, unless one is chosen.

    Images of one slice and what the module made itself are no patients.
    """
    if parameters.volume is not None:
        return
    for volume in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        image = volume.GetImageData()
        if volume.GetAttribute("DiffUS.Role") is None and image is not None and min(image.GetDimensions()) > 1:
            parameters.volume = volume
            return
