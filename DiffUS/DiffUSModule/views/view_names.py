"""What the module's views are called: by what they show."""

from slicer.i18n import tr as _

PATIENT_NAMES = {"ct": "CT", "labels": "Labels"}


def nameOfVolume(volumeNode, modality):
    """A few letters for a view of the patient's volume.

    Args:
        volumeNode: the patient's node, or None.
        modality: DiffUSLib's name of what its intensities mean, "auto" if that is not known yet.
    """
    if volumeNode is None:
        return "-"
    if volumeNode.IsA("vtkMRMLSegmentationNode") or volumeNode.IsA("vtkMRMLLabelMapVolumeNode"):
        return _("Labels")
    if modality == "auto":
        return _("Volume")
    return PATIENT_NAMES.get(modality, "MR")
