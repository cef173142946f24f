"""The report of an alignment as a table node."""

import json

import slicer
import vtk
from slicer.i18n import tr as _


def addReportTable(name, report):
    """Add a table of two columns, what and value.

    Args:
        name: of the ultrasound.
        report: names and plain values; those within a dictionary get a row each.

    Returns:
        the vtkMRMLTableNode.
    """
    node = slicer.mrmlScene.AddNewNodeByClass(
        "vtkMRMLTableNode", slicer.mrmlScene.GenerateUniqueName(f"{name} {_('alignment report')}")
    )
    rows = []
    for key, value in report.items():
        rows += value.items() if isinstance(value, dict) else [(key, value)]
    for title, texts in zip((_("What"), _("Value")), zip(*rows, strict=True), strict=True):
        column = vtk.vtkStringArray()
        column.SetName(title)
        for text in texts:
            column.InsertNextValue(_text(text))
        node.AddColumn(column)
    return node


def _text(value):
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    return json.dumps(value)
