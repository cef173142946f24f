"""Files: volumes, images, linear transforms and tracked ultrasound."""

from DiffUSLib.io.chain import compose_chain, find_chain, fit_calibration, patient_frame, read_calibration
from DiffUSLib.io.files import written_whole
from DiffUSLib.io.frames import LPS_TO_RAS
from DiffUSLib.io.images import IMAGE_ENDINGS, to_gray, to_uint8, write_image
from DiffUSLib.io.tracked import TrackedFrames, read_tracked_frames, write_tracked_frames
from DiffUSLib.io.tracked_links import TrackedLinks, tracked_links
from DiffUSLib.io.transforms import TRANSFORM_ENDINGS, read_transform, write_transform
from DiffUSLib.io.volumes import VOLUME_ENDINGS, read_volume

__all__ = [
    "IMAGE_ENDINGS",
    "LPS_TO_RAS",
    "TRANSFORM_ENDINGS",
    "VOLUME_ENDINGS",
    "TrackedFrames",
    "TrackedLinks",
    "compose_chain",
    "find_chain",
    "fit_calibration",
    "patient_frame",
    "read_calibration",
    "read_tracked_frames",
    "read_transform",
    "read_volume",
    "to_gray",
    "to_uint8",
    "tracked_links",
    "write_image",
    "write_tracked_frames",
    "write_transform",
    "written_whole",
]
