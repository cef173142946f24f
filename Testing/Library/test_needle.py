"""A needle in the image: where it is seen, how bright at which angle, what lies behind it."""

import numpy as np
import pytest
import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import look_at, rigid_matrix
from DiffUSLib.rendering.needle import Needle, needle_echo
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import look
from Testing.Library.scenes import PROBES, oblique_affine, uniform_maps

POSE = look_at((0.0, 0.0, 36.0), (0.0, 0.0, 0.0))


def in_plane(tip_mm, angle_deg):
    """NeedleToRas of a tip (lateral, depth) in the image plane; the shaft rises to the marked side at an angle."""
    angle = np.radians(angle_deg)
    along = np.array([np.cos(angle), -np.sin(angle), 0.0])
    aside = np.array([0.0, 0.0, 1.0])
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = np.cross(aside, along), aside, along
    matrix[:3, 3] = [*tip_mm, 0.0]
    return POSE @ torch.from_numpy(matrix)


@pytest.fixture(scope="module")
def renderer():
    maps = uniform_maps((91, 91, 91), oblique_affine(shape=(91, 91, 91)))
    return Renderer(maps, PROBES["linear"], look("clinical", speckle=False, samples=280), "cpu")


def image_of(renderer, needle):
    return renderer.with_needle(needle)(POSE).image[0].numpy()


def test_shaft_and_tip_lie_where_the_transform_says(renderer):
    tip = (-6.0, 30.0)
    difference = image_of(renderer, Needle(in_plane(tip, 8.0), length_mm=24.0)) - image_of(renderer, None)
    to_transducer = renderer.grid.image_to_transducer().numpy()
    rows, columns = np.nonzero(difference > 0.5 * difference.max())
    lateral, depth = (to_transducer @ np.stack([columns, rows, 0 * rows, 0 * rows + 1]))[:2]
    along = np.array([np.cos(np.radians(8.0)), -np.sin(np.radians(8.0))])
    place = (lateral - tip[0]) * along[0] + (depth - tip[1]) * along[1]
    aside = -(lateral - tip[0]) * along[1] + (depth - tip[1]) * along[0]
    assert place.min() > -3.0 and place.max() < 26.0 and place.max() - place.min() > 20.0
    assert aside.min() > -2.0 and aside.max() < 12.0  # the tail lies below, nothing above


def test_a_steep_needle_is_darker_and_one_out_of_plane_is_not_seen(renderer):
    plain = image_of(renderer, None)
    added = [
        np.percentile(image_of(renderer, Needle(in_plane((-8.0, 34.0), angle), 20.0)) - plain, 99.9)
        for angle in (0, 15, 45)
    ]
    assert added[0] > added[1] > added[2] > 0
    moved = in_plane((-8.0, 34.0), 0.0)
    moved[:3, 3] += POSE[:3, 2] * 25.0
    assert np.abs(image_of(renderer, Needle(moved, 20.0)) - plain).max() < 0.01


def test_behind_the_shaft_it_is_darker_after_the_tail(renderer):
    difference = image_of(renderer, Needle(in_plane((-10.0, 20.0), 0.0), 20.0)) - image_of(renderer, None)
    to_pixel = np.linalg.inv(renderer.grid.image_to_transducer().numpy())
    column, row = (to_pixel @ [0.0, 55.0, 0.0, 1.0])[:2].round().astype(int)
    beside = (to_pixel @ [-20.0, 55.0, 0.0, 1.0])[:2].round().astype(int)
    assert difference[row, column] < -0.03 and abs(difference[beside[1], beside[0]]) < 0.01


def test_gradients_reach_the_needle_and_the_transducer():
    origins, directions = PROBES["curvilinear"].scan_lines(dtype=torch.float64)
    depth = (torch.arange(40, dtype=torch.float64) + 0.5) * 1.5
    lines = (origins[::48], directions[::48], depth, torch.full_like(depth, 1.5))
    start = in_plane((-6.0, 30.0), 20.0)

    def echo(of_needle, of_probe):
        needle = Needle(start @ rigid_matrix(of_needle[:3], of_needle[3:]), 30.0, 3.0)
        pose = POSE @ rigid_matrix(of_probe[:3], of_probe[3:])
        return needle_echo(needle, pose[None], *lines)[0].sum()

    motion = torch.tensor([0.01, 0.02, -0.01, 0.1, 0.2, 0.3], dtype=torch.float64, requires_grad=True)
    other = (-motion.detach()).requires_grad_()
    assert torch.autograd.gradcheck(echo, (motion, other), eps=1e-6, atol=1e-4)


def test_sizes_must_be_sensible():
    with pytest.raises(DiffUSError, match="above zero"):
        Needle(torch.eye(4), length_mm=0.0)
