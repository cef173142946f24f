"""Stand-in for slicer.parameterNodeWrapper, with the behaviour that Slicer's developer guide documents."""

from .annotations import (
    Choice,
    Decimals,
    Default,
    Exclude,
    IsInstance,
    Maximum,
    Minimum,
    NotNone,
    SingleStep,
    Validator,
    WithinRange,
)
from .wrapper import isParameterNodeWrapper, parameterNodeWrapper, parameterPack

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Exclude",
    "IsInstance",
    "Maximum",
    "Minimum",
    "NotNone",
    "SingleStep",
    "Validator",
    "WithinRange",
    "isParameterNodeWrapper",
    "parameterNodeWrapper",
    "parameterPack",
]
