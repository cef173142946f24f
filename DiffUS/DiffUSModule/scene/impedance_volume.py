"""The acoustic impedance of the patient as a volume with a color bar."""

import numpy as np
import slicer
from slicer.i18n import tr as _

IMPEDANCE_ROLE = "DiffUS.Impedance"
COLORS = "vtkMRMLColorTableNodeIron"
SHOWN_MRAYL = (1.45, 1.70)
"""Fluid, brain and other soft tissue; bone is brighter than the scale, fat darker."""

LEGEND_SIZE = (0.07, 0.4)
"""Width and height as shares of the view: texts are as large as fits, and with Slicer's 0.15 fill a quarter of it."""


def impedanceOf(volumeNode):
    """The impedance volume of a volume, or None if none was made."""
    return volumeNode.GetNodeReference(IMPEDANCE_ROLE)


def updateImpedance(volumeNode, maps, before=None):
    """Bring the impedance volume (MRayl) of a volume up to date.

    Args:
        before: the maps that it shows now; voxels that are the same are not copied again.

    Returns:
        the volume node, the same one at each call for a volume.
    """
    node = impedanceOf(volumeNode)
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass(
            "vtkMRMLScalarVolumeNode", f"{volumeNode.GetName()} {_('impedance')}"
        )
        node.SetAttribute("DiffUS.Role", IMPEDANCE_ROLE)
        volumeNode.SetNodeReferenceID(IMPEDANCE_ROLE, node.GetID())
        before = None
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(maps.ijk_to_ras.numpy()))
    if before is None or not maps.has_voxels_of(before):
        slicer.util.updateVolumeFromArray(node, maps.impedance.detach().cpu().numpy().astype(np.float32))
    return node


def showImpedance(volumeNode):
    """Show the impedance volume in all slice views, below the image."""
    node = impedanceOf(volumeNode)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(COLORS)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*SHOWN_MRAYL)
    slicer.util.setSliceViewerLayers(background=node)


def showLegend(volumeNode):
    """Show the color bar in the views that show the impedance volume now: Slicer looks only when the bar changes."""
    legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(impedanceOf(volumeNode))
    legend.SetTitleText(_("MRayl"))
    legend.SetLabelFormat("%.2f")
    legend.SetSize(*LEGEND_SIZE)
    legend.SetVisibility(True)
    legend.Modified()


def hideImpedance(volumeNode):
    """Show the volume itself again; the impedance stays in the scene."""
    node = impedanceOf(volumeNode)
    if node is None:
        return
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(node)
    if legend is not None:
        legend.SetVisibility(False)
    if volumeNode.IsA("vtkMRMLScalarVolumeNode"):
        slicer.util.setSliceViewerLayers(background=volumeNode)
