"""Register tracked ultrasound to a volume by gradient through the renderer, and say whether to trust it."""

from DiffUSLib.registration.alignment import (
    PRESETS,
    Alignment,
    Progress,
    RegistrationResult,
    RegistrationSettings,
    register,
)
from DiffUSLib.registration.correction import degrees_of_freedom_names
from DiffUSLib.registration.observation import UltrasoundSlices, slices_from_images, square_pixels
from DiffUSLib.registration.volume_planes import slices_from_volume

__all__ = [
    "PRESETS",
    "Alignment",
    "Progress",
    "RegistrationResult",
    "RegistrationSettings",
    "UltrasoundSlices",
    "degrees_of_freedom_names",
    "register",
    "slices_from_images",
    "slices_from_volume",
    "square_pixels",
]
