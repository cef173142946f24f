"""Switches to a layout of the module's own; the user's layout comes back."""

import slicer

from .layouts import isOwn, registerLayouts

_shown = []
"""Numbers of the module's layouts that are shown now; the last one covers the others."""
_users = []
"""Number of the user's layout, once it was seen."""


class LayoutSwitch:
    """Does nothing without views.

    One may be shown over the other; what was below comes back first, and the user's layout in the end.

    Args:
        layout: one of layouts.LAYOUTS.
    """

    def __init__(self, layout):
        self._layoutID = layout.identifier

    @property
    def isShown(self):
        return self._layoutID in _shown

    def show(self):
        """Switch to the layout; the one before is remembered."""
        manager = slicer.app.layoutManager()
        if manager is None or self.isShown:
            return
        node = manager.layoutLogic().GetLayoutNode()
        registerLayouts(node)
        current = node.GetViewArrangement()
        if not isOwn(current):  # one of them is current already where a scene was saved with it
            _users[:] = [current]
        _shown.append(self._layoutID)
        node.SetViewArrangement(self._layoutID)

    def hide(self):
        """Back to the layout before, unless the user has chosen another one meanwhile.

        Also where it was not shown but a scene was saved with it.
        """
        manager = slicer.app.layoutManager()
        if manager is None:
            return
        if self.isShown:
            _shown.remove(self._layoutID)
        node = manager.layoutLogic().GetLayoutNode()
        if node.GetViewArrangement() == self._layoutID:
            node.SetViewArrangement([slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView, *_users, *_shown][-1])

    def sliceWidgets(self, names):
        """The widgets of these slice views, as far as they are there."""
        manager = slicer.app.layoutManager()
        widgets = [manager.sliceWidget(name) for name in names] if manager is not None else []
        return [widget for widget in widgets if widget is not None]
