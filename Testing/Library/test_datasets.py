"""Data sets: recipes with mistakes, frames whose truth is known, and a run that loses a worker."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import types
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy.spatial.transform import Rotation

pytest.importorskip("dask.distributed")
pytest.importorskip("pydantic")
pytest.importorskip("webdataset")

from DiffUSLib.acoustics import acoustic_maps
from DiffUSLib.cli import main
from DiffUSLib.datasets import shards
from DiffUSLib.datasets.cohort import make_case
from DiffUSLib.datasets.frames import PreparedPatient, frames, prepared_patient
from DiffUSLib.datasets.pose_sampling import tracking_error
from DiffUSLib.datasets.recipe import TrackingError, read_recipe
from DiffUSLib.errors import DiffUSError
from DiffUSLib.io import read_tracked_frames, read_transform, read_volume
from DiffUSLib.io.frames import set_image_ijk_to_ras

RADIUS_MM = 40.0
RECIPE = """
seed: 3
frames: 12
frames_per_shard: 5
frames_per_batch: 4
patients:
  - {volume: head.nrrd, modality: labels, mapping: tissues.csv, labels: head.nrrd, label_values: [1, 2]}
poses: {kind: surface, within_deg: 30, tilt_deg: [0, 0], rock_deg: [0, 0]}
image: {width_px: 64, height_px: 64, samples: 64}
store: [bmode, labels, impedance, scan_lines]
"""


@pytest.fixture
def folder(tmp_path):
    """A ball of white matter (1) with a core of fluid (2), and a recipe."""
    k, j, i = np.indices((60, 60, 60))
    distance = 2.0 * np.sqrt((k - 29.5) ** 2 + (j - 29.5) ** 2 + (i - 29.5) ** 2)
    labels = (distance < RADIUS_MM).astype(np.uint8) + (distance < 12)
    image = sitk.GetImageFromArray(labels)
    matrix = np.diag([2.0, 2.0, 2.0, 1.0])
    matrix[:3, 3] = -59.0
    set_image_ijk_to_ras(image, matrix, "the ball")
    sitk.WriteImage(image, str(tmp_path / "head.nrrd"))
    (tmp_path / "tissues.csv").write_text("label,tissue\n0,water\n1,white matter\n2,cerebrospinal fluid\n")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    # the mapping's path counts from the working folder, as on the command line
    old = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(old)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("framse: 12", "framse is unknown; did you mean frames"),
        ("poses: {kind: surface, witin_deg: 3}", r"poses.witin_deg is unknown; did you mean within_deg"),
        ("patients: [{volum: head.nrrd}]", r"volum is unknown; did you mean volume|volume is missing"),
        ("looks: [{gain_db: [3, 1]}]", "looks.0.gain_db.*first number must not exceed"),
        ("frames: many", "frames is 'many'"),
        ("frames: 0", "frames is 0"),
        ("patients: [{volume: head.nrrd, labels: head.nrrd, modality: mr}]", "modality is .mr.: .*auto, ct"),
        ("store: [bmode, pictures]", "store.1 is 'pictures'"),
        ("patients: [{volume: nowhere.nrrd, labels: head.nrrd}]", "there is no file .*nowhere.nrrd"),
        ("patients: [{volume: head.nrrd}]", "labels are to be stored"),
        ("probes: [nothing]", "nothing"),
        ("poses: {kind: landmarks}", "landmarks_ras_mm"),
        ("frames: [", "no YAML"),
        ("- 1", "no YAML|no recipe"),
    ],
)
def test_mistakes_in_a_recipe_are_named(folder, wrong, words, capsys):
    key = wrong.split(":")[0]
    kept = "\n".join(line for line in RECIPE.split("\n") if not line.startswith(key) and not line.startswith("  -"))
    patients = "" if key == "patients" else "patients: [{volume: head.nrrd, labels: head.nrrd}]\n"
    (folder / "recipe.yaml").write_text(kept.replace("patients:", "") + "\n" + patients + wrong + "\n")
    with pytest.raises(DiffUSError, match=words):
        read_recipe(folder / "recipe.yaml")
    assert main(["dataset", str(folder / "recipe.yaml"), "-o", str(folder / "out")]) == 2
    assert "Traceback" not in capsys.readouterr().err and not (folder / "out").exists()


def test_a_patient_with_two_places_stands_where_the_recipe_says(folder):
    ball = sitk.GetArrayFromImage(sitk.ReadImage("head.nrrd")).T
    image = nibabel.Nifti1Image(ball, None)
    image.set_sform(np.diag([2.0, 2, 2, 1]), 2)
    image.set_qform(np.diag([2.0, -2, -2, 1]), 1)
    nibabel.save(image, "head.nii.gz")
    recipe = RECIPE.replace("head.nrrd", "head.nii.gz").replace("{volume", "{prefer: sform, volume")
    (folder / "recipe.yaml").write_text(recipe)
    read = read_recipe(folder / "recipe.yaml")
    patient = PreparedPatient(read.patients[0], read)
    assert torch.equal(patient.maps.ijk_to_ras, torch.diag(torch.tensor([2.0, 2, 2, 1], dtype=torch.float64)))
    assert torch.equal(patient.labels.ijk_to_ras, patient.maps.ijk_to_ras)


def test_frames_show_what_lies_in_their_plane(folder):
    recipe = read_recipe(folder / "recipe.yaml")
    for files in frames(recipe, 0, 12):
        told = json.loads(files["json"])
        pose, image_to_ras = (np.array(told[name]) for name in ("transducer_to_ras", "image_to_ras"))
        # Contact: the face rests on the ball, looking inward within the angle asked for.
        assert np.linalg.norm(pose[:3, 3]) == pytest.approx(RADIUS_MM, abs=2.5)
        labels = np.asarray(_png(files["labels.png"]))
        rows, columns = np.indices(labels.shape)
        places = np.stack([columns, rows, 0 * rows, 0 * rows + 1], -1) @ image_to_ras.T
        distance = np.linalg.norm(places[..., :3], axis=-1)
        assert set(labels[distance < 10.0]) <= {0, 2} and set(labels[(distance > 15) & (distance < 37)]) <= {0, 1}
        assert (labels == 2).any()  # looks at the middle
        bmode = np.asarray(_png(files["bmode.png"]))
        assert bmode[labels == 1].mean() > 1.4 * bmode[labels == 2].mean()
        lines = np.load(_stream(files["scan_lines.npy"]))
        assert lines.dtype == np.float16 and lines.shape[1] == 64
        impedance = np.load(_stream(files["impedance.npy"])).astype(float)
        assert abs(impedance[labels == 1] - 1.6).max() < 0.01
        undone = np.array(told["correction_ras"]) @ np.array(told["tracked_image_to_ras"])
        np.testing.assert_allclose(undone, image_to_ras, atol=1e-9)


@pytest.mark.parametrize(("name", "axis"), [("tilt", 0), ("rotate", 1), ("rock", 2)])
def test_turns_go_about_the_transducer_s_own_axes(folder, name, axis):
    """The same place on the ball, turned: by the angle that was asked for, about the axis of that motion."""
    still = "tilt_deg: [0, 0], rotate_deg: [0, 0], rock_deg: [0, 0]"
    drawn = []
    for turned in (still, still.replace(f"{name}_deg: [0, 0]", f"{name}_deg: [12, 12]")):
        (folder / "recipe.yaml").write_text(RECIPE.replace("tilt_deg: [0, 0], rock_deg: [0, 0]", turned))
        recipe = read_recipe(folder / "recipe.yaml")
        drawn.append(prepared_patient(recipe, 0).poses.draw(np.random.default_rng(5), 6).numpy())
    turn = np.linalg.inv(drawn[0]) @ drawn[1]
    expected = np.zeros(3)
    expected[axis] = np.radians(12)
    for matrix in turn:
        assert Rotation.from_matrix(matrix[:3, :3]).as_rotvec() == pytest.approx(expected, abs=1e-9)
        assert matrix[:3, 3] == pytest.approx([0, 0, 0], abs=1e-9)


def test_tracking_errors_lie_in_their_ranges():
    random, center = np.random.default_rng(0), np.array([10.0, -20.0, 30.0])
    error = TrackingError(rotation_deg=(2.0, 5.0), translation_mm=(1.0, 4.0))
    for _ in range(50):
        matrix = tracking_error(random, error, center).numpy()
        angle = np.degrees(np.arccos((np.trace(matrix[:3, :3]) - 1) / 2))
        shift = np.linalg.norm((matrix @ [*center, 1])[:3] - center)
        assert 2.0 <= angle <= 5.0 and 1.0 <= shift <= 4.0


def test_bytes_do_not_depend_on_where_shards_begin(folder):
    recipe = read_recipe(folder / "recipe.yaml")
    whole = list(frames(recipe, 0, 12))
    prepared_patient.__globals__["_prepared"].cache_clear()  # as in another process
    assert [*frames(recipe, 0, 3), *frames(recipe, 3, 6), *frames(recipe, 9, 3)] == whole
    assert len({files["bmode.png"] for files in whole}) == 12


def test_shards_tell_what_the_volume_was_taken_for(folder):
    """As a renderer is told by the maps, whose own decision is read from the voxels alone."""
    recipe = read_recipe(folder / "recipe.yaml")
    shards.begin(recipe, folder / "out")
    shards.make_shard(recipe.model_dump_json(), str(folder / "out"), 0)
    told = json.loads(shards.shard_path(folder / "out", 0).with_suffix(".json").read_text())["volumes"]
    patient = recipe.patients[0]
    decision = acoustic_maps(read_volume(patient.volume), patient.modality, mapping=patient.mapping).decision
    assert told["0"]["modality"] == decision.modality
    assert told["0"]["label_set"] == (decision.label_set or None)
    assert shards.volume_sentences(recipe, folder / "out") == [f"patient 0: {' '.join(decision.sentences())}"]


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_and_a_run_goes_on_where_it_was(folder):
    # Workers import by name: tests of the module's reload may have replaced what was imported above.
    from DiffUSLib.datasets import shards
    from DiffUSLib.datasets.engine import connected, make_dataset
    from DiffUSLib.datasets.recipe import read_recipe

    text = RECIPE.replace("frames: 12", "frames: 40").replace("frames_per_shard: 5", "frames_per_shard: 4")
    (folder / "recipe.yaml").write_text(text)
    recipe = read_recipe(folder / "recipe.yaml")
    one, two = folder / "one", folder / "two"
    with connected(workers=2) as client:
        steps = make_dataset(recipe, one, client)
        assert next(steps).frames == 0 and next(steps).frames > 0
        victim = next(iter(client.run(os.getpid).values()))
        os.kill(victim, signal.SIGKILL)
        *_, last = steps
        assert (last.shards, last.frames) == (10, 40)
        # Another run on the same workers: cut off after two shards, then one damaged shard is made again.
        steps = make_dataset(recipe, two, client)
        while next(steps).shards < 2:
            pass
        steps.close()
        made = [shard for shard in range(10) if shards.is_made(recipe, two, shard)]
        assert 2 <= len(made) < 10
        untouched = shards.shard_path(two, made[0])
        written = untouched.stat().st_mtime_ns
        shards.shard_path(two, made[1]).write_bytes(b"cut off")
        first, *_, last = make_dataset(recipe, two, client)
        assert first.shards >= len(made) - 1 and last.shards == 10
        assert untouched.stat().st_mtime_ns == written
    for shard in range(10):  # the same bytes, however they came about
        assert shards.shard_path(one, shard).read_bytes() == shards.shard_path(two, shard).read_bytes()
    assert len(list(one.iterdir())) == 21  # nothing half-made is left
    names = []
    for shard in range(10):
        with tarfile.open(shards.shard_path(one, shard)) as tar:
            names += tar.getnames()
    assert sorted({name.split(".")[0] for name in names}) == [f"{n:09d}" for n in range(40)]
    _train(one)


def _train(folder):
    """Two epochs of a small net on what webdataset reads: it learns where fluid is."""
    import webdataset

    paths = sorted(str(path) for path in folder.glob("*.tar"))
    data = webdataset.WebDataset(paths, shardshuffle=False).decode("l8").to_tuple("bmode.png", "labels.png")
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 9, padding=4), torch.nn.ReLU(), torch.nn.Conv2d(8, 1, 9, padding=4)
    )
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    losses = []
    for _ in range(2):
        total = 0.0
        for image, labels in data:
            x = torch.from_numpy(image.copy()).float()[None, None] / 255
            y = (torch.from_numpy(labels) == 2).float()[None, None]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses.append(total / 40)
    assert losses[1] < 0.8 * losses[0]


def test_a_case_of_a_cohort_is_wrong_by_its_truth(folder):
    """What the sweep shows lies, moved by the truth, where the patient has it."""
    (folder / "recipe.yaml").write_text(RECIPE + "cohort: {cases: 2, frames: 3}\n")
    recipe = read_recipe(folder / "recipe.yaml")
    assert make_case(recipe.model_dump_json(), str(folder), 1) == 3
    told = json.loads((folder / "case-0001.json").read_text())
    tracked = read_tracked_frames(folder / told["sweep"])
    truth = read_transform(folder / told["truth"]).numpy()
    images = np.asarray(tracked.images)
    assert len(images) == 3
    rows, columns = np.indices(images.shape[1:])
    pixels = np.stack([columns, rows, 0 * rows, 0 * rows + 1], -1)
    for image, matrix in zip(images, tracked.transforms["ImageToReference"].numpy(), strict=True):
        places = pixels @ (truth @ matrix).T
        distance = np.linalg.norm(places[..., :3], axis=-1)
        shown = image[image > 0]
        assert shown.size and image[(distance > 16) & (distance < 36) & (image > 0)].mean() > 1.3 * (
            image[distance < 9].mean() if (distance < 9).any() else 0
        )


def test_another_recipe_or_a_full_folder_is_refused(folder):
    recipe = read_recipe(folder / "recipe.yaml")
    shards.begin(recipe, folder / "out")
    shards.begin(recipe, folder / "out")
    with pytest.raises(DiffUSError, match="another recipe"):
        shards.begin(recipe.model_copy(update={"seed": 4}), folder / "out")
    with pytest.raises(DiffUSError, match="other files"):
        shards.begin(recipe, folder)


def test_a_full_disk_leaves_no_half_shard(folder, monkeypatch):
    recipe = read_recipe(folder / "recipe.yaml")
    shards.begin(recipe, folder / "out")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(DiffUSError, match="cannot be written: No space left"):
        shards.make_shard(recipe.model_dump_json(), str(folder / "out"), 0)
    assert [path.name for path in (folder / "out").iterdir()] == [shards.DESCRIPTION]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workers", "0"], "at least 1"),
        (["--scheduler", "tcp://127.0.0.1:9", "--workers", "2"], "leave --workers out"),
        (["--scheduler", "nonsense://x"], "nonsense://x cannot be reached"),
        (["--scheduler", "tcp://127.0.0.1:9"], "tcp://127.0.0.1:9 cannot be reached"),
        (["--scheduler", "slurm"], "diffus[cluster]"),
        (["--scheduler", "pbs"], "diffus[cluster]"),
    ],
)
def test_wrong_places_to_compute_are_told(folder, capsys, monkeypatch, options, words):
    monkeypatch.setattr("DiffUSLib.datasets.engine._CONNECT_S", 1)
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)  # as where it is not installed
    assert main(["dataset", str(folder / "recipe.yaml"), "-o", str(folder / "out"), *options]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1 and not (folder / "out").exists()


@pytest.mark.parametrize(("queue", "name"), [("slurm", "SLURMCluster"), ("pbs", "PBSCluster")])
def test_jobs_go_to_a_queue_by_its_name(monkeypatch, queue, name):
    """dask-jobqueue's clusters take their sizes from Dask's configuration, and raise ValueError without."""
    from dask.distributed import LocalCluster

    from DiffUSLib.datasets.engine import connected

    class Cluster(LocalCluster):
        def __init__(self):
            super().__init__(n_workers=0, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0")

        def scale(self, n=None, jobs=0):
            self.jobs = jobs

    jobqueue = types.ModuleType("dask_jobqueue")
    setattr(jobqueue, name, Cluster)
    monkeypatch.setitem(sys.modules, "dask_jobqueue", jobqueue)
    with connected(workers=3, scheduler=queue) as client:
        assert isinstance(client.cluster, Cluster) and client.cluster.jobs == 3

    def unconfigured():
        raise ValueError("You must specify how many cores to use per job like ``cores=8``")

    setattr(jobqueue, name, unconfigured)
    with (
        pytest.raises(DiffUSError, match=rf"sent to {queue}: You must.*cores=8.*jobqueue.{queue}"),
        connected(scheduler=queue),
    ):
        pass


def test_a_typo_is_told_before_the_key_that_it_makes_missing(folder):
    (folder / "recipe.yaml").write_text(RECIPE.replace("frames: 12", "frmaes: 12"))
    with pytest.raises(DiffUSError, match="frmaes is unknown; did you mean frames"):
        read_recipe(folder / "recipe.yaml")


def test_a_mistake_that_a_worker_finds_leaves_nothing_behind(folder):
    """In a process of its own, with a worker: one sentence, no traceback of the worker's, no folder."""
    (folder / "recipe.yaml").write_text(RECIPE.replace("[1, 2]", "[1, 7]"))
    command = [sys.executable, "-m", "DiffUSLib.cli", "dataset", "recipe.yaml", "-o", "out", "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(Path(shards.__file__).parents[2])}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    told = [line for line in ended.stderr.splitlines() if not line.startswith("shard 0 of")]
    assert len(told) == 1 and "head.nrrd does not hold the label 7" in told[0]
    assert not (folder / "out").exists()


def test_missing_labels_are_named(folder):
    (folder / "recipe.yaml").write_text(RECIPE.replace("[1, 2]", "[1, 7]"))
    recipe = read_recipe(folder / "recipe.yaml")
    with pytest.raises(DiffUSError, match="label 7"):
        next(frames(recipe, 0, 1))


def _stream(content):
    import io

    return io.BytesIO(content)


def _png(content):
    from PIL import Image

    return Image.open(_stream(content))
