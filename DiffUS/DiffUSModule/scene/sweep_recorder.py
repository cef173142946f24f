"""Records images and poses to sequences with a browser."""

import time

import numpy as np
import slicer
from slicer.i18n import tr as _

from .sweep_browser import addSweepBrowser


class SweepRecorder:
    """Copies of images and poses, frame by frame.

    The frames are sequences of the scene, one of images and one of transforms, joined by a sequence browser; they are
    saved with the scene.

    Attributes:
        isRecording: True between start and stop.
    """

    def __init__(self):
        self.isRecording = False
        self._images = self._transforms = None
        self._frames = []

    @property
    def frameCount(self):
        return len(self._frames)

    def start(self, transducer):
        """Begin a new recording of this transducer's image."""
        self._frames, self._transducer = [], transducer
        self._imageToTransducer = slicer.util.arrayFromVTKMatrix(_ijkToRas(transducer.image))
        self._started = time.perf_counter()
        self.isRecording = True

    def add(self, pixels, pose):
        """Keep one (H, W) uint8 image and its (4, 4) pose."""
        self._frames.append((pixels.copy(), np.array(pose), time.perf_counter() - self._started))

    def frames(self):
        """(N, H, W) uint8 images, (N, 4, 4) ImageToReference (= RAS) and (N,) seconds."""
        images, poses, times = (np.stack(items) for items in zip(*self._frames, strict=True))
        return images, poses @ self._imageToTransducer, times

    def stop(self):
        """End the recording; returns the browser node of the new sequences, or None if there is no frame."""
        self.isRecording = False
        if not self._frames:
            return None
        name = slicer.mrmlScene.GenerateUniqueName(f"{self._transducer.name} {_('sweep')}")
        images, poses, times = zip(*self._frames, strict=True)
        return addSweepBrowser(name, images, self._imageToTransducer, poses, times)


def _ijkToRas(volumeNode):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return matrix
