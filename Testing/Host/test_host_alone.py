"""The host is a package of its own: it works under another name, far from this repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HOST = Path(__file__).resolve().parent
SCRIPT = """
from elsewhere import start_host

host = start_host()
import slicer

volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Alone")
assert slicer.util.getNode("Alone") is volume
assert host.pixels("Red").ndim == 3
assert not host.failures.entries, host.failures.entries
host.close()
"""


def test_it_works_elsewhere(tmp_path):
    pytest.importorskip("slicer", reason="slicer-core is not installed (it needs Python 3.13 or older)")
    pytest.importorskip("PySide6", reason="PySide6 is not installed")
    unneeded = shutil.ignore_patterns("test_*", "conftest.py", "__pycache__")
    shutil.copytree(HOST, tmp_path / "elsewhere", ignore=unneeded)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
