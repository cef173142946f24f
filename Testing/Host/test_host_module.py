"""Loading, entering, reloading and unloading a scripted module; a Slicer without a main window."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = """
import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

calls = []


class Probe(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Probe")


class ProbeWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = ProbeLogic()
        calls.append("setup")

    def enter(self):
        calls.append("enter")

    def exit(self):
        calls.append("exit")

    def cleanup(self):
        calls.append("cleanup")


class ProbeLogic(ScriptedLoadableModuleLogic):
    pass
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Probe.py").write_text(MODULE)
    return tmp_path


def test_life_of_a_module(host, folder):
    widget = host.load_module(folder, "Probe")
    import slicer

    calls = sys.modules["Probe"].calls
    assert widget is slicer.modules.ProbeWidget
    assert slicer.modules.probe.path == str(folder / "Probe.py")
    assert calls == ["setup", "enter"]
    assert widget.parent.isEntered
    node = widget.logic.getParameterNode()
    assert node is widget.logic.getParameterNode()
    assert node.GetAttribute("ModuleName") == "Probe"
    host.leave_module()
    host.unload_module()
    assert calls == ["setup", "enter", "exit", "cleanup"]


def test_selecting_another_module_leaves_this_one(host, folder):
    import slicer

    widget = host.load_module(folder, "Probe")
    for _repetition in range(2):  # selecting what is selected does nothing
        slicer.util.selectModule("Data")
    assert not widget.parent.isEntered
    for _repetition in range(2):
        slicer.util.selectModule("Probe")
    assert widget.parent.isEntered
    assert sys.modules["Probe"].calls == ["setup", "enter", "exit", "enter"]


def test_sample_data_is_a_button_only(host):
    """The module's function for scripts would download: it does not know custom downloaders."""
    import SampleData
    import slicer

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Test", sampleName="Head", uris="", customDownloader=lambda source: source.sampleName
    )
    assert [source.sampleName for source in slicer.modules.sampleDataSources["Test"]] == ["Head"]
    assert SampleData.SampleDataLogic.hostClick("Head") == "Head"
    assert not hasattr(SampleData, "downloadSample")


@pytest.mark.slow
def test_a_script_ends_the_application_with_its_code(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "def start():\n    import sys, qt, slicer\n"
        "    qt.QTimer.singleShot(0, lambda: slicer.util.exit(int(sys.argv[1])))\nstart()\n",
        encoding="utf-8",
    )
    (tmp_path / "Probe").mkdir()
    (tmp_path / "Probe" / "Probe.py").write_text(MODULE)
    for code in (0, 7):
        command = [sys.executable, "-m", "Testing.Host.run_script", tmp_path / "Probe", script, str(code)]
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
        ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8")
        assert ended.returncode == code, ended.stdout + ended.stderr


def test_reload_makes_a_new_widget(host, folder):
    widget = host.load_module(folder, "Probe")
    old = sys.modules["Probe"]
    widget.onReload()
    import slicer

    assert slicer.modules.ProbeWidget is not widget
    assert old.calls == ["setup", "enter", "cleanup"]


def test_modules_that_are_not_there_are_refused(host):
    import slicer

    with pytest.raises(AttributeError):
        slicer.modules.nosuchmodule  # noqa: B018


def test_sample_data_refuses_what_slicer_refuses(host):
    import SampleData

    with pytest.raises(TypeError):
        SampleData.SampleDataLogic.registerCustomSampleDataSource(category="DiffUS", sampleName="Head", url="x")
    with pytest.raises(TypeError):
        SampleData.SampleDataLogic.registerCustomSampleDataSource(category="DiffUS", sampleName="Head")


def test_without_a_main_window_there_are_no_views(host):
    """In a process of its own, since a process has one host."""
    script = (
        "from Testing.Host import start_host; host = start_host(main_window=False); import slicer; "
        "assert slicer.app.layoutManager() is None; assert slicer.util.mainWindow() is None; host.close()"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=120)
