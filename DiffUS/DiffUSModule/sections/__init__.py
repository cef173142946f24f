"""The panel's sections, from top to bottom. Each takes the widgets of the .ui files and the session.

A new section is a file here with its class, a file in Resources/UI with its widgets, and a row in SECTIONS.
"""

from .align_section import AlignSection
from .brain_shift_section import BrainShiftSection
from .curve_section import CurveSection
from .image_section import ImageSection
from .keep_section import KeepSection
from .match_section import MatchSection
from .motion_section import MotionSection
from .needle_section import NeedleSection
from .one_open import OneOpen
from .status_section import StatusSection
from .stream_section import StreamSection
from .transducer_section import TransducerSection
from .volume_section import VolumeSection

SECTIONS = (
    StatusSection, VolumeSection, CurveSection, TransducerSection, MotionSection, ImageSection, NeedleSection,
    KeepSection, StreamSection, MatchSection, AlignSection, BrainShiftSection, OneOpen,
)  # fmt: skip
