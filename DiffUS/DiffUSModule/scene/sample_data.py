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
            uris="",  # Slicer asks for an address; the custom downloader takes its place
            nodeNames=name,
            thumbnailFileName=os.path.join(iconFolder, "DiffUS.png"),
            customDownloader=lambda source, modality=modality: [addSampleHead(makeSampleHead(), modality)],
        )


def makeSampleHead():
    """DiffUSLib's head phantom; touches no node, so it may be made in a thread."""
    from ..library_path import ensureLibrary

    ensureLibrary()
    from DiffUSLib import head_phantom

    return head_phantom()


def addSampleHead(phantom, modality):
    """Add one volume of the head phantom to the scene and show it in the slice views.

    Args:
        phantom: of `makeSampleHead`.
        modality: "t1", "ct" or "labels".

    Returns:
        the volume node.
    """
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


def knownStartPose(node):
    """(4, 4) pose that came with the sample head, or None for another volume."""
    from DiffUSLib import look_at

    points = node.GetAttribute(START_ATTRIBUTE)
    return look_at(*json.loads(points)).numpy() if points and node.GetParentTransformNode() is None else None
