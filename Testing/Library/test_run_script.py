"""run.py: its decisions, on real folders and real programs."""

import hashlib
import importlib.util
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "run.py"


@pytest.fixture(scope="module")
def run():
    spec = importlib.util.spec_from_file_location("run_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(*arguments, **environment):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_help_names_both_commands():
    done = call("--help")
    assert done.returncode == 0 and "demo" in done.stdout and "test" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("build",)])
def test_wrong_calls_end_with_usage(arguments):
    done = call(*arguments)
    assert done.returncode == 2 and "usage" in done.stderr and "Traceback" not in done.stderr


def test_what_follows_the_command_is_passed_on(run):
    assert run.parse_arguments(["test", "-k", "sphere", "--help"]) == ("test", ["-k", "sphere", "--help"])
    assert run.parse_arguments(["demo"]) == ("demo", [])
    python = Path("python")
    render, alignment, module = run.job_commands("demo", python, ["--device", "cpu", "-o", "out"])
    assert render == ["python", "-m", "DiffUSLib.cli", "demo", "-o", "out", "--device", "cpu"]
    assert module == ["python", "-m", "Testing.Host.demo", str(Path("out") / "mni152_t1.nii.gz"), "out"]
    assert alignment == ["python", "-m", "DiffUSLib.cli.demo_alignment", str(Path("out") / "mni152_t1.nii.gz"), "out"]
    _, window = run.job_commands("demo", python, ["--window"])
    assert window[-1] == "--window"
    assert run.job_commands("demo", python, ["--help"]) == [["python", "-m", "DiffUSLib.cli", "demo", "--help"]]
    tests = run.job_commands("test", python, ["-k", "a b"])[-1]
    assert tests[:3] == ["python", "-m", "pytest"] and tests[-2:] == ["-k", "a b"]


def test_only_the_standard_library_is_imported():
    code = f"import runpy, sys; runpy.run_path({str(SCRIPT)!r}); print(*sys.modules)"
    # -S: without site-packages nothing else can be imported.
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    roots = {name.split(".")[0] for name in done.stdout.split()}
    assert "argparse" in roots and roots <= {*sys.stdlib_module_names, "__main__"}


@pytest.mark.parametrize(("codes", "status"), [((0, 0), 0), ((7, 0), 7), ((0, 5), 5), ((7, 5), 7)])
def test_a_failing_style_check_neither_hides_the_tests_nor_passes(run, monkeypatch, tmp_path, codes, status):
    commands = [
        [sys.executable, "-c", f"open({str(tmp_path / str(i))!r}, 'w').close(); raise SystemExit({code})"]
        for i, code in enumerate(codes)
    ]
    monkeypatch.setattr(run, "job_commands", lambda *_: commands)
    assert run.run_job("test", Path("python"), []) == status
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1"]


@pytest.fixture
def project(tmp_path):
    for name in ("requirements-pinned.txt", "pyproject.toml"):
        (tmp_path / name).write_text("first\n")
    return tmp_path


def test_fingerprint_changes_with_pins_project_and_python(run, project):
    seen = {run.environment_fingerprint(project, (3, 12))}
    assert run.environment_fingerprint(project, (3, 12)) in seen
    seen.add(run.environment_fingerprint(project, (3, 13)))
    for name in ("requirements-pinned.txt", "pyproject.toml"):
        (project / name).write_text("second\n")
        seen.add(run.environment_fingerprint(project, (3, 12)))
    assert len(seen) == 4 and all(len(text) == hashlib.sha256().digest_size * 2 for text in seen)


def test_state_of_a_real_environment(run, tmp_path):
    folder = tmp_path / ".venv"
    assert run.environment_state(folder, "wanted") == "rebuild"
    venv.create(folder, with_pip=False)
    assert run.environment_python(folder).exists()
    assert run.environment_version(folder) == sys.version_info[:2]
    assert run.environment_state(folder, "wanted") == "update"
    (folder / run.STAMP_NAME).write_text("wanted")
    assert run.environment_state(folder, "wanted") == "ready"
    assert run.environment_state(folder, "other pins") == "update"
    assert run.environment_state(folder, "wanted", version=(3, 9)) == "rebuild"
    (folder / run.STAMP_NAME).write_text(run.INSTALLING)
    assert run.environment_state(folder, "wanted") == "rebuild"
    (folder / run.STAMP_NAME).write_text("wanted")
    run.environment_python(folder).unlink()
    assert run.environment_state(folder, "wanted") == "rebuild"


def test_an_interrupted_installation_is_marked_and_a_refused_one_is_not(run, tmp_path, monkeypatch):
    venv.create(tmp_path, with_pip=False)
    stamp = tmp_path / run.STAMP_NAME
    stamp.write_text("earlier")

    def refuse(command):
        assert stamp.read_text(encoding="utf-8") == run.INSTALLING
        raise run.SetupError("no network")

    def interrupt(command):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "run_pip", refuse)
    with pytest.raises(run.SetupError):
        run.install_packages(tmp_path, "wanted")
    assert stamp.read_text(encoding="utf-8") == "earlier"
    monkeypatch.setattr(run, "run_pip", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run.install_packages(tmp_path, "wanted")
    assert stamp.read_text(encoding="utf-8") == run.INSTALLING
    monkeypatch.setattr(run, "run_pip", lambda command: None)
    run.install_packages(tmp_path, "wanted")
    assert stamp.read_text(encoding="utf-8") == "wanted"


def test_pip_failures_become_a_sentence(run, tmp_path):
    command = [sys.executable, "-c", "print('Collecting x'); print('ERROR: No matching thing'); raise SystemExit(1)"]
    with pytest.raises(run.SetupError, match="could not install the packages: No matching thing"):
        run.run_pip(command)


def test_real_pip_without_network_is_explained(run):
    # Port 9 of this machine answers nobody.
    command = [
        sys.executable, "-m", "pip", "--isolated", "download", "--no-deps", "--retries", "1", "--timeout", "1",
        "--index-url", "http://127.0.0.1:9/simple", "--dest", os.devnull, "diffus-no-such-package",
    ]  # fmt: skip
    with pytest.raises(run.SetupError, match="package index cannot be reached"):
        run.run_pip(command)


def test_pip_talks_plainly(run):
    assert run.describe_pip_line("Collecting numpy==2.4.6 (from -r pins.txt (line 3))") == "  getting numpy==2.4.6"
    assert run.describe_pip_line("  Downloading torch-2.13.0-cp312.whl (203.1 MB)") == "    downloading 203.1 MB"
    assert run.describe_pip_line("  Downloading six-1.17.0.whl (11 kB)") is None
    assert run.describe_pip_line("Installing collected packages: diffus") is None
    assert run.describe_pip_line("") is None


def test_missing_libraries_are_those_that_do_not_load(run):
    def load(name):
        if name in ("libEGL.so.1", "libX11.so.6"):
            raise OSError(name)

    assert run.missing_libraries(load) == ["libEGL.so.1", "libX11.so.6"]
    assert run.apt_commands(["libegl1"])[1][-1] == "libegl1"
    assert run.by_hand(["libegl1", "libx11-6"]).endswith("apt-get install -y libegl1 libx11-6")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="system libraries are looked for on Linux only")
@pytest.mark.parametrize(
    ("apt", "administrator", "installs", "told"),
    [
        (None, True, True, "install them with your system's package manager"),
        ("/usr/bin/apt-get", False, True, "sudo apt-get update && sudo apt-get install -y libegl1"),
        ("/usr/bin/apt-get", True, False, "still missing"),
        ("/usr/bin/apt-get", True, True, ""),
    ],
)
def test_missing_system_libraries_never_stop_the_tests(run, monkeypatch, capsys, apt, administrator, installs, told):
    found = iter([["libEGL.so.1"], []])
    monkeypatch.setattr(run, "missing_libraries", lambda: next(found))
    monkeypatch.setattr(run.shutil, "which", lambda name: apt)
    monkeypatch.setattr(run, "is_administrator", lambda: administrator)
    monkeypatch.setattr(run, "install_debian_packages", lambda packages: installs and packages == ["libegl1"])
    run.ensure_system_libraries()
    output = capsys.readouterr().out
    assert told in output and bool(output) == bool(told)


def test_old_python_is_refused_with_a_sentence(run):
    with pytest.raises(run.SetupError, match=r"needs Python 3\.10 or later and this is Python 3\.9"):
        run.require_supported_python((3, 9))
    run.require_supported_python((3, 10))
