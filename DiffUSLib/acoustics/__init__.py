"""From volumes to acoustic properties: impedance, attenuation and echogenicity."""

from DiffUSLib.acoustics.anchors import MRI_MODALITIES, Anchor, measure_anchors
from DiffUSLib.acoustics.ct import calibration_names, impedance_from_hu, maps_from_ct
from DiffUSLib.acoustics.dispatch import acoustic_maps
from DiffUSLib.acoustics.labels import label_set_names, maps_from_labels, read_label_mapping
from DiffUSLib.acoustics.maps import AcousticMaps
from DiffUSLib.acoustics.modality import MODALITIES, ModalityGuess, detect_modality
from DiffUSLib.acoustics.mri import maps_from_mri
from DiffUSLib.acoustics.network import ImpedanceNetwork, train_network
from DiffUSLib.acoustics.tissue import Tissue, tissue, tissue_names

__all__ = [
    "MODALITIES",
    "MRI_MODALITIES",
    "AcousticMaps",
    "Anchor",
    "ImpedanceNetwork",
    "ModalityGuess",
    "Tissue",
    "acoustic_maps",
    "calibration_names",
    "detect_modality",
    "impedance_from_hu",
    "label_set_names",
    "maps_from_ct",
    "maps_from_labels",
    "maps_from_mri",
    "measure_anchors",
    "read_label_mapping",
    "tissue",
    "tissue_names",
    "train_network",
]
