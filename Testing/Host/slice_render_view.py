"""A slice view with the real vtkMRMLSliceLogic, handles and interactor style."""

import slicer
import vtk

from .render_view import RenderView

# CTK's light box renderer manager, which draws the slice image in Slicer, is not in the wheel: one image mapper
# on the slice logic's output takes its place.
_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLTransformsDisplayableManager2D",
    "vtkMRMLLinearTransformsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
)


class SliceRenderView(RenderView):
    """The view of one slice node.

    Attributes:
        sliceLogic: vtkMRMLSliceLogic of the node.
        node: vtkMRMLSliceNode.
    """

    def __init__(self, scene, applicationLogic, sliceNode, size=(500, 500)):
        super().__init__(size)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        overlay = vtk.vtkRenderer()
        overlay.GetActiveCamera().ParallelProjectionOn()
        overlay.SetLayer(1)
        self.window.SetNumberOfLayers(2)
        self.window.AddRenderer(overlay)
        self.window.SetAlphaBitPlanes(1)
        self._addDisplayableManagers(slicer.vtkMRMLSliceViewDisplayableManagerFactory, _MANAGERS)
        self.sliceLogic = slicer.vtkMRMLSliceLogic()
        self.sliceLogic.SetMRMLApplicationLogic(applicationLogic)
        applicationLogic.GetSliceLogics().AddItem(self.sliceLogic)
        self.style = slicer.vtkMRMLSliceViewInteractorStyle()
        self.style.SetSliceLogic(self.sliceLogic)
        self.style.SetDisplayableManagers(self.group)
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self.sliceLogic.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onSliceModified)
        self.sliceLogic.SetMRMLScene(scene)
        self.sliceLogic.SetSliceNode(sliceNode)
        self.node = sliceNode
        self.group.SetMRMLDisplayableNode(sliceNode)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self.style.SetInteractor(self.interactor)
        self.sliceLogic.ResizeSliceNode(*size)

    def _onSliceModified(self, caller, event):
        connection = self.sliceLogic.GetImageDataConnection()
        if self._mapper.GetInputConnection(0, 0) is not connection:
            self._mapper.SetInputConnection(connection)
        if not self.renderer.HasViewProp(self._actor):
            self.renderer.AddViewProp(self._actor)
        self._actor.SetVisibility(bool(connection))
        self._onUpdate()

    def resize(self, width, height):
        super().resize(width, height)
        self.sliceLogic.ResizeSliceNode(width, height)

    def fit(self):
        """Fit the slice to the background volume, as the button in Slicer's slice bar does."""
        self.sliceLogic.FitSliceToBackground()

    def rasToDisplay(self, ras):
        """Display coordinates of a RAS point (dropped onto the slice)."""
        matrix = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), matrix)
        return matrix.MultiplyPoint([*ras, 1.0])[:2]
