"""DICOM as output of the commands that render."""

from __future__ import annotations

import argparse

import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.dicom_export import DICOM_ENDING, check_dicom_output, write_ultrasound_dicom
from DiffUSLib.rendering.renderer import Renderer


def add_dicom_template(parser: argparse.ArgumentParser) -> None:
    """Whose DICOM study a written .dcm file joins; read by `is_dicom_output` and `write_dicom`."""
    parser.add_argument(
        "--dicom-template", metavar="DCM", help="DICOM file whose patient and study a .dcm output joins"
    )


def is_dicom_output(options: argparse.Namespace) -> bool:
    """Whether the output is to be a DICOM file, which is checked.

    Raises:
        DiffUSError: if it cannot be written, or there is a template for another kind of output.
    """
    as_dicom = options.output.lower().endswith(DICOM_ENDING)
    if as_dicom:
        check_dicom_output(options.output, options.dicom_template)
    elif options.dicom_template is not None:
        raise DiffUSError(f"--dicom-template is for a .dcm file, and {options.output} is none.")
    return as_dicom


def write_dicom(options: argparse.Namespace, frames: torch.Tensor, renderer: Renderer) -> None:
    """Write (N, H, W) frames of a renderer as a DICOM clip."""
    grid, probe = renderer.grid, renderer.probe
    face_px = (-grid.left_mm / grid.spacing_mm, -grid.top_mm / grid.spacing_mm)
    write_ultrasound_dicom(
        options.output, frames, grid.spacing_mm, face_px,
        template=options.dicom_template, description=f"DiffUS {probe.name}", frequency_mhz=probe.frequency_mhz,
    )  # fmt: skip
