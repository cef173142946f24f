"""Switches to a layout of the module's own; the user's layout comes back."""

import slicer


class LayoutSwitch:
    """Does nothing without views.

    Args:
        layoutID: a number of its own among all layouts.
        description: of the layout, XML.
    """

    def __init__(self, layoutID, description):
        self._layoutID, self._description = layoutID, description
        self._previous = None
        self._usersLayout = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView

    @property
    def isShown(self):
        return self._previous is not None

    def show(self):
        """Switch to the layout; the one before is remembered."""
        manager = slicer.app.layoutManager()
        if manager is None or self.isShown:
            return
        node = manager.layoutLogic().GetLayoutNode()
        if not node.IsLayoutDescription(self._layoutID):
            node.AddLayoutDescription(self._layoutID, self._description)
        if node.GetViewArrangement() != self._layoutID:  # it is, where a scene was saved with it
            self._usersLayout = node.GetViewArrangement()
        self._previous = self._usersLayout
        node.SetViewArrangement(self._layoutID)

    def hide(self):
        """Back to the user's layout, unless the user has chosen another one meanwhile."""
        if not self.isShown:
            return
        node = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
        if node.GetViewArrangement() == self._layoutID:
            node.SetViewArrangement(self._previous)
        self._previous = None

    def sliceWidgets(self, names):
        """The widgets of these slice views, as far as they are there."""
        manager = slicer.app.layoutManager()
        widgets = [manager.sliceWidget(name) for name in names] if manager is not None else []
        return [widget for widget in widgets if widget is not None]
