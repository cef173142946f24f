"""The commands register and evaluate: what they refuse, and whole runs on simulated ultrasound."""

import argparse
import json

import numpy as np
import pytest
import torch

from DiffUSLib.cli import evaluate, register
from DiffUSLib.errors import DiffUSError
from DiffUSLib.io import read_transform, write_tracked_frames, write_transform

pytestmark = pytest.mark.filterwarnings("ignore:.*have no valid transform")


def parsed(*words):
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    register.add_parser(commands)
    evaluate.add_parser(commands)
    return parser.parse_args([str(word) for word in words])


def run(*words):
    arguments = parsed(*words)
    arguments.run(arguments)


@pytest.fixture
def sweep(tmp_path):
    """Four frames of a linear probe; the third has no valid tracking, the pixels are 0.4 x 0.5 mm."""
    rng = np.random.default_rng(0)
    images = np.zeros((4, 100, 120), dtype=np.uint8)
    images[:, 10:90, 20:100] = rng.integers(1, 255, (4, 80, 80))
    matrices = np.tile(np.diag([0.4, 0.5, 0.4, 1.0]), (4, 1, 1))
    matrices[:, :3, 3] = [-24, -40, 0]
    matrices[:, 2, 3] = np.arange(4)
    path = tmp_path / "sweep.igs.mha"
    statuses = {"ImageToReference": torch.tensor([True, True, False, True])}
    write_tracked_frames(path, images, {"ImageToReference": torch.from_numpy(matrices)}, statuses=statuses)
    return path, images, matrices


def slices_of(path, **options):
    return register.make_slices(register.read_tracked_frames(path), **options)


def test_valid_frames_become_slices_in_their_place(sweep, capsys):
    path, _, matrices = sweep
    slices, used = slices_of(path)
    assert used == [0, 1, 3]
    assert "1 of 4 frames" in capsys.readouterr().err
    assert slices.probe.kind == "linear"
    # The middle of the face: columns 20 to 99, above row 10.
    expected = matrices[1] @ [59.5, 9.5, 0, 1]
    assert slices.transducer_to_ras[1, :, 3].tolist() == pytest.approx(expected.tolist(), abs=0.4)
    assert slices.transducer_to_ras[1, :3, 1].tolist() == pytest.approx([0, 1, 0], abs=0.01)


def test_initial_transform_moves_the_frames(sweep, tmp_path):
    shift = torch.eye(4, dtype=torch.float64)
    shift[:3, 3] = torch.tensor([5.0, 6.0, 7.0])
    write_transform(tmp_path / "initial.tfm", shift)
    plain, _ = slices_of(sweep[0])
    moved, _ = slices_of(sweep[0], initial=tmp_path / "initial.tfm")
    assert moved.transducer_to_ras.numpy() == pytest.approx((shift @ plain.transducer_to_ras).numpy())


@pytest.mark.parametrize(
    ("frames", "message"), [([0, 9], "no frame 9"), ([-1], "no frame -1"), ([0, 2], "frame 2 .* no valid tracking")]
)
def test_wrong_frames_are_refused(sweep, frames, message):
    with pytest.raises(DiffUSError, match=message):
        slices_of(sweep[0], frames=frames)


def test_initial_transform_must_be_rigid(sweep, tmp_path):
    write_transform(tmp_path / "initial.tfm", torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0])))
    with pytest.raises(DiffUSError, match="not rigid"):
        slices_of(sweep[0], initial=tmp_path / "initial.tfm")


def test_nothing_is_written_when_input_is_wrong(sweep, tmp_path):
    volume = tmp_path / "absent.nii.gz"
    with pytest.raises(DiffUSError, match="does not exist"):
        run("register", volume, sweep[0], "-o", tmp_path / "out.tfm", "--report", tmp_path / "report.json")
    with pytest.raises(DiffUSError, match="folder"):
        run("register", volume, sweep[0], "-o", tmp_path / "nowhere" / "out.tfm")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sweep.igs.mha"]


def test_evaluate_refuses_wrong_choices(tmp_path):
    pytest.importorskip("nilearn")
    for words, message in (
        (("--tiers", "T9"), "T9 is unknown"),
        (("--slices", "two"), "whole numbers"),
        (("--poses", "-1"), "at least 1"),
    ):
        with pytest.raises(DiffUSError, match=message):
            run("evaluate", "-o", tmp_path / "evaluation", *words)
    assert not (tmp_path / "evaluation").exists()


@pytest.fixture(scope="module")
def simulated():
    pytest.importorskip("nilearn")
    from Testing.Simulator import cases

    return cases, cases.make_case(203, 3, "T2")


@pytest.mark.slow
def test_a_simulated_sweep_is_put_right(simulated, shared_data, tmp_path):
    """Ultrasound of other physics, the MNI152 T1, an error of 6 mm: the files hold the correction and the verdict."""
    cases, case = simulated
    center = (case.true @ [0, 44.0, 0, 1])[:, :3].mean(0)
    center = cases.rigid(center, np.zeros(3))
    error = center @ cases.rigid(np.array([3.5, -3.0, 2.5]), np.array([0.05, -0.06, 0.04])) @ np.linalg.inv(center)
    write_transform(tmp_path / "initial.tfm", torch.from_numpy(error))
    matrices = torch.from_numpy(case.tracked @ case.image_to_transducer)
    write_tracked_frames(tmp_path / "sweep.igs.mha", case.images, {"ImageToReference": matrices})
    run(
        "register", shared_data / "mni_icbm152_t1.nii.gz", tmp_path / "sweep.igs.mha",
        "--initial", tmp_path / "initial.tfm", "-o", tmp_path / "correction.tfm",
        "--report", tmp_path / "report.json", "--picture", tmp_path / "picture.png",
    )  # fmt: skip
    correction = read_transform(tmp_path / "correction.tfm").numpy()
    before, after = (cases.target_error(matrix, case).mean() for matrix in (error, correction @ error))
    assert after < 1.5 < before
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["verdict"] == "accept"
    assert report["correction_ras"] == pytest.approx(correction, abs=1e-6)
    assert report["frames_used"] == [0, 1, 2]
    assert len(report["uncertainty_mm"]) == 3 and report["score_final"] > report["score_initial"]
    assert (tmp_path / "picture.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_evaluate_writes_its_tables(tmp_path, capsys):
    pytest.importorskip("nilearn")
    folder = tmp_path / "evaluation"
    run("evaluate", "--tiers", "T2,T5", "--slices", "1", "--poses", "1", "-o", folder)
    assert capsys.readouterr().out.count("DiffUS quick") == 2
    assert sorted(path.name for path in folder.iterdir()) == [
        "bins.csv", "cases.csv", "errors.png", "summary.csv", "summary.md",
    ]  # fmt: skip
    rows = (folder / "cases.csv").read_text().splitlines()
    assert len(rows) == 3
    header, first = rows[0].split(","), rows[1].split(",")
    assert float(first[header.index("initial_mm")]) > 0.1
