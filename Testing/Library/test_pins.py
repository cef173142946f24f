"""What the extras of the virtual scanner and of data sets need, down to the last package, is pinned."""

import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]


def pins():
    """Version specifier of each package that is pinned for this Python and system."""
    lines = (ROOT / "requirements-pinned.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    applying = [pin for pin in found if pin.marker is None or pin.marker.evaluate()]
    return {canonicalize_name(pin.name): pin for pin in applying}


def needed(requirements):
    """All packages that these requirements lead to, as the installed ones say it."""
    names, waiting = set(), [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in names or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        names.add(name)
        waiting += [Requirement(text) for text in metadata.requires(name) or ()]
    return names


@pytest.mark.parametrize("extra", ["serve", "dataset"])
def test_every_package_of_an_extra_is_pinned_and_allowed(extra):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements, pinned = project["optional-dependencies"][extra], pins()
    missing = needed(requirements) - pinned.keys()
    assert not missing
    (tested,) = [Requirement(text) for text in project["optional-dependencies"]["test"] if text.startswith("diffus[")]
    assert extra in tested.extras  # run.py's environment holds it
    for requirement in map(Requirement, requirements):
        pin = pinned[canonicalize_name(requirement.name)]
        (version,) = [item.version for item in pin.specifier]
        assert requirement.specifier.contains(version), requirement
