"""The craniotomy of the chosen volume, as the parameter node keeps it."""

import json

import numpy as np


def windowOf(parameters):
    """Pose that looks through the window, in the frame of the volume's place, as nested tuples; None without one."""
    if not parameters.craniotomy or parameters.craniotomyVolume is not parameters.volume:
        return None
    return tuple(tuple(row) for row in json.loads(parameters.craniotomy))


def storeWindow(parameters, place, pose):
    """Open the skull of the chosen volume before a transducer, or close it.

    Args:
        place: (4, 4) array, volume_source.placeOf the volume: the window goes where the volume goes.
        pose: (4, 4) TransducerToRas, or None.
    """
    wasModified = parameters.StartModify()
    parameters.craniotomy = "" if pose is None else json.dumps((np.linalg.inv(place) @ pose).tolist())
    parameters.craniotomyVolume = None if pose is None else parameters.volume
    parameters.EndModify(wasModified)
