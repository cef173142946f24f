"""Echoes along scan lines from the impedance at their samples.

N+1 samples with impedance Z_0..Z_N meet at N interfaces. At interface i, with s_i = (Z_{i+1} - Z_i) / (Z_{i+1} +
Z_i), a wave from above is transmitted by 1 + s_i and reflected by R_i; one from below is transmitted by 1 - s_i and
reflected by R'_i ("DiffUS: Differentiable Ultrasound Rendering from Volumetric Imaging", 2025, eq. 1 and 2).

All functions take impedance (..., N+1) in MRayl and return echoes (..., N), the amplitude that interface i sends back
to the transducer for a wave of amplitude 1, and are differentiable. Samples lie on the last axis.
"""

from __future__ import annotations

import torch

from DiffUSLib.errors import DiffUSError

SIGN_CONVENTIONS = ("energy_conserving", "paper", "reference_code")
"""R and R' of an interface: (s, -s); the paper's eq. 1 (|s|, |s|); the paper's published code (s, s)."""


def reflection_coefficients(impedance: torch.Tensor) -> torch.Tensor:
    """Pressure reflection s (..., N) of the interfaces between samples (..., N+1); between -1 and 1."""
    above, below = impedance[..., :-1], impedance[..., 1:]
    return (below - above) / (below + above)


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
    reflection = reflection_coefficients(_to_double(impedance))
    both_sides = reflection.abs() if sign_convention == "paper" else reflection
    return _truncated_differences(reflection, both_sides).to(impedance.dtype)


def _to_double(values: torch.Tensor) -> torch.Tensor:
    return values if values.device.type == "mps" else values.double()


def _truncated_differences(reflection: torch.Tensor, both_sides: torch.Tensor) -> torch.Tensor:
    """e_k = C_k R_k / (q_k q_{k+1}) with C_k = prod_{j<k} (1 - s_j^2), (p, q)_0 = (0, 1) and
    (p, q)_{k+1} = [[1 - s^2 - R^2, R], [-R, 1]] (p, q)_k, for R = R' = `both_sides`.

    The matrix products run as a parallel prefix scan (log2 N steps). Each product is scaled to stay in range, and the
    logarithm of its scale is carried along.
    """
    passed = 1 - reflection.square()
    product = torch.stack([passed - both_sides.square(), both_sides, -both_sides, torch.ones_like(passed)])
    log_scale = torch.zeros_like(passed)
    count, reach = passed.shape[-1], 1
    while reach < count:
        a, b, c, d = product[..., reach:]
        e, f, g, h = product[..., :-reach]
        joined = torch.stack([a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h])
        size = joined.detach().abs().amax(dim=0)
        joined_log = log_scale[..., reach:] + log_scale[..., :-reach] + size.log()
        product = torch.cat([product[..., :reach], joined / size], dim=-1)
        log_scale = torch.cat([log_scale[..., :reach], joined_log], dim=-1)
        reach *= 2
    start = torch.ones_like(passed[..., :1])
    q = torch.cat([start, product[3]], dim=-1)
    log_q = torch.cat([start * 0, log_scale], dim=-1)
    log_c = _exclusive_sum(passed.log())
    return (log_c - log_q[..., :-1] - log_q[..., 1:]).exp() * both_sides / (q[..., :-1] * q[..., 1:])


def _exclusive_sum(values: torch.Tensor) -> torch.Tensor:
    """Sum of all values before each one on the last axis."""
    return values.cumsum(dim=-1) - values


def log_two_way_transmission(impedance: torch.Tensor) -> torch.Tensor:
    """Logarithm (..., N) of what is left after crossing all interfaces above k both ways: prod_{j<k} (1 - s_j^2)."""
    return _exclusive_sum(torch.log1p(-reflection_coefficients(impedance).square()))


def single_scatter(impedance: torch.Tensor) -> torch.Tensor:
    """Echoes that are reflected once: e_k = s_k prod_{j<k} (1 - s_j^2). Strong interfaces shadow what lies below."""
    return reflection_coefficients(impedance) * log_two_way_transmission(impedance).exp()


def reverberation(impedance: torch.Tensor) -> torch.Tensor:
    """Echoes in time, with all multiples at the depths where a scanner shows them.

    The coupled relations run in time in a Goupillaud medium: each sample is a layer with the same travel time, and
    echo k arrives after k + 1 two-way times. The transducer absorbs what returns. O(N^2) a scan line, all lines at
    once.
    """
    reflection = reflection_coefficients(impedance)
    count = reflection.shape[-1]
    padded = torch.nn.functional.pad(reflection, (0, count % 2))  # an added interface without contrast changes nothing
    even, odd = padded[..., 0::2], padded[..., 1::2]
    # Waves reach even interfaces at even half-steps and odd ones at odd half-steps, so each is updated in turn.
    down, up = torch.zeros_like(even), torch.zeros_like(even)  # arriving at even interfaces from above and from below
    first_layer = torch.zeros_like(even)
    first_layer[..., 0] = 1.0
    echoes = []
    for step in range(count):
        arriving = first_layer if step == 0 else down
        rising, sinking = _cross(even, arriving, up)
        echoes.append(rising[..., 0])
        from_below = torch.nn.functional.pad(rising[..., 1:], (0, 1))
        rising, sinking = _cross(odd, sinking, from_below)
        down, up = torch.nn.functional.pad(sinking[..., :-1], (1, 0)), rising
    return torch.stack(echoes, dim=-1)


def _cross(s: torch.Tensor, from_above: torch.Tensor, from_below: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Amplitudes that leave interfaces upward and downward; energy-conserving signs."""
    return from_below + s * (from_above - from_below), from_above + s * (from_above - from_below)


PROPAGATIONS = {"single_scatter": single_scatter, "steady_state": steady_state, "reverberation": reverberation}
"""Propagation models by name."""


def propagate(impedance: torch.Tensor, model: str = "single_scatter", sign_convention: str = "energy_conserving"):
    """Echoes (..., N) by the name of the model; the sign convention applies to "steady_state" only.

    Raises:
        DiffUSError: for an unknown model or sign convention.
    """
    if model not in PROPAGATIONS:
        raise DiffUSError(f"the propagation '{model}' is unknown; choose one of {', '.join(PROPAGATIONS)}.")
    if model == "steady_state":
        return steady_state(impedance, sign_convention)
    return PROPAGATIONS[model](impedance)
