"""@parameterNodeWrapper and @parameterPack."""

import typing
from dataclasses import dataclass

import vtk

from .annotations import Default, split
from .connectors import connectorFor
from .storage import storageOf


@dataclass
class _Parameter:
    hint: object
    storage: object
    default: Default

    def check(self, value):
        for validator in self.storage.validators:
            validator.validate(value)


class _PackParameter:
    """A member whose type is a @parameterPack: kept member by member, as name.member."""

    def __init__(self, packClass, default):
        self.hint, self.packClass, self.default = packClass, packClass, default

    def check(self, value):
        if not isinstance(value, self.packClass):
            raise TypeError(f"{value!r} is no {self.packClass.__name__}")


def _parametersOf(cls):
    parameters = {}
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        kind, _ = split(hint)
        default = Default(getattr(cls, name)) if hasattr(cls, name) else None
        if getattr(kind, "_isParameterPack", False):
            parameters[name] = _PackParameter(kind, default or Default(generator=kind))
            continue
        storage, rest = storageOf(hint)
        given = next((item for item in rest if isinstance(item, Default)), None)
        parameters[name] = _Parameter(hint, storage, default or given or Default(storage.default))
    return parameters


# --- packs -----------------------------------------------------------------------------------------------------------


def parameterPack(cls):
    """Class decorator: a group of parameters, like a dataclass with validated members."""
    parameters = _parametersOf(cls)
    for name, parameter in parameters.items():
        parameter.check(parameter.default.value)
        setattr(cls, name, property(*_packAccess(name)))

    def initialize(self, *arguments, **keywords):
        object.__setattr__(self, "_values", {})
        object.__setattr__(self, "_onChange", None)
        given = dict(zip(parameters, arguments, strict=False)) | keywords
        unknown = set(given) - set(parameters)
        if unknown or len(arguments) > len(parameters):
            raise TypeError(f"{cls.__name__} takes {list(parameters)}, not {sorted(unknown)}")
        for name, parameter in parameters.items():
            setattr(self, name, given.get(name, parameter.default.value))

    cls.__init__ = initialize
    cls.__eq__ = lambda self, other: isinstance(other, cls) and self._values == other._values
    cls.__repr__ = lambda self: f"{cls.__name__}({', '.join(f'{k}={v!r}' for k, v in self._values.items())})"
    cls.allParameters = parameters
    cls._isParameterPack = True
    cls.getValue = lambda self, name: _dotted(self, name)
    cls.setValue = _setDotted
    cls.dataType = staticmethod(lambda name: _dataType(parameters, name))
    cls.__setattr__ = _refuseNewAttributes
    return cls


def _packAccess(name):
    def read(self):
        return self._values[name]

    def write(self, value):
        self.allParameters[name].check(value)
        self._values[name] = value
        if self._onChange:
            self._onChange()

    return read, write


def _refuseNewAttributes(self, name, value):
    if name not in self.allParameters:
        raise AttributeError(f"{type(self).__name__} has no parameter {name!r}")
    object.__setattr__(self, name, value)


def _dotted(owner, name):
    for part in name.split("."):
        owner = getattr(owner, part)
    return owner


def _setDotted(owner, name, value):
    *path, last = name.split(".")
    setattr(_dotted(owner, ".".join(path)) if path else owner, last, value)


def _dataType(parameters, name):
    top, _, rest = name.partition(".")
    if top not in parameters:
        raise ValueError(f"there is no parameter {name!r}")
    return _dataType(parameters[top].packClass.allParameters, rest) if rest else parameters[top].hint


# --- wrappers --------------------------------------------------------------------------------------------------------


def parameterNodeWrapper(cls):
    """Class decorator: typed access to a vtkMRMLScriptedModuleNode, and connection to widgets."""
    parameters = _parametersOf(cls)
    reserved = [name for name in vars(_WrapperMethods) if not name.startswith("__")]
    for name in parameters:
        if name in reserved:
            raise ValueError(f"{name!r} is a name of the wrapper itself")
        setattr(cls, name, property(*_nodeAccess(name)))
    for name in reserved:
        setattr(cls, name, vars(_WrapperMethods)[name])
    cls.__init__ = _WrapperMethods.__dict__["_initialize"]
    cls.allParameters = parameters
    cls.dataType = staticmethod(lambda name: _dataType(parameters, name))
    return cls


def isParameterNodeWrapper(classOrObject):
    """True for a wrapper class or an object of one."""
    return getattr(classOrObject, "_isWrapper", False)


def _nodeAccess(name):
    return (lambda self: self._read(name), lambda self, value: self._write(name, value))


class _WrapperMethods:
    """What a wrapper class gets."""

    _isWrapper = True

    def _initialize(self, parameterNode):
        self.parameterNode = parameterNode
        self._connections = {}
        self._updatingGui = False
        self._lastTag = 0
        for name, parameter in self.allParameters.items():
            if not self._isIn(parameter, name):
                self._write(name, parameter.default.value)

    def _isIn(self, parameter, name):
        if isinstance(parameter, _PackParameter):
            first = next(iter(parameter.packClass.allParameters))
            return self._isIn(parameter.packClass.allParameters[first], f"{name}.{first}")
        return parameter.storage.isIn(self.parameterNode, name)

    def _write(self, name, value):
        parameter = self.allParameters[name]
        wasModified = self.parameterNode.StartModify()
        try:
            self._writeParameter(parameter, name, value)
        finally:
            self.parameterNode.EndModify(wasModified)

    def _writeParameter(self, parameter, name, value):
        parameter.check(value)
        if isinstance(parameter, _PackParameter):
            for member, memberParameter in parameter.packClass.allParameters.items():
                self._writeParameter(memberParameter, f"{name}.{member}", getattr(value, member))
        else:
            parameter.storage.write(self.parameterNode, name, value)

    def _read(self, name):
        return self._readParameter(self.allParameters[name], name)

    def _readParameter(self, parameter, name):
        if not isinstance(parameter, _PackParameter):
            if not parameter.storage.isIn(self.parameterNode, name):  # for instance after the scene was closed
                parameter.storage.write(self.parameterNode, name, parameter.default.value)
            return parameter.storage.read(self.parameterNode, name)
        members = parameter.packClass.allParameters
        pack = parameter.packClass()

        def save():
            self._writeParameter(parameter, name, pack)

        for member, memberParameter in members.items():
            setattr(pack, member, self._readParameter(memberParameter, f"{name}.{member}"))
        object.__setattr__(pack, "_onChange", save)
        return pack

    def getValue(self, name):
        self.dataType(name)
        return _dotted(self, name)

    def setValue(self, name, value):
        self.dataType(name)
        _setDotted(self, name, value)

    def default(self, name):
        return self.allParameters[name].default

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified):
        return self.parameterNode.EndModify(wasModified)

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        self.parameterNode.RemoveObserver(tag)

    def Modified(self):
        self.parameterNode.Modified()

    def connectGui(self, gui):
        """Connect each widget of `gui` that has the dynamic property SlicerParameterName; returns a tag."""
        mapping = {}
        for widget in vars(gui).values():
            name = widget.property("SlicerParameterName")
            if name:
                mapping[name] = widget
        return self.connectParametersToGui(mapping)

    def connectParametersToGui(self, mapping):
        connectors = {name: connectorFor(widget, self.dataType(name)) for name, widget in mapping.items()}
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.start(self._guiCallback(name, connector))
        observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: self._updateGui())
        self._lastTag += 1
        self._connections[self._lastTag] = (connectors, observer)
        return self._lastTag

    def disconnectGui(self, tag):
        connectors, observer = self._connections.pop(tag, ({}, None))
        for connector in connectors.values():
            connector.stop()
        if observer is not None:
            self.parameterNode.RemoveObserver(observer)

    def _guiCallback(self, name, connector):
        def callback():
            if not self._updatingGui:
                self.setValue(name, connector.read())

        return callback

    def _updateGui(self):
        if self._updatingGui:
            return
        self._updatingGui = True
        try:
            for connectors, _ in list(self._connections.values()):
                for name, connector in connectors.items():
                    connector.write(self.getValue(name))
        finally:
            self._updatingGui = False
