"""The entry for Slicer's Extensions Index says the same as CMakeLists.txt, in the form that the index checks."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENTRY = ROOT / "docs" / "extensions_index" / "DiffUS.json"
REQUIRED, OPTIONAL = {"$schema", "category", "scm_url"}, {
    "scm_revision", "scm_type", "build_dependencies", "build_subdirectory", "enabled", "tier"
}  # fmt: skip
"""Of the index's schema 1.0.1, which allows nothing else."""


def test_form():
    content = ENTRY.read_bytes()
    assert b"\r" not in content
    entry = json.loads(content)
    assert entry.keys() >= REQUIRED
    assert entry.keys() <= REQUIRED | OPTIONAL
    assert entry["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert entry["category"] == "Ultrasound"
    assert 1 <= entry["tier"] <= 5
    assert re.fullmatch(r"https://[^/]+/(.*/)?Slicer\w+(\.git)?", entry["scm_url"]), "its name begins with Slicer"


def test_same_as_the_build():
    cmake = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.search(r"project\((\w+)\)", cmake)[1] == ENTRY.stem
    depends = re.search(r'set\(EXTENSION_DEPENDS "(.*)"\)', cmake)[1]
    assert json.loads(ENTRY.read_text(encoding="utf-8"))["build_dependencies"] == depends.split()
    for name in ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS"):
        assert re.search(rf'set\(EXTENSION_{name} ".+"\)', cmake), name
