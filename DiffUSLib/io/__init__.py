"""Files: volumes, images, linear transforms and tracked ultrasound."""

from DiffUSLib.io.files import written_whole
from DiffUSLib.io.frames import LPS_TO_RAS
from DiffUSLib.io.images import IMAGE_ENDINGS, to_uint8, write_image
from DiffUSLib.io.transforms import TRANSFORM_ENDINGS, read_transform, write_transform
from DiffUSLib.io.volumes import VOLUME_ENDINGS, read_volume

__all__ = [
    "IMAGE_ENDINGS",
    "LPS_TO_RAS",
    "TRANSFORM_ENDINGS",
    "VOLUME_ENDINGS",
    "read_transform",
    "read_volume",
    "to_uint8",
    "write_image",
    "write_transform",
    "written_whole",
]
