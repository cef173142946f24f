"""Register tracked ultrasound to a volume by gradient through the renderer, and say whether to trust it."""

from DiffUSLib.registration.agreement import SweepAgreement, compare_sweeps
from DiffUSLib.registration.alignment import Alignment, Progress, RegistrationResult, register
from DiffUSLib.registration.calibration import CALIBRATED, ProbePath, SweepCalibration
from DiffUSLib.registration.comparison import OVERLAYS, SliceComparison, overlay
from DiffUSLib.registration.correction import degrees_of_freedom_names
from DiffUSLib.registration.landmark_start import LandmarkStart, start_from_landmarks
from DiffUSLib.registration.report import registration_report
from DiffUSLib.registration.settings import PRESETS, RegistrationSettings
from DiffUSLib.ultrasound.observation import UltrasoundSlices, slices_from_images, spread_frames, square_pixels
from DiffUSLib.ultrasound.volume_planes import slices_from_volume

__all__ = [
    "CALIBRATED",
    "OVERLAYS",
    "PRESETS",
    "Alignment",
    "LandmarkStart",
    "ProbePath",
    "Progress",
    "RegistrationResult",
    "RegistrationSettings",
    "SliceComparison",
    "SweepAgreement",
    "SweepCalibration",
    "UltrasoundSlices",
    "compare_sweeps",
    "degrees_of_freedom_names",
    "overlay",
    "register",
    "registration_report",
    "slices_from_images",
    "slices_from_volume",
    "spread_frames",
    "square_pixels",
    "start_from_landmarks",
]
