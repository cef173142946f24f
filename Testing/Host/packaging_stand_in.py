"""Stand-in for pip installation in Slicer: nothing is installed; what was asked for is kept."""

import sys
import types

import slicer

requests = []  # requirements that the module asked to install
answers = []  # what the next installations do: an exception to raise, or a function to call; default: nothing


def _install(requirements, *arguments, **keywords):
    requests.append(requirements)
    if answers:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        answer()


def _ensure(requirements, requester=None, **keywords):
    """As slicer.packaging.pip_ensure of Slicer 5.12 and later: it asks, and a refusal is a RuntimeError."""
    if not slicer.util.confirmOkCancelDisplay(f"{requester}: install {requirements}?", "Install Python Packages"):
        raise RuntimeError("User declined package installation")
    _install(requirements)


def install():
    """Offer slicer.util.pip_install and slicer.packaging with pip_install and pip_ensure."""
    requests.clear()
    answers.clear()
    module = types.ModuleType("slicer.packaging")
    module.pip_install = _install
    module.pip_ensure = _ensure
    slicer.packaging = module
    slicer.util.pip_install = _install
    sys.modules["slicer.packaging"] = module
