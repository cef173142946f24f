"""The layouts with the plot of the impedance curve."""

import slicer

from .impedance_plot import plotCurve
from .layout_switch import LayoutSwitch
from .layouts import CURVE_LAYOUT, CURVE_VIEW, CURVE_WITH_IMAGE_LAYOUT


class CurveLayout:
    """Shows the plot in the place of the axial slice, beside the live image if that is shown.

    Args:
        imageLayout: see image_layout.ImageLayout.
    """

    def __init__(self, imageLayout):
        self._imageLayout = imageLayout
        self._withImage = LayoutSwitch(CURVE_WITH_IMAGE_LAYOUT)
        self._withoutImage = LayoutSwitch(CURVE_LAYOUT)

    @property
    def isShown(self):
        return self._withImage.isShown or self._withoutImage.isShown

    def show(self, maps, volumeName):
        """Plot the curve of acoustic maps; returns False if they have none."""
        chart = plotCurve(maps, volumeName)
        if chart is None:
            return False
        if not self.isShown:
            (self._withImage if self._imageLayout.isShown else self._withoutImage).show()
        view = slicer.mrmlScene.GetSingletonNode(CURVE_VIEW, "vtkMRMLPlotViewNode")
        if view is not None:
            view.SetPlotChartNodeID(chart.GetID())
        return True

    def hide(self):
        """Back to the layout before."""
        self._withImage.hide()
        self._withoutImage.hide()
