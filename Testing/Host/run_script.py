"""Runs a script as Slicer does with --python-script, and ends with the script's exit code.

python -m Testing.Host.run_script MODULE_FOLDER SCRIPT [ARGUMENTS...]
"""

import sys
from pathlib import Path

from .host import start_host

UNSEEN_FAILURE = 3


def run_script(module_folder, script, arguments=()):
    """Load the module of a folder, run the script, then the event loop until the script calls slicer.util.exit.

    Returns:
        the script's exit code, or UNSEEN_FAILURE if the host recorded a failure.
    """
    host = start_host(with_window=True)
    host.load_module(module_folder, Path(module_folder).name)
    host.leave_module()
    sys.argv = [str(script), *arguments]
    names = sys.modules["__main__"].__dict__
    names["__file__"] = str(script)
    exec(compile(Path(script).read_text(encoding="utf-8"), str(script), "exec"), names)
    # Slicer takes these names out of __main__ when it loads a module later; a script may not need them.
    for name in ("os", "sys"):
        names.pop(name, None)
    code = host.qtApplication.exec()
    failures = host.failures.take()
    host.close()
    return code or (UNSEEN_FAILURE if failures else 0)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    raise SystemExit(run_script(arguments[0], arguments[1], arguments[2:]))
