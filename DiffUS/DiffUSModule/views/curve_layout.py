"""The layouts with the plot of the impedance curve."""

import slicer

from .image_layout import IMAGE_VIEW, RESLICE_VIEW
from .impedance_plot import plotCurve
from .layout_switch import LayoutSwitch

PLOT_VIEW = "DiffUSCurve"
_SLICE = '<item><view class="vtkMRMLSliceNode" singletontag="{tag}"/></item>'
_PLOT = (
    f'<item><view class="vtkMRMLPlotViewNode" singletontag="{PLOT_VIEW}"><property name="viewlabel" action="default">P'
    "</property></view></item>"
)
_THREE_D = '<item><view class="vtkMRMLViewNode" singletontag="1"/></item>'
_ROWS = (
    '<layout type="vertical" split="true"><item><layout type="horizontal" split="true">{upper}</layout></item>'
    '<item><layout type="horizontal" split="true">{lower}</layout></item></layout>'
)
WITH_IMAGE_ID, WITHOUT_IMAGE_ID = 7296, 7297
WITH_IMAGE = _ROWS.format(
    upper=_SLICE.format(tag=IMAGE_VIEW) + _SLICE.format(tag=RESLICE_VIEW), lower=_THREE_D + _PLOT
)
WITHOUT_IMAGE = _ROWS.format(upper=_THREE_D + _SLICE.format(tag="Red"), lower=_PLOT)


class CurveLayout:
    """Shows the plot in the place of the axial slice, beside the live image if that is shown.

    Args:
        session: see session.Session.
    """

    def __init__(self, session):
        self._session = session
        self._withImage = LayoutSwitch(WITH_IMAGE_ID, WITH_IMAGE)
        self._withoutImage = LayoutSwitch(WITHOUT_IMAGE_ID, WITHOUT_IMAGE)

    @property
    def isShown(self):
        return self._withImage.isShown or self._withoutImage.isShown

    def show(self, maps, volumeName):
        """Plot the curve of acoustic maps; returns False if they have none."""
        chart = plotCurve(maps, volumeName)
        if chart is None:
            return False
        if not self.isShown:
            (self._withImage if self._session.layout.isShown else self._withoutImage).show()
        view = slicer.mrmlScene.GetSingletonNode(PLOT_VIEW, "vtkMRMLPlotViewNode")
        if view is not None:
            view.SetPlotChartNodeID(chart.GetID())
        return True

    def hide(self):
        """Back to the layout before."""
        self._withImage.hide()
        self._withoutImage.hide()
