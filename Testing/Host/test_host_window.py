"""The window with live views: a Qt mouse drag moves a handle as a person's would. In a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
from Testing.Host import start_host
host = start_host(with_window=True)
import numpy as np, slicer
from PySide6 import QtCore
from PySide6.QtTest import QTest
transform = host.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Probe")
transform.CreateDefaultDisplayNodes()
display = transform.GetDisplayNode()
display.SetEditorVisibility(True)
display.SetEditorSliceIntersectionVisibility(True)
host.process_events(0.3)
view = host.view("Red")
widget = host.mainWindow.hostViewWidget(view)
x, y = view.rasToDisplay((0, 0, 0))
point = QtCore.QPoint(round(x), widget.height - 1 - round(y))
left, none = QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier
QTest.mouseMove(widget, point)
QTest.mousePress(widget, left, none, point)
for step in range(1, 11):
    QTest.mouseMove(widget, point + QtCore.QPoint(4 * step, 0))
    host.process_events()
QTest.mouseRelease(widget, left, none, point + QtCore.QPoint(40, 0))
moved = slicer.util.arrayFromTransformMatrix(transform)[:3, 3]
assert abs(moved[0]) > 5 and abs(moved[1]) < 1, moved
assert not host.failures.entries
host.close()
"""


def test_mouse_in_the_window_moves_handles(host):
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=root, check=True, timeout=120, env=environment)
