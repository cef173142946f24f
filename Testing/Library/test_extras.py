"""Packages that only some jobs need are asked for in words."""

import sys

import pytest
import torch

from DiffUSLib import DiffUSError, compare_images, write_image


def test_a_missing_package_is_named_with_its_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(DiffUSError, match=r"PIL is missing.*diffus\[pictures\]"):
        write_image(tmp_path / "image.png", torch.zeros(4, 4))
    assert not list(tmp_path.iterdir())
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(DiffUSError, match=r"skimage is missing.*diffus\[metrics\]"):
        compare_images(torch.zeros(4, 4), torch.ones(4, 4))
