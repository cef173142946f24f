"""What people compare: overlays, the picked frames, and planes of a volume."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io import to_gray
from DiffUSLib.probes.probe import Probe
from DiffUSLib.registration import (
    SliceComparison,
    UltrasoundSlices,
    overlay,
    slices_from_volume,
    spread_frames,
)
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import look
from Testing.Library.scenes import blobs


@pytest.fixture(scope="module")
def pair():
    """Ultrasound, rendered image of other brightness and contrast, and a mask that leaves out the left half."""
    random = np.random.default_rng(0)
    ultrasound, rendered = 0.3 + 0.1 * random.random((48, 60)), 0.6 * random.random((48, 60))
    return ultrasound, rendered, np.indices((48, 60))[1] >= 30


def test_blend_ends_at_either_image(pair):
    ultrasound, rendered, mask = pair
    assert np.array_equal(overlay(*pair, "blend", 0.0), ultrasound)
    shown = overlay(*pair, "blend", 1.0)
    assert np.corrcoef(shown[mask], rendered[mask])[0, 1] == pytest.approx(1)
    assert shown[mask].mean() == pytest.approx(ultrasound[mask].mean())
    assert shown[mask].std() == pytest.approx(ultrasound[mask].std())


def test_checkerboard_takes_turns(pair):
    ultrasound = pair[0]
    shown, whole = overlay(*pair, "checkerboard"), overlay(*pair, "blend", 1.0)
    fields = (np.indices(shown.shape)[0] // 4 + np.indices(shown.shape)[1] // 5) % 2
    assert np.array_equal(shown[fields == 0], ultrasound[fields == 0])
    assert np.array_equal(shown[fields == 1], whole[fields == 1])


def test_side_by_side_has_the_ultrasound_at_the_left(pair):
    shown = overlay(*pair, "side_by_side")
    assert np.array_equal(shown[:, :60], pair[0])
    assert np.array_equal(shown[:, 60:], overlay(*pair, "blend", 1.0))
    with pytest.raises(DiffUSError, match="checkerboard"):
        overlay(*pair, "stripes")


def test_the_rendered_image_lies_over_the_ultrasound_where_the_correction_and_its_size_are_right():
    """Ultrasound rendered at a known place, told wrongly moved and with pixels 4 % too small."""
    maps = blobs()[1]
    probe = Probe("test", "curvilinear", 50.0, 4.0, field_of_view_deg=60.0, radius_mm=10.0)
    pose, error = torch.eye(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)
    pose[1, 3], error[:3, 3] = -25.0, torch.tensor([5.0, -3.0, 4.0])
    settings = look("clinical", speckle=False, near_field=False, width_px=200, height_px=200)
    renderer = Renderer(maps, probe, settings, device="cpu")
    shown = renderer(pose)
    shrunk = np.diag([1 / 1.04] * 3 + [1]) @ renderer.grid.image_to_transducer().numpy()
    small = replace(probe, depth_mm=50 / 1.04, radius_mm=10 / 1.04)
    slices = UltrasoundSlices(shown.image.numpy(), shown.mask.numpy(), shrunk, (error @ pose)[None], small)
    comparison = SliceComparison(slices, maps, 0, size_px=150, device="cpu")
    right = torch.linalg.inv(error)
    before, found = comparison.before_and_after(SimpleNamespace(correction_ras=right, image_scale=1.04))
    tracked, shifted = comparison.rendered(torch.stack([torch.eye(4), right]))

    def agreement(image):
        return np.corrcoef(image[comparison.mask], comparison.ultrasound[comparison.mask])[0, 1]

    assert np.array_equal(before, tracked)
    assert agreement(found) > 0.98 > 0.95 > agreement(shifted) > agreement(before)


@pytest.mark.parametrize(
    "count, wanted, including, expected",
    [(3, 7, None, [0, 1, 2]), (101, 3, None, [0, 50, 100]), (101, 3, 40, [0, 40, 100]), (101, 3, 50, [0, 50, 100])],
)
def test_frames_are_spread_and_include_the_one_wanted(count, wanted, including, expected):
    assert spread_frames(count, wanted, including) == expected


def test_colors_become_their_luma():
    colors = np.array([[[255, 0, 0], [0, 255, 0], [9, 9, 9]]], np.uint8)
    assert to_gray(colors).tolist() == [[76, 150, 9]]  # ITU-R BT.601
    gray = np.array([[1, 2]], np.uint8)
    assert to_gray(gray) is gray


def test_a_plane_is_cut_where_it_lies():
    """Voxels that are linear in RAS are read back at the pixels' own places, on any plane."""
    index = np.stack(np.meshgrid(*(np.arange(40),) * 3, indexing="ij"))[::-1]
    matrix = np.diag([1.5, 1.2, 1.0, 1.0])
    matrix[:3, 3] = (-30, -20, 10)
    ras = np.tensordot(matrix[:3, :3], index, 1) + matrix[:3, 3, None, None, None]
    slope = np.array([1.0, 2.0, -1.5])
    volume = Volume(torch.from_numpy(np.tensordot(slope, ras, 1) + 500).float(), torch.from_numpy(matrix))
    plane = np.eye(4)
    plane[:3, 0] = np.array([1, 1, 0]) / np.sqrt(2)
    plane[:3, 1] = np.array([-1, 1, 1]) / np.sqrt(3)
    plane[:3, 2] = np.cross(plane[:3, 0], plane[:3, 1])
    plane[:3, 3] = (300 * plane[:3, 0]) + (0, 4, 30)  # far along the plane: its origin does not matter
    slices = slices_from_volume(volume, planes_to_ras=plane[None])
    assert slices.images.shape[0] == 1
    rows, columns = np.nonzero(slices.mask[0])
    assert len(rows) > 1000
    pixels = np.stack([columns, rows, 0 * rows, 0 * rows + 1])
    places = (slices.transducer_to_ras[0].numpy() @ slices.image_to_transducer @ pixels)[:3]
    assert slices.images[0][rows, columns] == pytest.approx(slope @ places + 500, abs=0.01)
    assert np.abs(plane[:3, 2] @ (places - plane[:3, 3:])).max() < 1e-6
    plane[:3, 3] += 200 * plane[:3, 2]
    with pytest.raises(DiffUSError, match="does not meet"):
        slices_from_volume(volume, planes_to_ras=plane[None])
