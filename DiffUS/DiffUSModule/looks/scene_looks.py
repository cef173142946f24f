"""Looks that the user keeps in the scene, as text nodes that hold what a look file holds."""

import functools

import slicer

LOOK_ATTRIBUTE = "DiffUS.Look"


def lookNodes():
    """The text nodes of the scene that hold looks, in its order."""
    nodes = slicer.util.getNodesByClass("vtkMRMLTextNode")
    return [node for node in nodes if node.GetAttribute(LOOK_ATTRIBUTE)]


def addLook(appearance):
    """Keep DiffUSLib's Appearance in the scene under its name; returns the node."""
    name = slicer.mrmlScene.GenerateUniqueName(appearance.name)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", name)
    node.SetAttribute(LOOK_ATTRIBUTE, "1")
    node.SetText(appearance.to_json())
    return node


def appearanceOf(node):
    """DiffUSLib's Appearance that a node holds, under the name that the node has now.

    Raises:
        DiffUSError: if its text is no look.
    """
    from dataclasses import replace

    return replace(_parsed(node.GetText() or "", node.GetName()), name=node.GetName())


@functools.lru_cache(maxsize=16)
def _parsed(text, name):
    from DiffUSLib import Appearance

    return Appearance.from_json(text, name)
