"""Loading, entering, reloading and unloading a scripted module; a Slicer without a main window."""

import subprocess
import sys
from pathlib import Path

import pytest

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
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True, timeout=120)
