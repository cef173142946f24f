"""Nodes that the module puts into the scene for itself, found again by their role."""

import slicer

ATTRIBUTE = "DiffUS.Role"


def nodeOfRole(className, role):
    """The first node of a class with this role, or None."""
    nodes = slicer.util.getNodesByClass(className)
    return next((node for node in nodes if node.GetAttribute(ATTRIBUTE) == role), None)


def addNodeOfRole(className, role, name):
    """A new node with this role."""
    node = slicer.mrmlScene.AddNewNodeByClass(className, name)
    node.SetAttribute(ATTRIBUTE, role)
    return node


def removeModel(role):
    """Take a model out of the scene, if it is there."""
    model = nodeOfRole("vtkMRMLModelNode", role)
    if model is not None:
        slicer.mrmlScene.RemoveNode(model)


def addModel(role, name, color):
    """A new model that is not saved with the scene, as it is made anew from what is."""
    model = addNodeOfRole("vtkMRMLModelNode", role, name)
    model.SetSaveWithScene(False)
    model.CreateDefaultDisplayNodes()
    display = model.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetColor(*color)
    display.SetScalarVisibility(False)
    return model
