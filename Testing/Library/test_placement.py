"""The transducer finds the surface of the patient."""

import numpy as np
import pytest
import torch

from DiffUSLib.acoustics import AcousticMaps, tissue
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import check_rigid, look_at, move
from DiffUSLib.probes.craniotomy import open_craniotomy
from DiffUSLib.probes.placement import default_pose, snap_to_surface
from Testing.Library.scenes import oblique_affine, voxel_positions_ras


def ball(radius_mm, skull=None, scale=1.0, angles=(10, 20, -30), center=(12.0, -7.0, 30.0)):
    """A ball of brain in water, with a shell of bone between the radii `skull` if given."""
    shape = (100, 100, 100)
    affine = oblique_affine((2.0 * scale,) * 3, angles, center, shape)
    distance = torch.from_numpy(np.linalg.norm(voxel_positions_ras(affine, shape) - np.asarray(center), axis=-1))
    grids = []
    for field in ("impedance_mrayl", "attenuation_db_cm_mhz", "echogenicity"):
        grid = torch.full(distance.shape, getattr(tissue("water"), field))
        grid[distance < radius_mm] = getattr(tissue("white matter"), field)
        if skull:
            grid[(distance > skull[0]) & (distance < skull[1])] = getattr(tissue("cortical bone"), field)
        grids.append(grid)
    return AcousticMaps(*grids, affine, tissue("water"), "labels"), np.asarray(center)


@pytest.mark.parametrize("start_mm", [-40.0, 0.0, 30.0])
def test_the_face_comes_to_rest_on_the_surface(start_mm):
    maps, center = ball(60.0)
    pose = move(look_at(center + np.array([0.0, 30.0, 52.0]), center), push=start_mm)
    snapped = snap_to_surface(maps, pose)
    check_rigid(snapped)
    assert np.linalg.norm(snapped[:3, 3].numpy() - center) == pytest.approx(60.0, abs=1.0)
    np.testing.assert_allclose(snapped[:3, :3], pose[:3, :3])


def test_beneath_bone_the_face_rests_below_the_near_side_of_the_skull():
    maps, center = ball(80.0, skull=(66.0, 74.0))
    pose = look_at(center + np.array([0.0, 0.0, 100.0]), center)
    on_skin, on_brain = (
        snap_to_surface(maps, pose, search_mm=300.0, beneath_bone=below)[:3, 3].numpy() for below in (False, True)
    )  # the search reaches the far side of the skull too
    assert np.linalg.norm(on_skin - center) == pytest.approx(80.0, abs=1.0)
    assert np.linalg.norm(on_brain - center) == pytest.approx(66.0, abs=2.0)


def test_a_craniotomy_opens_scalp_and_skull_down_to_the_dura():
    maps, center = ball(80.0, skull=(66.0, 74.0))
    pose = look_at(center + np.array([20.0, 10.0, 100.0]), center)
    opened = open_craniotomy(maps, pose, radius_mm=20.0)
    face = snap_to_surface(opened, pose)[:3, 3].numpy()
    assert np.linalg.norm(face - center) == pytest.approx(66.0, abs=2.5)  # on what was below the bone
    changed = (opened.impedance != maps.impedance).nonzero().flip(1).double()
    places = changed @ maps.ijk_to_ras[:3, :3].T + maps.ijk_to_ras[:3, 3]
    along = (places - torch.from_numpy(center)) @ -pose[:3, 1]
    distance = torch.linalg.norm(places - torch.from_numpy(center), dim=-1)
    assert float((distance**2 - along**2).clamp_min(0).sqrt().max()) < 20.5  # only within the window
    assert float(along.min()) > 0  # and on the near side
    assert float(distance.min()) > 61.0  # and nothing of the brain
    within = (distance < 78) & (distance > 67)
    assert int(within.sum()) > 1000
    with pytest.raises(DiffUSError, match="nothing to open"):
        open_craniotomy(opened, pose, radius_mm=10.0)


def test_looking_past_the_patient_is_told():
    maps, center = ball(40.0)
    with pytest.raises(DiffUSError, match="does not look at the patient"):
        snap_to_surface(maps, look_at(center + np.array([90.0, 0.0, 0.0]), center + np.array([90.0, 50.0, 0.0])))


def test_a_head_is_seen_from_above_and_a_body_from_the_front():
    head, center = ball(80.0)
    pose = default_pose(head)
    assert np.linalg.norm(pose[:3, 3].numpy() - center) == pytest.approx(80.0, abs=1.5)
    assert float(pose[2, 1]) < -0.8  # looks down
    assert float(pose[0, 3]) > center[0] + 20  # from the right, beside the midline and its falx
    body, center = ball(150.0, scale=2.0)
    pose = default_pose(body)
    assert np.linalg.norm(pose[:3, 3].numpy() - center) == pytest.approx(150.0, abs=3.0)
    np.testing.assert_allclose(pose[:3, 1], (0, -1, 0), atol=0.02)


def test_a_volume_without_tissue_is_told():
    maps, _ = ball(0.0)
    with pytest.raises(DiffUSError, match="no tissue"):
        default_pose(maps)
