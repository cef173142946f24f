"""The acoustic impedance of the patient as a volume with a color bar."""

import numpy as np
import slicer
from slicer.i18n import tr as _

IMPEDANCE_ROLE = "DiffUS.Impedance"
COLORS = "vtkMRMLColorTableNodeIron"
SHOWN_MRAYL = (1.4, 1.8)
"""Soft tissue; bone is brighter than the scale."""


def showImpedance(patient):
    """Show the impedance (MRayl) of a Patient's maps in all slice views, below the image.

    Returns:
        the volume node, the same one at each call for a volume.
    """
    maps = patient.maps
    node = patient.node.GetNodeReference(IMPEDANCE_ROLE)
    if node is None:
        name = f"{patient.node.GetName()} {_('impedance')}"
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        node.SetAttribute("DiffUS.Role", IMPEDANCE_ROLE)
        patient.node.SetNodeReferenceID(IMPEDANCE_ROLE, node.GetID())
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(maps.ijk_to_ras.numpy()))
    slicer.util.updateVolumeFromArray(node, maps.impedance.detach().cpu().numpy().astype(np.float32))
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(COLORS)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*SHOWN_MRAYL)
    legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(node)
    legend.SetTitleText(_("MRayl"))
    legend.SetVisibility(True)
    slicer.util.setSliceViewerLayers(background=node)
    return node


def hideImpedance(patient):
    """Show the volume itself again; the impedance stays in the scene."""
    node = patient.node.GetNodeReference(IMPEDANCE_ROLE) if patient.node is not None else None
    if node is None:
        return
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(node)
    if legend is not None:
        legend.SetVisibility(False)
    if patient.node.IsA("vtkMRMLScalarVolumeNode"):
        slicer.util.setSliceViewerLayers(background=patient.node)
