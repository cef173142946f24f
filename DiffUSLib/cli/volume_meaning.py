"""Options that say what the voxels of a volume mean, and the acoustic maps that follow; what was decided is told."""

from __future__ import annotations

import argparse

from DiffUSLib.acoustics import AcousticMaps, acoustic_maps
from DiffUSLib.cli.argument_types import anchors, numbers
from DiffUSLib.geometry.volume import Volume

MODALITIES = ("auto", "ct", "t1", "t1c", "t2", "flair", "labels")


def add_meaning_options(parser: argparse.ArgumentParser):
    """The group "patient": what the voxels mean, read by `told_maps`."""
    patient = parser.add_argument_group("patient")
    patient.add_argument("--modality", default="auto", choices=MODALITIES, help="what the voxels mean (default: auto)")
    patient.add_argument("--mapping", metavar="NAME|FILE", help="tissue of each label of a label map")
    patient.add_argument(
        "--anchors", type=anchors, metavar="TISSUE=INTENSITY,...",
        help="intensities of tissues in an MRI, instead of measuring them; for instance "
        "'cerebrospinal fluid=20,gray matter=67,white matter=82'",
    )  # fmt: skip
    patient.add_argument(
        "--rescaling", type=numbers(2, "1,-1024"), metavar="SLOPE,INTERCEPT",
        help="make HU of the values of a CT: HU = SLOPE x value + INTERCEPT",
    )  # fmt: skip
    patient.add_argument("--lumen", choices=("air", "fluid"), help="what air inside a body is, of a CT (default: air)")
    return patient


def told_maps(volume: Volume, arguments: argparse.Namespace, **more) -> AcousticMaps:
    """The acoustic maps of a volume by the options of `add_meaning_options`; what was decided or assumed is told.

    Args:
        volume: the patient.
        arguments: what the command line says.
        more: further options of `acoustic_maps`; None stands for their defaults.

    Raises:
        DiffUSError: if the volume is not recognized, or an option does not belong to its modality.
    """
    names = ("modality", "mapping", "anchors", "rescaling", "lumen")
    given = {name: getattr(arguments, name) for name in names} | more
    maps = acoustic_maps(volume, **{name: value for name, value in given.items() if value is not None})
    for note in maps.notes:
        print(note)
    return maps
