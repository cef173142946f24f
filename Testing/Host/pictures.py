"""Screenshots: views, panel, both together."""

import numpy as np
from PySide6 import QtCore, QtGui


def writePng(pixels, path):
    """Write (height, width, 3) uint8 as PNG."""
    image = toImage(pixels)
    if not image.save(str(path)):
        raise OSError(f"cannot write {path}")


def toImage(pixels):
    """A QImage that owns its pixels."""
    pixels = np.ascontiguousarray(pixels)
    height, width, _ = pixels.shape
    return QtGui.QImage(pixels.data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888).copy()


def grab(host, width, height=None):
    """The panel as a pixmap, at its natural height unless told."""
    return _grab(host, width, height)[0]


def _grab(host, width, height=None):
    panel = host.panel()
    wasVisible = panel.isVisible()
    panel.show()  # the layouts of hidden widgets do not follow changed texts
    host.process_events()
    layout = panel.layout()
    wanted = layout.totalHeightForWidth(width) if layout.hasHeightForWidth() else layout.totalSizeHint().height()
    panel.resize(width, height or wanted)
    host.process_events()
    pixmap = panel.grab()
    panel.setVisible(wasVisible)
    return pixmap, wanted


def grabPanel(host, path, width):
    """Write the panel at its natural height; returns that height."""
    pixmap, wanted = _grab(host, width)
    pixmap.save(str(path))
    return wanted


def grabWindow(host, path, panelWidth=480):
    """Write panel (left) and views (right) in one picture."""
    views = host.app.layoutManager().hostVisibleViews()
    right = max(left + width for _, (left, _, width, _) in views)
    bottom = max(top + height for _, (_, top, _, height) in views)
    pixmap, _ = _grab(host, panelWidth, bottom)
    canvas = QtGui.QImage(panelWidth + right, bottom, QtGui.QImage.Format.Format_RGB888)
    canvas.fill(QtCore.Qt.GlobalColor.black)
    painter = QtGui.QPainter(canvas)
    painter.drawPixmap(0, 0, pixmap)
    for view, (left, top, _, _) in views:
        painter.drawImage(panelWidth + left, top, toImage(view.pixels()))
    painter.end()
    canvas.save(str(path))
