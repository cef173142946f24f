"""Undo for placements of the transducer."""

import numpy as np
import qt

SETTLED_MS = 400
"""A pose that nothing moved for so long is one that Undo comes back to."""
LONGEST = 50


class PoseHistory:
    """Remembers settled poses: a drag of a handle or a slider is one step, however many events it makes."""

    def __init__(self):
        self._poses, self._settled = [], None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLED_MS)
        self._timer.connect("timeout()", self._settle)
        self._latest = None

    def clear(self, pose=None):
        """Start anew, from this pose."""
        self._poses, self._settled, self._latest = [], pose, pose
        self._timer.stop()

    def moved(self, pose):
        """The transducer is somewhere else now."""
        if self._latest is not None and np.array_equal(pose, self._latest):
            return
        if not self._timer.active and self._settled is not None:
            self._poses = [*self._poses[1 - LONGEST :], self._settled]
        self._latest = pose
        self._timer.start()

    def _settle(self):
        self._settled = self._latest

    @property
    def canUndo(self):
        return bool(self._poses)

    def undo(self):
        """The pose before the last step; it becomes the settled one."""
        pose = self._poses.pop()
        self._timer.stop()
        self._settled = self._latest = pose
        return pose
