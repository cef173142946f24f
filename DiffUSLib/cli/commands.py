"""All commands: reads the command line, runs one, and turns mistakes into one sentence."""

from __future__ import annotations

import argparse
import os
import sys
import warnings

import torch

from DiffUSLib import __version__
from DiffUSLib.cli import (
    benchmark,
    compare,
    dataset,
    demo,
    evaluate,
    fan,
    match,
    probes,
    register,
    render,
    serve,
    sweep,
    track,
)
from DiffUSLib.errors import DiffUSError, DiffUSWarning

COMMANDS = (render, sweep, track, serve, dataset, register, fan, match, compare, evaluate, probes, benchmark, demo)
EXIT_BAD_INPUT = 2


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="diffus",
        description="Render ultrasound from MRI, CT and label maps, and align tracked ultrasound to them. "
        "Not for clinical use.",
        epilog="`diffus COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"diffus {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def run(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code is 0, or 2 for a user's mistake, told in one sentence."""
    parsed = make_parser().parse_args(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("always", DiffUSWarning)
        warnings.showwarning = _show_warning
        try:
            parsed.run(parsed)
            sys.stdout.flush()
        except DiffUSError as error:
            print(f"diffus: error: {error}", file=sys.stderr)
            return EXIT_BAD_INPUT
        except (MemoryError, torch.OutOfMemoryError):
            print(
                "diffus: error: there is not enough memory for this; ask for less or a smaller volume.",
                file=sys.stderr,
            )
            return EXIT_BAD_INPUT
        except BrokenPipeError:
            # The reader of our output has gone (`diffus probes | head -1`); Python must not flush into it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _show_warning(message, category, filename, lineno, file=None, line=None):
    if issubclass(category, DiffUSWarning):
        print(f"diffus: note: {message}", file=sys.stderr)
