"""A 3D view with the real view logic, camera, handles and interactor style."""

import slicer
import vtk

from .render_view import RenderView

_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLTransformsDisplayableManager3D",
    "vtkMRMLLinearTransformsDisplayableManager",
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
)


class ThreeDRenderView(RenderView):
    """The view of one vtkMRMLViewNode.

    Attributes:
        viewLogic: vtkMRMLViewLogic.
        node: vtkMRMLViewNode.
    """

    def __init__(self, scene, applicationLogic, viewNode, size=(500, 500)):
        super().__init__(size)
        self.renderer.SetUseDepthPeeling(True)
        self._addDisplayableManagers(slicer.vtkMRMLThreeDViewDisplayableManagerFactory, _MANAGERS)
        self.style = slicer.vtkMRMLThreeDViewInteractorStyle()
        self.style.SetDisplayableManagers(self.group)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyle3D())
        self.style.SetInteractor(self.interactor)
        self.viewLogic = slicer.vtkMRMLViewLogic()
        self.viewLogic.SetMRMLApplicationLogic(applicationLogic)
        applicationLogic.GetViewLogics().AddItem(self.viewLogic)
        self.viewLogic.SetMRMLScene(scene)
        self.viewLogic.AddViewNode(viewNode.GetLayoutName())
        self.node = viewNode
        self.group.SetMRMLDisplayableNode(viewNode)

    def cameraNode(self):
        return self.displayableManager("vtkMRMLCameraDisplayableManager").GetCameraNode()

    def resetFocalPoint(self):
        """Look at the middle of what is visible, from where the camera is."""
        self.renderer.ResetCamera()
        self.renderer.ResetCameraClippingRange()

    def rasToDisplay(self, ras):
        """Display coordinates of a RAS point."""
        self.renderer.SetWorldPoint(*ras, 1.0)
        self.renderer.WorldToDisplay()
        return self.renderer.GetDisplayPoint()[:2]
