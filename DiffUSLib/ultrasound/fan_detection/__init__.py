"""Find the fan of an ultrasound image: where the transducer is, how wide it looks and how deep."""

from DiffUSLib.ultrasound.fan_detection.detection import MINIMUM_CONFIDENCE, detect_fan
from DiffUSLib.ultrasound.fan_detection.fan_file import fan_report, read_fan, write_fan
from DiffUSLib.ultrasound.fan_detection.geometry import SURE, FanGeometry

__all__ = ["MINIMUM_CONFIDENCE", "SURE", "FanGeometry", "detect_fan", "fan_report", "read_fan", "write_fan"]
