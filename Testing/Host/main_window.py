"""The main window: found by slicer.util.mainWindow(); shown only with `start_host(with_window=True)`."""

from PySide6 import QtCore, QtGui, QtWidgets

from .pictures import toImage
from .pythonqt import Conventions
from .stand_in import StandIn

_BUTTONS = {
    QtCore.Qt.MouseButton.LeftButton: "Left",
    QtCore.Qt.MouseButton.RightButton: "Right",
    QtCore.Qt.MouseButton.MiddleButton: "Middle",
}


class ViewWidget(QtWidgets.QWidget):
    """Shows an offscreen view in a Qt window and sends it the mouse."""

    def __init__(self, view, parent):
        super().__init__(parent)
        self._view, self._image, self._pending = view, None, False
        self.setMouseTracking(True)
        view.onUpdate(self._schedule)
        self._schedule()

    def _schedule(self):
        if not self._pending:
            self._pending = True
            QtCore.QTimer.singleShot(0, self._draw)

    def _draw(self):
        self._pending = False
        self._image = toImage(self._view.pixels())
        self.update()

    def paintEvent(self, event):
        if self._image is not None:
            painter = QtGui.QPainter(self)
            painter.drawImage(0, 0, self._image)
            painter.end()

    def resizeEvent(self, event):
        self._view.resize(event.size().width(), event.size().height())

    def _send(self, event, name):
        position, modifiers = event.position(), event.modifiers()
        self._view.sendMouse(
            name,
            position.x(),
            self.height - 1 - position.y(),
            bool(modifiers & QtCore.Qt.KeyboardModifier.ControlModifier),
            bool(modifiers & QtCore.Qt.KeyboardModifier.ShiftModifier),
        )

    def mousePressEvent(self, event):
        self._send(event, f"{_BUTTONS[event.button()]}ButtonPressEvent")

    def mouseReleaseEvent(self, event):
        self._send(event, f"{_BUTTONS[event.button()]}ButtonReleaseEvent")

    def mouseMoveEvent(self, event):
        self._send(event, "MouseMoveEvent")

    def wheelEvent(self, event):
        direction = "Forward" if event.angleDelta().y() > 0 else "Backward"
        self._send(event, f"MouseWheel{direction}Event")


class ViewArea(QtWidgets.QWidget):
    """The views of the current layout, side by side."""

    def __init__(self, layoutManager):
        super().__init__()
        self._layoutManager, self._widgets = layoutManager, {}
        layoutManager.connect("layoutChanged(int)", lambda identifier: self._arrange())
        self._arrange()

    def widgetOf(self, view):
        """The widget of a view that was shown."""
        return self._widgets[view]

    def _arrange(self):
        visible = self._layoutManager.hostVisibleViews()
        for view, rectangle in visible:
            if view not in self._widgets:
                self._widgets[view] = ViewWidget(view, self)
            self._widgets[view].setGeometry(*rectangle)
        shown = [view for view, _ in visible]
        for view, widget in self._widgets.items():
            widget.setVisible(view in shown)

    def resizeEvent(self, event):
        self._layoutManager.hostResize(event.size().width(), event.size().height())
        self._arrange()


class ModuleSelector(StandIn, realClass="qSlicerModuleSelectorToolBar"):
    """qSlicerModuleSelectorToolBar: the list of modules."""

    def __init__(self, host):
        super().__init__()
        self._host = host

    def selectModule(self, name):
        self._host.select_module(name)


class qSlicerMainWindow(Conventions, QtWidgets.QMainWindow):
    """The class that slicer.util.mainWindow() looks for."""

    _hostMade = True

    def moduleSelector(self):
        """Invokable of the real class."""
        return self._host_selector


class MainWindow:
    """The main window with the module panel on the left and the views on the right."""

    def __init__(self, host):
        self._host = host
        self._window = qSlicerMainWindow()
        self._window.setObjectName("qSlicerMainWindow")
        self._window._host_selector = ModuleSelector(host)
        self._window.setWindowTitle("DiffUS on the headless host")
        self._scroll = QtWidgets.QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setMinimumWidth(480)
        self._shown = False

    def hostSetPanel(self, panel):
        """Put a module's panel on the left."""
        if self._shown and panel is None:
            self._scroll.takeWidget()
        elif self._shown:
            self._scroll.setWidget(panel)

    def hostViewWidget(self, view):
        """The Qt widget that shows a view."""
        return self._area.widgetOf(view)

    def hostShow(self):
        """Open the window."""
        self._shown = True
        splitter = QtWidgets.QSplitter()
        splitter.addWidget(self._scroll)
        self._area = ViewArea(self._host.app.layoutManager())
        splitter.addWidget(self._area)
        splitter.setStretchFactor(1, 1)
        self._window.setCentralWidget(splitter)
        self._window.resize(1600, 900)
        self._window.show()
