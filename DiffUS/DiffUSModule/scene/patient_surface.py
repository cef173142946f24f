"""The outer surface of the patient as a half transparent model."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk

from .own_nodes import addModel, nodeOfRole, removeModel

ROLE = "DiffUS.PatientSurface"
COLOR, OPACITY = (0.87, 0.72, 0.60), 0.35
SURFACE = 0.5
"""Share of a cell that lies in the patient on its surface; see DiffUSLib's body_share."""
SMOOTHING_STEPS, PASS_BAND = 15, 0.1


def surfaceOf(share):
    """The surface in cell indices (I, J, K) as vtkPolyData; share is (K, J, I) float32, 0 to 1."""
    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(share.shape))
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(share).ravel(), deep=True))
    contour = vtk.vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, SURFACE)
    contour.ComputeNormalsOff()
    contour.ComputeScalarsOff()
    smooth = vtk.vtkWindowedSincPolyDataFilter()
    smooth.SetInputConnection(contour.GetOutputPort())
    smooth.SetNumberOfIterations(SMOOTHING_STEPS)
    smooth.SetPassBand(PASS_BAND)
    smooth.NormalizeCoordinatesOn()
    smooth.Update()
    return smooth.GetOutput()


def showSurface(surface, cellToRas):
    """Show a surface of `surfaceOf` at its (4, 4) place in all 3D views; returns the model node."""
    transform = vtk.vtkTransform()
    transform.SetMatrix(slicer.util.vtkMatrixFromArray(cellToRas))
    place = vtk.vtkTransformPolyDataFilter()
    place.SetTransform(transform)
    place.SetInputData(surface)
    outward = place
    if np.linalg.det(cellToRas) < 0:  # a mirrored grid turns the surface inside out
        outward = vtk.vtkReverseSense()
        outward.SetInputConnection(place.GetOutputPort())
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(outward.GetOutputPort())
    normals.SplittingOff()
    normals.ConsistencyOff()  # the contour is: looking for it takes four times as long
    normals.Update()
    model = nodeOfRole("vtkMRMLModelNode", ROLE) or _make()
    model.SetAndObservePolyData(normals.GetOutput())
    return model


def hideSurface():
    """Take the surface out of the scene."""
    removeModel(ROLE)


def _make():
    model = addModel(ROLE, _("Patient surface"), COLOR)
    display = model.GetDisplayNode()
    display.SetOpacity(OPACITY)
    display.SetVisibility2D(False)
    return model
