"""The real scene and the logics behind it, as Slicer's application makes them at start."""

import tempfile

import slicer
import vtk

from .subject_hierarchy import SubjectHierarchyPlugins

_PLAIN_LOGICS = {  # name in slicer.modules -> logic class of the wheel
    "markups": "vtkSlicerMarkupsLogic",
    "models": "vtkSlicerModelsLogic",
    "plots": "vtkSlicerPlotsLogic",
    "segmentations": "vtkSlicerSegmentationsModuleLogic",
    "sequences": "vtkSlicerSequencesLogic",
    "subjecthierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "tables": "vtkSlicerTablesLogic",
    "transforms": "vtkSlicerTransformLogic",
    "units": "vtkSlicerUnitsLogic",
    "volumes": "vtkSlicerVolumesLogic",
    "cropvolume": "vtkSlicerCropVolumeLogic",
}


class SceneAndLogics:
    """The scene, the application logic, and one logic per Slicer module.

    Attributes:
        scene: vtkMRMLScene, also slicer.mrmlScene.
        applicationLogic: vtkSlicerApplicationLogic.
        layoutLogic: vtkMRMLLayoutLogic, which makes the layout node and the view nodes.
        moduleLogics: dict of logics by the name that slicer.modules uses.
    """

    def __init__(self):
        self.scene = slicer.vtkMRMLScene()
        slicer.mrmlScene = self.scene
        self.applicationLogic = self._makeApplicationLogic()
        self._addSingletons()
        self.layoutLogic = slicer.vtkMRMLLayoutLogic()
        self.layoutLogic.SetMRMLApplicationLogic(self.applicationLogic)
        self.moduleLogics = {name: self._makeLogic(className) for name, className in _PLAIN_LOGICS.items()}
        # With a scene the colors logic would look for Slicer's color files, which are not in the wheel.
        self.moduleLogics["colors"] = slicer.vtkSlicerColorLogic()
        self.scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
        # Displayable managers of markups ask the application logic for this one.
        self.applicationLogic.SetModuleLogic("Markups", self.moduleLogics["markups"])
        self._makeFileLogics()
        self._plugins = SubjectHierarchyPlugins(self.scene)

    def _makeApplicationLogic(self):
        logic = slicer.vtkSlicerApplicationLogic()
        logic.SetMRMLScene(self.scene)
        logic.GetColorLogic().SetMRMLScene(self.scene)
        logic.GetColorLogic().AddDefaultColorNodes()
        logic.SetSliceLogics(vtk.vtkCollection())
        logic.SetViewLogics(vtk.vtkCollection())
        for factory in (
            slicer.vtkMRMLSliceViewDisplayableManagerFactory,
            slicer.vtkMRMLThreeDViewDisplayableManagerFactory,
        ):
            factory.GetInstance().SetMRMLApplicationLogic(logic)
        return logic

    def _addSingletons(self):
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self.scene.AddNode(crosshair)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)

    def _makeLogic(self, className):
        logic = getattr(slicer, className)()
        logic.SetMRMLApplicationLogic(self.applicationLogic)
        logic.SetMRMLScene(self.scene)
        return logic

    def _makeFileLogics(self):
        """Reading an .mrb needs a data manager with a cache folder."""
        self._remoteLogic = slicer.vtkMRMLRemoteIOLogic()
        self._remoteLogic.SetMRMLScene(self.scene)
        self._remoteLogic.SetMRMLApplicationLogic(self.applicationLogic)
        self._cacheFolder = tempfile.TemporaryDirectory(prefix="diffus-host-")
        self._remoteLogic.GetCacheManager().SetRemoteCacheDirectory(self._cacheFolder.name)
        self._dataLogic = slicer.vtkDataIOManagerLogic()
        self._dataLogic.SetMRMLScene(self.scene)
        self._dataLogic.SetMRMLApplicationLogic(self.applicationLogic)
        self._dataLogic.SetAndObserveDataIOManager(self._remoteLogic.GetDataIOManager())
        self._remoteLogic.AddDataIOToScene()
