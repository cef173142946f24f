"""`diffus serve`: a virtual scanner that OpenIGTLink clients talk to."""

from __future__ import annotations

import argparse
import asyncio

from DiffUSLib.cli import options
from DiffUSLib.errors import DiffUSError
from DiffUSLib.io import read_calibration, read_transform
from DiffUSLib.io.extras import optional
from DiffUSLib.rendering.renderer import Renderer

_DEFAULT_PORT = 18944


def add_parser(commands) -> None:
    parser = commands.add_parser(
        "serve",
        help="stream live images to OpenIGTLink clients, as a scanner does",
        description="Be a virtual ultrasound scanner: take ProbeToReference (or ProbeToTracker and "
        "ReferenceToTracker) from any OpenIGTLink client or tracker, as TRANSFORM or TDATA, and send IMAGE messages "
        "with their place in the Reference frame. Answers GET_STATUS, GET_IMAGE and the PLUS commands Version, "
        "RequestDeviceIds, RequestChannelIds, GetTransform and UpdateTransform.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Example:\n  diffus serve head.nii.gz --probe craniotomy_curvilinear --port 18944",
    )
    options.add_scene_options(parser)
    network = parser.add_argument_group("network")
    network.add_argument("--port", type=int, default=_DEFAULT_PORT, help=f"default: {_DEFAULT_PORT}; 0: a free one")
    network.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS",
        help="address to listen at (default: 127.0.0.1, which only this machine reaches; 0.0.0.0 lets everybody in "
        "who reaches this machine: there is no password)",
    )  # fmt: skip
    frames = parser.add_argument_group("frames")
    frames.add_argument(
        "--device-set", metavar="XML", help="PLUS configuration: its constant transforms, ImageToProbe among them"
    )
    frames.add_argument(
        "--reference-to-ras", metavar="FILE", help="transform from the Reference frame to the volume (default: none)"
    )
    frames.add_argument(
        "--needle", default="Needle", metavar="FRAME",
        help="frame of a tracked needle, tip at its origin and shaft along +Z; it is seen once a client sends, for "
        "instance, NeedleToReference (default: Needle)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    if not 0 <= arguments.port <= 65_535:
        raise DiffUSError(f"--port is {arguments.port}; give a number from 0 to 65535.")
    optional("pyigtl", "serve")
    from DiffUSLib.serving.scanner import VirtualScanner
    from DiffUSLib.serving.server import Server

    setup = options.read_setup(arguments)
    constants = read_calibration(arguments.device_set) if arguments.device_set else {}
    if arguments.reference_to_ras:
        constants["ReferenceToRas"] = read_transform(arguments.reference_to_ras)
    elif not any("ras" in name.lower() for name in constants):
        print("No ReferenceToRas was given: the Reference frame is taken for the volume's RAS.")
    maps = options.make_maps(arguments)
    renderer = Renderer(maps, setup.probe, setup.settings, setup.device)
    scanner = VirtualScanner(renderer, constants, arguments.needle)
    if setup.pose is not None:
        scanner.update("ProbeToRas", setup.pose.numpy())
    asyncio.run(_serve(Server(scanner, arguments.host, arguments.port, _tell)))


async def _serve(server) -> None:
    serving = asyncio.create_task(server.run())
    waiting = asyncio.create_task(server.ready.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if server.ready.is_set():
        _tell(f"Serving at port {server.port}; Ctrl+C stops.")
    await serving


def _tell(text: str) -> None:
    print(text, flush=True)
