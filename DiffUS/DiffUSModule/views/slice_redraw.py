"""Slice views drawn anew where an image has new pixels."""

import slicer


def redrawSlices(volumeNode, without=()):
    """Have the shown slice views with this volume drawn after its pixels changed, and nothing else done.

    The ModifiedEvent of a volume, on the contrary, has every slice view with it, shown or not, work out its geometry
    anew with its sliders, and every list and tree of nodes look for a new name.

    Args:
        volumeNode: in the background or foreground of the views.
        without: slice nodes whose views are drawn anyway.
    """
    logics = slicer.app.applicationLogic().GetSliceLogics()
    for logic in (logics.GetItemAsObject(index) for index in range(logics.GetNumberOfItems())):
        node = logic.GetSliceNode()
        if node is None or node in without or not node.IsMappedInLayout():
            continue
        for layer in (logic.GetBackgroundLayer(), logic.GetForegroundLayer()):
            if layer is not None and layer.GetVolumeNode() is volumeNode:
                layer.Modified()
