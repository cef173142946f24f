"""From volumes to acoustic properties: impedance, attenuation and echogenicity."""

from DiffUSLib.acoustics.ct import calibration_names, maps_from_ct
from DiffUSLib.acoustics.labels import label_set_names, maps_from_labels
from DiffUSLib.acoustics.maps import AcousticMaps, acoustic_maps
from DiffUSLib.acoustics.tissue import Tissue, tissue, tissue_names

__all__ = [
    "AcousticMaps",
    "Tissue",
    "acoustic_maps",
    "calibration_names",
    "label_set_names",
    "maps_from_ct",
    "maps_from_labels",
    "tissue",
    "tissue_names",
]
