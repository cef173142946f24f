"""Interaction handles of a transform."""

SIZE_PERCENT = 8.0
"""Size of the handles in percent of the view; Slicer's 15 percent hide much of the image."""


def showHandles(transform, isVisible, viewIDs=()):
    """Handles for turns and shifts, without scaling; in these views, or in all."""
    transform.CreateDefaultDisplayNodes()
    display = transform.GetDisplayNode()
    wasModified = display.StartModify()
    display.SetEditorVisibility(isVisible)
    display.SetEditorVisibility3D(isVisible)
    display.SetEditorSliceIntersectionVisibility(isVisible)
    display.SetEditorScalingEnabled(False)
    display.SetEditorScalingSliceEnabled(False)
    display.SetInteractionScalePercent(SIZE_PERCENT)
    showIn(display, viewIDs)
    display.EndModify(wasModified)


def showIn(display, viewIDs):
    """Show a display node in these views alone, or in all if there are none."""
    display.RemoveAllViewNodeIDs()
    for viewID in viewIDs:
        display.AddViewNodeID(viewID)
