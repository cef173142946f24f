"""A displacement of tissue as Slicer's B-spline transform, and its arrows."""

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

_BORDER = 3
"""Zeros around the coefficients: VTK's and ITK's grids end where not all four splines are there."""
ARROW_SCALE_PERCENT = 300
"""Shifts of a few mm are hardly seen at their true length."""
_ARROWS_EVERY_MM, _LEAST_SHOWN_MM, _DIAMETER_MM = 7.5, 0.3, 1.5
_ARROW_COLOR = (0.2, 1.0, 0.3)
"""Seen on ultrasound, on MRI, and on the colors of an error map; Slicer's own are black for shifts of a few mm."""


def addWarp(name, coefficientsMm, firstRasMm, spacingMm):
    """Add a transform that puts a volume where the displacement says that its tissue is now.

    Slicer asks for each place of the world where the volume has it (from parent): that is how the displacement is
    stated, so nothing needs to be inverted.

    Args:
        coefficientsMm: (R, A, S, 3) array of cubic B-splines, along R, A and S.
        firstRasMm: place of the first coefficient.
        spacingMm: between them.

    Returns:
        vtkMRMLBSplineTransformNode.
    """
    grid = np.pad(coefficientsMm, [(_BORDER, _BORDER)] * 3 + [(0, 0)])
    image = vtk.vtkImageData()
    image.SetDimensions(*grid.shape[:3])
    image.SetOrigin(*(first - _BORDER * spacingMm for first in firstRasMm))
    image.SetSpacing(spacingMm, spacingMm, spacingMm)
    vectors = np.ascontiguousarray(grid.transpose(2, 1, 0, 3)).reshape(-1, 3)
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(vectors, deep=True))
    transform = slicer.vtkOrientedBSplineTransform()
    transform.SetCoefficientData(image)
    transform.SetBorderModeToZero()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", name)
    node.SetAndObserveTransformFromParent(transform)
    return node


def setAmount(node, share):
    """Apply this share of the displacement, 0 to 1; it is saved with the scene."""
    node.GetTransformFromParent().SetDisplacementScale(share)


def amountOf(node):
    """Share of the displacement that is applied."""
    return node.GetTransformFromParent().GetDisplacementScale()


def showArrows(node, isShown, regionNode):
    """Show where tissue went by Slicer's own display of transforms, in slice views and in 3D.

    Args:
        regionNode: volume node; the 3D view has arrows within its box. None for none in 3D.
    """
    if node.GetDisplayNode() is None:
        if not isShown:
            return
        node.CreateDefaultDisplayNodes()
        color = vtk.vtkColorTransferFunction()
        color.AddRGBPoint(0.0, *_ARROW_COLOR)
        node.GetDisplayNode().SetColorMap(color)
    display = node.GetDisplayNode()
    wasModified = display.StartModify()
    display.SetVisualizationMode(slicer.vtkMRMLTransformDisplayNode.VIS_MODE_GLYPH)
    display.SetGlyphType(slicer.vtkMRMLTransformDisplayNode.GLYPH_TYPE_ARROW)
    display.SetGlyphSpacingMm(_ARROWS_EVERY_MM)
    display.SetGlyphScalePercent(ARROW_SCALE_PERCENT)
    display.SetGlyphDisplayRangeMinMm(_LEAST_SHOWN_MM)
    display.SetGlyphDiameterMm(_DIAMETER_MM)
    display.SetAndObserveRegionNode(regionNode)
    display.SetVisibility(isShown)
    display.SetVisibility2D(isShown)
    display.SetVisibility3D(isShown and regionNode is not None)
    display.EndModify(wasModified)


def areArrowsShown(node):
    """True while the display of the transform shows."""
    return node.GetDisplayNode() is not None and bool(node.GetDisplayNode().GetVisibility())
