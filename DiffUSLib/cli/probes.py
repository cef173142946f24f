"""`diffus probes`: the shipped presets."""

from __future__ import annotations

import argparse

from DiffUSLib.probes.probe import Probe, load_probe, probe_names


def add_parser(commands) -> None:
    parser = commands.add_parser("probes", help="list the probe presets", description="List the probe presets.")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    names = probe_names()
    width = max(map(len, names))
    for name in names:
        probe = load_probe(name)
        print(f"{name:<{width}}  {_summary(probe)}\n{'':<{width}}  source: {probe.source}")


def _summary(probe: Probe) -> str:
    if probe.kind == "linear":
        shape = f"linear, {probe.width_mm:g} mm wide"
    else:
        radius = f", radius {probe.radius_mm:g} mm" if probe.kind == "curvilinear" else ""
        shape = f"{probe.kind}, {probe.field_of_view_deg:g} degrees{radius}"
    return f"{shape}, depth {probe.depth_mm:g} mm, {probe.frequency_mhz:g} MHz, {probe.lines} lines"
