"""The panel's sections, from top to bottom. Each takes the widgets of the .ui file and the session."""

from .align_section import AlignSection
from .curve_section import CurveSection
from .image_section import ImageSection
from .keep_section import KeepSection
from .motion_section import MotionSection
from .status_section import StatusSection
from .transducer_section import TransducerSection
from .volume_section import VolumeSection

SECTIONS = (
    StatusSection, VolumeSection, CurveSection, TransducerSection, MotionSection, ImageSection, KeepSection,
    AlignSection,
)  # fmt: skip
