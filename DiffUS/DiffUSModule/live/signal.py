"""A plain signal: Qt signals on Python objects are not safe in PythonQt."""


class Signal:
    """Calls its listeners, in the order of connection."""

    def __init__(self):
        self._listeners = []

    def connect(self, listener):
        self._listeners.append(listener)

    def disconnect(self, listener):
        if listener in self._listeners:
            self._listeners.remove(listener)

    def emit(self, *arguments):
        for listener in list(self._listeners):
            listener(*arguments)
