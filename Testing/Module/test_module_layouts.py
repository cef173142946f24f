"""A scene that was saved with a layout of the module has its views in a Slicer that has just started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from Testing.Module.conftest import wait_for_image

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
def start():
    import sys
    import qt
    import slicer

    def look():
        slicer.util.loadScene(sys.argv[1], {})
        names = slicer.app.layoutManager().sliceViewNames()
        slicer.util.exit(0 if "DiffUSImage" in names else 1)

    qt.QTimer.singleShot(0, look)

start()
"""


@pytest.mark.slow
def test_reopened_in_a_fresh_application_before_the_module_is(host, placed, tmp_path):
    wait_for_image(host, placed, placed.ui.addButton.click)
    assert placed.session.image.layout.isShown
    host.save_scene(tmp_path / "scene.mrb")
    (tmp_path / "look.py").write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, "-m", "Testing.Host.run_script", "DiffUS", tmp_path / "look.py", tmp_path / "scene.mrb"]
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert ended.returncode == 0, ended.stdout + ended.stderr
