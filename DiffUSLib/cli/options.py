"""Options that several commands share, and the objects that they describe."""

from __future__ import annotations

import argparse
import sys
import warnings
from dataclasses import replace

import torch

from DiffUSLib.acoustics import AcousticMaps, acoustic_maps
from DiffUSLib.device import choose_device
from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.io import read_transform, read_volume
from DiffUSLib.placement import default_pose
from DiffUSLib.pose import check_rigid, look_at
from DiffUSLib.probe import load_probe
from DiffUSLib.propagation import PROPAGATIONS, SIGN_CONVENTIONS
from DiffUSLib.renderer import Renderer
from DiffUSLib.settings import LOOKS, look

MODALITIES = ("auto", "ct", "t1", "t1c", "t2", "labels")


def add_scene_options(parser: argparse.ArgumentParser) -> None:
    """The volume, its acoustics, the probe, its pose and the look of the image."""
    parser.add_argument("volume", metavar="VOLUME", help="NRRD, NIfTI or MetaImage file, or a folder of DICOM files")
    patient = parser.add_argument_group("patient")
    patient.add_argument("--modality", default="auto", choices=MODALITIES, help="what the voxels mean (default: auto)")
    patient.add_argument("--calibration", metavar="NAME|CSV", help="Hounsfield calibration of a CT")
    patient.add_argument("--mapping", metavar="NAME|FILE", help="tissue of each label of a label map")
    probe = parser.add_argument_group("transducer")
    probe.add_argument(
        "--probe", default="craniotomy_curvilinear", metavar="NAME|JSON", help="preset (see `diffus probes`) or file"
    )
    probe.add_argument("--frequency", type=float, metavar="MHZ", help="center frequency in MHz")
    probe.add_argument("--depth", type=float, metavar="MM", help="imaging depth in mm")
    probe.add_argument("--pose", metavar="FILE", help="TransducerToRas as Slicer saves transforms (.tfm, .txt, .h5)")
    probe.add_argument("--entry", type=_point, metavar="R,A,S", help="middle of the transducer's face, RAS in mm")
    probe.add_argument("--target", type=_point, metavar="R,A,S", help="point that it looks at, RAS in mm")
    probe.add_argument("--roll", type=float, metavar="DEG", help="turn about the viewing direction (default: 0)")
    image = parser.add_argument_group("image")
    image.add_argument("--look", default="clinical", choices=LOOKS, help="default: clinical")
    image.add_argument("--propagation", choices=PROPAGATIONS, help="default: that of the look")
    image.add_argument(
        "--sign-convention", choices=SIGN_CONVENTIONS, help="of steady_state; default: that of the look"
    )
    image.add_argument("--gain", type=float, metavar="DB", help="brightness in dB (default: 0)")
    image.add_argument("--dynamic-range", type=float, metavar="DB", help="black to white in dB (default: 60)")
    image.add_argument("--no-speckle", action="store_true", help="mean brightness instead of speckle")
    image.add_argument("--beam-planes", type=int, metavar="N", help="planes across the beam's thickness (default: 1)")
    image.add_argument("--seed", type=int, help="of the speckle (default: 0)")
    run = parser.add_argument_group("computer")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    run.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: PyTorch's choice)")


def _point(text: str) -> tuple[float, float, float]:
    try:
        first, second, third = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a point; write three numbers such as 40,-10,60") from None
    return first, second, third


def make_maps(options: argparse.Namespace) -> AcousticMaps:
    """The acoustic maps of the volume; what was decided or assumed on the way is told."""
    chosen = {"calibration": options.calibration, "mapping": options.mapping}
    maps = acoustic_maps(
        read_volume(options.volume),
        modality=options.modality,
        **{name: value for name, value in chosen.items() if value is not None},
    )
    for note in maps.notes:
        print(note)
    return maps


def make_renderer(options: argparse.Namespace, maps: AcousticMaps) -> Renderer:
    """The renderer that the options describe."""
    if options.threads is not None:
        if options.threads < 1:
            raise DiffUSError(f"--threads is {options.threads}; give at least 1.")
        torch.set_num_threads(options.threads)
    probe = load_probe(options.probe)
    sizes = {"frequency_mhz": options.frequency, "depth_mm": options.depth}
    probe = replace(probe, **{name: value for name, value in sizes.items() if value is not None})
    changes = {
        "propagation": options.propagation,
        "sign_convention": options.sign_convention,
        "gain_db": options.gain,
        "dynamic_range_db": options.dynamic_range,
        "speckle": False if options.no_speckle else None,
        "elevation_planes": options.beam_planes,
        "seed": options.seed,
    }
    settings = look(options.look, **{name: value for name, value in changes.items() if value is not None})
    device, reason = choose_device(options.device)
    print(f"Rendering with the probe {probe.name} on the {reason}.")
    return Renderer(maps, probe, settings, device)


def make_pose(options: argparse.Namespace, maps: AcousticMaps) -> torch.Tensor:
    """The pose that the options describe, or one on the patient's surface, which is told."""
    points = (options.entry, options.target)
    if options.pose is not None:
        if any(point is not None for point in points) or options.roll is not None:
            raise DiffUSError("give either --pose or --entry, --target and --roll, not both.")
        pose = read_transform(options.pose)
        check_rigid(pose, f"the pose in {options.pose}")
        return pose
    if all(point is not None for point in points):
        return look_at(*points, roll_deg=options.roll or 0.0)
    if any(point is not None for point in points) or options.roll is not None:
        raise DiffUSError("give both --entry and --target (and --roll if you like), or --pose, or none of them.")
    pose = default_pose(maps)
    place = ", ".join(f"{value:.0f}" for value in pose[:3, 3].tolist())
    print(f"No pose was given: the transducer stands on the surface at RAS {place} mm and looks inward.")
    return pose


def warn_if_empty(renderer: Renderer, poses: torch.Tensor) -> None:
    """Say so when no part of the fan lies in the volume; the image is empty then, which is no error."""
    if float(renderer.coverage(poses).max()) == 0.0:
        warnings.warn(
            "the probe stands outside the volume and looks away from it, so the image is empty.", DiffUSWarning, 2
        )


def with_progress(items, what: str):
    """The items one by one, with a line of progress that stays on one line of a terminal."""
    count = len(items)
    end = "\r" if sys.stdout.isatty() else "\n"
    for number, item in enumerate(items, start=1):
        if end == "\r" or number in (1, count):
            print(f"{what} {number} of {count}", end=end if number < count else "\n", flush=True)
        yield item
