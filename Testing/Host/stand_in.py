"""Base of the stand-ins for Slicer's QObjects that are not widgets: application, layout manager, modules."""

from . import documented
from .failures import failures


class Signal:
    """One signal of a stand-in: connect, disconnect, and a call that emits, as in PythonQt."""

    def __init__(self):
        self._slots = []

    def connect(self, slot):
        self._slots.append(slot)
        return True

    def disconnect(self, slot):
        if slot in self._slots:
            self._slots.remove(slot)
            return True
        return False

    def __call__(self, *arguments):
        from .pythonqt import argumentCount

        for slot in list(self._slots):
            try:
                slot(*arguments[: argumentCount(slot)])
            except Exception as error:
                failures.recordException(type(error), error, error.__traceback__)


class StandIn:
    """Offers what the real class documents and nothing else.

    Public names of a subclass must be documented for its `realClass`; the class statement fails otherwise. Names
    with a leading `host` are the host's own. A documented name that the host lacks says so.
    """

    realClass = None

    def __init_subclass__(cls, realClass=None):
        if realClass:
            cls.realClass = realClass
        allowed = documented.names(cls.realClass)
        for name in vars(cls):
            if not name.startswith(("_", "host")) and name != "realClass" and name not in allowed | GENERAL_NAMES:
                raise TypeError(f"{cls.realClass} documents no {name!r}")

    def __init__(self):
        signals = {}
        for signature in documented.signals(self.realClass):
            signals[signature] = Signal()
        object.__setattr__(self, "_hostSignals", signals)

    def hostSignal(self, signature):
        """The signal object, for the host to emit."""
        return self._hostSignals[signature]

    def connect(self, signature, slot):
        """As PythonQt: a wrong signature prints and returns False (and counts as a failure here)."""
        signal = self._hostSignals.get(documented.normalized(signature))
        if signal is None:
            failures.record(f"signal {signature!r} does not exist on {self.realClass}")
            return False
        return signal.connect(slot)

    def disconnect(self, signature, slot):
        signal = self._hostSignals.get(documented.normalized(signature))
        return bool(signal and signal.disconnect(slot))

    def className(self):
        return self.realClass

    def inherits(self, className):
        return className == self.realClass

    def __getattr__(self, name):
        if not name.startswith("_"):
            for signature, signal in self._hostSignals.items():
                if signature.split("(")[0] == name:
                    return signal
            if name in documented.names(self.realClass):
                raise NotImplementedError(f"{self.realClass}.{name} is documented, but this host does not have it")
        raise AttributeError(f"{self.realClass} has no attribute named {name!r}")

    def __setattr__(self, name, value):
        isOwn = name.startswith(("_", "host"))
        if not isOwn and name not in documented.properties(self.realClass):
            raise AttributeError(f"{self.realClass} has no attribute named {name!r}")
        object.__setattr__(self, name, value)


GENERAL_NAMES = {"connect", "disconnect", "className", "inherits"}
