"""Looks of scanners: as an object and a file, and fitted to real frames."""

from DiffUSLib.acoustics.tissue_curves import TissueCurves
from DiffUSLib.appearance.appearance import (
    Appearance,
    appearance_names,
    load_appearance,
    look_settings,
    save_appearance,
)
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
