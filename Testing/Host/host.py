"""The host: starts everything, loads a module, lets a test or a person work with it."""

import gc
import sys
import time
import types

from . import environment
from .failures import failures

_current = None


def start_host(with_window=False, main_window=True, view_size=(1200, 860)):
    """Start the host, once per process; a second call returns the same host.

    Args:
        with_window: show a real window with live views; without it nothing needs a display.
        main_window: False gives a Slicer started with --no-main-window: no layout manager, no main window.
        view_size: width and height in pixels of the area of the views.

    Returns:
        Host.
    """
    global _current
    if _current is None:
        environment.prepare(with_window)
        _current = Host(with_window, main_window, view_size)
    return _current


class Host:
    """A Slicer without Slicer.

    Attributes:
        app: slicer.app.
        scene: slicer.mrmlScene.
        failures: what went wrong and was only printed (exceptions in slots, unknown signals, VTK errors).
        dialogs: messages shown and answers to give.
        packaging: pip installations asked for.
    """

    def __init__(self, with_window, main_window, view_size):
        import slicer

        from . import ctk_widgets, dialogs, modules, mrml_widgets, packaging_stand_in, qt_module, sample_data
        from . import main_window as window
        from .application import Application
        from .mrml_scene import SceneAndLogics

        failures.install()
        self.failures, self.dialogs, self.packaging = failures, dialogs, packaging_stand_in
        qt = qt_module.build()
        dialogs.install(qt)
        ctk_widgets.build()
        self.qtApplication = qt.QApplication.instance() or qt.QApplication([])
        mrml_widgets.install()
        self._logics = SceneAndLogics()
        self.scene = self._logics.scene
        slicer.modules = modules.Modules()
        self._moduleManager = modules.ModuleManager()
        for name, logic in self._logics.moduleLogics.items():
            self._moduleManager.hostAdd(modules.LoadedModule(name, logic))
        self.app = Application(
            self.qtApplication, qt, self._logics, self._moduleManager, view_size if main_window else None
        )
        slicer.app = self.app
        _offerPythonModules()
        sample_data.build()
        packaging_stand_in.install()
        self.mainWindow = window.MainWindow(self) if main_window else None
        self._module = None
        if with_window:
            self.mainWindow.hostShow()

    # --- modules -----------------------------------------------------------------------------------------------------

    def load_module(self, path, name):
        """Load a scripted module's folder, make its panel, enter it.

        Returns:
            the module's widget object (for instance DiffUSWidget).
        """
        from .modules import loadScriptedModule

        self._module = loadScriptedModule(path, name, self._moduleManager)
        self.app.hostSignal("startupCompleted()")()
        self.enter_module(name)
        self.process_events()
        return self.panel().self()

    def panel(self):
        """The loaded module's panel (a qSlicerScriptedLoadableModuleWidget)."""
        return self._module.widgetRepresentation()

    def enter_module(self, name):
        """Select the module, as from the module list."""
        self._moduleManager.module(name).widgetRepresentation().enter()
        if self.mainWindow:
            self.mainWindow.hostSetPanel(self.panel())

    def leave_module(self):
        """Select another module."""
        self.panel().exit()
        if self.mainWindow:
            self.mainWindow.hostSetPanel(None)

    def select_module(self, name):
        """Select a module by its name; one that the host does not have, such as Data, has no panel."""
        isOwn = self._module is not None and name == self._module.name
        if isOwn and not self.panel().isEntered:
            self.enter_module(name)
        elif not isOwn and self._module is not None and self.panel().isEntered:
            self.leave_module()

    def unload_module(self):
        """As at application exit: the panel is left, then cleaned up."""
        if self._module:
            name = self._module.name
            self.panel().exit()
            self._moduleManager.hostSignal("moduleAboutToBeUnloaded(QString)")(name)
            if self.mainWindow:
                self.mainWindow.hostSetPanel(None)
            self.panel().delete()
            self._module = None
            self.process_events()

    # --- time --------------------------------------------------------------------------------------------------------

    def process_events(self, seconds=0.0):
        """Handle events, timers and outdated views, once, or for a time."""
        end = time.perf_counter() + seconds
        while True:
            self.app.processEvents()
            self.qtApplication.sendPostedEvents(None, 52)  # deferred deletions
            if time.perf_counter() >= end:
                break
            time.sleep(0.001)

    def wait_until(self, condition, seconds=20.0):
        """Handle events until `condition()` is true; AssertionError if it does not become true in time."""
        end = time.perf_counter() + seconds
        while not condition():
            if time.perf_counter() > end:
                raise AssertionError("the condition did not become true in time")
            self.process_events(0.002)

    # --- views -------------------------------------------------------------------------------------------------------

    def view(self, name):
        """A view by its layout name: "Red", "1" (the 3D view)..."""
        return self.app.layoutManager().hostView(name)

    def pixels(self, name):
        """(height, width, 3) uint8 of a view."""
        return self.view(name).pixels()

    def screenshot_view(self, name, path):
        """Write a view as PNG."""
        from .pictures import writePng

        writePng(self.pixels(name), path)

    def screenshot_panel(self, path, width=480):
        """Write the panel as PNG, as tall as it wants to be; returns its height in pixels."""
        from .pictures import grabPanel

        return grabPanel(self, path, width)

    def screenshot_window(self, path):
        """Write panel and views side by side as PNG."""
        from .pictures import grabWindow

        grabWindow(self, path)

    def drag_handle(self, view_name, start_ras, end_ras, steps=10):
        """Drag with the left button from one RAS position to another, both as seen in the view."""
        view = self.view(view_name)
        view.render()
        view.drag(view.rasToDisplay(start_ras), view.rasToDisplay(end_ras), steps)
        self.process_events()

    # --- scene -------------------------------------------------------------------------------------------------------

    def save_scene(self, path):
        """Write an .mrb."""
        if not self.app.ioManager().saveNodes("SceneFile", {"fileName": str(path)}):
            raise AssertionError(f"the scene could not be saved to {path}")

    def load_scene(self, path):
        """Read an .mrb or .mrml in the place of the scene, through slicer.util as a script would."""
        if not self.app.ioManager().loadScene(str(path), True):
            raise AssertionError(f"the scene could not be loaded from {path}")
        self.process_events()

    def close_scene(self):
        """File / Close scene."""
        self.scene.Clear(0)
        self.process_events()

    def reset(self):
        """For the next test: no module, empty scene, default layout, no messages."""
        self.unload_module()
        self.close_scene()
        layout = self.app.layoutManager()
        if layout:
            layout.setLayout(3)
        self.dialogs.reset()
        self.packaging.install()
        self.process_events()
        gc.collect()

    def close(self):
        """Before the process ends: let go of views and windows while Qt and VTK are whole."""
        self.reset()
        if self.app.layoutManager():
            self.app.layoutManager().hostClose()

    def stray_attributes(self):
        """Attributes set on Qt's own objects, which PythonQt refuses and PySide takes."""
        from .pythonqt import strayAttributes

        return strayAttributes(self.panel()) if self._module else []


def _offerPythonModules():
    """slicer.i18n, slicer.ScriptedLoadableModule, slicer.parameterNodeWrapper."""
    import slicer

    from . import parameter_node, scripted_module

    translation = types.ModuleType("slicer.i18n")
    translation.tr = lambda text: text
    translation.translate = lambda context, text: text
    for name, module in (
        ("i18n", translation),
        ("ScriptedLoadableModule", scripted_module),
        ("parameterNodeWrapper", parameter_node),
    ):
        setattr(slicer, name, module)
        sys.modules[f"slicer.{name}"] = module
