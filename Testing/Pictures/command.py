"""What the scripts that write pictures of the module share: where to, and how they end."""

import argparse
from pathlib import Path

SCREENSHOTS = Path(__file__).resolve().parents[2] / "Resources" / "Screenshots"


def run(write, description, default):
    """Let `write(path)` write its pictures to the path of the command line; its problems become exit code 1."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, nargs="?", default=default)
    problems = write(parser.parse_args().path)
    print(*problems, sep="\n")
    return 1 if problems else 0
