"""Several sets of settings in a scene; one of them is active, and the scene file says which."""

import slicer

ACTIVE_ATTRIBUTE = "DiffUS.Active"


def activeSet(nodes):
    """The active one of the module's parameter nodes; the first if none says so; None if there are none."""
    return next((node for node in nodes if node.GetAttribute(ACTIVE_ATTRIBUTE)), nodes[0] if nodes else None)


def activate(chosen, nodes):
    """Make one of the module's parameter nodes the active one."""
    for node in nodes:
        node.SetAttribute(ACTIVE_ATTRIBUTE, "1" if node is chosen else None)


class ParameterSetSelector:
    """Chooses, makes, renames and deletes sets.

    Args:
        selector: qMRMLNodeComboBox.
        logic: the module's logic.
        onChosen: called without arguments when another set is active, or the active one was deleted.
    """

    def __init__(self, selector, logic, onChosen):
        self._selector, self._logic, self._onChosen = selector, logic, onChosen
        self._isUpdating, self._before = False, None
        selector.addAttribute("vtkMRMLScriptedModuleNode", "ModuleName", logic.moduleName)
        selector.connect("currentNodeChanged(vtkMRMLNode*)", self._onCurrentNode)

    def show(self, node):
        """Show the set in use."""
        self._isUpdating = True
        self._selector.setCurrentNode(node)
        self._isUpdating = False

    def beforeImport(self, active):
        """A scene is going to be read into the scene.

        While it is, and once more just after it, the selector says that other nodes are current: qMRMLNodeComboBox
        fills its list anew when the scene is no longer importing, and before the module knows of it.

        Args:
            active: the parameter node that is active, or None.
        """
        self._isUpdating, self._before = True, active

    def afterImport(self):
        """A scene was read into the scene: the set that was active before stays so, unless it is empty."""
        before, self._before = self._before, None
        nodes = self._logic.getAllParameterNodes()
        others = [node for node in nodes if node is not before]
        if before in nodes and not (others and _isEmpty(before)):
            activate(before, nodes)
        else:
            activate(activeSet(others), nodes)
            if before in nodes:
                slicer.mrmlScene.RemoveNode(before)
        self._isUpdating = False

    def _onCurrentNode(self, node):
        if self._isUpdating or slicer.mrmlScene.IsClosing() or slicer.mrmlScene.IsImporting():
            return
        if node is not None:
            activate(node, self._logic.getAllParameterNodes())
        self._onChosen()


def _isEmpty(node):
    """True for a set that refers to no node of the scene, as one that the module made for an empty scene."""
    roles = [node.GetNthNodeReferenceRole(index) for index in range(node.GetNumberOfNodeReferenceRoles())]
    return not any(node.GetNodeReference(role) for role in roles)
