"""What may stand in Annotated[...]: validators, defaults, hints for widgets."""

import typing
from dataclasses import dataclass


class Validator:
    """Base of all validators, also of a module's own: `validate(value)` raises if the value is not valid."""

    def validate(self, value):
        raise NotImplementedError


class NotNone(Validator):
    def validate(self, value):
        if value is None:
            raise ValueError("the value is None")


@dataclass
class IsInstance(Validator):
    classtype: object

    def validate(self, value):
        if value is not None and not isinstance(value, self.classtype):
            raise TypeError(f"{value!r} is of type {type(value).__name__}, not {self.classtype}")


@dataclass
class Minimum(Validator):
    minimum: float

    def validate(self, value):
        if value < self.minimum:
            raise ValueError(f"{value} is below {self.minimum}")


@dataclass
class Maximum(Validator):
    maximum: float

    def validate(self, value):
        if value > self.maximum:
            raise ValueError(f"{value} is above {self.maximum}")


@dataclass
class WithinRange(Validator):
    minimum: float
    maximum: float

    def validate(self, value):
        if value < self.minimum or value > self.maximum:
            raise ValueError(f"{value} is not within [{self.minimum}, {self.maximum}]")


@dataclass
class Choice(Validator):
    choices: typing.Iterable

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"{value!r} is none of {list(self.choices)}")


@dataclass
class Exclude(Validator):
    excludedValues: typing.Iterable

    def validate(self, value):
        if value in self.excludedValues:
            raise ValueError(f"{value!r} is one of {list(self.excludedValues)}")


class Default:
    """A default value, or a function that makes it."""

    def __init__(self, value=None, *, generator=None):
        self._value, self._generator = value, generator

    @property
    def value(self):
        return self._generator() if self._generator else self._value


@dataclass
class Decimals:
    value: int


@dataclass
class SingleStep:
    value: float


def split(hint):
    """(type, annotations) of a type hint, annotated or not."""
    if typing.get_origin(hint) is typing.Annotated:
        return typing.get_args(hint)[0], list(typing.get_args(hint)[1:])
    return hint, []


def first(annotations, kind):
    """The first annotation of this class, or None."""
    return next((annotation for annotation in annotations if isinstance(annotation, kind)), None)
