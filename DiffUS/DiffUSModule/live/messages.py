"""From exceptions to what a person reads."""

import logging
import traceback

from slicer.i18n import tr as _


def explain(error):
    """One sentence for the panel; the details of an unforeseen error go to the application's log."""
    from DiffUSLib import DiffUSError

    if isinstance(error, DiffUSError):
        text = str(error)
        return text[:1].upper() + text[1:]
    logging.error("DiffUS: " + "".join(traceback.format_exception(type(error), error, error.__traceback__)))
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return _("There is not enough memory for this; crop the volume or close other data.")
    return _("Something unforeseen went wrong ({name}: {text}). The log has the details.").format(
        name=type(error).__name__, text=str(error)
    )
