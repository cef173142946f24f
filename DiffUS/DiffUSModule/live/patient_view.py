"""Shows the patient in 3D, so that one sees where the transducer stands."""

import qt

from ..scene.patient_surface import hideSurface, showSurface, surfaceOf
from .background import BackgroundTask
from .messages import explain


class PatientView:
    """The surface follows the patient's maps while it is wanted.

    Args:
        patient: see patient.Patient.
        say: function that shows a sentence to the user.
    """

    def __init__(self, patient, say):
        self._patient, self._say = patient, say
        self._maps = self._surface = self._cellToVoxels = self._task = None

    def update(self, isWanted):
        """Show the surface, or take it away; it is made in the background."""
        maps = self._patient.maps
        if not isWanted or maps is None:
            self.close()
        elif self._maps is None or not maps.has_voxels_of(self._maps):
            self.close()
            self._maps = maps
            self._task = BackgroundTask(lambda: _bodyOf(maps), self._onBody, self._onError)
        elif maps is not self._maps:
            self._maps = maps
            self._show(self._surface)

    def close(self):
        """Take it away."""
        if self._task is not None:
            self._task.cancel()
        if self._maps is not None:
            hideSurface()
        self._maps = self._surface = self._task = None

    def _onBody(self, body):
        self._task = None
        share, self._cellToVoxels = body
        self._surface = surface = surfaceOf(share)
        qt.QTimer.singleShot(0, lambda: self._show(surface))  # in a turn of its own

    def _show(self, surface):
        if surface is not None and surface is self._surface:  # else it was taken away meanwhile
            showSurface(surface, self._maps.ijk_to_ras.numpy() @ self._cellToVoxels)

    def _onError(self, error):
        self._task = None
        self._say(explain(error))


def _bodyOf(maps):
    """(share of the patient in each cell, (4, 4) from cells to voxels) as arrays."""
    import numpy as np

    from DiffUSLib import body_share

    share, cellToRas = body_share(maps)
    return share.numpy(), np.linalg.inv(maps.ijk_to_ras.numpy()) @ cellToRas.numpy()
