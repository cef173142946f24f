"""What a search for brain shift puts into the scene: transform, deformed volume, error map."""

import slicer
from slicer.i18n import tr as _

from ..scene import deformed_volume, error_volume, warp_transform

GROUP_ATTRIBUTE = "DiffUS.BrainShift"
ACCEPTED_ATTRIBUTE = "DiffUS.Accepted"
WARP, DEFORMED, ERRORS = "vtkMRMLBSplineTransformNode", "vtkMRMLScalarVolumeNode", "DiffUS.ErrorMap"


class ShiftNodes:
    """The nodes of one search, found by a number that they share; the user may delete or rename any of them.

    Args:
        number: of the search, as text.
    """

    def __init__(self, number):
        self._number = number

    @classmethod
    def add(cls, shift, volumeNode):
        """Put a Shift into the scene; without transform and deformed volume if the rigid correction was kept."""
        last = cls.latest()
        name = volumeNode.GetName()
        errors, colors = error_volume.addErrorVolume(
            shift.errorsMm, shift.errorsToRas, _unique(f"{name} {_('error of 9 in 10, mm')}")
        )
        errors.SetAttribute("DiffUS.Role", ERRORS)
        errors.SetDescription(shift.sentences)
        nodes = [errors, colors]
        if shift.result.is_better:
            warp = warp_transform.addWarp(
                _unique(f"{name} {_('brain shift')}"), shift.coefficientsMm, shift.firstRasMm, shift.spacingMm
            )
            nodes += [warp, deformed_volume.addDeformed(volumeNode, warp, _unique(f"{name} {_('deformed')}"))]
        number = str(1 + (int(last._number) if last is not None else 0))
        for node in nodes:
            node.SetAttribute(GROUP_ATTRIBUTE, number)
        return cls(number)

    @classmethod
    def latest(cls):
        """Those of the last search in the scene, also of an earlier day; None without any."""
        numbers = [int(node.GetAttribute(GROUP_ATTRIBUTE)) for node in _allNodes()]
        return cls(str(max(numbers))) if numbers else None

    @property
    def warp(self):
        """The transform node, or None."""
        return self._first(lambda node: node.IsA(WARP))

    @property
    def deformed(self):
        """The volume node under the transform, or None."""
        return self._first(lambda node: node.IsA(DEFORMED) and node.GetAttribute("DiffUS.Role") != ERRORS)

    @property
    def errors(self):
        """The map of errors, or None."""
        return self._first(lambda node: node.GetAttribute("DiffUS.Role") == ERRORS)

    @property
    def isAccepted(self):
        return all(node.GetAttribute(ACCEPTED_ATTRIBUTE) for node in self._nodes())

    @property
    def sentences(self):
        """What was found, for people."""
        return self.errors.GetDescription() if self.errors is not None else ""

    def accept(self):
        """Mark them as wanted by the user."""
        for node in self._nodes():
            node.SetAttribute(ACCEPTED_ATTRIBUTE, "1")

    def addHardened(self):
        """Add a resampled copy of the deformed volume; it is the user's own, and stays when these nodes go."""
        node = deformed_volume.addHardened(self.deformed, f"{self.deformed.GetName()}, {_('hardened')}")
        for name in (GROUP_ATTRIBUTE, ACCEPTED_ATTRIBUTE):
            node.RemoveAttribute(name)
        return node

    def remove(self):
        """Take them out of the scene."""
        for node in sorted(self._nodes(), key=lambda node: node.IsA(WARP)):  # what is under the transform goes first
            legends, helpers = _helpersOf(node)
            for other in [*legends, node, *helpers]:
                slicer.mrmlScene.RemoveNode(other)

    def _nodes(self):
        return [node for node in _allNodes() if node.GetAttribute(GROUP_ATTRIBUTE) == self._number]

    def _first(self, isWanted):
        return next((node for node in self._nodes() if isWanted(node)), None)


def _allNodes():
    nodes = slicer.util.getNodesByClass("vtkMRMLStorableNode")
    return [node for node in nodes if node.GetAttribute(GROUP_ATTRIBUTE)]


def _helpersOf(node):
    """What Slicer leaves behind: legends, which go before a node as they ask it for its colors; and display and
    storage nodes and the colors of a transform's display, which go after it, as it would get new ones."""
    displays = []
    if node.IsA("vtkMRMLDisplayableNode"):
        displays = [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    colors = [display.GetColorNode() for display in displays if display.IsA("vtkMRMLTransformDisplayNode")]
    others = [other for other in (node.GetStorageNode(), *displays[:1], *colors) if other is not None]
    return displays[1:], others


def _unique(name):
    return slicer.mrmlScene.GenerateUniqueName(name)
