"""Where torch computes, and on how many cores."""

import os

import pytest
import torch

from DiffUSLib import DiffUSError, choose_device, one_core_left_free


def test_an_unknown_device_is_refused_by_name():
    with pytest.raises(DiffUSError, match="'abacus' is unknown"):
        choose_device("abacus")


def test_a_device_that_is_not_there_is_refused():
    if torch.cuda.is_available():
        pytest.skip("a GPU is there")
    with pytest.raises(DiffUSError, match="'cuda' is not available"):
        choose_device("cuda")


@pytest.mark.parametrize(("cores", "threads", "expected"), [(8, 8, 7), (8, 4, 4), (2, 2, 1), (1, 1, 1), (None, 3, 1)])
def test_one_core_is_left_free_and_the_threads_come_back(monkeypatch, cores, threads, expected):
    kept = torch.get_num_threads()
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    torch.set_num_threads(threads)
    try:
        with pytest.raises(ZeroDivisionError), one_core_left_free():
            seen = torch.get_num_threads()
            1 / 0  # noqa: B018 - whatever goes wrong within
        assert (seen, torch.get_num_threads()) == (expected, threads)
    finally:
        torch.set_num_threads(kept)
