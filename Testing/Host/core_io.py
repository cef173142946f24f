"""Stand-in for Slicer's I/O manager: enough for slicer.util's load, save and export functions."""

import os

import slicer

from .stand_in import StandIn

_READERS = {  # file type -> (extensions, node class, storage class)
    "VolumeFile": (
        (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd"),
        "vtkMRMLScalarVolumeNode",
        "vtkMRMLVolumeArchetypeStorageNode",
    ),
    "TransformFile": ((".h5", ".tfm", ".mat", ".txt"), "vtkMRMLLinearTransformNode", "vtkMRMLTransformStorageNode"),
    "ModelFile": ((".vtk", ".vtp", ".stl", ".ply", ".obj"), "vtkMRMLModelNode", "vtkMRMLModelStorageNode"),
    "MarkupsFile": ((".mrk.json",), "vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsJsonStorageNode"),
    "SequenceFile": ((".seq.nrrd", ".seq.mha"), "vtkMRMLSequenceNode", "vtkMRMLVolumeSequenceStorageNode"),
}


class IOManager(StandIn, realClass="qSlicerIOManager"):
    """qSlicerIOManager over the storage nodes of the wheel."""

    def __init__(self, scene, applicationLogic):
        super().__init__()
        self._scene, self._logic = scene, applicationLogic

    def fileType(self, fileName):
        name = str(fileName).lower()
        if name.endswith((".mrml", ".mrb")):
            return "SceneFile"
        if ".seq." in name:
            return "SequenceFile"
        for fileType, (extensions, _, _) in _READERS.items():
            if name.endswith(extensions):
                return fileType
        return "NoFile"

    def loadNodes(self, fileType, properties, loadedNodes=None, messages=None):
        fileName = str(properties["fileName"])
        if fileType == "SceneFile":
            return self._loadScene(fileName, properties.get("clear", False), messages)
        if fileType not in _READERS or not os.path.isfile(fileName):
            return False
        _, nodeClass, storageClass = _READERS[fileType]
        name = properties.get("name") or os.path.basename(fileName).split(".")[0]
        node = self._scene.AddNewNodeByClass(nodeClass, self._scene.GenerateUniqueName(name))
        storage = self._scene.AddNewNodeByClass(storageClass)
        storage.SetFileName(fileName)
        if properties.get("singleFile") and hasattr(storage, "SetSingleFile"):
            storage.SetSingleFile(1)
        if not storage.ReadData(node):
            if messages:
                messages.AddMessages(storage.GetUserMessages())
            self._scene.RemoveNode(storage)
            self._scene.RemoveNode(node)
            return False
        node.SetAndObserveStorageNodeID(storage.GetID())
        if hasattr(node, "CreateDefaultDisplayNodes"):
            node.CreateDefaultDisplayNodes()
        if fileType == "VolumeFile" and properties.get("show", True):
            self._logic.GetSelectionNode().SetActiveVolumeID(node.GetID())
            self._logic.PropagateVolumeSelection()
        if loadedNodes is not None:
            loadedNodes.AddItem(node)
        return True

    def _loadScene(self, fileName, clear, messages):
        if fileName.endswith(".mrb"):
            return bool(self._scene.ReadFromMRB(fileName, clear, messages))
        self._scene.SetURL(fileName)
        return bool(self._scene.Connect(messages) if clear else self._scene.Import(messages))

    def loadScene(self, fileName, clear=True, messages=None):
        return self._loadScene(fileName, clear, messages)

    def fileWriterFileType(self, node, format=""):
        return node.GetClassName()

    def saveNodes(self, fileType, properties, messages=None, scene=None):
        fileName = str(properties["fileName"])
        if fileType == "SceneFile":
            if fileName.endswith(".mrb"):
                return bool(self._scene.WriteToMRB(fileName, None, messages))
            self._scene.SetURL(fileName)
            self._scene.SetRootDirectory(os.path.dirname(fileName))
            return bool(self._scene.Commit(fileName, messages))
        node = self._scene.GetNodeByID(properties["nodeID"])
        if not node.GetStorageNode():
            node.AddDefaultStorageNode(fileName)
        storage = node.GetStorageNode()
        storage.SetFileName(fileName)
        if not storage.WriteData(node):
            if messages:
                messages.AddMessages(storage.GetUserMessages())
            return False
        return True

    def extractKnownExtension(self, fileName, node):
        double = (".seq.nrrd", ".nii.gz", ".mrk.json")
        return next((ending for ending in double if fileName.endswith(ending)), os.path.splitext(fileName)[1])

    def fileWriterExtensions(self, node):
        storage = node.CreateDefaultStorageNode()
        storage.UnRegister(None)
        self._scene.AddNode(storage)
        types = storage.GetSupportedWriteFileTypes()
        extensions = tuple(types.GetValue(index) for index in range(types.GetNumberOfValues()))
        self._scene.RemoveNode(storage)
        return extensions

    def exportNodes(self, nodeIDs, fileNames, properties, hardenTransforms, messages=None):
        for nodeID, fileName in zip(nodeIDs, fileNames, strict=True):
            temporary = slicer.vtkMRMLScene()
            source = self._scene.GetNodeByID(nodeID)
            node = temporary.AddNewNodeByClass(source.GetClassName(), source.GetName())
            node.CopyContent(source)
            if hardenTransforms and source.GetParentTransformNode():
                transform = temporary.AddNewNodeByClass(source.GetParentTransformNode().GetClassName())
                transform.CopyContent(source.GetParentTransformNode())
                node.SetAndObserveTransformNodeID(transform.GetID())
                node.HardenTransform()
            storage = node.CreateDefaultStorageNode()
            storage.UnRegister(None)
            temporary.AddNode(storage)
            storage.SetFileName(fileName)
            if not storage.WriteData(node):
                if messages:
                    messages.AddMessages(storage.GetUserMessages())
                return False
        return True
