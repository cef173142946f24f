"""What a fit may change in an appearance, within which limits, and what is expected beforehand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from DiffUSLib.acoustics.tissue_curves import CURVE_LIMITS
from DiffUSLib.appearance.appearance import STRENGTH_LIMITS, Appearance
from DiffUSLib.rendering import receiver as receiver_module


@dataclass(frozen=True)
class Prior:
    """Of one part of an appearance.

    Args:
        spread: standard deviation of each value around where the fit starts, in the unit below.
        step: standard deviation of the change from one knot of a curve to the next; 0 for single numbers.
        relative: the unit is the natural logarithm of the value, not the value itself.
    """

    spread: float
    step: float = 0.0
    relative: bool = False


PRIORS = {
    "echogenicity_db": Prior(10.0, 3.0),
    "impedance_mrayl": Prior(0.015, 0.005, relative=True),
    "attenuation_db_cm_mhz": Prior(0.3, 0.2, relative=True),
    "interface_scatter_mm": Prior(0.7, relative=True),
    "sulcus_scatter_mm": Prior(0.7, relative=True),
    "specular_mm": Prior(0.7, relative=True),
    "dynamic_range_db": Prior(0.25, relative=True),
    "gain_db": Prior(10.0),
    "gamma": Prior(0.3, relative=True),
    "depth_gain_db": Prior(12.0, 4.0),
    "line_gain_db": Prior(20.0, 5.0),
    "clutter_db": Prior(10.0),
}
"""By the name of the field. Sources: echogenicity of soft tissues scatters by about 10 dB, impedance by 1 to 2 %,
attenuation by a third (the ranges of the tissue table's sources); scanners offer 40 to 90 dB of dynamic range and
sliders of about +-20 dB; poor contact takes away all there is. How smooth tissue curves are, and how wide the gain,
was chosen by what carries over from one frame of a patient to another (case002, slice 50 to 70 and back)."""

_CURVES = ("echogenicity_db", "impedance_mrayl", "attenuation_db_cm_mhz")
_NUMBERS = ("interface_scatter_mm", "sulcus_scatter_mm", "specular_mm", "dynamic_range_db")
_RECEIVER = ("gain_db", "gamma", "depth_gain_db", "line_gain_db", "clutter_db")


class Parameters:
    """An appearance as a vector in standard deviations of its prior, 0 where the fit starts.

    Args:
        start: the appearance; every curve that may change must have its knots.
        kind: of the tissue curves that may change ("mri", "ct", "labels"), or None for none.
        fixed: names of fields that stay.
    """

    def __init__(self, start: Appearance, kind: str | None, fixed: tuple[str, ...] = ()):
        self._start, self._kind = start, kind
        self._parts = {}
        count = 0
        for name in PRIORS:
            value = self._value(start, name)
            if value is None or name in fixed or (isinstance(value, tuple) and not value):
                continue
            base = torch.tensor(value, dtype=torch.float32).reshape(-1)
            self._parts[name] = (slice(count, count + len(base)), base)
            count += len(base)
        self.count = count

    def _value(self, appearance: Appearance, name: str):
        if name in _CURVES:
            return None if self._kind is None else getattr(appearance.curves[self._kind], name)
        if name in _NUMBERS:
            return None if self._kind is None else getattr(appearance, name)
        return getattr(appearance.receiver, name)

    def appearance(self, vector: torch.Tensor) -> Appearance:
        """The appearance of a vector (count,): its numbers are tensors, which gradients go through."""
        values = {name: self._physical(name, vector) for name in self._parts}
        start = self._start
        curves = dict(start.curves)
        if self._kind is not None:
            changed: dict[str, Any] = {name: values[name] for name in _CURVES if name in values}
            curves[self._kind] = replace(curves[self._kind], **changed)
        received: dict[str, Any] = {name: values[name] for name in _RECEIVER if name in values}
        receiver = replace(start.receiver, **received)
        numbers: dict[str, Any] = {name: values[name] for name in _NUMBERS if name in values}
        return replace(start, curves=curves, receiver=receiver, **numbers)

    def _physical(self, name: str, vector: torch.Tensor) -> torch.Tensor:
        part, base = self._parts[name]
        prior, change = PRIORS[name], vector[part]
        value = base * torch.exp(prior.spread * change) if prior.relative else base + prior.spread * change
        limits = _limits(name)
        value = value.clamp(*limits) if limits else value
        return value if isinstance(self._value(self._start, name), tuple) else value[0]

    def penalty(self, vector: torch.Tensor) -> torch.Tensor:
        """() negative logarithm of the prior, up to a constant."""
        total = vector.square().sum()
        for name, (part, _) in self._parts.items():
            prior = PRIORS[name]
            if prior.step:
                total = total + (vector[part].diff() * (prior.spread / prior.step)).square().sum()
        return total / 2

    def frozen(self, vector: torch.Tensor, **changes) -> Appearance:
        """The appearance of a vector with plain numbers, to be kept."""
        made = self.appearance(vector.detach())
        curves = dict(made.curves)
        if self._kind is not None:
            curves[self._kind] = _plain(curves[self._kind])
        return replace(_plain(made), curves=curves, receiver=_plain(made.receiver), **changes)


def _plain(thing):
    """A dataclass whose tensors became numbers and tuples, with four digits."""
    changes = {}
    for name, value in vars(thing).items():
        if isinstance(value, torch.Tensor):
            numbers = [float(f"{number:.5g}") for number in value.reshape(-1).tolist()]
            changes[name] = numbers[0] if value.ndim == 0 else tuple(numbers)
    return replace(thing, **changes)


def _limits(name: str) -> tuple[float, float] | None:
    if name.endswith("gain_db") and name != "gain_db":
        return receiver_module.CURVE_LIMITS_DB
    return CURVE_LIMITS.get(name) or receiver_module.LIMITS.get(name) or STRENGTH_LIMITS.get(name)
