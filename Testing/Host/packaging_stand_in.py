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


def install():
    """Offer slicer.util.pip_install and slicer.packaging with pip_install and pip_ensure."""
    requests.clear()
    answers.clear()
    module = types.ModuleType("slicer.packaging")
    module.pip_install = _install
    module.pip_ensure = _install
    slicer.packaging = module
    slicer.util.pip_install = _install
    sys.modules["slicer.packaging"] = module
