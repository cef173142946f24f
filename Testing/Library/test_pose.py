"""Poses and motions of the transducer."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import assume, given
from scipy.spatial.transform import Rotation

from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import MOTIONS, check_rigid, look_at, move, rigid_matrix, rotation_matrix

points = st.tuples(*[st.floats(-200, 200)] * 3)


@given(entry=points, target=points, roll=st.floats(-360, 360))
def test_the_transducer_sits_at_the_entry_and_looks_at_the_target(entry, target, roll):
    entry, target = np.array(entry), np.array(target)
    distance = np.linalg.norm(target - entry)
    assume(distance > 1e-3)
    pose = look_at(entry, target, roll)
    check_rigid(pose)
    np.testing.assert_allclose(pose.numpy() @ [0, 0, 0, 1], [*entry, 1], atol=1e-9)
    np.testing.assert_allclose(pose.numpy() @ [0, distance, 0, 1], [*target, 1], atol=1e-6)


def test_the_marked_side_points_to_the_patients_right_or_front():
    np.testing.assert_allclose(look_at((0, 0, 90), (0, 0, 0))[:3, 0], (1, 0, 0), atol=1e-12)
    np.testing.assert_allclose(look_at((90, 0, 0), (0, 0, 0))[:3, 0], (0, 1, 0), atol=1e-12)


def test_gradients_reach_entry_and_target():
    entry = torch.tensor([10.0, -20.0, 70.0], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([3.0, 8.0, 1.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *points: look_at(*points, roll_deg=25.0), (entry, target))


def test_roll_turns_right_handed_about_the_viewing_direction():
    plain, rolled = look_at((0, 0, 90), (0, 0, 0)), look_at((0, 0, 90), (0, 0, 0), roll_deg=90)
    np.testing.assert_allclose(rolled[:3, 0], -plain[:3, 2], atol=1e-12)


@pytest.mark.parametrize(
    "motion,moved_point",
    [
        ("pan", (5, 10, 0)),
        ("push", (0, 15, 0)),
        ("slide", (0, 10, 5)),
        ("tilt", (0, 10 * np.cos(np.radians(5)), 10 * np.sin(np.radians(5)))),
        ("rotate", (0, 10, 0)),
        ("rock", (-10 * np.sin(np.radians(5)), 10 * np.cos(np.radians(5)), 0)),
    ],
)
def test_motions_happen_in_the_probes_own_frame(motion, moved_point):
    # Where does the point 10 mm below the face go, seen in the frame before the motion?
    pose = look_at((10, 20, 80), (0, 0, 0), 30)
    step = torch.linalg.inv(pose) @ move(pose, **{motion: 5.0})
    np.testing.assert_allclose((step.numpy() @ [0, 10, 0, 1])[:3], moved_point, atol=1e-12)


@given(vector=st.tuples(*[st.floats(-3, 3)] * 3))
def test_rotations_agree_with_scipy(vector):
    expected = Rotation.from_rotvec(vector).as_matrix()
    np.testing.assert_allclose(rotation_matrix(torch.tensor(vector, dtype=torch.float64)), expected, atol=1e-12)


def test_rotations_are_differentiable_at_zero():
    zero = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda vector: rigid_matrix(vector, vector), zero)


@pytest.mark.parametrize(
    "matrix,words",
    [
        (torch.diag(torch.tensor([2.0, 1.0, 1.0, 1.0])), "2.000"),
        (torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0])), "mirrors"),
        (torch.eye(4) + torch.tensor([[0, 0.5, 0, 0], *[[0] * 4] * 3]), "not rigid"),
        (torch.full((4, 4), float("nan")), "finite"),
        (torch.eye(3), "4 x 4"),
        (torch.ones(4, 4), "0 0 0 1"),
    ],
)
def test_matrices_that_are_not_rigid_are_refused(matrix, words):
    with pytest.raises(DiffUSError, match=words):
        check_rigid(matrix)


def test_bad_points_and_motions_are_refused():
    with pytest.raises(DiffUSError, match="same point"):
        look_at((1, 2, 3), (1, 2, 3))
    with pytest.raises(DiffUSError, match="finite"):
        look_at((1, 2, float("nan")), (1, 2, 3))
    with pytest.raises(DiffUSError, match=next(iter(MOTIONS))):
        move(torch.eye(4), fly=1.0)
