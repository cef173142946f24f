"""Propagation models against dense solves, brute force, analytic cases and conservation of energy."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from DiffUSLib.errors import DiffUSError
from DiffUSLib.rendering import propagation

SIGNS = {
    "energy_conserving": lambda s: (s, -s),
    "paper": lambda s: (abs(s), abs(s)),
    "reference_code": lambda s: (s, s),
}
AIR, WATER, BRAIN, BONE = 0.0004, 1.51, 1.6, 5.6


def dense_echoes(impedance, sign_convention):
    """The paper's eq. 2-4: one dense solve for each truncation depth, then first differences of d_0."""
    s = (impedance[1:] - impedance[:-1]) / (impedance[1:] + impedance[:-1])
    surface = []
    for depth in range(len(s) + 1):
        size = 2 * (depth + 1)  # unknowns g_0, d_0, g_1, d_1, ...
        system, right = np.eye(size), np.zeros(size)
        right[0] = 1.0  # g_0 = 1; the last row is d_N = 0
        for i in range(depth):
            above, below = SIGNS[sign_convention](s[i])
            g, d, g_next, d_next = 2 * i, 2 * i + 1, 2 * i + 2, 2 * i + 3
            system[g_next, [g, d_next]] = -(1 + s[i]), -below
            system[d, [g, d_next]] = -above, -(1 - s[i])
        surface.append(np.linalg.solve(system, right)[1])
    return np.diff(surface)


def time_stepped_echoes(impedance):
    """Brute force: a wave in each layer and direction, moved one layer at a time, interface by interface."""
    s = (impedance[1:] - impedance[:-1]) / (impedance[1:] + impedance[:-1])
    count, echoes = len(s), []
    down, up = [0.0] * (count + 1), [0.0] * (count + 1)  # waves inside layer i
    down[0] = 1.0
    for step in range(2 * count - 1):
        new_down, new_up = [0.0] * (count + 1), [0.0] * (count + 1)
        for i in range(count):
            new_up[i] += s[i] * down[i] + (1 - s[i]) * up[i + 1]
            new_down[i + 1] += (1 + s[i]) * down[i] - s[i] * up[i + 1]
        down, up = new_down, new_up
        if step % 2 == 0:
            echoes.append(up[0])
    return np.array(echoes)


def layers(max_size=24):
    tissue = st.floats(1.2, 1.9)
    return st.lists(st.one_of(tissue, st.sampled_from([AIR, WATER, BONE])), min_size=2, max_size=max_size).map(
        np.array
    )


@pytest.mark.parametrize("sign_convention", propagation.SIGN_CONVENTIONS)
@settings(max_examples=400)
@given(impedance=layers())
def test_steady_state_equals_the_dense_solve(sign_convention, impedance):
    expected = dense_echoes(impedance, sign_convention)
    got = propagation.steady_state(torch.from_numpy(impedance), sign_convention).numpy()
    # A stack that gains energy amplifies rounding with the square of its gain: that much no solver can avoid.
    gain = max(1.0, np.abs(expected).max())
    assert np.abs(got - expected).max() <= 1e-10 * gain + 1e-12 * gain**2


@pytest.mark.parametrize("sign_convention", propagation.SIGN_CONVENTIONS)
def test_float32_agrees_with_float64_at_bone_and_air(sign_convention):
    rng = np.random.default_rng(3)
    impedance = rng.uniform(1.3, 1.7, (64, 200))
    impedance[:, 60:75], impedance[:, 120:] = BONE, np.where(rng.random((64, 80)) < 0.2, AIR, BRAIN)
    exact = propagation.steady_state(torch.from_numpy(impedance.astype(np.float32)).double(), sign_convention)
    single = propagation.steady_state(torch.from_numpy(impedance.astype(np.float32)), sign_convention)
    assert single.dtype == torch.float32
    error = (single.double() - exact).abs() / exact.abs().amax(dim=1, keepdim=True).clamp(min=1)
    assert float(error.max()) <= 1e-5


@pytest.mark.parametrize("model", ["single_scatter", "reverberation"])
def test_float32_agrees_with_float64_in_the_other_models(model):
    impedance = torch.rand(32, 100, generator=torch.Generator().manual_seed(0)) * 0.4 + 1.3
    impedance[:, 40:45], impedance[:, 80:] = BONE, AIR
    single, exact = propagation.propagate(impedance, model), propagation.propagate(impedance.double(), model)
    assert float((single - exact).abs().max()) <= 1e-5


@settings(max_examples=60)
@given(impedance=layers())
def test_reverberation_equals_brute_force_time_stepping(impedance):
    got = propagation.reverberation(torch.from_numpy(impedance)).numpy()
    assert np.abs(got - time_stepped_echoes(impedance)).max() <= 1e-12


def test_reverberation_of_one_slab_is_the_geometric_series():
    # A slab of two layers between equal half-spaces: multiples every two steps, each a factor s^2 weaker.
    s = (BONE - WATER) / (BONE + WATER)
    impedance = torch.tensor([WATER, BONE, BONE] + [WATER] * 9, dtype=torch.float64)
    expected = np.zeros(11)
    expected[0] = s
    expected[2::2] = [-(1 - s**2) * s ** (2 * m + 1) for m in range(5)]
    np.testing.assert_allclose(propagation.reverberation(impedance).numpy(), expected, atol=1e-14)


@settings(max_examples=40)
@given(impedance=layers(16))
def test_reverberation_never_returns_more_energy_than_was_sent(impedance):
    echoes = propagation.reverberation(torch.from_numpy(np.append(impedance, [impedance[-1]] * 60)))
    assert float(echoes.square().sum()) <= 1 + 1e-12  # same impedance where it is sent and received


@settings(max_examples=40)
@given(impedance=layers(40))
def test_energy_conserving_steady_state_is_bounded_at_each_depth(impedance):
    surface = propagation.steady_state(torch.from_numpy(impedance)).cumsum(-1)
    assert float(surface.abs().max()) <= 1 + 1e-12


@pytest.mark.parametrize("model", propagation.PROPAGATIONS)
def test_two_layers_reflect_as_in_the_textbook(model):
    echoes = propagation.propagate(torch.tensor([WATER, WATER, BRAIN, BRAIN], dtype=torch.float64), model)
    np.testing.assert_allclose(echoes.numpy(), [0, (BRAIN - WATER) / (BRAIN + WATER), 0], atol=1e-15)


def test_single_scatter_is_weakened_by_both_crossings_of_bone():
    impedance = torch.tensor([BRAIN, BONE, BRAIN, WATER], dtype=torch.float64)
    s = (BONE - BRAIN) / (BONE + BRAIN)
    last = (1 - s * s) ** 2 * (WATER - BRAIN) / (WATER + BRAIN)
    np.testing.assert_allclose(propagation.single_scatter(impedance).numpy(), [s, -s * (1 - s * s), last], atol=1e-15)


def every_choice():
    return [("steady_state", signs) for signs in propagation.SIGN_CONVENTIONS] + [
        ("single_scatter", "energy_conserving"),
        ("reverberation", "energy_conserving"),
    ]


@pytest.mark.parametrize("model,signs", every_choice())
def test_gradients_agree_with_finite_differences(model, signs):
    impedance = torch.tensor([[1.5, 1.62, 1.58, 5.2, 1.6, 1.55]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: propagation.propagate(z, model, signs), impedance)


@pytest.mark.parametrize("model,signs", every_choice())
def test_gradients_are_finite_at_equal_impedances_and_in_air(model, signs):
    impedance = torch.tensor([[1.5, 1.5, 1.5, AIR, AIR, 1.5, BONE, BONE]], requires_grad=True)
    propagation.propagate(impedance, model, signs).sum().backward()
    assert bool(torch.isfinite(impedance.grad).all())


def test_unknown_names_are_refused_with_the_choices():
    impedance = torch.ones(1, 4)
    with pytest.raises(DiffUSError, match="single_scatter"):
        propagation.propagate(impedance, "magic")
    with pytest.raises(DiffUSError, match="reference_code"):
        propagation.steady_state(impedance, "magic")
