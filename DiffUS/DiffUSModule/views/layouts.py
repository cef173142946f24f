"""All layouts of the module."""

from ..alignment import alignment_view
from .curve_layout import WITH_IMAGE, WITH_IMAGE_ID, WITHOUT_IMAGE, WITHOUT_IMAGE_ID
from .image_layout import DESCRIPTION, LAYOUT_ID

LAYOUTS = {
    LAYOUT_ID: DESCRIPTION,
    alignment_view.LAYOUT_ID: alignment_view.DESCRIPTION,
    WITH_IMAGE_ID: WITH_IMAGE,
    WITHOUT_IMAGE_ID: WITHOUT_IMAGE,
}


def registerLayouts(layoutNode):
    """Make the layouts known: a scene saved with one of them has no views at all where it is unknown."""
    for identifier, description in LAYOUTS.items():
        if not layoutNode.IsLayoutDescription(identifier):
            layoutNode.AddLayoutDescription(identifier, description)
