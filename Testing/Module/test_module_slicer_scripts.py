"""The scripts for a real Slicer run to their end on the headless host."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(script, folder, **environment):
    return subprocess.run(
        [sys.executable, "-m", "Testing.Host.run_script", str(ROOT / "DiffUS"), str(script), str(folder)],
        cwd=ROOT,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=900,
    )


@pytest.fixture(autouse=True)
def needs_the_host():
    pytest.importorskip("slicer", reason="slicer-core is not installed (it needs Python 3.13 or older)")
    pytest.importorskip("PySide6", reason="PySide6 is not installed")


@pytest.mark.slow
def test_user_story_ends_with_success(tmp_path):
    ended = run(ROOT / "Testing" / "Slicer" / "user_story.py", tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "failed" not in (tmp_path / "result.txt").read_text(encoding="utf-8")
    for name in ("1_opened.png", "3_line.png", "5_reopened.png", "8_accepted.png", "user_story.mrb", "sweep.igs.mha"):
        assert (tmp_path / name).stat().st_size > 1000


def test_a_story_that_fails_ends_with_one(tmp_path):
    script = tmp_path / "failing.py"
    script.write_text(
        f"import sys\nsys.path.append({str(ROOT / 'Testing' / 'Slicer')!r})\nimport unattended\n"
        f"def fails(story):\n    assert False, 'as it should'\nunattended.run([fails], {str(tmp_path)!r})\n",
        encoding="utf-8",
    )
    ended = run(script, tmp_path)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "as it should" in (tmp_path / "result.txt").read_text(encoding="utf-8")


def test_a_story_that_hangs_is_ended(tmp_path):
    script = tmp_path / "hanging.py"
    script.write_text(
        f"import sys\nsys.path.append({str(ROOT / 'Testing' / 'Slicer')!r})\nimport unattended\n"
        "unattended.LIMIT_SECONDS = 8\n"
        f"def hangs(story):\n    while True: pass\nunattended.run([hangs], {str(tmp_path)!r})\n",
        encoding="utf-8",
    )
    ended = run(script, tmp_path)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "hangs" in (tmp_path / "result.txt").read_text(encoding="utf-8")
