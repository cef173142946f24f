"""The command line from the outside: what it writes, and what it says when something is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import torch
from PIL import Image

from DiffUSLib.cli import main
from DiffUSLib.cli.sweep import sweep_poses
from DiffUSLib.geometry.pose import look_at
from DiffUSLib.io import read_tracked_frames, write_transform
from DiffUSLib.probes.probe import load_probe, probe_names
from Testing.Library.scenes import oblique_affine, voxel_positions_ras

ROOT = Path(__file__).resolve().parents[2]
ENTRY, TARGET = "0,0,38", "0,0,0"


@pytest.fixture(scope="module")
def labels_file(tmp_path_factory):
    """A brain of FreeSurfer labels: gray matter (3) around white matter (251, callosum) around a ventricle (4)."""
    shape = (80, 80, 80)
    distance = np.linalg.norm(voxel_positions_ras(oblique_affine(shape=shape), shape), axis=-1)
    labels = np.select([distance < 8, distance < 30, distance < 36], [4, 251, 3], 0).astype(np.uint8)
    image = sitk.GetImageFromArray(labels)
    image.SetOrigin((39.5, 39.5, -39.5))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    path = tmp_path_factory.mktemp("volume") / "labels.nrrd"
    sitk.WriteImage(image, str(path))
    return str(path)


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_render_writes_an_image_that_lands_on_the_volume(labels_file, tmp_path, capsys):
    out = tmp_path / "image.nrrd"
    assert run("render", labels_file, "-o", out, "--entry", ENTRY, "--target", TARGET, "--without", "speckle") == 0
    assert "taken for label map" in capsys.readouterr().out
    image = sitk.ReadImage(str(out))
    assert image.GetSize() == (512, 512, 1)
    values = sitk.GetArrayFromImage(image)[0]

    def gray(*ras):
        column, row, _ = image.TransformPhysicalPointToIndex((-ras[0], -ras[1], ras[2]))
        return int(values[row, column])

    assert gray(0, 0, 0) < 10  # the ventricle is black
    assert 30 < gray(0, 0, 20) < 150  # white matter is not
    assert gray(0, 0, -50) == 0  # below the fan


def test_a_pose_file_gives_the_same_image_as_its_points(labels_file, tmp_path):
    pose_file = tmp_path / "pose.tfm"
    write_transform(pose_file, look_at((3, -2, 38), (0, 5, 0), 20))
    assert run("render", labels_file, "-o", tmp_path / "a.png", "--pose", pose_file) == 0
    points = ("--entry", "3,-2,38", "--target", "0,5,0", "--roll", 20)
    assert run("render", labels_file, "-o", tmp_path / "b.png", *points) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_without_a_pose_the_transducer_stands_on_the_surface(labels_file, tmp_path, capsys):
    assert run("render", labels_file, "-o", tmp_path / "a.png") == 0
    assert "stands on the surface" in capsys.readouterr().out
    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.png")))
    assert pixels.mean() > 10


def test_options_reach_the_renderer(labels_file, tmp_path):
    common = ("render", labels_file, "--entry", ENTRY, "--target", TARGET, "-o")
    images = {}
    for name, options in {
        "plain": (),
        "seed": ("--seed", 1),
        "gain": ("--gain", 10),
        "look": ("--look", "paper"),
        "model": ("--propagation", "reverberation"),
        "depth": ("--depth", 40),
        "frequency": ("--frequency", 3),
        "probe": ("--probe", "linear_high_frequency"),
        "range": ("--dynamic-range", 40),
        "planes": ("--beam-planes", 3),
        "stage": ("--without", "specular", "--without", "interface-scatter"),
    }.items():
        assert run(*common, tmp_path / f"{name}.png", *options) == 0
        images[name] = (tmp_path / f"{name}.png").read_bytes()
    assert len(set(images.values())) == len(images)


@pytest.mark.parametrize("motion", ["tilt", "slide"])
def test_sweep_writes_a_tracked_sequence_and_an_animation(labels_file, tmp_path, motion):
    out, animation = tmp_path / "sweep.igs.mha", tmp_path / "sweep.gif"
    points = ("--entry", ENTRY, "--target", TARGET)
    motions = ("--motion", motion, "--range=-10,10", "--frames", 5)
    assert run("sweep", labels_file, "-o", out, *points, *motions, "--animation", animation) == 0
    frames = read_tracked_frames(out)
    assert tuple(frames.images.shape) == (5, 512, 512)
    matrices, valid = frames.matrices("Image", "Reference")
    assert bool(valid.all())
    spacing = matrices[0][:3, 0].norm()
    # The face (row, column of the Transducer origin) stays for a tilt and moves by 5 mm a frame for a slide.
    to_transducer = torch.linalg.inv(look_at((0, 0, 38), (0, 0, 0))) @ matrices
    directions = to_transducer[:, :3, :3] / spacing
    angles = torch.rad2deg(torch.atan2(directions[:, 2, 1], directions[:, 1, 1]))
    expected = np.linspace(-10, 10, 5)
    if motion == "tilt":
        np.testing.assert_allclose(angles, expected, atol=1e-3)
    else:
        np.testing.assert_allclose(to_transducer[:, 2, 3] - to_transducer[2, 2, 3], expected, atol=1e-3)
    from PIL import Image

    assert Image.open(animation).n_frames >= 5


def test_sweep_poses_run_from_the_first_to_the_last_amount():
    poses = sweep_poses(torch.eye(4, dtype=torch.float64), "pan", -3.0, 6.0, 4)
    np.testing.assert_allclose(poses[:, 0, 3], [-3, 0, 3, 6])


def test_probes_are_listed(capsys):
    assert run("probes") == 0
    text = capsys.readouterr().out
    assert all(name in text for name in probe_names())
    assert f"{load_probe('linear_high_frequency').width_mm:g} mm wide" in text


def test_benchmark_writes_the_promised_table(tmp_path, monkeypatch, capsys):
    from DiffUSLib.evaluation import benchmark

    monkeypatch.setattr(benchmark, "QUICK_SAMPLES", (8,))
    out = tmp_path / "table.json"
    assert run("benchmark", "--quick", "--device", "cpu", "--json", out) == 0
    rows = json.loads(out.read_text(encoding="utf-8"))
    keys = {"rays", "samples", "pass", "device", "threads", "ours_ms", "dense_ms", "ratio", "ours_peak_mb"}
    assert [set(row) for row in rows] == [keys, keys]
    assert [row["pass"] for row in rows] == ["forward", "forward_backward"]
    assert all(row["ratio"] == pytest.approx(row["dense_ms"] / row["ours_ms"]) for row in rows)
    # Sampling and echoes of 64 x 8 take some memory, and less than the volume.
    assert all(0.01 < row["ours_peak_mb"] < 5 for row in rows)


def bad_calls():
    place = ("--entry", ENTRY, "--target", TARGET)
    return {
        "missing volume": (("render", "absent.nii.gz", "-o", "OUT.png"), "absent.nii.gz"),
        "half a pose": (("render", "LABELS", "-o", "OUT.png", "--entry", ENTRY), "--target"),
        "two poses": (("render", "LABELS", "-o", "OUT.png", "--pose", "p.tfm", *place), "not both"),
        "missing pose": (("render", "LABELS", "-o", "OUT.png", "--pose", "absent.tfm"), "absent.tfm"),
        "same points": (("render", "LABELS", "-o", "OUT.png", "--entry", "1,2,3", "--target", "1,2,3"), "same point"),
        "unknown probe": (("render", "LABELS", "-o", "OUT.png", "--probe", "magic", *place), "craniotomy_curvilinear"),
        "no depth": (("render", "LABELS", "-o", "OUT.png", "--depth", 0, *place), "depth_mm"),
        "negative frequency": (("render", "LABELS", "-o", "OUT.png", "--frequency=-3", *place), "frequency_mhz"),
        "unknown ending": (("render", "LABELS", "-o", "OUT.jpeg", *place), ".png"),
        "no such folder": (("render", "LABELS", "-o", "absent/OUT.png", *place), "absent"),
        "no such device": (("render", "LABELS", "-o", "OUT.png", "--device", "cuda:77", *place), "cuda:77"),
        "no threads": (("render", "LABELS", "-o", "OUT.png", "--threads", 0, *place), "--threads"),
        "wrong modality": (("render", "LABELS", "-o", "OUT.png", "--calibration", "x", *place), "calibration"),
        "too many threads": (("render", "LABELS", "-o", "OUT.png", "--threads", 10**8, *place), "--threads"),
        "tiny frequency": (("render", "LABELS", "-o", "OUT.png", "--frequency", 1e-9, *place), "frequency_mhz"),
        "huge depth": (("render", "LABELS", "-o", "OUT.png", "--depth", 1e9, *place), "depth_mm"),
        "many planes": (("render", "LABELS", "-o", "OUT.png", "--beam-planes", 10000, *place), "elevation_planes"),
        "huge seed": (("render", "LABELS", "-o", "OUT.png", "--seed", 10**24, *place), "seed"),
        "roll": (("render", "LABELS", "-o", "OUT.png", "--roll", "nan", *place), "roll"),
        "paper gain": (("render", "LABELS", "-o", "OUT.png", "--look", "paper", "--gain", 3, *place), "no gain"),
        "labels as MRI": (("render", "LABELS", "-o", "OUT.png", "--modality", "t1", *place), "apart"),
        "many frames": (("sweep", "LABELS", "-o", "OUT.igs.mha", "--frames", 10**8, *place), "1000"),
        "range": (("sweep", "LABELS", "-o", "OUT.igs.mha", "--range=nan,5", *place), "finite"),
        "animation folder": (("sweep", "LABELS", "-o", "OUT.igs.mha", "--animation", "no/a.gif", *place), "no/a.gif"),
        "table folder": (("benchmark", "--json", "absent/table.json"), "absent"),
        "one frame": (("sweep", "LABELS", "-o", "OUT.igs.mha", "--frames", 1, *place), "from 2"),
        "sweep ending": (("sweep", "LABELS", "-o", "OUT.nrrd", *place), ".igs.mha"),
        "animation ending": (("sweep", "LABELS", "-o", "OUT.igs.mha", "--animation", "a.mp4", *place), ".gif"),
    }


@pytest.mark.parametrize("arguments,words", bad_calls().values(), ids=bad_calls())
def test_a_mistake_gets_one_sentence_and_leaves_no_file(arguments, words, labels_file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(*(labels_file if argument == "LABELS" else argument for argument in arguments)) == 2
    message = capsys.readouterr().err
    assert words in message
    assert message.startswith("diffus: error: ")
    assert message.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_pose_that_scales_is_refused(labels_file, tmp_path, capsys):
    pose_file = tmp_path / "scaled.tfm"
    write_transform(pose_file, torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0], dtype=torch.float64)))
    assert run("render", labels_file, "-o", tmp_path / "a.png", "--pose", pose_file) == 2
    assert "not rigid" in capsys.readouterr().err


def test_an_empty_image_is_told_and_written(labels_file, tmp_path, capsys):
    points = ("--entry", "0,0,60", "--target", "0,0,99")
    assert run("render", labels_file, "-o", tmp_path / "a.png", *points) == 0
    assert "shows no tissue" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["render"], ["fly"], ["render", "v", "-o", "o.png", "--entry", "1,2"], []])
def test_wrong_usage_exits_with_2_and_shows_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: diffus" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["render", "sweep", "register", "evaluate", "probes", "benchmark", "demo"])
def test_each_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert "usage: diffus" in text
    assert max(map(len, text.splitlines())) < 120


@pytest.mark.parametrize("stopped", ["DiffUSLib.cli.commands", "DiffUSLib.cli.commands.run"])
def test_stopping_by_hand_is_one_sentence_also_while_torch_is_imported(stopped):
    interrupted = f"""
import sys
import DiffUSLib.cli
assert "torch" not in sys.modules
def stop(*arguments): raise KeyboardInterrupt
if {stopped.endswith("run")}:
    import DiffUSLib.cli.commands
    DiffUSLib.cli.commands.run = stop
else:
    class Finder: find_spec = staticmethod(lambda name, *rest: stop() if name == "{stopped}" else None)
    sys.meta_path.insert(0, Finder)
sys.exit(DiffUSLib.cli.main(["probes"]))
"""
    done = subprocess.run([sys.executable, "-c", interrupted], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "diffus: stopped.\n")


def test_a_nifti_file_with_two_places_is_rendered_at_the_one_that_is_preferred(labels_file, tmp_path, capsys):
    image = nibabel.Nifti1Image(sitk.GetArrayFromImage(sitk.ReadImage(labels_file)).T, None)
    place = np.diag([1.0, 1, 1, 1])
    place[:3, 3] = -39.5
    away = place.copy()
    away[2, 3] += 200
    image.set_sform(place, 2)
    image.set_qform(away, 1)
    nibabel.save(image, tmp_path / "two.nii.gz")

    def rendered(*options):
        out = tmp_path / "image.png"
        assert run("render", tmp_path / "two.nii.gz", "-o", out, "--entry", ENTRY, "--target", TARGET, *options) == 0
        return np.asarray(Image.open(out)).mean(), capsys.readouterr().err

    brightness, told = rendered("--prefer", "sform")
    assert brightness > 5 and "places" not in told
    brightness, told = rendered()
    assert brightness < 5 and "up to 200.0 mm apart. The qform was taken" in told


def test_images_and_sweeps_as_dicom_and_video(labels_file, tmp_path):
    pose = ("--entry", ENTRY, "--target", TARGET, "--without", "speckle")
    assert run("render", labels_file, "-o", tmp_path / "one.dcm", *pose) == 0
    assert run("render", labels_file, "-o", tmp_path / "one.nrrd", *pose) == 0
    still, placed = (sitk.ReadImage(str(tmp_path / name)) for name in ("one.dcm", "one.nrrd"))
    assert np.array_equal(sitk.GetArrayFromImage(still), sitk.GetArrayFromImage(placed))
    assert still.GetSpacing()[:2] == pytest.approx(placed.GetSpacing()[:2])
    template = ("--dicom-template", tmp_path / "one.dcm")
    assert run("sweep", labels_file, "-o", tmp_path / "sweep.dcm", *pose, "--frames", 3, *template) == 0
    clip, one = (pydicom.dcmread(tmp_path / name) for name in ("sweep.dcm", "one.dcm"))
    assert clip.NumberOfFrames == 3 and clip.StudyInstanceUID == one.StudyInstanceUID
    assert run("sweep", labels_file, "-o", tmp_path / "sweep.mp4", *pose, "--frames", 3) == 0
    assert (tmp_path / "sweep.mp4").stat().st_size > 1000
    assert run("render", labels_file, "-o", tmp_path / "two.png", *template) == 2
    assert run("render", labels_file, "-o", tmp_path / "two.dcm", "--dicom-template", tmp_path / "no.dcm") == 2
    assert not list(tmp_path.glob("two.*"))
