#!/usr/bin/env python3
"""Makes everything ready and runs DiffUS: `python3 run.py demo` or `python3 run.py test`.

Needs nothing but Python's standard library. The first call makes `.venv` beside this file and installs the pinned
packages into it; later calls find it ready. What follows the command is passed on, for instance
`python3 run.py test -k sphere` or `python3 run.py demo --help`.
"""

import argparse
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
REQUIREMENTS = ROOT / "requirements-pinned.txt"
PROJECT_FILE = ROOT / "pyproject.toml"
STAMP_NAME = "diffus-environment.txt"
INSTALLING = "installing"
OLDEST_PYTHON = (3, 10)
MOST_TEST_PROCESSES = "4"  # each takes about 1 GB

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

# How pip's output shows that the network is the reason.
NETWORK_SIGNS = (
    "ConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "getaddrinfo failed",
    "nodename nor servname",
)


class SetupError(Exception):
    """What stands in the way, in a sentence for the user."""


def say(text):
    print(f"[DiffUS] {text}", flush=True)


def parse_arguments(arguments):
    """Split the command line into (command, what is passed on)."""
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Make DiffUS ready (a virtual environment in .venv) and run it.",
        epilog="Everything after the command is passed on: `run.py test -k sphere`, `run.py demo --help`.",
    )
    parser.add_argument("command", choices=["demo", "test"], help="demo: render a real MRI; test: check everything")
    if arguments and arguments[0] in ("demo", "test"):
        return arguments[0], arguments[1:]
    return parser.parse_args(arguments[:1]).command, []


def environment_python(environment):
    """The Python of a virtual environment."""
    if os.name == "nt":
        return environment / "Scripts" / "python.exe"
    return environment / "bin" / "python"


def environment_fingerprint(root=ROOT, version=None):
    """A text that changes when the environment must: pins, project file, Python version, place on disk."""
    version = version or sys.version_info[:2]
    digest = hashlib.sha256(f"{version[0]}.{version[1]} {root}".encode())
    for name in (REQUIREMENTS.name, PROJECT_FILE.name):
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def environment_version(environment):
    """(major, minor) of the Python that a virtual environment was made with, or None if it cannot be told."""
    try:
        lines = (environment / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip() in ("version", "version_info"):
            parts = value.strip().split(".")
            if len(parts) >= 2 and parts[0].isdigit() and parts[1].isdigit():
                return int(parts[0]), int(parts[1])
    return None


def read_stamp(environment):
    try:
        return (environment / STAMP_NAME).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def environment_state(environment, fingerprint, version=None):
    """ "ready", "update" (packages to install into it) or "rebuild" (absent, half-made or of another Python)."""
    stamp = read_stamp(environment)
    made_with = environment_version(environment)
    if not environment_python(environment).exists() or made_with != tuple(version or sys.version_info[:2]):
        return "rebuild"
    if stamp == INSTALLING:
        return "rebuild"
    return "ready" if stamp == fingerprint else "update"


def is_administrator():
    return hasattr(os, "geteuid") and os.geteuid() == 0


def apt_commands(packages):
    """The commands that install Debian packages."""
    return [["apt-get", "update", "-q"], ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]]


def by_hand(packages):
    """The one command line that a person types for the same."""
    return f"sudo apt-get update && sudo apt-get install -y {' '.join(packages)}"


def install_debian_packages(packages):
    """Install by apt; returns whether it worked."""
    say(f"Installing system packages: {', '.join(packages)}.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in apt_commands(packages):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0 and "install" in command:
            say(f"apt could not install them: {last_line(done.stderr) or last_line(done.stdout)}")
            return False
    return True


def missing_libraries(load=ctypes.CDLL):
    """Names of the system libraries that cannot be loaded."""
    missing = []
    for name in SYSTEM_LIBRARIES:
        try:
            load(name)
        except OSError:
            missing.append(name)
    return missing


def ensure_system_libraries():
    """On Linux, install what Qt and VTK need to draw without a screen, or name the command and go on."""
    if not sys.platform.startswith("linux"):
        return
    missing = missing_libraries()
    if not missing:
        return
    packages = [SYSTEM_LIBRARIES[name] for name in missing]
    if shutil.which("apt-get") is None:
        say(
            f"Missing system libraries: {', '.join(missing)}; install them with your system's package manager, "
            "or tests that draw will fail."
        )
    elif not is_administrator():
        say(f"Missing system libraries, without which tests that draw will fail; install them by: {by_hand(packages)}")
    elif not install_debian_packages(packages) or missing_libraries():
        say(f"Some system libraries are still missing; tests that draw may fail. By hand: {by_hand(packages)}")


def require_supported_python(version=None):
    version = tuple(version or sys.version_info[:2])
    if version < OLDEST_PYTHON:
        raise SetupError(
            f"DiffUS needs Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or later and this is Python "
            f"{version[0]}.{version[1]}; run this script with a newer one, for instance python3.12 run.py demo."
        )


def ensure_venv_module():
    """Debian and Ubuntu keep what `venv` needs in a package of its own."""
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if shutil.which("apt-get") and is_administrator() and install_debian_packages([package]):
        return
    raise SetupError(
        f"This Python cannot make virtual environments; install the missing part by: {by_hand([package])} "
        "(on another system: your Python's venv and ensurepip modules), then run this again."
    )


def make_environment(environment):
    if Path(sys.prefix).resolve() == environment.resolve():
        raise SetupError("The environment must be made anew; run this script with the Python outside of .venv.")
    ensure_venv_module()
    say(f"Making a virtual environment in {environment}.")
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(environment)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise SetupError(f"The virtual environment could not be made: {last_line(made.stdout + made.stderr)}")


def pip_command(environment, *arguments):
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    return [str(environment_python(environment)), "-m", "pip", "install", *options, *arguments]


def install_commands(environment, root=ROOT):
    """pip's command lines: first the pinned packages, then DiffUS itself, which needs no network."""
    return [
        pip_command(environment, "-r", str(root / REQUIREMENTS.name)),
        pip_command(environment, "--no-deps", "--no-build-isolation", "--editable", str(root)),
    ]


def describe_pip_line(line):
    """What a line of pip's output means for a person; None for what only pip cares about."""
    words = line.split()
    if line.startswith("Collecting ") and len(words) > 1:
        return f"  getting {words[1].split(';')[0]}"
    if line.strip().startswith("Downloading ") and "(" in line and any(unit in line for unit in (" MB)", " GB)")):
        return f"    downloading {line[line.rindex('(') + 1 : line.rindex(')')]}"
    if line.startswith("Installing collected packages") and "," in line:
        return "  unpacking all of them (this takes a while)"
    return None


def explain_pip_failure(lines):
    """One sentence for the end of pip's output."""
    text = "\n".join(lines)
    if "No space left on device" in text:
        return "The disk is full; PyTorch and the rest need about 2 GB. Make room and run this again."
    if any(sign in text for sign in NETWORK_SIGNS):
        return "The package index cannot be reached; check the network (or pip's proxy and index) and run this again."
    errors = [line for line in lines if line.startswith("ERROR:")]
    reason = (errors or lines or ["no reason was given"])[-1].removeprefix("ERROR:").strip()
    return f"pip could not install the packages: {reason}"


def run_pip(command):
    """Run pip, showing what it does in plain words."""
    lines = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace"
    ) as process:
        for line in process.stdout:
            lines.append(line.rstrip())
            told = describe_pip_line(line)
            if told:
                say(told)
    if process.returncode != 0:
        raise SetupError(explain_pip_failure(lines[-200:]))


def install_packages(environment, fingerprint):
    """Fill the environment; the stamp tells a later call whether this was completed or cut off in the middle."""
    stamp = environment / STAMP_NAME
    before = read_stamp(environment)
    stamp.write_text(INSTALLING, encoding="utf-8")
    try:
        for command in install_commands(environment):
            run_pip(command)
    except SetupError:
        # pip fetches everything before it changes anything: what was there before is still whole.
        stamp.write_text(before, encoding="utf-8")
        raise
    stamp.write_text(fingerprint, encoding="utf-8")


def ensure_environment(environment=ENVIRONMENT):
    """Make, repair or update the virtual environment; returns its Python."""
    fingerprint = environment_fingerprint()
    state = environment_state(environment, fingerprint)
    if state == "rebuild":
        make_environment(environment)
    if state != "ready":
        say("Installing the Python packages; the first time this takes some minutes (PyTorch alone is 200 MB).")
        install_packages(environment, fingerprint)
        say("Everything is installed.")
    return environment_python(environment)


def demo_commands(python, extra):
    """The demo renders, aligns a simulated sweep to the same volume, and drives the Slicer module with both.

    With `--window` it renders and opens the module to play with.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-o", "--output", default="demo_output")
    parser.add_argument("--window", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    options, passed_on = parser.parse_known_args(extra)
    if options.help:
        return [[python, "-m", "DiffUSLib.cli", "demo", "--help"]]
    render = [python, "-m", "DiffUSLib.cli", "demo", "-o", options.output, *passed_on]
    volume = os.path.join(options.output, "mni152_t1.nii.gz")
    if options.window:
        return [render, [python, "-m", "Testing.Host.demo", volume, "--window"]]
    demos = ("DiffUSLib.cli.demo_alignment", "Testing.Host.demo")
    return [render, *([python, "-m", demo, volume, options.output] for demo in demos)]


def job_commands(command, python, extra):
    """The command lines of a job, in order; the last one prints what matters most."""
    if command == "demo":
        return demo_commands(str(python), extra)
    parallel = ["-n", "auto", "--maxprocesses", MOST_TEST_PROCESSES, "--dist", "loadfile"]
    return [[str(python), "-m", "ruff", "check", "."], [str(python), "-m", "pytest", *parallel, *extra]]


def run_job(command, python, extra):
    """Run the command lines; tests run even if the style is bad. Returns the first exit status that is not zero."""
    status = 0
    for line in job_commands(command, python, extra):
        if command == "test":
            say("Checking the style (ruff)." if "ruff" in line else "Running the tests (pytest).")
        code = subprocess.run(line, cwd=ROOT, check=False).returncode
        if code != 0 and "ruff" in line:
            say("The style check failed: the tests still run, but this call counts as failed.")
        status = status or code
        if command == "demo" and code != 0:
            break
    return status


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def main(arguments=None):
    command, extra = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    try:
        require_supported_python()
        ensure_system_libraries()
        python = ensure_environment()
    except SetupError as error:
        print(f"[DiffUS] {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"[DiffUS] The environment could not be made: {error}", file=sys.stderr)
        return 2
    return run_job(command, python, extra)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\n[DiffUS] Stopped.", file=sys.stderr)
        sys.exit(130)
