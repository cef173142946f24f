"""Files: volumes, images, linear transforms and tracked ultrasound."""

from DiffUSLib.io.chain import compose_chain, fit_calibration, read_calibration
from DiffUSLib.io.files import written_whole
from DiffUSLib.io.frame_checks import SkippedFrame, frame_problems, summarize_skipped
from DiffUSLib.io.frames import LPS_TO_RAS
from DiffUSLib.io.images import IMAGE_ENDINGS, to_gray, to_uint8, write_image
from DiffUSLib.io.tracked import TrackedFrames
from DiffUSLib.io.tracked_files import read_tracked_frames, write_tracked_frames
from DiffUSLib.io.tracked_links import TrackedLinks, tracked_links
from DiffUSLib.io.tracked_places import PlacedFrames, place_frames
from DiffUSLib.io.transform_names import find_chain, patient_frame, split_transform_name
from DiffUSLib.io.transforms import TRANSFORM_ENDINGS, read_transform, write_transform
from DiffUSLib.io.volumes import VOLUME_ENDINGS, read_volume

__all__ = [
    "IMAGE_ENDINGS",
    "LPS_TO_RAS",
    "TRANSFORM_ENDINGS",
    "VOLUME_ENDINGS",
    "PlacedFrames",
    "SkippedFrame",
    "TrackedFrames",
    "TrackedLinks",
    "compose_chain",
    "find_chain",
    "fit_calibration",
    "frame_problems",
    "patient_frame",
    "place_frames",
    "read_calibration",
    "read_tracked_frames",
    "read_transform",
    "read_volume",
    "split_transform_name",
    "summarize_skipped",
    "to_gray",
    "to_uint8",
    "tracked_links",
    "write_image",
    "write_tracked_frames",
    "write_transform",
    "written_whole",
]
