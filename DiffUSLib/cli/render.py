"""`diffus render`: one B-mode image from a volume."""

from __future__ import annotations

import argparse

from DiffUSLib.cli import options
from DiffUSLib.cli.dicom_output import add_dicom_template, is_dicom_output, write_dicom
from DiffUSLib.io import write_image
from DiffUSLib.io.images import check_image_path
from DiffUSLib.rendering.renderer import Renderer


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "render",
        help="render a B-mode image",
        description="Render a B-mode image from an MRI, a CT or a label map.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Example:\n  diffus render head.nii.gz -o image.nrrd --entry 48,-5,62 --target 0,-10,5",
    )
    options.add_scene_options(parser)
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT",
        help=".png, or .nrrd, .nii.gz or .mha, which land on the volume in Slicer, or .dcm",
    )  # fmt: skip
    add_dicom_template(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    as_dicom = is_dicom_output(arguments)
    if not as_dicom:
        check_image_path(arguments.output)
    setup = options.read_setup(arguments)
    maps = options.make_maps(arguments)
    maps, pose = options.place_transducer(arguments, setup, maps)
    renderer = Renderer(maps, setup.probe, setup.settings, setup.device)
    options.warn_if_empty(renderer, pose)
    rendered = renderer(pose)
    if as_dicom:
        write_dicom(arguments, rendered.image, renderer)
    else:
        write_image(arguments.output, rendered.image[0], pose @ renderer.grid.image_to_transducer())
    height, width = rendered.image.shape[1:]
    print(f"Wrote {arguments.output} ({width} x {height} pixels of {renderer.grid.spacing_mm:.3f} mm).")
