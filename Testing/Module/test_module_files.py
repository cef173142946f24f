"""What is packaged is what is there."""

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
RESOURCE_ENDINGS = (".ui", ".png", ".csv", ".json", ".pyi", ".typed")


def listed(folder, name):
    """Items of a CMake list."""
    text = (ROOT / folder / "CMakeLists.txt").read_text(encoding="utf-8")
    return sorted(re.search(rf"set\({name}\n(.*?)\n\s*\)", text, re.S).group(1).split())


def present(folder, endings):
    """Files of a folder that git has or could have."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if output.returncode != 0:
        pytest.skip("not a git checkout")
    files = [Path(line) for line in output.stdout.split("\n") if line.endswith(endings)]
    return sorted(str(path.relative_to(folder)) for path in files if (ROOT / path).exists())


@pytest.mark.parametrize("folder", ["DiffUS", "DiffUSLib"])
def test_every_script_and_resource_is_listed(folder):
    assert listed(folder, "MODULE_PYTHON_SCRIPTS") == present(folder, (".py",))
    assert listed(folder, "MODULE_PYTHON_RESOURCES") == present(folder, RESOURCE_ENDINGS)


def test_extension_names_files_that_exist():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    for name in re.findall(r'\$\{CMAKE_CURRENT_SOURCE_DIR\}/([^"]+)"', text):
        assert (ROOT / name).is_file(), name
    for folder in re.findall(r"add_subdirectory\((\w+)\)", text):
        assert (ROOT / folder / "CMakeLists.txt").is_file()


@pytest.mark.parametrize("path", ["DiffUS/Resources/Icons/DiffUS.png", "Resources/DiffUS.png"])
def test_icons_have_the_size_that_the_index_asks_for(path):
    assert Image.open(ROOT / path).size == (128, 128)


def test_module_imports_nothing_heavy_at_start():
    """What Slicer loads at start-up imports only the standard library and Slicer's own packages."""
    allowed = {"slicer", "vtk", "qt", "ctk", "numpy", "SimpleITK", "DiffUSModule", "SampleData"}
    standard = {"enum", "typing", "os", "sys", "importlib", "json"}
    names = ("__init__", "library_path", "scene/__init__", "scene/sample_data")
    names += tuple(f"parameters/{name}" for name in ("__init__", "first_volume", "gui_connection", "parameter_node"))
    names += ("parameters/parameter_sets",)
    for path in ("DiffUS.py", *(f"DiffUSModule/{name}.py" for name in names)):
        text = (ROOT / "DiffUS" / path).read_text(encoding="utf-8")
        for name in re.findall(r"^(?:from|import) ([\w]+)", text, re.M):
            assert name in allowed | standard, f"{path} imports {name}"


def test_every_panel_belongs_to_a_section_and_knows_the_scene():
    """One file of widgets a section; selectors get the scene from it; a closed part is its header alone."""
    sections = (ROOT / "DiffUS" / "DiffUSModule" / "sections").glob("*.py")
    used = {name for path in sections for name in re.findall(r'^    panel = "(\w+)"', path.read_text("utf-8"), re.M)}
    files = {path.stem: path for path in (ROOT / "DiffUS" / "Resources" / "UI").glob("*.ui")}
    assert used == files.keys() - {"DiffUS"}
    for name, path in files.items():
        root = ElementTree.parse(path).getroot()
        top = root.find("widget")
        assert (top.get("class"), top.get("name")) == ("qMRMLWidget", name)
        told = {item.find("receiver").text for item in root.iter("connection") if item.find("sender").text == name}
        for widget in root.iter("widget"):
            properties = {item.get("name"): "".join(item.itertext()).strip() for item in widget.findall("property")}
            if widget.get("class") == "ctkCollapsibleButton":
                assert properties.get("collapsedHeight") == "0", widget.get("name")
            if widget.get("class").startswith("qMRML") and widget is not top:
                assert widget.get("name") in told, widget.get("name")


def test_slicer_finds_no_annotation_without_use(host):
    """At each start Slicer writes a warning for every annotation of a parameter that validates nothing."""
    from typing import get_type_hints

    from Testing.Host.parameter_node.annotations import Validator, split

    host.load_module(ROOT / "DiffUS", "DiffUS")
    from DiffUSModule.parameters import parameter_node as module

    for owner in (module.DiffUSParameterNode, module.ProbeGeometry, module.FanShape):
        for name, hint in get_type_hints(owner, include_extras=True).items():
            assert all(isinstance(item, Validator) for item in split(hint)[1]), f"{owner.__name__}.{name}"
