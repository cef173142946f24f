"""The look that the parameters choose: a shipped one by its name, or one of the scene."""

from slicer.i18n import tr as _

from .scene_looks import appearanceOf

CLINICAL, PAPER = "clinical", "paper"


def shippedLooks(withFitted):
    """[(name, text for people)] of the shipped looks; those that were fitted only if it may import torch."""
    looks = [(CLINICAL, _("Clinical scanner")), (PAPER, _("As in the DiffUS paper"))]
    if not withFitted:
        return looks
    from DiffUSLib import appearance_names

    titles = {"abdominal": _("Abdominal scanner (liver sweep)"), "craniotomy": _("Neurosurgical scanner (craniotomy)")}
    return looks + [(name, titles.get(name, name)) for name in appearance_names() if name != CLINICAL]


def lookName(parameters):
    """Name of the shipped look; version 0.1.0 wrote it in capitals."""
    return parameters.look.lower()


def isPaper(parameters):
    """True for the look whose settings are fixed."""
    return parameters.ownLook is None and lookName(parameters) == PAPER


def chosenAppearance(parameters):
    """DiffUSLib's Appearance of the chosen look; None for that of the paper, which is none.

    Raises:
        DiffUSError: if there is no such look, or the node holds none.
    """
    if isPaper(parameters):
        return None
    from DiffUSLib import load_appearance

    own = parameters.ownLook
    return appearanceOf(own) if own is not None else load_appearance(lookName(parameters))
