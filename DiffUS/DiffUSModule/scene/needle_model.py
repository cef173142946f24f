"""The needle in 3D, below the transform that it follows."""

import vtk
from slicer.i18n import tr as _

from .own_nodes import addModel, nodeOfRole, removeModel

ROLE = "DiffUS.Needle"
COLOR = (0.75, 0.80, 0.88)
HUB_LENGTH_MM, HUB_WIDTH_MM = 14.0, 6.0
SIDES = 16


def showNeedle(transform, lengthMm, diameterMm):
    """Show a needle whose tip is the transform's origin and whose shaft runs along its Z axis."""
    model = nodeOfRole("vtkMRMLModelNode", ROLE) or _make()
    size = f"{lengthMm} {diameterMm}"
    if model.GetAttribute("DiffUS.Size") != size:
        model.SetAttribute("DiffUS.Size", size)
        model.SetAndObservePolyData(_polyData(lengthMm, diameterMm))
    if model.GetParentTransformNode() is not transform:
        model.SetAndObserveTransformNodeID(transform.GetID())


def hideNeedle():
    """Take it out of the scene."""
    removeModel(ROLE)


def _make():
    model = addModel(ROLE, _("Needle"), COLOR)
    model.GetDisplayNode().SetVisibility2D(False)  # slices show what ultrasound shows of it
    return model


def _polyData(lengthMm, diameterMm):
    append = vtk.vtkAppendPolyData()
    for width, begin, end in (
        (diameterMm, 0.0, lengthMm),
        (max(HUB_WIDTH_MM, diameterMm), lengthMm, lengthMm + HUB_LENGTH_MM),
    ):
        line = vtk.vtkLineSource()
        line.SetPoint1(0.0, 0.0, begin)
        line.SetPoint2(0.0, 0.0, end)
        tube = vtk.vtkTubeFilter()
        tube.SetInputConnection(line.GetOutputPort())
        tube.SetRadius(width / 2)
        tube.SetNumberOfSides(SIDES)
        tube.CappingOn()
        append.AddInputConnection(tube.GetOutputPort())
    append.Update()
    return append.GetOutput()
