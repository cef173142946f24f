"""Polygons of a probe in its Transducer frame: body and outline of the fan. Lengths in mm."""

import numpy as np
import vtk

BODY_THICKNESS_MM = 14.0
BODY_LENGTH_MM = 45.0
HANDLE_WIDTH_MM = 22.0
HANDLE_LENGTH_MM = 60.0
RIM_MM = 3.0
MARK_MM = 4.0


def outlinePolyData(probe):
    """The closed outline of the fan as one line."""
    return linePolyData(probe.outline_mm().numpy())


def linePolyData(positions):
    """(N, 3) positions as one line."""
    points, line = vtk.vtkPoints(), vtk.vtkCellArray()
    line.InsertNextCell(len(positions))
    for point in positions:
        line.InsertCellPoint(points.InsertNextPoint(*point))
    polyData = vtk.vtkPolyData()
    polyData.SetPoints(points)
    polyData.SetLines(line)
    return polyData


def bodyPolyData(probe):
    """A probe head with the curve of its face, a handle, and a mark on the marked side (X)."""
    profile = _headProfile(_facePoints(probe))
    handle = np.array(
        [
            [-HANDLE_WIDTH_MM / 2, -BODY_LENGTH_MM],
            [HANDLE_WIDTH_MM / 2, -BODY_LENGTH_MM],
            [HANDLE_WIDTH_MM / 2, -BODY_LENGTH_MM - HANDLE_LENGTH_MM],
            [-HANDLE_WIDTH_MM / 2, -BODY_LENGTH_MM - HANDLE_LENGTH_MM],
        ]
    )
    halfWidth = profile[:, 0].max()
    mark = vtk.vtkSphereSource()
    mark.SetCenter(halfWidth, -BODY_LENGTH_MM / 2, 0.0)
    mark.SetRadius(MARK_MM)
    append = vtk.vtkAppendPolyData()
    for algorithm in (_extruded(profile), _extruded(handle), mark):
        append.AddInputConnection(algorithm.GetOutputPort())
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputConnection(append.GetOutputPort())
    normals.SetFeatureAngle(40.0)
    normals.Update()
    return normals.GetOutput()


def _facePoints(probe):
    """(N, 2) X and Y of the face, widened by the rim of the housing."""
    origins = probe.scan_lines()[0].numpy()[:, :2].astype(float)
    if probe.kind == "sector":  # all lines start in the middle of a flat face
        half = probe.aperture_mm / 2
        origins = np.array([[-half, 0.0], [half, 0.0]])
    picked = origins[np.linspace(0, len(origins) - 1, min(len(origins), 33)).round().astype(int)]
    wide = picked * [1.0 + 2.0 * RIM_MM / max(np.ptp(picked[:, 0]), 1.0), 1.0]
    return wide


def _headProfile(face):
    """(N, 2) closed profile: the face, then the shoulders that narrow to the handle."""
    half = HANDLE_WIDTH_MM / 2
    lowest = min(face[:, 1].min(), 0.0)
    shoulders = [
        [face[-1, 0], lowest - 0.3 * BODY_LENGTH_MM],
        [half, -BODY_LENGTH_MM],
        [-half, -BODY_LENGTH_MM],
        [face[0, 0], lowest - 0.3 * BODY_LENGTH_MM],
    ]
    return np.concatenate([face, shoulders])


def _extruded(profile):
    points, polygon = vtk.vtkPoints(), vtk.vtkCellArray()
    polygon.InsertNextCell(len(profile))
    for x, y in profile:
        polygon.InsertCellPoint(points.InsertNextPoint(x, y, -BODY_THICKNESS_MM / 2))
    polyData = vtk.vtkPolyData()
    polyData.SetPoints(points)
    polyData.SetPolys(polygon)
    triangles = vtk.vtkTriangleFilter()
    triangles.SetInputData(polyData)
    extrusion = vtk.vtkLinearExtrusionFilter()
    extrusion.SetInputConnection(triangles.GetOutputPort())
    extrusion.SetExtrusionTypeToVectorExtrusion()
    extrusion.SetVector(0.0, 0.0, BODY_THICKNESS_MM)
    extrusion.CappingOn()
    return extrusion
