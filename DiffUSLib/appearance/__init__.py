"""Looks of scanners: as an object and a file, and fitted to real frames."""

from DiffUSLib.acoustics.tissue_curves import TissueCurves
from DiffUSLib.appearance.appearance import Appearance, appearance_names, load_appearance, save_appearance
from DiffUSLib.appearance.fit import FitProgress, FitResult, fit_appearance, fitted

__all__ = [
    "Appearance",
    "FitProgress",
    "FitResult",
    "TissueCurves",
    "appearance_names",
    "fit_appearance",
    "fitted",
    "load_appearance",
    "save_appearance",
]
