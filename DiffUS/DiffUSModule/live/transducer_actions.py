"""What the user does with the transducer."""

import numpy as np
import slicer
from slicer.i18n import tr as _

from ..parameters.craniotomy import storeWindow
from ..parameters.probe_settings import probeFromParameters, writeProbeToParameters
from ..scene.sample_data import knownStartPose
from ..scene.transducer import Transducer
from ..scene.volume_source import placeOf


class TransducerActions:
    """Each works on the session's active transducer and parameters.

    Args:
        session: see session.Session.
    """

    def __init__(self, session):
        self._session = session

    def add(self, pose=None):
        """A new transducer, at a pose or where DiffUSLib finds a good place; it becomes the active one."""
        session, parameters = self._session, self._session.parameters
        if pose is None:
            pose = knownStartPose(session.patient.node)
        if pose is None:
            from DiffUSLib import default_pose

            maps = session.patient.maps
            activity = _("Looking for a good place...")
            session.errands.inBackground(activity, lambda: default_pose(maps).numpy(), self.add)
            return
        transducer = Transducer.create(parameters.preset, session.image.probe or probeFromParameters(parameters))
        transducer.setPose(pose)
        wasModified = parameters.StartModify()
        parameters.transducer = transducer.transform
        parameters.imageLayout = True
        parameters.EndModify(wasModified)
        self._showInSliceViews()

    def _showInSliceViews(self):
        session, volume = self._session, self._session.parameters.volume
        if volume is not None and volume.IsA("vtkMRMLScalarVolumeNode"):
            slicer.util.setSliceViewerLayers(
                background=volume, foreground=session.transducer.image, foregroundOpacity=session.parameters.overlay
            )
            session.updateViews()

    def setPose(self, pose):
        """Place the active transducer at a (4, 4) TransducerToRas, or a new one if there is none."""
        if self._session.transducer is None:
            self.add(pose)
        else:
            self._session.transducer.setPose(np.asarray(pose))

    def openSkull(self):
        """A craniotomy before the transducer, or where a new one would stand; it then stands on the dura."""
        from DiffUSLib import default_pose, snap_to_surface

        session, transducer = self._session, self._session.transducer
        pose = default_pose(session.patient.maps).numpy() if transducer is None else transducer.pose()

        def standOnDura():
            import torch

            self.setPose(snap_to_surface(session.patient.maps, torch.from_numpy(np.array(pose))).numpy())

        storeWindow(session.parameters, placeOf(session.patient.node), pose)
        session.errands.withMaps(standOnDura)

    def closeSkull(self):
        """As the volume has it."""
        storeWindow(self._session.parameters, None, None)

    def undo(self):
        """Back to where the transducer stood before the last placement."""
        if self._session.active.undo():
            self._session.changed.emit()

    def choosePreset(self, preset):
        """Take over the geometry of a shipped probe."""
        from DiffUSLib import load_probe

        writeProbeToParameters(self._session.parameters, preset, load_probe(preset))

    def overImage(self, change):
        """Change what all slice views show; the live image keeps its own view."""
        change()
        if self._session.transducer is not None:
            self._session.image.layout.showImage(self._session.transducer.image)
