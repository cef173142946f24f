"""What the real Qt, CTK and Slicer classes document, read from their headers (documented_api.json)."""

import json
from pathlib import Path

_api = json.loads(Path(__file__).with_name("documented_api.json").read_text(encoding="utf-8"))


def isDocumentedClass(className):
    """True if the class is in the list (Qt's own classes are not: PySide6 has the real ones)."""
    return className in _api


def _lineage(className):
    while className in _api:
        yield _api[className]
        className = _api[className]["extends"]


def properties(className):
    """Names of the Qt properties of a class and of its bases in the list."""
    return {name for entry in _lineage(className) for name in entry["properties"]}


def signals(className):
    """Signatures, for instance "valueChanged(double)", of a class and of its bases in the list."""
    return {signature for entry in _lineage(className) for signature in entry["signals"]}


def methods(className):
    """Names of the slots and invokable methods of a class and of its bases in the list."""
    return {signature.split("(")[0] for entry in _lineage(className) for signature in entry["methods"]}


def names(className):
    """Every public name that Python may use on an object of this class."""
    signalNames = {signature.split("(")[0] for signature in signals(className)}
    return properties(className) | methods(className) | signalNames


def normalized(signature):
    """A signal signature as Qt normalizes it: no spaces, no const, no reference."""
    return signature.replace("const ", "").replace("&", "").replace(" ", "")
