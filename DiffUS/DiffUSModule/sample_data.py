"""The sample head: made on the spot, no network."""

import json
import os

import slicer

SAMPLES = {"t1": "DiffUS head (MRI)", "ct": "DiffUS head (CT)", "labels": "DiffUS head (labels)"}

START_ATTRIBUTE = "DiffUS.EntryAndTarget"


def registerSampleData(iconFolder):
    """Offer the sample heads in Slicer's Sample Data module."""
    import SampleData

    for modality, name in SAMPLES.items():
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category="DiffUS",
            sampleName=name,
            nodeNames=name,
            thumbnailFileName=os.path.join(iconFolder, "DiffUS.png"),
            customDownloader=lambda source, modality=modality: [loadSampleHead(modality)],
        )


def loadSampleHead(modality):
    """Make a head phantom and show it in the slice views.

    Args:
        modality: "t1", "ct" or "labels".

    Returns:
        the volume node.
    """
    from .library_path import ensureLibrary

    ensureLibrary()
    from DiffUSLib import head_phantom

    phantom = head_phantom()
    volume = getattr(phantom, modality)
    isLabels = modality == "labels"
    node = slicer.util.addVolumeFromArray(
        volume.voxels.numpy(),
        volume.ijk_to_ras.numpy(),
        SAMPLES[modality],
        "vtkMRMLLabelMapVolumeNode" if isLabels else "vtkMRMLScalarVolumeNode",
    )
    node.SetAttribute(START_ATTRIBUTE, json.dumps([phantom.entry_ras_mm, phantom.target_ras_mm]))
    node.CreateDefaultDisplayNodes()
    slicer.util.setSliceViewerLayers(**{"label" if isLabels else "background": node}, fit=True)
    if slicer.app.layoutManager() is not None:
        slicer.app.layoutManager().resetThreeDViews()
    return node


def startPose(patient):
    """(4, 4) pose of a new transducer: that of the sample head, else where DiffUSLib finds a good place."""
    from DiffUSLib import look_at
    from DiffUSLib.placement import default_pose

    points = patient.node.GetAttribute(START_ATTRIBUTE)
    if points and patient.node.GetParentTransformNode() is None:
        return look_at(*json.loads(points)).numpy()
    return default_pose(patient.maps).numpy()
