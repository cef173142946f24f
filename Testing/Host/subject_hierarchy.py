"""What Slicer's subject hierarchy plugins do as nodes come and go: the wheel has the tree, but not them."""

import slicer
import vtk

_DATA_CLASSES = ("vtkMRMLDisplayableNode", "vtkMRMLTableNode", "vtkMRMLTextNode", "vtkMRMLPlotChartNode")


class SubjectHierarchyPlugins:
    """Gives each data node of a scene an item in the tree, and takes it away with the node.

    Scene files bring the tree with them; Slicer's completion of files without one is not done here.
    """

    def __init__(self, scene):
        self._scene = scene
        scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, self._onNodeAdded)
        scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, self._onNodeAboutToBeRemoved)
        scene.AddObserver(slicer.vtkMRMLScene.EndCloseEvent, self._onEndClose)

    def _tree(self):
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)

    def _addMissing(self, node):
        isData = any(node.IsA(className) for className in _DATA_CLASSES)
        if isData and not node.GetHideFromEditors() and not self._tree().GetItemByDataNode(node):
            self._tree().CreateItem(self._tree().GetSceneItemID(), node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, scene, event, node):
        if not scene.IsImporting():
            self._addMissing(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAboutToBeRemoved(self, scene, event, node):
        if not scene.IsClosing() and any(node.IsA(className) for className in _DATA_CLASSES):
            item = self._tree().GetItemByDataNode(node)
            if item:
                self._tree().RemoveItem(item, False, False)

    def _onEndClose(self, scene, event):
        self._tree()  # closing removed the tree: this makes a new one
