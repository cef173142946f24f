"""PythonQt's conventions on PySide6 objects (slicer.md, "PythonQt and Slicer as they behave").

- Qt properties are attributes; calling one raises TypeError.
- Unknown attributes raise AttributeError, on reading and on setting.
- Keyword arguments to constructors and methods raise ValueError.
- `connect('signal(type)', slot)`: a wrong signal prints and returns False; slots may take fewer arguments;
  connections keep the owners of bound methods alive.
- Lists come back as tuples.
"""

import contextlib
import ctypes
import inspect
import numbers
import types

import numpy as np
import shiboken6
from PySide6 import QtCore

from . import documented
from .failures import failures

loadingUi = []  # not empty while PySide's QUiLoader runs: it sets children as attributes, which PythonQt does not
# singleShot: PythonQt, too, keeps QTimer's static method. The others are virtual: Qt would call the attribute.
_KEPT_METHODS = {"singleShot", "sizeHint", "minimumSizeHint"}
_VIRTUAL_TEXT = ("QProgressBar", "text")  # Qt calls it from setValue
_INTEGERS = {"int", "uint", "qlonglong", "qulonglong"}
_DOUBLES = {"double", "float"}


def argumentCount(slot):
    """How many positional arguments a slot takes (a large number if there is no limit)."""
    try:
        parameters = inspect.signature(slot).parameters.values()
    except (TypeError, ValueError):
        return 0 if isinstance(slot, types.BuiltinMethodType | Method) else 99
    if any(parameter.kind == parameter.VAR_POSITIONAL for parameter in parameters):
        return 99
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in positional for parameter in parameters)


def converted(value, typeName):
    """The value as PythonQt would pass it to a Qt property of this type.

    Raises:
        TypeError: if PythonQt takes no such value, or if taking it would only hide a mistake (a number as text).
    """
    refusal = TypeError(f"type '{typeName}' does not accept {value!r} of type {type(value).__name__}")
    if typeName in _INTEGERS:
        if isinstance(value, np.floating) or not isinstance(value, numbers.Real):
            raise refusal
        return int(value)
    if typeName in _DOUBLES:
        if not isinstance(value, numbers.Real | np.bool_):
            raise refusal
        return float(value)
    if typeName == "bool":
        if not isinstance(value, numbers.Real | np.bool_):
            raise refusal
        return bool(value)
    if typeName == "QString" and not isinstance(value, str):
        raise refusal
    if typeName == "QStringList":
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise refusal
        return list(value)
    return value


def patchProperties(qtClass):
    """Turn the Qt properties that this class declares into Python properties; its methods stay callable."""
    metaObject = qtClass.staticMetaObject
    for index in range(metaObject.propertyOffset(), metaObject.propertyCount()):
        metaProperty = metaObject.property(index)
        name = metaProperty.name()
        if name not in _KEPT_METHODS and (qtClass.__name__, name) != _VIRTUAL_TEXT:
            setattr(qtClass, metaProperty.name(), _asAttribute(metaProperty))


def _asAttribute(metaProperty):
    name, typeName, writable = metaProperty.name(), metaProperty.typeName(), metaProperty.isWritable()

    def read(self):
        value = self.property(name)
        return tuple(value) if isinstance(value, list) else value

    def write(self, value):
        if not writable:
            raise AttributeError(f"Property '{name}' of {self.className()} is not writable")
        try:
            accepted = self.setProperty(name, converted(value, typeName))
        except TypeError as error:
            raise AttributeError(f"Property '{name}' of {self.className()}: {error}") from None
        if not accepted:
            raise AttributeError(f"Property '{name}' of type '{typeName}' does not accept {value!r}")

    return property(read, write)


class Method:
    """A method of a Qt object: refuses keyword arguments, returns tuples for lists."""

    def __init__(self, method):
        self._method = method

    def __call__(self, *arguments, **keywords):
        if keywords:
            raise ValueError(f"{self._method.__name__}: PythonQt takes no keyword arguments ({', '.join(keywords)})")
        result = self._method(*arguments)
        return tuple(result) if isinstance(result, list) else result


def emit(signal, *arguments):
    """Emit a signal of PySide."""
    signal.emit(*arguments)
    # PySide 6.12 returns True without a reference to it. Where booleans are counted (before Python 3.12), the count
    # runs out one day, and Python ends with a fatal error.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(True))


class BoundSignal:
    """A signal of a Qt object; calling it emits."""

    def __init__(self, signal):
        self._signal = signal

    def __call__(self, *arguments):
        emit(self._signal, *arguments)

    def connect(self, slot):
        return _connect(self._signal, slot, 99)

    def disconnect(self, slot):
        return _disconnect(self._signal, slot)


def _widestOverload(owner, name, signal):
    """The form of a signal with the most arguments: `clicked` is clicked(bool)."""
    metaObject = owner.metaObject()
    overloads = []
    for index in range(metaObject.methodCount()):
        method = metaObject.method(index)
        if method.methodType() == QtCore.QMetaMethod.MethodType.Signal and method.name() == name.encode():
            overloads.append(tuple(item.data().decode() for item in method.parameterTypes()))
    if len(overloads) < 2:
        return signal
    widest = max(overloads, key=len)
    return signal[widest if len(widest) != 1 else widest[0]]


_connections = {}  # (sender, signature) -> list of (slot, wrapper): keeps slots alive, as PythonQt does


def _key(signal):
    return repr(signal)


def _connect(signal, slot, sent):
    if not callable(slot):
        failures.record(f"connect: {slot!r} cannot be called")
        return False
    count = min(sent, argumentCount(slot))

    def wrapper(*arguments):
        slot(*arguments[:count])

    signal.connect(wrapper)
    _connections.setdefault(_key(signal), []).append((slot, wrapper))
    return True


def _disconnect(signal, slot):
    entries = _connections.get(_key(signal), [])
    for entry in entries:
        if entry[0] == slot:
            signal.disconnect(entry[1])
            entries.remove(entry)
            return True
    return False


def _findSignal(owner, signature):
    """The PySide signal and its argument count, or None if Qt or the documentation knows no such signal."""
    signature = documented.normalized(signature)
    name, _, rest = signature.partition("(")
    name = getattr(type(owner), "_hostOverloads", {}).get(signature, name)
    types_ = [item for item in rest.rstrip(")").split(",") if item]
    className = owner.className()
    known = owner.metaObject().indexOfSignal(signature) >= 0 or signature in documented.signals(className)
    signal = getattr(type(owner), name, None)
    if not known or signal is None:
        return None
    bound = QtCore.QObject.__getattribute__(owner, name)
    with contextlib.suppress(KeyError, TypeError, IndexError):  # not overloaded
        bound = bound[tuple(types_)] if len(types_) != 1 else bound[types_[0]]
    return bound, len(types_)


class Conventions:
    """Mixed into every Qt class that the `qt`, `ctk` and `slicer` stand-ins offer."""

    _hostMade = True

    def __init__(self, *arguments, **keywords):
        if keywords:
            raise ValueError(f"{type(self).__name__}: PythonQt takes no keyword arguments ({', '.join(keywords)})")
        super().__init__(*arguments)

    def __getattribute__(self, name):
        if name.startswith("_") or name.startswith("host"):
            return super().__getattribute__(name)
        if not shiboken6.isValid(self):
            raise ValueError(f"Trying to access {name!r} of a destroyed {type(self).__name__} object")
        own = _OWN_METHODS.get(name)
        if own:
            return types.MethodType(own, self)
        value = super().__getattribute__(name)
        if isinstance(value, QtCore.SignalInstance):
            return BoundSignal(_widestOverload(self, name, value))
        if isinstance(value, types.BuiltinMethodType) and getattr(value, "__self__", None) is self:
            return Method(value)
        return value

    def __setattr__(self, name, value):
        # A class that a module derives from a Qt class may hold attributes of its own; PythonQt's objects may not.
        madeByHost = "_hostMade" in type(self).__dict__
        if madeByHost and not name.startswith(("_host", "__")) and not hasattr(type(self), name):
            if loadingUi:
                return
            raise AttributeError(f"'{type(self).__name__}' object has no attribute {name!r}")
        super().__setattr__(name, value)


def _connectMethod(self, signature, slot):
    found = _findSignal(self, signature)
    if found is None:
        failures.record(f"signal {signature!r} does not exist on {self.className()}")
        return False
    return _connect(found[0], slot, found[1])


def _disconnectMethod(self, signature, slot):
    found = _findSignal(self, signature)
    return bool(found and _disconnect(found[0], slot))


def _delete(self):
    shiboken6.delete(self)


def _className(self):
    return type(self).__name__ if documented.isDocumentedClass(type(self).__name__) else self.metaObject().className()


def _inherits(self, className):
    # Qt's chain, and the chain that the headers document for CTK's and Slicer's classes.
    return QtCore.QObject.inherits(self, className) or any(base.__name__ == className for base in type(self).__mro__)


_OWN_METHODS = {
    "connect": _connectMethod,
    "disconnect": _disconnectMethod,
    "className": _className,
    "inherits": _inherits,
    "delete": _delete,
}


def strayAttributes(root):
    """(class, object name, attribute) for attributes on objects that Qt made itself, below `root`."""
    found = []
    for item in [root, *QtCore.QObject.findChildren(root, QtCore.QObject)]:
        if type(item).__module__.startswith("PySide6."):
            attributes = [name for name in getattr(item, "__dict__", {}) if not hasattr(type(item), name)]
            found += [(type(item).__name__, item.objectName, name) for name in attributes]
    return found
