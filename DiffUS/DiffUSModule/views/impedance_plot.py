"""The way from intensity to impedance as a Slicer plot: tables, series and a chart, used again."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from ..scene.own_nodes import addNodeOfRole, nodeOfRole

CURVE_ROLE = "DiffUS.Curve"
POINTS = 400
MARGIN = 0.15
"""How far the curve goes on beyond its first and last anchor, as a share of their distance."""
CT_RANGE_HU = (-1024.0, 2000.0)
CURVE_COLOR, ANCHOR_COLOR = (0.29, 0.56, 0.85), (0.90, 0.71, 0.13)
INTENSITY, IMPEDANCE, TISSUE = "Intensity", "Impedance", "Tissue"


def curveOf(maps):
    """(intensities, impedances in MRayl) of acoustic maps as (N,) arrays, or None for labels."""
    import torch

    from DiffUSLib import impedance_from_hu

    if maps.modality == "ct":
        hounsfield = torch.linspace(*CT_RANGE_HU, POINTS)
        return hounsfield.numpy(), impedance_from_hu(hounsfield).numpy()
    if maps.network is None:
        return None
    first, last = (maps.network.anchors[index].intensity for index in (0, -1))
    margin = MARGIN * (last - first)
    intensities = torch.linspace(first - margin, last + margin, POINTS)
    return intensities.numpy(), maps.network.curve(intensities).detach().cpu().numpy()


def plotCurve(maps, volumeName):
    """Bring the chart of the scene up to date with acoustic maps.

    Returns:
        vtkMRMLPlotChartNode, the same one at each call; None for labels.
    """
    curve = curveOf(maps)
    if curve is None:
        return None
    chart = _chart()
    _fill(_table(chart, 0), {INTENSITY: curve[0], IMPEDANCE: curve[1]})
    anchors = maps.network.anchors if maps.network is not None else ()
    points = {
        INTENSITY: [anchor.intensity for anchor in anchors],
        IMPEDANCE: [anchor.impedance for anchor in anchors],
        TISSUE: [anchor.tissue for anchor in anchors],
    }
    _fill(_table(chart, 1), points)
    chart.SetTitle(_("Impedance of {name}").format(name=volumeName))
    chart.SetXAxisTitle(_("Hounsfield units") if maps.modality == "ct" else _("Intensity"))
    chart.SetYAxisTitle(_("Impedance (MRayl)"))
    return chart


def _chart():
    className = "vtkMRMLPlotChartNode"
    chart = nodeOfRole(className, CURVE_ROLE) or addNodeOfRole(className, CURVE_ROLE, _("Impedance curve"))
    if chart.GetNumberOfPlotSeriesNodes() != 2 or chart.GetNthPlotSeriesNode(1) is None:
        chart.RemoveAllPlotSeriesNodeIDs()
        for series in (_addSeries(_("Curve"), CURVE_COLOR), _addSeries(_("Anchors"), ANCHOR_COLOR)):
            chart.AddAndObservePlotSeriesNodeID(series.GetID())
        curve, anchors = (chart.GetNthPlotSeriesNode(index) for index in (0, 1))
        curve.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
        curve.SetLineWidth(2.0)
        anchors.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
        anchors.SetMarkerSize(10.0)
        anchors.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleNone)
        anchors.SetLabelColumnName(TISSUE)
        chart.SetLegendVisibility(False)
    return chart


def _addSeries(name, color):
    series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", name)
    series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    series.SetXColumnName(INTENSITY)
    series.SetYColumnName(IMPEDANCE)
    series.SetColor(*color)
    return series


def _table(chart, index):
    series = chart.GetNthPlotSeriesNode(index)
    table = series.GetTableNode()
    if table is None:
        table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", _("Impedance curve"))
        series.SetAndObserveTableNodeID(table.GetID())
    return table


def _fill(table, columns):
    """Replace the content by columns of numbers, or of text."""
    wasModified = table.StartModify()
    table.RemoveAllColumns()
    for name, values in columns.items():
        array = vtk.vtkStringArray() if name == TISSUE else vtk.vtkDoubleArray()
        array.SetName(name)
        for value in np.asarray(values).tolist():
            array.InsertNextValue(value)
        table.AddColumn(array)
    table.EndModify(wasModified)
