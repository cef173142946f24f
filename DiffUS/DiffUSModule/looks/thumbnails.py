"""Thumbnails of looks, made in the background when they are wanted, once for each look."""

import os
import tempfile

from ..live.background import BackgroundTask
from ..live.messages import explain
from ..live.signal import Signal
from .thumbnail_images import writeThumbnails


class Thumbnails:
    """PNG files in a folder that goes with this object.

    Attributes:
        changed: signal without arguments: more of them are there.

    Args:
        say: function that shows a sentence to the user.
    """

    def __init__(self, say):
        self.changed = Signal()
        self._say, self._task = say, None
        self._folder = None
        self._paths, self._refused = {}, set()

    def path(self, key):
        """The PNG of a look by its name or text, or None while there is none."""
        return self._paths.get(key)

    def want(self, keys):
        """Have those made that are not there yet; while some are under way, ask again when `changed` tells."""
        missing = [key for key in keys if key not in self._paths and key not in self._refused]
        if not missing or self._task is not None:
            return
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="DiffUS")
        wanted = {key: os.path.join(self._folder.name, f"{len(self._paths) + i}.png") for i, key in enumerate(missing)}

        def finish(written):
            self._task = None
            self._paths.update((key, wanted[key]) for key in written)
            self._refused.update(key for key in wanted if key not in written)
            self.changed.emit()

        def fail(error):
            self._task = None
            self._refused.update(wanted)
            self._say(explain(error))

        self._task = BackgroundTask(lambda: writeThumbnails(wanted), finish, fail)

    def cancel(self):
        """Nothing is made any more; what is there stays."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
