"""The panel's sections, from top to bottom. Each takes the widgets of the .ui file and the session."""

from .image_section import ImageSection
from .keep_section import KeepSection
from .motion_section import MotionSection
from .status_section import StatusSection
from .transducer_section import TransducerSection
from .volume_section import VolumeSection

SECTIONS = (StatusSection, VolumeSection, TransducerSection, MotionSection, ImageSection, KeepSection)
"""Alignment of tracked ultrasound is to become the section after KeepSection, in a file of its own."""
