"""How values of the documented types are kept as strings and references in a vtkMRMLScriptedModuleNode."""

import enum
import pathlib
import types
import typing

import slicer

from .annotations import IsInstance, NotNone, Validator, split


class Storage:
    """One type: its implied default and validators, and the way to and from a string."""

    def __init__(self, default, validators, encode=str, decode=str):
        self.default, self.validators, self._encode, self._decode = default, validators, encode, decode

    def isIn(self, node, name):
        return bool(node.HasParameter(name))

    def write(self, node, name, value):
        node.SetParameter(name, self._encode(value))

    def read(self, node, name):
        return self._decode(node.GetParameter(name))


class NodeStorage(Storage):
    """A node is kept as a node reference; an empty parameter of the same name says that None was set."""

    def __init__(self, nodeClass):
        super().__init__(None, [IsInstance(nodeClass)])

    def write(self, node, name, value):
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node, name):
        return node.GetNodeReference(name)


class UnionStorage(Storage):
    """Optional and Union: which of the types was written, and its value."""

    def __init__(self, members):
        self._members = members  # list of (type, Storage); type(None) has no storage
        hasNone = any(member is type(None) for member, _ in members)
        default = None if hasNone and len(members) == 2 else members[0][1].default
        super().__init__(default, [])

    def _memberOf(self, value):
        for member, storage in self._members:
            if value is None and member is type(None):
                return member, None
            if storage is not None and value is not None and _accepts(storage, value):
                return member, storage
        raise ValueError(f"{value!r} is none of {[member.__name__ for member, _ in self._members]}")

    def write(self, node, name, value):
        member, storage = self._memberOf(value)
        wasModified = node.StartModify()
        node.SetParameter(name, member.__name__)
        if storage:
            storage.write(node, f"{name}_{member.__name__}", value)
        node.EndModify(wasModified)

    def read(self, node, name):
        written = node.GetParameter(name)
        for member, storage in self._members:
            if member.__name__ == written:
                return storage.read(node, f"{name}_{written}") if storage else None
        return self.default


def _accepts(storage, value):
    try:
        for validator in storage.validators:
            validator.validate(value)
    except (TypeError, ValueError):
        return False
    return True


def storageOf(hint):
    """(Storage, annotations that are no validators) for a type hint.

    Raises:
        TypeError: for a type that the real wrapper or this host does not keep.
    """
    kind, annotations = split(hint)
    storage = _plainStorage(kind)
    validators = [item() if isinstance(item, type) else item for item in annotations if _isValidator(item)]
    storage.validators = storage.validators + validators
    return storage, [item for item in annotations if not _isValidator(item)]


def _isValidator(item):
    return isinstance(item, Validator) or (isinstance(item, type) and issubclass(item, Validator))


def _plainStorage(kind):
    if kind is bool:
        return Storage(False, [NotNone(), IsInstance(bool)], str, lambda text: text == "True")
    if kind is int:
        return Storage(0, [NotNone(), IsInstance(int)], str, int)
    if kind is float:
        return Storage(0.0, [NotNone(), IsInstance((float, int))], lambda value: repr(float(value)), float)
    if kind is str:
        return Storage("", [NotNone(), IsInstance(str)])
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath):
        return Storage(kind(), [NotNone(), IsInstance(kind)], str, kind)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        first = next(iter(kind))
        return Storage(first, [NotNone(), IsInstance(kind)], lambda value: value.name, lambda text: kind[text])
    if isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode):
        return NodeStorage(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        members = typing.get_args(kind)
        return UnionStorage([(member, None if member is type(None) else _plainStorage(member)) for member in members])
    raise TypeError(f"this host keeps no values of type {kind} in a parameter node")
