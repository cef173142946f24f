"""Starts of an alignment from landmarks; what is found along; two sweeps that must agree."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io.points import point_pairs, read_points
from DiffUSLib.registration import ProbePath, compare_sweeps, start_from_landmarks
from DiffUSLib.registration.alignment import RegistrationResult
from DiffUSLib.registration.calibration import CalibrationObjective, calibrate
from Testing.Library.test_registration import finish, objective_of, scene, slices_of  # noqa: F401 (a fixture)


def markups(points, labels, system="LPS"):
    """A Markups file as Slicer 5 writes it."""
    controls = [
        {"id": str(n + 1), "label": label, "position": list(point), "positionStatus": "defined"}
        for n, (label, point) in enumerate(zip(labels, points, strict=True))
    ]
    controls.append({"id": "99", "label": "F-99", "position": [0.0, 0.0, 0.0], "positionStatus": "undefined"})
    return json.dumps({"markups": [{"type": "Fiducial", "coordinateSystem": system, "controlPoints": controls}]})


FCSV = """# Markups fiducial file version = 4.11
# CoordinateSystem = LPS
# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID
1,-1.5,2,3,0,0,0,1,1,1,0,"tip, left",,
2,4,-5,6e0,0,0,0,1,1,1,0,falx,,
"""


def test_point_lists_are_read_in_ras(tmp_path):
    (tmp_path / "a.mrk.json").write_text(markups([[-1.5, 2, 3], [4, -5, 6]], ["tip, left", "falx"]))
    (tmp_path / "b.fcsv").write_text(FCSV)
    (tmp_path / "c.fcsv").write_text(FCSV.replace("CoordinateSystem = LPS", "CoordinateSystem = 0"))
    first, second, third = (read_points(tmp_path / name) for name in ("a.mrk.json", "b.fcsv", "c.fcsv"))
    assert first.labels == second.labels == ("tip, left", "falx")
    assert first.points_ras_mm.tolist() == second.points_ras_mm.tolist() == [[1.5, -2, 3], [-4, 5, 6]]
    assert third.points_ras_mm.tolist() == [[-1.5, 2, 3], [4, -5, 6]]


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"markups": [{"controlPoints": [{"position": [1, 2]}]}]}', "1,2"])
def test_other_files_are_refused_in_one_sentence(text, tmp_path):
    for name in ("points.mrk.json", "points.fcsv"):
        (tmp_path / name).write_text(text)
        with pytest.raises(DiffUSError, match=r"point list|no placed points"):
            read_points(tmp_path / name)


def test_points_pair_by_label_else_by_order(tmp_path):
    first, second, third = tmp_path / "a.mrk.json", tmp_path / "b.mrk.json", tmp_path / "c.mrk.json"
    first.write_text(markups([[1, 0, 0], [2, 0, 0]], ["A", "B"], "RAS"))
    second.write_text(markups([[20, 0, 0], [10, 0, 0]], ["B", "A"], "RAS"))
    third.write_text(markups([[30, 0, 0], [40, 0, 0], [5, 0, 0]], ["F-1", "F-2", "F-3"], "RAS"))
    assert point_pairs(read_points(first), read_points(second))[1][:, 0].tolist() == [10, 20]
    with pytest.raises(DiffUSError, match="2 and 3 points"):
        point_pairs(read_points(first), read_points(third))


def test_landmarks_give_the_rigid_fit():
    """Against SciPy's own solution of the same problem, with noise, and not a reflection."""
    rng = np.random.default_rng(0)
    moving, turn = rng.normal(size=(5, 3)) * 30, Rotation.from_rotvec([0.3, -1.2, 2.0])
    fixed = turn.apply(moving) + np.array([10, -20, 5]) + rng.normal(size=(5, 3))
    start = start_from_landmarks(moving, fixed)
    best, rssd = Rotation.align_vectors(fixed - fixed.mean(0), moving - moving.mean(0))
    assert start.correction_ras[:3, :3].numpy() == pytest.approx(best.as_matrix(), abs=1e-6)
    assert start.rms_mm == pytest.approx(rssd / np.sqrt(5), rel=1e-6)
    flat = moving * [1, 1, 0]
    assert float(torch.linalg.det(start_from_landmarks(flat, flat * [1, -1, 1]).correction_ras[:3, :3])) > 0
    with pytest.raises(DiffUSError, match="at least 3"):
        start_from_landmarks(moving[:2], fixed[:2])
    with pytest.raises(DiffUSError, match="on one line"):
        start_from_landmarks(moving[:1] * [[1], [2], [3]], fixed[:3])


def result(correction, verdict):
    fields = dict.fromkeys(RegistrationResult.__dataclass_fields__)
    return RegistrationResult(**(fields | {"correction_ras": correction, "verdict": verdict}))


@pytest.mark.parametrize(
    ("shift", "verdicts", "expected"),
    [
        (1.0, ("check", "accept"), "accept"),
        (1.0, ("reject", "accept"), "check"),
        (1.0, ("reject", "reject"), "reject"),
        (4.5, ("accept", "accept"), "check"),
        (9.0, ("accept", "accept"), "reject"),
    ],
)
def test_a_second_sweep_confirms_or_contradicts(scene, shift, verdicts, expected):  # noqa: F811
    moved = torch.eye(4, dtype=torch.float64)
    moved[0, 3] = shift
    first = result(torch.eye(4, dtype=torch.float64), verdicts[0])
    agreement = compare_sweeps(first, result(moved, verdicts[1]), scene[2])
    assert agreement.distance_mm == pytest.approx(shift) and agreement.verdict == expected


def sweep_path(late_s, count=9):
    """A probe that moves to and fro over the scene of `test_registration`, and the slices' poses as told too late."""
    times = np.linspace(0, 6, 121)
    place = np.stack([6 * np.sin(times), 4 * np.cos(0.7 * times), 5 * np.sin(1.3 * times + 1)], axis=1)
    turns = Rotation.from_rotvec(np.stack([0.5 * np.sin(0.9 * times), 0.6 * np.cos(1.1 * times), 0 * times], axis=1))
    poses = np.tile(np.eye(4), (121, 1, 1))
    poses[:, :3, :3] = turns.as_matrix()
    poses[:, :3, 3] = place - turns.apply([0, 25, 0])
    at = np.linspace(15, 105, count).round().astype(int)
    true = poses[at - round(late_s / (times[1] - times[0]))]
    return ProbePath(times, poses, times[at]), true, poses[at]


def test_latency_is_found_from_a_path_with_turns(scene):  # noqa: F811
    volume, maps, _ = scene
    path, true, told = sweep_path(0.2)
    slices = replace(slices_of(volume, true), transducer_to_ras=torch.from_numpy(told))
    objective = objective_of((volume, maps, slices), 9)
    run = calibrate(CalibrationObjective(objective, path, 25.0), torch.zeros(7), {"latency"}, scale_free=False)
    found, _ = finish(run)
    (latency,) = found.parameters
    assert latency.value == pytest.approx(0.2, abs=0.03) and latency.determined
    assert found.gain > 5
    assert (found.correction_ras @ found.tracked)[:, :3, 3].numpy() == pytest.approx(true[:, :3, 3], abs=1.0)


def test_a_still_path_tells_no_latency(scene):  # noqa: F811
    path, _, _ = sweep_path(0.0)
    still = ProbePath(path.times_s, np.repeat(path.transducer_to_ras[:1], 121, axis=0), path.slice_times_s[:2])
    objective = objective_of(scene, 2)
    run = calibrate(CalibrationObjective(objective, still, 25.0), torch.zeros(7), {"latency"}, scale_free=False)
    found, _ = finish(run)
    assert not found.parameters[0].determined


def test_paths_without_times_are_refused():
    with pytest.raises(DiffUSError, match="increasing times"):
        ProbePath(np.array([0.0, np.nan, 2]), np.tile(np.eye(4), (3, 1, 1)), np.array([1.0]))
