"""`diffus register` from a place that only landmarks tell, with a second sweep and a latency found along."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation

from DiffUSLib.cli import register
from DiffUSLib.io import read_transform, write_tracked_frames
from Testing.Library.scenes import blobs
from Testing.Library.test_cli_register import run
from Testing.Library.test_registration import poses
from Testing.Library.test_registration_starts import markups


def shown(hu, transducer_to_ras):
    """Images (S, 110, 130) of a linear probe that show the edges of a CT, and their ImageToRas matrices."""
    rng = np.random.default_rng(2)
    bright = 40 + hu / 4 + 3 * ndimage.gaussian_gradient_magnitude(hu, 1)
    image_to_transducer = np.diag([0.5, 0.5, 0.5, 1.0])
    image_to_transducer[:2, 3] = (-32.0, -2.0)
    row, column = np.mgrid[:110, :130]
    inside = (np.abs(column * 0.5 - 32) < 24) & (row > 4) & (row < 104)
    images = []
    for pose in transducer_to_ras:
        pixels = np.stack([column, row, 0 * row, 0 * row + 1], -1) @ (pose @ image_to_transducer).T
        index = np.moveaxis((pixels[..., :3] + (len(hu) - 1) / 2)[..., ::-1], -1, 0)
        image = ndimage.map_coordinates(bright, index, order=1) + 8 * rng.normal(size=row.shape)
        images.append(np.where(inside, image.clip(1, 255), 0))
    return np.stack(images).astype(np.uint8), transducer_to_ras @ image_to_transducer


@pytest.mark.slow
def test_landmarks_bring_a_sweep_from_anywhere(tmp_path):
    hu = blobs()[0].voxels.numpy() * 1.6 - 60
    image = sitk.GetImageFromArray(hu.astype(np.float32))
    image.SetOrigin([(len(hu) - 1) / 2] * 2 + [-(len(hu) - 1) / 2])
    image.SetDirection([-1, 0, 0, 0, -1, 0, 0, 0, 1])
    sitk.WriteImage(image, str(tmp_path / "ct.nrrd"))
    away = np.eye(4)
    away[:3, :3] = Rotation.from_rotvec([0.4, 1.9, -0.8]).as_matrix()
    away[:3, 3] = [300, -80, 50]
    for name, count in (("first", 3), ("second", 4)):
        images, matrices = shown(hu, poses(count))
        write_tracked_frames(
            tmp_path / f"{name}.igs.mha", images, {"ImageToReference": torch.from_numpy(away @ matrices)}
        )
    points = np.array([[10.0, 5, -8], [-12, 3, 9], [4, -14, 2], [-3, 8, -11]])
    picked = points + np.random.default_rng(0).normal(size=points.shape)
    labels = ["A", "B", "C", "D"]
    (tmp_path / "volume.mrk.json").write_text(markups(picked, labels, "RAS"))
    there = points @ away[:3, :3].T + away[:3, 3]
    (tmp_path / "us.mrk.json").write_text(markups(there[::-1], labels[::-1], "RAS"))
    run(
        "register", tmp_path / "ct.nrrd", tmp_path / "first.igs.mha", "--modality", "ct", "--start", "landmarks",
        tmp_path / "us.mrk.json", tmp_path / "volume.mrk.json", "--check-against", tmp_path / "second.igs.mha",
        "-o", tmp_path / "correction.tfm", "--report", tmp_path / "report.json", "--calibrate", "rotation",
    )  # fmt: skip
    correction = read_transform(tmp_path / "correction.tfm").numpy()
    left = (correction @ away)[:3, :3] @ points.T + (correction @ away)[:3, 3:] - points.T
    assert np.linalg.norm(left, axis=0).mean() < 1.0
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["start"]["landmarks"] == 4 and 0.2 < report["start"]["rms_mm"] < 2.5
    assert report["second_sweep"]["distance_mm"] < 2.0
    assert report["volume"]["modality"] == "ct" and 0 <= report["confidence"] <= 1
    assert [row["name"] for row in report["calibration"]] == ["scale", "rotation X", "rotation Y", "rotation Z"]
    assert max(abs(row["value"]) for row in report["calibration"][1:]) < 2.5
    assert report["displacement_mm"] > 200  # told from where the tracking had it


def test_the_path_of_the_probe_holds_the_slices(tmp_path):
    """The poses of the path at the slices' frames are those of the slices, moved by the start."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec([0.3, 0.2, -0.5]).as_matrix()
    images, matrices = shown(blobs()[0].voxels.numpy(), poses(5))
    write_tracked_frames(tmp_path / "sweep.igs.mha", images, {"ImageToReference": torch.from_numpy(matrices)})
    tracked = register.read_tracked_frames(tmp_path / "sweep.igs.mha")
    placed = register.place(tracked)
    slices, used = register.make_slices(tracked, placed, [0, 2, 3])
    path = register.probe_path(tracked, placed, used, slices, torch.from_numpy(turn))
    assert len(path.times_s) == 5
    expected = turn @ slices.transducer_to_ras.numpy()
    assert path.transducer_to_ras[[0, 2, 3]] == pytest.approx(expected, abs=1e-3)
    assert path.slice_times_s.tolist() == path.times_s[[0, 2, 3]].tolist()
