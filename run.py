#!/usr/bin/env python3
"""Makes everything ready and runs DiffUS: `python3 run.py demo` or `python3 run.py test`.

Needs nothing but Python's standard library. The first call makes `.venv` beside this file and installs the pinned
packages into it; later calls find it ready. What follows the command is passed on, for instance
`python3 run.py test -k sphere` or `python3 run.py demo --help`. `test --all` also runs the tests that are marked slow,
as continuous integration does.
"""

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
PINS, PROJECT_FILE = ROOT / "requirements-pinned.txt", ROOT / "pyproject.toml"
OLDEST_PYTHON = (3, 10)
MOST_TEST_PROCESSES = "4"  # each takes about 1 GB
USAGE = "usage: run.py demo [options of `diffus demo`] [--window]\n       run.py test [--all] [options of pytest]"

# What Qt's offscreen platform and VTK's EGL window load on Linux, and the Debian package of each.
SYSTEM_LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libEGL_mesa.so.0": "libegl-mesa0",
    "libGL.so.1": "libgl1",
    "libX11.so.6": "libx11-6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libdbus-1.so.3": "libdbus-1-3",
}


class SetupError(Exception):
    """What stands in the way, in a sentence for the user."""


def say(text):
    print(f"[DiffUS] {text}", flush=True)


def install_by_apt(packages):
    """Install Debian packages as root, or say the command; returns whether they were installed."""
    by_hand = f"apt-get update && apt-get install -y --no-install-recommends {' '.join(packages)}"
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if shutil.which("apt-get") and is_root:
        say(f"Installing system packages: {' '.join(packages)}.")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(by_hand, shell=True, env=environment, stdout=subprocess.DEVNULL, check=False)
        if done.returncode == 0:
            return True
    say(f"Missing on this system (as root, on Debian or Ubuntu: {by_hand}): {' '.join(packages)}.")
    return False


def missing_libraries(load=ctypes.CDLL):
    """Debian packages of the system libraries that cannot be loaded."""
    missing = []
    for name, package in SYSTEM_LIBRARIES.items():
        try:
            load(name)
        except OSError:
            missing.append(package)
    return missing


def fingerprint(root=ROOT, version=sys.version_info[:2]):
    """The Python version, and a text that changes with the pins, the project file and the place on disk."""
    digest = hashlib.sha256(str(root).encode())
    for name in (PINS.name, PROJECT_FILE.name):
        digest.update((root / name).read_bytes())
    return f"{version[0]}.{version[1]} {digest.hexdigest()}"


def python_of(environment):
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def call(command, failure):
    """Run a command that shows its own output; a failure becomes the sentence."""
    if subprocess.run([str(part) for part in command], check=False).returncode != 0:
        raise SetupError(failure)


def ensure_environment(environment=ENVIRONMENT, root=ROOT):
    """Make, update or repair the virtual environment; returns its Python."""
    wanted, stamp, python = fingerprint(root), environment / "diffus-environment.txt", python_of(environment)
    found = stamp.read_text(encoding="utf-8") if stamp.is_file() and python.exists() else ""
    if found == wanted:
        return python
    if found.split(" ")[0] != wanted.split(" ")[0]:  # none, half-made, or of another Python
        if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
            install_by_apt([f"python{wanted.split(' ')[0]}-venv"])
        say(f"Making a virtual environment in {environment}.")
        call([sys.executable, "-m", "venv", "--clear", environment], "The virtual environment could not be made.")
    say("Installing the Python packages; the first time this takes some minutes.")
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off", "-q"]
    failure = "pip could not install the packages; its reason stands above. Mend it and run this again."
    call([*pip, "-r", root / PINS.name], failure)
    call([*pip, "--no-deps", "--no-build-isolation", "--editable", root], failure)
    stamp.write_text(wanted, encoding="utf-8")
    say("Everything is installed.")
    return python


def demo_jobs(python, extra):
    """Rendering, alignment of a simulated sweep to the same volume, and the module with both (or open, to play)."""
    output = extra[extra.index("-o") + 1] if "-o" in extra[:-1] else "demo_output"
    volume = os.path.join(output, "mni152_t1.nii.gz")
    render = [python, "-m", "DiffUSLib.cli", "demo", *(part for part in extra if part != "--window")]
    align = [python, "-m", "DiffUSLib.cli.demo_alignment", volume, output]
    module = [python, "-m", "Testing.Pictures.demo", volume]
    if "--help" in extra or "-h" in extra:
        return [render]
    return [render, [*module, "--window"]] if "--window" in extra else [render, align, [*module, output]]


def test_jobs(python, extra):
    """Style, rooms, types, then the tests; the slow ones only with --all."""
    tools = python.parent
    chosen = [part for part in extra if part != "--all"] if "--all" in extra else ["-m", "not slow", *extra]
    parallel = ["-n", "auto", "--maxprocesses", MOST_TEST_PROCESSES, "--dist", "loadfile"]
    return [
        [tools / "ruff", "check", "."],
        [tools / "lint-imports"],
        [tools / "mypy"],
        [python, "-m", "pytest", *parallel, *chosen],
    ]


def run_jobs(command, jobs):
    """All checks run, a demo stops at a failure. Returns the first exit code that is not 0."""
    status = 0
    for job in jobs:
        code = subprocess.run([str(part) for part in job], cwd=ROOT, check=False).returncode
        if code != 0:
            say(f"Failed: {' '.join(map(str, job))}")
        status = status or code
        if code != 0 and command == "demo":
            break
    return status


def main(arguments):
    command, extra = (arguments or [""])[0], arguments[1:]
    if command not in ("demo", "test"):
        print(USAGE, file=sys.stdout if command in ("-h", "--help") else sys.stderr)
        return 0 if command in ("-h", "--help") else 2
    try:
        if sys.version_info < OLDEST_PYTHON:
            raise SetupError("DiffUS needs Python 3.10 or later: run this script with one, as in python3.12 run.py.")
        if sys.platform.startswith("linux") and missing_libraries():
            install_by_apt(missing_libraries())
        python = ensure_environment()
    except (SetupError, OSError) as error:
        print(f"[DiffUS] {error}", file=sys.stderr)
        return 2
    return run_jobs(command, (demo_jobs if command == "demo" else test_jobs)(python, extra))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\n[DiffUS] Stopped.", file=sys.stderr)
        sys.exit(130)
