"""Stand-in for slicer.app."""

import tempfile

from PySide6 import QtWidgets

from .core_io import IOManager
from .layout_manager import LayoutManager
from .stand_in import StandIn

_INHERITED = (
    "exit",
    "setOverrideCursor",
    "restoreOverrideCursor",
    "topLevelWidgets",
    "clipboard",
    "palette",
    "font",
    "quit",
)


class CommandOptions(StandIn, realClass="qSlicerCoreCommandOptions"):
    """qSlicerCoreCommandOptions: what slicer.util.exit needs."""

    def __init__(self):
        super().__init__()
        self.runPythonAndExit = False


class Application(StandIn, realClass="qSlicerApplication"):
    """qSlicerApplication: real logics behind it, Qt's own application for what it inherits.

    Args:
        qtApplication: the QApplication.
        qt: the host's module `qt`.
        sceneAndLogics: see mrml_scene.
        moduleManager: see modules.
        viewSize: width and height in pixels of the view area; None is a Slicer without a main window.
    """

    def __init__(self, qtApplication, qt, sceneAndLogics, moduleManager, viewSize):
        super().__init__()
        self._qtApplication, self._qt, self._logics = qtApplication, qt, sceneAndLogics
        self._moduleManager = moduleManager
        self._ioManager = IOManager(sceneAndLogics.scene, sceneAndLogics.applicationLogic)
        self._layoutManager = LayoutManager(sceneAndLogics, viewSize) if viewSize else None
        self._commandOptions = CommandOptions()
        self._temporaryFolder = tempfile.TemporaryDirectory(prefix="diffus-host-")
        self._settings = qt.QSettings(f"{self._temporaryFolder.name}/settings.ini", qt.QSettings.IniFormat)
        self.hostTestingEnabled = False
        self.hostPauseCount = 0

    @property
    def temporaryPath(self):
        return self._temporaryFolder.name

    @property
    def majorVersion(self):
        return 5

    @property
    def minorVersion(self):
        return 10

    def mrmlScene(self):
        return self._logics.scene

    def applicationLogic(self):
        return self._logics.applicationLogic

    def moduleManager(self):
        return self._moduleManager

    def moduleLogic(self, name):
        return self._logics.moduleLogics[name.lower()]

    def coreIOManager(self):
        return self._ioManager

    def ioManager(self):
        return self._ioManager

    def commandOptions(self):
        return self._commandOptions

    def layoutManager(self):
        return self._layoutManager

    def settings(self):
        return self._settings

    def userSettings(self):
        return self._settings

    def testingEnabled(self):
        return self.hostTestingEnabled

    def processEvents(self):
        self._qtApplication.processEvents()
        if self._layoutManager and not self.hostPauseCount:
            for view, _ in self._layoutManager.hostVisibleViews():
                view.renderIfOutdated()

    def pauseRender(self):
        self.hostPauseCount += 1

    def resumeRender(self):
        self.hostPauseCount = max(0, self.hostPauseCount - 1)

    def __getattr__(self, name):
        if name in _INHERITED:
            return getattr(QtWidgets.QApplication, name)
        if name == "applicationName":
            return "Slicer"
        if name == "aboutToQuit":
            return self._qtApplication.aboutToQuit
        return super().__getattr__(name)
