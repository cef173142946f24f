"""Types of command-line arguments that hold several values."""

from __future__ import annotations

import argparse

from DiffUSLib.acoustics import Anchor
from DiffUSLib.errors import DiffUSError


def numbers(count: int, example: str):
    """A type for argparse: `count` numbers with commas between them."""

    def parse(text: str) -> tuple[float, ...]:
        try:
            values = tuple(float(part) for part in text.split(","))
        except ValueError:
            values = ()
        if len(values) != count:
            raise argparse.ArgumentTypeError(f"'{text}' is not {count} numbers; write for instance {example}")
        return values

    return parse


def anchors(text: str) -> tuple[Anchor, ...]:
    """A type for argparse: tissues and their intensities, as in 'gray matter=67,white matter=82'."""
    try:
        pairs = [part.rsplit("=", 1) for part in text.split(",")]
        intensities = {name.strip(): float(value) for name, value in pairs}
    except ValueError:
        example = "'gray matter=67,white matter=82'"
        raise argparse.ArgumentTypeError(f"'{text}' does not name anchors; write for instance {example}") from None
    spread = 0.02 * (max(intensities.values()) - min(intensities.values())) or 1.0
    try:
        return tuple(Anchor(name, value, spread) for name, value in intensities.items())
    except DiffUSError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
