"""Options that several commands share, and the objects that they describe."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from dataclasses import dataclass, replace

import torch

from DiffUSLib.acoustics import AcousticMaps
from DiffUSLib.appearance import appearance_names, look_settings
from DiffUSLib.cli.argument_types import numbers
from DiffUSLib.cli.volume_meaning import add_meaning_options, told_maps
from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.geometry.pose import check_rigid, look_at
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io import read_transform, read_volume
from DiffUSLib.io.nifti_place import PLACES
from DiffUSLib.probes.craniotomy import open_craniotomy
from DiffUSLib.probes.placement import default_pose, snap_to_surface
from DiffUSLib.probes.probe import Probe, load_probe
from DiffUSLib.rendering.device import choose_device
from DiffUSLib.rendering.propagation import PROPAGATIONS, SIGN_CONVENTIONS
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import RenderSettings

STAGES: dict[str, dict[str, float | bool]] = {
    "backscatter": {"backscatter": False},
    "interface-scatter": {"interface_scatter_mm": 0.0, "sulcus_scatter_mm": 0.0},
    "specular": {"specular_mm": 0.0},
    "attenuation": {"attenuation": False},
    "tgc": {"tgc_db_cm_mhz": 0.0},
    "point-spread": {"point_spread": False},
    "speckle": {"speckle": False},
    "clutter": {"clutter": False},
    "near-field": {"near_field": False},
    "log-compression": {"log_compression": False},
    "paper-artifacts": {"paper_artifacts": False},
}
"""Stages that `--without` switches off, and what that means for the settings."""

POOR_CONTACT = "poor-contact"
"""What makes the sides of the fan dark; `--without` switches it off too."""


def add_scene_options(parser: argparse.ArgumentParser) -> None:
    """The volume, its acoustics, the probe, its pose and the look of the image."""
    add_volume_options(parser)
    patient = add_meaning_options(parser)
    patient.add_argument("--calibration", metavar="NAME|CSV", help="Hounsfield calibration of a CT")
    probe = parser.add_argument_group("transducer")
    probe.add_argument(
        "--probe", default="craniotomy_curvilinear", metavar="NAME|JSON", help="preset (see `diffus probes`) or file"
    )
    probe.add_argument("--frequency", type=float, metavar="MHZ", help="center frequency in MHz")
    probe.add_argument("--depth", type=float, metavar="MM", help="imaging depth in mm")
    probe.add_argument("--pose", metavar="FILE", help="TransducerToRas as Slicer saves transforms (.tfm, .txt, .h5)")
    probe.add_argument(
        "--entry", type=numbers(3, "40,-10,60"), metavar="R,A,S", help="middle of the transducer's face, RAS in mm"
    )
    probe.add_argument(
        "--target", type=numbers(3, "40,-10,60"), metavar="R,A,S", help="point that it looks at, RAS in mm"
    )
    probe.add_argument("--roll", type=float, metavar="DEG", help="turn about the viewing direction (default: 0)")
    probe.add_argument(
        "--craniotomy", type=float, nargs="?", const=30.0, metavar="RADIUS",
        help="remove scalp and skull in front of the transducer, RADIUS in mm (default: 30)",
    )  # fmt: skip
    image = parser.add_argument_group("image")
    image.add_argument(
        "--look", default="clinical", metavar="NAME|JSON",
        help=f"{', '.join(look_names())}, or a file that `diffus match` wrote (default: clinical)",
    )  # fmt: skip
    image.add_argument("--propagation", choices=PROPAGATIONS, help="default: that of the look")
    image.add_argument(
        "--sign-convention", choices=SIGN_CONVENTIONS, help="of steady_state; default: that of the look"
    )
    image.add_argument("--gain", type=float, metavar="DB", help="brightness in dB (default: 0)")
    image.add_argument(
        "--dynamic-range", type=float, metavar="DB", help="black to white in dB (default: that of the look)"
    )
    image.add_argument(
        "--without", action="append", default=[], choices=(*STAGES, POOR_CONTACT), metavar="STAGE",
        help=f"switch a stage of the chain off: {', '.join((*STAGES, POOR_CONTACT))}; may be given several times",
    )  # fmt: skip
    image.add_argument("--beam-planes", type=int, metavar="N", help="planes across the beam's thickness (default: 1)")
    image.add_argument("--seed", type=int, help="of the speckle (default: 0)")
    run = parser.add_argument_group("computer")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    run.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: PyTorch's choice)")


def add_volume_options(parser: argparse.ArgumentParser) -> None:
    """The volume, and which one where a file or folder holds several; read by `read_chosen_volume`."""
    parser.add_argument(
        "volume", metavar="VOLUME", help="NRRD, NIfTI, MetaImage or .mgz file, or DICOM (folder or enhanced file)"
    )
    chosen = parser.add_argument_group("volume, where there are several")
    chosen.add_argument("--series", metavar="UID|NUMBER", help="series of a DICOM folder (default: the largest)")
    chosen.add_argument(
        "--phase", type=int, metavar="N", help="which volume of a file or series with several (phases, echoes, times)"
    )
    chosen.add_argument("--prefer", choices=PLACES, help="place of a NIfTI file whose sform and qform differ")


def read_chosen_volume(options: argparse.Namespace) -> Volume:
    """The volume that the options of `add_volume_options` name.

    Raises:
        DiffUSError: if there is none.
    """
    return read_volume(options.volume, options.series, options.phase, options.prefer)


def read_volume_and_place(options: argparse.Namespace) -> tuple[Volume, dict]:
    """The same, and for a report where it is and what was decided about that; it is told as well.

    Raises:
        DiffUSError: if there is none.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        volume = read_chosen_volume(options)
    notes = [str(warning.message) for warning in caught if issubclass(warning.category, DiffUSWarning)]
    for note in notes:
        warnings.warn(note, DiffUSWarning, stacklevel=2)
    return volume, {"file": volume.name, "ijk_to_ras": volume.ijk_to_ras.tolist(), "place_notes": notes}


def look_names() -> tuple[str, ...]:
    """The names that --look takes."""
    return (*appearance_names(), "paper")


@dataclass(frozen=True)
class Setup:
    """What the options describe apart from the patient; made first, because a volume takes seconds to read.

    Args:
        probe, settings, device: of the renderer.
        pose: (4, 4) TransducerToRas, or None where the options name none.
    """

    probe: Probe
    settings: RenderSettings
    device: torch.device
    pose: torch.Tensor | None


def read_setup(options: argparse.Namespace) -> Setup:
    """The renderer and the pose that the options describe.

    Raises:
        DiffUSError: if they describe none.
    """
    if options.threads is not None:
        use_threads(options.threads)
    sizes = {"frequency_mhz": options.frequency, "depth_mm": options.depth}
    probe = replace(load_probe(options.probe), **_given(sizes))
    if options.look == "paper" and (options.gain is not None or options.dynamic_range is not None):
        raise DiffUSError("the paper's look has no gain or dynamic range: its gray follows the strongest echoes.")
    changes = {
        "propagation": options.propagation,
        "sign_convention": options.sign_convention,
        "gain_db": options.gain,
        "dynamic_range_db": options.dynamic_range,
        "elevation_planes": options.beam_planes,
        "seed": options.seed,
    }
    without = [stage for stage in options.without if stage != POOR_CONTACT]
    switched_off = {name: value for stage in without for name, value in STAGES[stage].items()}
    settings = look_settings(options.look, **_given(changes), **switched_off)
    if POOR_CONTACT in options.without:
        settings = replace(settings, receiver=replace(settings.receiver, line_gain_db=()))
    device, reason = choose_device(options.device)
    pose = _read_pose(options)
    print(f"Rendering with the probe {probe.name} on the {reason}.")
    return Setup(probe, settings, device, pose)


def use_threads(count: int) -> None:
    """Let PyTorch compute on so many CPU threads.

    Raises:
        DiffUSError: if there are not so many, or none is asked for.
    """
    most = os.cpu_count() or 1
    if not 1 <= count <= most:
        raise DiffUSError(f"--threads is {count}; give a number from 1 to {most}.")
    torch.set_num_threads(count)


def _given(values: dict) -> dict:
    return {name: value for name, value in values.items() if value is not None}


def _read_pose(options: argparse.Namespace) -> torch.Tensor | None:
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
    return None


def make_maps(options: argparse.Namespace) -> AcousticMaps:
    """The acoustic maps of the volume; what was decided or assumed on the way is told."""
    return told_maps(read_chosen_volume(options), options, calibration=options.calibration)


def surface_pose(maps: AcousticMaps) -> torch.Tensor:
    """A pose on the patient's surface, which is told."""
    pose = default_pose(maps)
    place = ", ".join(f"{value:.0f}" for value in pose[:3, 3].tolist())
    print(f"No pose was given: the transducer stands on the surface at RAS {place} mm and looks inward.")
    return pose


def place_transducer(
    options: argparse.Namespace, setup: Setup, maps: AcousticMaps
) -> tuple[AcousticMaps, torch.Tensor]:
    """The pose, and the maps with the craniotomy if one is asked for: a pose on the surface then is on the dura."""
    pose = surface_pose(maps) if setup.pose is None else setup.pose
    if options.craniotomy is None:
        return maps, pose
    opened = open_craniotomy(maps, pose, options.craniotomy)
    print(opened.notes[-1])
    return opened, snap_to_surface(opened, pose) if setup.pose is None else pose


def warn_if_empty(renderer: Renderer, poses: torch.Tensor) -> None:
    """Say so when no part of the fan lies in the volume: the image shows no tissue then, which is no error."""
    if float(renderer.coverage(poses).max()) == 0.0:
        warnings.warn(
            "no part of the fan lies in the volume: the probe stands outside it or looks away, "
            "and the image shows no tissue.",
            DiffUSWarning,
            2,
        )


def with_progress(items, what: str):
    """The items one by one, with a line of progress that stays on one line of a terminal."""
    count = len(items)
    end = "\r" if sys.stdout.isatty() else "\n"
    for number, item in enumerate(items, start=1):
        if end == "\r" or number in (1, count):
            print(f"{what} {number} of {count}", end=end if number < count else "\n", flush=True)
        yield item
