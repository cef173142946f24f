"""run.py: its decisions, on real folders and real programs."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "run.py"


@pytest.fixture
def run():
    spec = importlib.util.spec_from_file_location("run_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("arguments", "code"), [(("--help",), 0), ((), 2), (("build",), 2)])
def test_usage_names_both_commands(arguments, code):
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)
    shown = done.stdout if code == 0 else done.stderr
    assert done.returncode == code and "demo" in shown and "test" in shown and "Traceback" not in shown


def test_only_the_standard_library_is_imported():
    code = f"import runpy, sys; runpy.run_path({str(SCRIPT)!r}); print(*sys.modules)"
    # -S: without site-packages nothing else can be imported.
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    roots = {name.split(".")[0] for name in done.stdout.split()}
    assert "hashlib" in roots and roots <= {*sys.stdlib_module_names, "__main__"}


def test_what_follows_the_command_is_passed_on(run):
    python = Path("bin") / "python"
    volume = str(Path("out") / "mni152_t1.nii.gz")
    render, align, module = run.demo_jobs(python, ["--device", "cpu", "-o", "out"])
    assert render == [python, "-m", "DiffUSLib.cli", "demo", "--device", "cpu", "-o", "out"]
    assert align[-2:] == [volume, "out"] and module == [python, "-m", "Testing.Pictures.demo", volume, "out"]
    render, window = run.demo_jobs(python, ["--window"])
    assert window[-1] == "--window" and "--window" not in render
    assert run.demo_jobs(python, ["--help"]) == [[python, "-m", "DiffUSLib.cli", "demo", "--help"]]
    assert run.test_jobs(python, ["-k", "a b"])[-1][-2:] == ["-k", "a b"]
    assert "not slow" in run.test_jobs(python, ["-k", "a b"])[-1]
    assert not {"not slow", "--all"} & set(run.test_jobs(python, ["--all"])[-1])


@pytest.mark.parametrize(("command", "ran"), [("test", 3), ("demo", 2)])
def test_a_failing_check_neither_hides_the_tests_nor_passes(run, tmp_path, command, ran):
    jobs = [
        [sys.executable, "-c", f"open({str(tmp_path / str(i))!r}, 'w').close(); raise SystemExit({code})"]
        for i, code in enumerate((0, 7, 5))
    ]
    assert run.run_jobs(command, jobs) == 7
    assert len(list(tmp_path.iterdir())) == ran


def test_fingerprint_changes_with_pins_project_and_python(run, tmp_path):
    files = [tmp_path / name for name in ("requirements-pinned.txt", "pyproject.toml")]
    for file in files:
        file.write_text("first")
    seen = {run.fingerprint(tmp_path, (3, 12)), run.fingerprint(tmp_path, (3, 13))}
    for file in files:
        file.write_text("second")
        seen.add(run.fingerprint(tmp_path, (3, 12)))
    assert len(seen) == 4 and run.fingerprint(tmp_path, (3, 12)) in seen


def test_an_environment_is_made_updated_and_kept(run, tmp_path, monkeypatch):
    """What is installed is told by a stamp that is written last."""
    for name in ("requirements-pinned.txt", "pyproject.toml"):
        (tmp_path / name).write_text("first")
    calls, real_call = [], run.call

    def call(command, failure):
        calls.append("venv" if "venv" in command else "pip")
        if "venv" in command:
            real_call([*command, "--without-pip"], failure)
        elif refused:
            raise run.SetupError(failure)

    monkeypatch.setattr(run, "call", call)

    def ensure():
        calls.clear()
        return run.ensure_environment(tmp_path / ".venv", tmp_path)

    refused = True
    with pytest.raises(run.SetupError, match="pip could not install"):
        ensure()
    refused = False
    assert ensure().exists() and calls == ["venv", "pip", "pip"]  # half-made: made anew
    ensure()
    assert calls == []
    (tmp_path / "pyproject.toml").write_text("second")
    ensure()
    assert calls == ["pip", "pip"]


def test_a_failing_program_becomes_a_sentence(run):
    with pytest.raises(run.SetupError, match="in words"):
        run.call([sys.executable, "-c", "raise SystemExit(3)"], "in words")


def test_missing_libraries_are_those_that_do_not_load(run):
    def load(name):
        if name in ("libEGL.so.1", "libX11.so.6"):
            raise OSError(name)

    assert run.missing_libraries(load) == ["libegl1", "libx11-6"]


def test_without_root_the_command_is_told(run, monkeypatch, capsys):
    monkeypatch.setattr(run.os, "geteuid", lambda: 1000, raising=False)
    assert run.install_by_apt(["libegl1"]) is False
    assert "apt-get install -y --no-install-recommends libegl1" in capsys.readouterr().out
