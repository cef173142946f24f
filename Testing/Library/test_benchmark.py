"""The benchmark's own instruments: the dense baseline, the memory gauge, agreement of both sides."""

import numpy as np
import pytest
import torch

from DiffUSLib.evaluation import benchmark
from Testing.Library.test_propagation import dense_echoes

CPU = torch.device("cpu")


def test_the_baseline_is_the_papers_dense_solve():
    impedance = np.array([[1.5, 1.6, 1.55, 5.6, 1.6], [1.6, 1.52, 1.52, 1.6, 1.3]])
    reflection = torch.from_numpy((impedance[:, 1:] - impedance[:, :-1]) / (impedance[:, 1:] + impedance[:, :-1]))
    expected = [dense_echoes(line, "energy_conserving") for line in impedance]
    np.testing.assert_allclose(benchmark.dense_echoes(reflection), expected, atol=1e-12)


def test_the_memory_gauge_counts_what_is_held_at_a_time():
    def one_after_the_other():
        for _ in range(3):
            torch.ones(1_000_000)

    def together():
        first, second = torch.ones(1_000_000), torch.ones(2_000_000)
        return first, second

    assert benchmark.peak_mb(one_after_the_other, CPU) == pytest.approx(4.0, rel=0.01)
    assert benchmark.peak_mb(together, CPU) == pytest.approx(12.0, rel=0.01)


def test_both_sides_compute_the_same_echoes():
    assert benchmark.agreement(benchmark.Scene(CPU)) < 1e-10
