"""A map of predicted errors as a volume with colors, and its value at a point."""

import numpy as np
import slicer
from scipy import ndimage
from slicer.i18n import tr as _

from .volume_source import ijkToRasOf

MOST_MM = 5.0
"""The colors end here, always, so that maps compare; where nothing is known, 90 % of errors are below 4 mm."""
_STOPS = ((44, 123, 182), (171, 217, 233), (255, 255, 191), (253, 174, 97), (215, 25, 28))
"""Blue over yellow to red, which color-blind people can tell apart (ColorBrewer, RdYlBu)."""
_COLORS = 256


def addErrorVolume(errorsMm, errorsToRas, name):
    """Add a map of errors.

    Args:
        errorsMm: (K, J, I) array.
        errorsToRas: (4, 4) array of its voxels.

    Returns:
        the volume node and its table of colors.
    """
    node = slicer.util.addVolumeFromArray(errorsMm.astype(np.float32), errorsToRas, name)
    node.CreateDefaultDisplayNodes()
    colors = _addColors(f"{name} {_('colors')}")
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(colors.GetID())
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0.0, MOST_MM)
    return node, colors


def _addColors(name):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", name)
    node.SetTypeToUser()
    node.SetNumberOfColors(_COLORS)
    at = np.linspace(0, len(_STOPS) - 1, _COLORS)
    channels = [np.interp(at, range(len(_STOPS)), channel) / 255 for channel in zip(*_STOPS, strict=True)]
    for index, color in enumerate(zip(*channels, strict=True)):
        node.SetColor(index, f"{index * MOST_MM / (_COLORS - 1):.2f} mm", *color, 1.0)
    node.SetHideFromEditors(True)
    return node


def showLegend(node, isShown):
    """Show the scale of the colors beside the map, wherever it shows."""
    logic = slicer.modules.colors.logic()
    legend = logic.GetColorLegendDisplayNode(node)
    if legend is None:
        if not isShown:
            return
        legend = logic.AddDefaultColorLegendDisplayNode(node)
        legend.SetTitleText(_("mm"))
        legend.SetLabelFormat("%.0f")
        legend.SetNumberOfLabels(int(MOST_MM) + 1)
        legend.SetSize(0.1, 0.4)
        legend.SetPosition(0.97, 0.5)
    legend.SetVisibility(isShown)


def errorAt(node, pointRasMm):
    """mm at a point in the world, or None outside the map."""
    matrix = np.linalg.inv(ijkToRasOf(node))
    i, j, k = matrix[:3, :3] @ pointRasMm + matrix[:3, 3]
    value = ndimage.map_coordinates(slicer.util.arrayFromVolume(node), [[k], [j], [i]], order=1, cval=np.nan)[0]
    return None if np.isnan(value) else float(value)
