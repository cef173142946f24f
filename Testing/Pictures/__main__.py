"""Makes every picture of the README anew: python -m Testing.Pictures"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from Testing.Pictures.command import SCREENSHOTS


def run(*arguments):
    """Run a module of this project."""
    subprocess.run([sys.executable, "-m", *map(str, arguments)], cwd=SCREENSHOTS.parents[1], check=True)


def main():
    with tempfile.TemporaryDirectory() as folder:
        run("DiffUSLib.cli", "demo", "-o", folder)
        shutil.copyfile(Path(folder) / "overview.png", SCREENSHOTS / "demo_overview.png")
    run("Testing.Pictures.tutorial_pictures", SCREENSHOTS)
    run("Testing.Pictures.needle_and_stream", SCREENSHOTS)
    run("Testing.Pictures.align_picture", SCREENSHOTS / "align.png")
    run("Testing.Pictures.brain_shift_picture", SCREENSHOTS / "brain_shift.png")
    run("Testing.Pictures.match_picture", SCREENSHOTS / "match.png")


if __name__ == "__main__":
    main()
