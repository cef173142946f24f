"""The public interface: it is complete, light to import, and free of Slicer."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import DiffUSLib

REPOSITORY = Path(__file__).resolve().parents[2]


def imported_modules(path):
    """Names of the top-level packages that a file imports anywhere."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("name", DiffUSLib.__all__)
def test_every_public_name_is_there_and_documented(name):
    value = getattr(DiffUSLib, name)
    assert not callable(value) or value.__doc__


def test_the_stub_names_the_same_homes():
    tree = ast.parse((REPOSITORY / "DiffUSLib" / "__init__.pyi").read_text(encoding="utf-8"))
    stub = {
        alias.name: node.module.removeprefix("DiffUSLib.")
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert stub == DiffUSLib._HOME_OF


def test_unknown_names_are_told():
    with pytest.raises(AttributeError, match="magic"):
        _ = DiffUSLib.magic


def test_importing_the_library_does_not_import_torch():
    code = "import sys, DiffUSLib; DiffUSLib.probe_names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0


def test_the_library_knows_nothing_of_slicer():
    for path in (REPOSITORY / "DiffUSLib").rglob("*.py"):
        assert not {"slicer", "vtk", "qt", "ctk"} & set(imported_modules(path)), path


def test_the_module_knows_the_library_by_its_public_names_alone():
    for path in (REPOSITORY / "DiffUS").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "DiffUSLib":
                assert node.module == "DiffUSLib", path
                assert {alias.name for alias in node.names} <= set(DiffUSLib.__all__), path
