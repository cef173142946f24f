"""Ways to place the transducer."""

import numpy as np
import slicer
from slicer.i18n import tr as _

from DiffUSLib import DiffUSError

from ..views.layouts import OWN_SLICE_VIEWS
from ..views.slice_planes import poseFromSlice

USUAL_ORDER = ("Red", "Green", "Yellow")
FACE_BELOW_EDGE = 0.08
"""In placement from a slice view the face sits this share of the view's height below its upper edge."""


def placeByLine(session):
    """The face sits at the first point of the line and looks at the second.

    Raises:
        DiffUSError: if there is no line with two points.
    """
    from DiffUSLib import look_at

    line = session.parameters.line
    if line is None or line.GetNumberOfDefinedControlPoints() < 2:
        raise DiffUSError(_("Draw a line first: from where the probe touches to what it looks at."))
    entry, target = (np.array(line.GetNthControlPointPositionWorld(index)) for index in (0, 1))
    session.actions.setPose(look_at(entry, target, session.parameters.roll).numpy())


def startLine(session):
    """Let the user click entry and target in any view; the line becomes the one of the parameters."""
    line = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", _("Entry to target"))
    line.CreateDefaultDisplayNodes()
    line.GetDisplayNode().SetPropertiesLabelVisibility(False)  # its length would lie over the live image
    session.parameters.line = line
    slicer.modules.markups.logic().SetActiveList(line)
    # Not the logic's StartPlaceMode: it makes clicks place points of a point list.
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    interaction.SetPlaceModePersistence(0)
    interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)


def placeFromSlice(session, viewName):
    """The image plane becomes that of a slice view, the probe at the top of what it shows.

    Raises:
        DiffUSError: if there is no such view.
    """
    manager = slicer.app.layoutManager()
    widget = manager.sliceWidget(viewName) if manager else None
    if widget is None:
        raise DiffUSError(_("There is no slice view named {name}; choose another one.").format(name=viewName))
    node = widget.mrmlSliceNode()
    session.actions.setPose(poseFromSlice(node, FACE_BELOW_EDGE * node.GetFieldOfView()[1]))


def sliceViewNames():
    """Slice views that the user may place from: all but the module's own; red, green and yellow first."""
    manager = slicer.app.layoutManager()
    names = [name for name in manager.sliceViewNames() if name not in OWN_SLICE_VIEWS] if manager else []
    return sorted(names, key=lambda name: (USUAL_ORDER.index(name) if name in USUAL_ORDER else len(USUAL_ORDER), name))


def snapToSurface(session, beneathBone):
    """Slide the transducer along its central line onto the skin, or onto the brain beneath the skull.

    Raises:
        DiffUSError: if it does not look at the patient.
    """
    import torch

    from DiffUSLib import snap_to_surface

    if session.transducer is None:
        raise DiffUSError(_("Place a transducer first."))
    pose = torch.from_numpy(session.transducer.pose())
    session.actions.setPose(snap_to_surface(session.patient.maps, pose, beneath_bone=beneathBone).numpy())


class ProbeMotion:
    """Moves in the probe's own frame, counted from the pose where the transducer was placed last."""

    def __init__(self, session):
        self._session = session
        self._rest = self._reached = None

    def isAt(self, pose):
        """True if the transducer stands where the last `apply` put it."""
        return self._reached is not None and np.allclose(pose, self._reached, atol=1e-6)

    def apply(self, amounts):
        """Stand at the rest pose plus these amounts: DiffUSLib's motion names to mm or degrees."""
        import torch

        from DiffUSLib import move

        transducer = self._session.transducer
        pose = transducer.pose()
        if not self.isAt(pose):
            self._rest = pose
        self._reached = move(torch.from_numpy(np.array(self._rest)), **amounts).numpy()
        transducer.setPose(self._reached)

    def forget(self):
        """The next motion starts where the transducer stands then."""
        self._rest = self._reached = None
