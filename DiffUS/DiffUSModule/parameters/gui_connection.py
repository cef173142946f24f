"""Connects a parameter node to the panel, and disconnects it without leaving anything behind."""


class GuiConnection:
    """A typed parameter node that is connected to the widgets of the panel.

    Slicer 5.10 leaves an observer on the node when it disconnects. It holds the typed node, which holds the
    MRML node: a cycle that Python's garbage collection takes apart while the MRML node lives on in the scene, and the
    next change of that node then crashes the application. Hence the observers are counted here, and removed.

    Args:
        parameters: object of a class made by parameterNodeWrapper.
        ui: the widgets of the .ui file.
    """

    def __init__(self, parameters, ui):
        self._parameters, self._observers = parameters, []
        parameters.AddObserver = self._addObserver
        try:
            self._tag = parameters.connectGui(ui)
        finally:
            del parameters.AddObserver

    def _addObserver(self, event, callback, priority=0.0):
        self._observers.append(self._parameters.parameterNode.AddObserver(event, callback, priority))
        return self._observers[-1]

    def close(self):
        """Changes of the one do not reach the other any more."""
        self._parameters.disconnectGui(self._tag)
        for observer in self._observers:
            self._parameters.parameterNode.RemoveObserver(observer)
