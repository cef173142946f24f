"""Puts a needle into the image plane, as a puncture under ultrasound begins."""

import numpy as np
import slicer

from ..scene.handles import showHandles

TIP_DEPTH_SHARE = 0.5
"""The tip lies so far down the fan, on its central scan line."""
STEEPNESS_DEG = 35.0
"""Between shaft and transducer's face; the hub is on the marked side."""


def newNeedle(session):
    """A new transform with handles, in the image plane of the active transducer; the needle follows it."""
    steepness = np.radians(STEEPNESS_DEG)
    toHub = np.array([np.cos(steepness), -np.sin(steepness), 0.0])
    across = np.array([0.0, 0.0, 1.0])
    needleToTransducer = np.eye(4)
    needleToTransducer[:3, 0], needleToTransducer[:3, 1] = np.cross(across, toHub), across
    needleToTransducer[:3, 2] = toHub
    needleToTransducer[1, 3] = TIP_DEPTH_SHARE * session.image.probe.depth_mm
    pose = session.transducer.pose() @ needleToTransducer
    name = slicer.mrmlScene.GenerateUniqueName("NeedleToRas")
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    slicer.util.updateTransformMatrixFromArray(transform, pose)
    showHandles(transform, True, session.image.layout.viewsForHandles())
    wasModified = session.parameters.StartModify()
    session.parameters.needle, session.parameters.showNeedle = transform, True
    session.parameters.EndModify(wasModified)
