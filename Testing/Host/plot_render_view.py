"""A plot view: the chart of a plot view node, drawn by the chart classes of VTK that Slicer's own plot view uses."""

import slicer
import vtk

from .render_view import RenderView


class PlotRenderView(RenderView):
    """The view of one plot view node; drawn anew whenever chart, series or table changed.

    Attributes:
        node: vtkMRMLPlotViewNode.
    """

    def __init__(self, plotViewNode, size):
        super().__init__(size)
        self.node, self._drawn = plotViewNode, None
        self.renderer.SetBackground(1.0, 1.0, 1.0)
        self._chart = vtk.vtkChartXY()
        context = vtk.vtkContextScene()
        context.AddItem(self._chart)
        self._actor = vtk.vtkContextActor()
        self._actor.SetScene(context)
        context.SetRenderer(self.renderer)
        self.renderer.AddActor(self._actor)

    def renderIfOutdated(self):
        if self._content() != self._drawn:
            self.render()

    def render(self):
        if self._content() != self._drawn:
            self._drawn = self._content()
            self._build()
        super().render()

    def _series(self):
        chart = self.node.GetPlotChartNode()
        count = chart.GetNumberOfPlotSeriesNodes() if chart is not None else 0
        series = [chart.GetNthPlotSeriesNode(index) for index in range(count)]
        return [item for item in series if item is not None and item.GetTableNode() is not None]

    def _content(self):
        """What tells whether the picture is still right."""
        nodes = [self.node, *(item for item in (self.node.GetPlotChartNode(),) if item is not None)]
        for series in self._series():
            nodes += [series, series.GetTableNode(), series.GetTableNode().GetTable()]
        return [(id(node), node.GetMTime()) for node in nodes]

    def _build(self):
        self._chart.ClearPlots()
        chart = self.node.GetPlotChartNode()
        self._chart.SetVisible(chart is not None)
        if chart is None:
            return
        self._chart.SetTitle(chart.GetTitle() or "")
        for axis, title in ((vtk.vtkAxis.BOTTOM, chart.GetXAxisTitle()), (vtk.vtkAxis.LEFT, chart.GetYAxisTitle())):
            self._chart.GetAxis(axis).SetTitle(title or "")
        self._chart.SetShowLegend(bool(chart.GetLegendVisibility()))
        for series in self._series():
            table = series.GetTableNode().GetTable()
            names = (series.GetXColumnName(), series.GetYColumnName())
            if any(table.GetColumnByName(name) is None for name in names) or table.GetNumberOfRows() < 1:
                continue
            isLine = series.GetLineStyle() != slicer.vtkMRMLPlotSeriesNode.LineStyleNone
            plot = self._chart.AddPlot(vtk.vtkChart.LINE if isLine else vtk.vtkChart.POINTS)
            plot.SetInputData(table, *names)
            plot.SetColorF(*series.GetColor())
            plot.SetWidth(series.GetLineWidth())
            plot.SetLabel(series.GetName())
        self._chart.RecalculateBounds()
