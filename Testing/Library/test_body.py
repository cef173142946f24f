"""The patient as a whole on a coarse grid, against a ball of known size."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from DiffUSLib import DiffUSError, Volume, acoustic_maps, body_share

RADIUS_MM = 40.0


def ball_with_a_hole(spacing_mm=(1.0, 1.5, 2.0)):
    """CT: a ball of soft tissue in air with air in its middle, and a speck of tissue far from it; mixed axes."""
    shape = tuple(round(120 / mm) for mm in reversed(spacing_mm))
    matrix = np.array(
        [[0, 0, spacing_mm[2], -60], [spacing_mm[0], 0, 0, -60], [0, -spacing_mm[1], 0, 60], [0, 0, 0, 1.0]]
    )
    k, j, i = np.indices(shape)
    ras = np.stack([i, j, k, np.ones(shape)], -1) @ matrix.T
    radius = np.linalg.norm(ras[..., :3], axis=-1)
    voxels = np.where((radius < RADIUS_MM) & (radius > 12), 40.0, -1000.0)
    voxels[2:5, 2:5, 2:5] = 40.0
    return acoustic_maps(Volume(torch.from_numpy(voxels), torch.from_numpy(matrix), "ball"), "ct")


def test_volume_and_place_of_a_ball():
    share, cell_to_ras = body_share(ball_with_a_hole())
    volume = float(share.sum()) * abs(float(torch.linalg.det(cell_to_ras[:3, :3])))
    assert volume == pytest.approx(4 / 3 * np.pi * RADIUS_MM**3, rel=0.03), "the air within counts in, the speck not"
    k, j, i = np.indices(share.shape)
    cells = np.stack([i, j, k, np.ones(share.shape)], -1) @ cell_to_ras.numpy().T
    middle = (cells[..., :3] * share.numpy()[..., None]).sum((0, 1, 2)) / float(share.sum())
    assert middle == pytest.approx([0, 0, 0], abs=0.6)
    assert not share[[0, -1]].any()
    assert not share[:, [0, -1]].any()
    assert not share[:, :, [0, -1]].any()


def test_air_is_no_patient():
    maps = ball_with_a_hole()
    with pytest.raises(DiffUSError, match="no tissue"):
        body_share(replace(maps, echogenicity=torch.zeros_like(maps.echogenicity)))
