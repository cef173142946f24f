"""Packages that only some jobs need."""

from __future__ import annotations

import importlib
from types import ModuleType

from DiffUSLib.errors import DiffUSError


def optional(module: str, extra: str) -> ModuleType:
    """Import a module of a package that belongs to an extra of this project, such as "pictures".

    Raises:
        DiffUSError: if the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise DiffUSError(f"{package} is missing; install what this needs: pip install 'diffus[{extra}]'.") from None
