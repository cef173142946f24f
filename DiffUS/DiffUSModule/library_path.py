"""Finds DiffUSLib when the module runs from source."""

import importlib.util
import os
import sys


def ensureLibrary():
    """Put the folder that holds DiffUSLib on the path, unless the extension's installation already has it."""
    if importlib.util.find_spec("DiffUSLib") is None:
        repository = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        if os.path.isdir(os.path.join(repository, "DiffUSLib")):
            sys.path.append(repository)


def forgetModules():
    """Let the next import read the sources again (for Reload)."""
    for name in list(sys.modules):
        if name.split(".")[0] in ("DiffUSLib", "DiffUSModule"):
            del sys.modules[name]
