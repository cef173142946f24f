"""Looks of scanners: as an object and a file, and fitted to real frames.

What fits is imported when it is asked for: it needs SciPy's statistics, which take a second or more, and whoever
only wants a look must not wait for them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from DiffUSLib.acoustics.tissue_curves import TissueCurves
from DiffUSLib.appearance.appearance import (
    Appearance,
    appearance_names,
    load_appearance,
    look_settings,
    save_appearance,
)

if TYPE_CHECKING:
    from DiffUSLib.appearance.fit import FitProgress, FitResult, fit_appearance, fitted
    from DiffUSLib.appearance.frames import fit_to_frames

__all__ = [
    "Appearance",
    "FitProgress",
    "FitResult",
    "TissueCurves",
    "appearance_names",
    "fit_appearance",
    "fit_to_frames",
    "fitted",
    "load_appearance",
    "look_settings",
    "save_appearance",
]

_FITTING = {
    "FitProgress": "fit",
    "FitResult": "fit",
    "fit_appearance": "fit",
    "fitted": "fit",
    "fit_to_frames": "frames",
}


def __getattr__(name: str) -> Any:
    if name not in _FITTING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FITTING[name]}"), name)
