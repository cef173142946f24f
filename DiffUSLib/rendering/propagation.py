"""Echoes along scan lines from the impedance at their samples.

N+1 samples with impedance Z_0..Z_N meet at N interfaces. At interface i, with s_i = (Z_{i+1} - Z_i) / (Z_{i+1} +
Z_i), a wave from above is transmitted by 1 + s_i and reflected by R_i; one from below is transmitted by 1 - s_i and
reflected by R'_i ("DiffUS: Differentiable Ultrasound Rendering from Volumetric Imaging", 2025, eq. 1 and 2).

All functions take impedance (..., N+1) in MRayl and return echoes (..., N), the amplitude that interface i sends back
to the transducer for a wave of amplitude 1, and are differentiable. Samples lie on the last axis.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from DiffUSLib.errors import DiffUSError

SIGN_CONVENTIONS = ("energy_conserving", "paper", "reference_code")
"""R and R' of an interface: (s, -s); the paper's eq. 1 (|s|, |s|); the paper's published code (s, s)."""


def reflection_coefficients(impedance: torch.Tensor) -> torch.Tensor:
    """Pressure reflection s (..., N) of the interfaces between samples (..., N+1); between -1 and 1."""
    above, below = impedance[..., :-1], impedance[..., 1:]
    return (below - above) / (below + above)


def two_way_transmissions(impedance: torch.Tensor) -> torch.Tensor:
    """Amplitude 1 - s^2 (..., N) left after crossing each interface once down and once up; above 0, at most 1."""
    above, below = impedance[..., :-1], impedance[..., 1:]
    return 4 * above * below / (below + above).square()  # exact at strong interfaces too, unlike 1 - s^2


def steady_state(impedance: torch.Tensor, sign_convention: str = "energy_conserving") -> torch.Tensor:
    """Echoes of the paper's coupled system (eq. 2-4), exact, in O(N).

    The echo of interface k is d_0 of the system cut off below interface k, less d_0 of the one cut off above it. It
    has no
    time axis: multiples are added at the depth of the cut, and bone casts no shadow. Only "energy_conserving" never
    returns more than was sent; the others can diverge at bone or air.

    Raises:
        DiffUSError: for an unknown sign convention.
    """
    if sign_convention == "energy_conserving":
        # With R = s and R' = -s the truncated system telescopes to d_0 = (Z_k - Z_0) / (Z_k + Z_0). The difference of
        # two such fractions is written as one, which keeps float32 exact for weak interfaces.
        first, above, below = impedance[..., :1], impedance[..., :-1], impedance[..., 1:]
        return 2 * first * (below - above) / ((below + first) * (above + first))
    if sign_convention not in SIGN_CONVENTIONS:
        known = ", ".join(SIGN_CONVENTIONS)
        raise DiffUSError(f"the sign convention '{sign_convention}' is unknown; choose one of {known}.")
    # These two can run close to a resonance, where float32 loses the result.
    exact = impedance if impedance.device.type == "mps" else impedance.double()
    reflection = reflection_coefficients(exact)
    both_sides = reflection.abs() if sign_convention == "paper" else reflection
    return _truncated_differences(both_sides, two_way_transmissions(exact)).to(impedance.dtype)


def _truncated_differences(both_sides: torch.Tensor, through: torch.Tensor) -> torch.Tensor:
    """First differences of the surface echo d_0 for R = R' = `both_sides` and T T' = `through`, each (..., N).

    A stack of interfaces is known by its reflection seen from above and from below, and by the product of its two
    transmissions. Two stacks join by the Redheffer star product, which is associative, so all stacks from the surface
    down run as a parallel prefix scan (log2 N steps). Unlike products of transfer matrices it stays exact at strong
    interfaces.
    """
    above = below = both_sides
    count, reach = both_sides.shape[-1], 1
    while reach < count:
        upper_below, upper_through = below[..., :-reach], through[..., :-reach]
        lower_above, lower_through = above[..., reach:], through[..., reach:]
        gain = 1 / (1 - upper_below * lower_above)  # of the waves that run between the two stacks
        joined_above = above[..., :-reach] + upper_through * lower_above * gain
        joined_below = below[..., reach:] + lower_through * upper_below * gain
        joined_through = upper_through * lower_through * gain.square()
        above = torch.cat([above[..., :reach], joined_above], dim=-1)
        below = torch.cat([below[..., :reach], joined_below], dim=-1)
        through = torch.cat([through[..., :reach], joined_through], dim=-1)
        reach *= 2
    # What interface k adds below the stack of all interfaces above it.
    stack_through = torch.cat([torch.ones_like(through[..., :1]), through[..., :-1]], dim=-1)
    stack_below = torch.cat([torch.zeros_like(below[..., :1]), below[..., :-1]], dim=-1)
    return stack_through * both_sides / (1 - stack_below * both_sides)


def log_two_way_transmission(impedance: torch.Tensor) -> torch.Tensor:
    """Logarithm (..., N) of what is left after crossing all interfaces above k both ways: prod_{j<k} (1 - s_j^2)."""
    log_through = two_way_transmissions(impedance).log()
    return log_through.cumsum(dim=-1) - log_through


def single_scatter(impedance: torch.Tensor) -> torch.Tensor:
    """Echoes that are reflected once: e_k = s_k prod_{j<k} (1 - s_j^2). Strong interfaces shadow what lies below."""
    return reflection_coefficients(impedance) * log_two_way_transmission(impedance).exp()


def reverberation(impedance: torch.Tensor, pause: Callable[[], None] | None = None) -> torch.Tensor:
    """Echoes in time, with all multiples at the depths where a scanner shows them.

    The coupled relations run in time in a Goupillaud medium: each sample is a layer with the same travel time, and
    echo k arrives after k + 1 two-way times. The transducer absorbs what returns. O(N^2) a scan line, all lines at
    once. `pause` is called before each of the N steps; what it raises ends them.
    """
    reflection = reflection_coefficients(impedance).movedim(-1, 0)
    count, lines = reflection.shape[0], reflection.shape[1:]
    reflection = reflection.reshape(count, -1)  # interfaces first: those that count in a step lie together in memory
    even, odd = reflection[0::2].contiguous(), _of_length(reflection[1::2], (count + 1) // 2)
    # Waves reach even interfaces at even half-steps and odd ones at odd half-steps, so each is updated in turn.
    down, up = torch.ones_like(even[:1]), torch.zeros_like(even[:1])  # arriving at even interfaces
    first, echoes = torch.zeros_like(down), []
    for step in range(count):
        if pause is not None:
            pause()
        # So many pairs of interfaces count: the wave has reached them, and what they send back arrives in time.
        pairs = min(step + 1, count - step, even.shape[0])
        rising, sinking = _cross(even[:pairs], _of_length(down, pairs), _of_length(up, pairs))
        echoes.append(rising[0])
        up, sinking = _cross(odd[:pairs], sinking, _of_length(rising[1:], pairs))
        down = torch.cat([first, sinking])
    return torch.stack(echoes, dim=-1).reshape(*lines, count)


def _of_length(values: torch.Tensor, length: int) -> torch.Tensor:
    """Values (N, M) cut to a length N, or with zeros up to it (an interface without contrast changes nothing)."""
    missing = length - values.shape[0]
    if missing <= 0:
        return values[:length]
    return torch.cat([values, values.new_zeros(missing, values.shape[1])])


def _cross(s: torch.Tensor, from_above: torch.Tensor, from_below: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Amplitudes that leave interfaces upward and downward; energy-conserving signs."""
    difference = from_above - from_below
    return torch.addcmul(from_below, s, difference), torch.addcmul(from_above, s, difference)


PROPAGATIONS = {"single_scatter": single_scatter, "steady_state": steady_state, "reverberation": reverberation}
"""Propagation models by name."""


def propagate(
    impedance: torch.Tensor,
    model: str = "single_scatter",
    sign_convention: str = "energy_conserving",
    pause: Callable[[], None] | None = None,
) -> torch.Tensor:
    """Echoes (..., N) by the name of the model; the sign convention applies to "steady_state" only, and `pause` to
    "reverberation".

    Raises:
        DiffUSError: for an unknown model or sign convention.
    """
    if model not in PROPAGATIONS:
        raise DiffUSError(f"the propagation '{model}' is unknown; choose one of {', '.join(PROPAGATIONS)}.")
    if model == "steady_state":
        return steady_state(impedance, sign_convention)
    return reverberation(impedance, pause) if model == "reverberation" else single_scatter(impedance)
