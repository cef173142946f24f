"""Register tracked ultrasound to a volume by gradient through the renderer, and say whether to trust it."""

from DiffUSLib.registration.alignment import (
    PRESETS,
    Alignment,
    Progress,
    RegistrationResult,
    RegistrationSettings,
    register,
)
from DiffUSLib.registration.comparison import OVERLAYS, SliceComparison, overlay
from DiffUSLib.registration.correction import degrees_of_freedom_names
from DiffUSLib.registration.report import registration_report
from DiffUSLib.ultrasound.observation import UltrasoundSlices, slices_from_images, spread_frames, square_pixels
from DiffUSLib.ultrasound.volume_planes import slices_from_volume

__all__ = [
    "OVERLAYS",
    "PRESETS",
    "Alignment",
    "Progress",
    "RegistrationResult",
    "RegistrationSettings",
    "SliceComparison",
    "UltrasoundSlices",
    "degrees_of_freedom_names",
    "overlay",
    "register",
    "registration_report",
    "slices_from_images",
    "slices_from_volume",
    "spread_frames",
    "square_pixels",
]
