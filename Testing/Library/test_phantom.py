"""The head phantom: what is where, and the same for the same seed."""

import pytest
import torch

from DiffUSLib.acoustics import maps_from_labels
from DiffUSLib.errors import DiffUSError
from DiffUSLib.samples.phantom import head_phantom


@pytest.fixture(scope="module")
def phantom():
    return head_phantom(2.0)


def label_at(phantom, ras_mm):
    ijk = phantom.labels.ras_to_ijk @ torch.tensor([*ras_mm, 1.0], dtype=torch.float64)
    i, j, k = ijk[:3].round().long().tolist()
    return int(phantom.labels.voxels[k, j, i])


def test_entry_is_cortex_and_target_is_ventricle(phantom):
    assert label_at(phantom, phantom.entry_ras_mm) == 3
    assert label_at(phantom, phantom.target_ras_mm) == 4


def test_nothing_but_fluid_and_air_before_the_entry(phantom):
    entry = torch.tensor(phantom.entry_ras_mm, dtype=torch.float64)
    outward = entry - torch.tensor(phantom.target_ras_mm, dtype=torch.float64)
    outward = outward / outward.norm()
    seen = {label_at(phantom, (entry + outward * mm).tolist()) for mm in range(4, 25)}
    assert seen <= {0, 24, 3} and 0 in seen


def test_volumes_share_one_grid(phantom):
    assert phantom.t1.voxels.shape == phantom.ct.voxels.shape == phantom.labels.voxels.shape
    assert torch.equal(phantom.t1.ijk_to_ras, phantom.ct.ijk_to_ras)
    assert phantom.t1.spacing_mm == pytest.approx((2.0, 2.0, 2.0))


def test_volumes_of_the_parts_are_plausible(phantom):
    milliliters = {label: int((phantom.labels.voxels == label).sum()) * 8e-3 for label in (2, 3, 4, 57)}
    assert 900 < milliliters[2] + milliliters[3] < 1800
    assert 10 < milliliters[4] < 80
    assert 2 < milliliters[57] < 30


def test_intensities_follow_the_tissues(phantom):
    median = {x: float(phantom.t1.voxels[phantom.labels.voxels == x].median()) for x in (2, 3, 4, 57)}
    assert median[4] < median[3] < median[2] < median[57]
    hu = {x: float(phantom.ct.voxels[phantom.labels.voxels == x].median()) for x in (0, 4, 3, 515)}
    assert hu[0] == pytest.approx(-1000, abs=20) and hu[515] > 700 and hu[4] < hu[3]


def test_labels_are_known(phantom):
    assert "freesurfer" in maps_from_labels(phantom.labels).notes[0]


def test_seed_decides(phantom):
    again, other = head_phantom(4.0, seed=1), head_phantom(4.0, seed=2)
    assert torch.equal(again.t1.voxels, head_phantom(4.0, seed=1).t1.voxels)
    assert not torch.equal(again.labels.voxels, other.labels.voxels)


@pytest.mark.parametrize("spacing", [0.0, -1.0, 10.0, float("nan")])
def test_impossible_spacing(spacing):
    with pytest.raises(DiffUSError, match="not possible"):
        head_phantom(spacing)
