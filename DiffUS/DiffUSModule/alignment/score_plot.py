"""The score of an alignment as a Slicer plot: one table, one series, one chart, used again for each run."""

import slicer
import vtk
from slicer.i18n import tr as _

from ..scene.own_nodes import addNodeOfRole, nodeOfRole

ROLE = "DiffUS.Score"
STEP, SCORE = "Step", "Agreement"


class ScorePlot:
    """Draws how much the agreement grew.

    Scores compare within a stage only; so the curve sums what each stage gained over its own beginning. A stage may
    also follow the second best place: the curve stays at the best.
    """

    def __init__(self):
        self._stage = None
        self._gained = self._first = self._last = 0.0

    def clear(self):
        """Begin a new curve; makes the nodes that are not there."""
        self._stage, self._gained, self._first, self._last = None, 0.0, 0.0, 0.0
        table = self.table()
        table.RemoveAllColumns()
        for name in (STEP, SCORE):
            column = vtk.vtkFloatArray()
            column.SetName(name)
            table.AddColumn(column)
        chart = self.chart()
        series = chart.GetNthPlotSeriesNode(0)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName(STEP)
        series.SetYColumnName(SCORE)

    def add(self, stage, score):
        """One step more; a score of 0 is that of a step before the first comparison."""
        if score == 0.0:
            return
        if stage != self._stage:
            self._gained += self._last - self._first
            self._stage, self._first, self._last = stage, score, score
        self._last = max(self._last, score)
        data = self.table().GetTable()
        if data.GetNumberOfRows() == 0:
            _addRow(data, 0.0)  # nothing gained yet; a line of one point cannot be drawn
        _addRow(data, self._gained + self._last - self._first)
        self.table().Modified()

    def table(self):
        return _node("vtkMRMLTableNode", _("Alignment score"))

    def chart(self):
        """The chart node, with its one series."""
        chart = _node("vtkMRMLPlotChartNode", _("Alignment score chart"))
        if chart.GetNumberOfPlotSeriesNodes() == 0:
            series = _node("vtkMRMLPlotSeriesNode", _("Agreement"))
            series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
            series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
            series.SetLineWidth(2.0)
            series.SetColor(0.90, 0.71, 0.13)
            chart.AddAndObservePlotSeriesNodeID(series.GetID())
            chart.SetTitle(_("Agreement gained"))
            chart.SetXAxisTitle(_("step"))
            chart.SetYAxisTitle(_("agreement (log-posterior)"))
            chart.SetLegendVisibility(False)
        return chart


def _node(className, name):
    return nodeOfRole(className, ROLE) or addNodeOfRole(className, ROLE, name)


def _addRow(data, gained):
    row = data.InsertNextBlankRow()
    data.SetValue(row, 0, float(row))
    data.SetValue(row, 1, float(gained))
