"""Anchors of the intensity-to-impedance curve that the user edited, as the parameter node keeps them."""

import json

from .parameter_node import Modality


def editedAnchors(parameters):
    """DiffUSLib's Anchors that replace the measured ones of the chosen volume, or None if there are none."""
    isOfThisVolume = bool(parameters.anchors) and parameters.anchorsVolume is parameters.volume
    if not isOfThisVolume or parameters.modality in (Modality.CT, Modality.LABELS):
        return None
    from DiffUSLib import Anchor  # imports torch: not before there is something to compute

    return tuple(Anchor(*entry) for entry in json.loads(parameters.anchors))


def storeAnchors(parameters, anchors):
    """Replace the measured anchors of the chosen volume by these; with none, measure again.

    Raises:
        DiffUSError: if no curve goes through them.
    """
    from dataclasses import astuple

    from DiffUSLib import ImpedanceNetwork

    if anchors:
        ImpedanceNetwork(anchors)  # refuses what cannot be trained
    wasModified = parameters.StartModify()
    parameters.anchors = json.dumps([astuple(anchor) for anchor in anchors]) if anchors else ""
    parameters.anchorsVolume = parameters.volume if anchors else None
    parameters.EndModify(wasModified)
