"""The commands register and evaluate: what they refuse, and whole runs on simulated ultrasound."""

import argparse
import json

import nibabel
import numpy as np
import pytest
import torch

from DiffUSLib.cli import evaluate, register
from DiffUSLib.cli.commands import make_parser
from DiffUSLib.cli.volume_meaning import told_maps
from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.evaluation import landmarks
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io import read_transform, write_tracked_frames, write_transform


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


def test_constant_frames_are_left_out(sweep, tmp_path):
    _, images, matrices = sweep
    images[1] = 7
    path = tmp_path / "dark.igs.mha"
    write_tracked_frames(path, images, {"ImageToReference": torch.from_numpy(matrices)})
    assert slices_of(path)[1] == [0, 2, 3]
    with pytest.raises(DiffUSError, match=r"frame 1 of dark\.igs\.mha cannot be used: its image is constant"):
        slices_of(path, frames=[0, 1])


def slices_of(path, initial=None, frames=None):
    tracked = register.read_tracked_frames(path)
    return register.make_slices(tracked, register.place(tracked, initial), frames)


def test_valid_frames_become_slices_in_their_place(sweep):
    path, _, matrices = sweep
    slices, used = slices_of(path)
    assert used == [0, 1, 3]
    assert slices.probe.kind == "linear"
    # The middle of the face: columns 20 to 99, above row 10.
    expected = matrices[1] @ [59.5, 9.5, 0, 1]
    assert slices.transducer_to_ras[1, :, 3].tolist() == pytest.approx(expected.tolist(), abs=0.4)
    assert slices.transducer_to_ras[1, :3, 1].tolist() == pytest.approx([0, 1, 0], abs=0.01)


def test_skipped_frames_stand_in_the_report(sweep):
    report = register.tracking_report(register.place(register.read_tracked_frames(sweep[0])))
    assert report["frames_skipped"] == [{"frame": 2, "reason": "ImageToReference is marked INVALID"}]
    assert report["tracking"]["steps"] == ["ImageToReference"]
    assert json.loads(json.dumps(report)) == report and "1 of 4 frames left out" in report["tracking"]["notes"][-1]


def test_initial_transform_moves_the_frames(sweep, tmp_path):
    shift = torch.eye(4, dtype=torch.float64)
    shift[:3, 3] = torch.tensor([5.0, 6.0, 7.0])
    write_transform(tmp_path / "initial.tfm", shift)
    plain, _ = slices_of(sweep[0])
    moved, _ = slices_of(sweep[0], initial=tmp_path / "initial.tfm")
    assert moved.transducer_to_ras.numpy() == pytest.approx((shift @ plain.transducer_to_ras).numpy())


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([0, 9], "no frame 9"),
        ([-1], "no frame -1"),
        ([0, 2], "frame 2 .* marked INVALID"),
        ([0, 1, 0], "named twice"),
    ],
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
    with pytest.raises(DiffUSError, match="ending"):  # at once, not after minutes of alignment
        run("register", volume, sweep[0], "-o", tmp_path / "out.png")
    with pytest.raises(DiffUSError, match="--threads"):
        run("register", volume, sweep[0], "-o", tmp_path / "out.tfm", "--threads", 10**8)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sweep.igs.mha"]


@pytest.mark.parametrize("command", ["register", "match", "compare"])
def test_every_command_is_told_what_a_volume_means(capsys, command):
    """Labels that fit several sets, a CT with a shift, and an MRI without three tissues need an option."""
    parser = make_parser()
    words = {
        "register": ["register", "v.nii", "s.igs.mha", "-o", "c.tfm"],
        "match": ["match", "s.igs.mha", "-o", "look.json"],
        "compare": ["compare", "v.nii", "s.igs.mha"],
    }[command]
    labels = Volume(torch.arange(4).repeat(64).reshape(4, 8, 8), torch.eye(4, dtype=torch.float64))
    with pytest.raises(DiffUSError, match="choose one of them as mapping"):
        told_maps(labels, parser.parse_args(words))
    told_maps(labels, parser.parse_args([*words, "--mapping", "fast"]))
    assert "Label set fast" in capsys.readouterr().out
    ct = Volume(torch.linspace(0.0, 2000.0, 512).reshape(8, 8, 8), torch.eye(4, dtype=torch.float64))
    given = ["--modality", "ct", "--rescaling", "1,-1024", "--lumen", "fluid"]
    maps = told_maps(ct, parser.parse_args([*words, *given]))
    assert maps.decision.rescaling == (1.0, -1024.0) and maps.decision.lumen == "fluid"
    arguments = parser.parse_args([*words, "--anchors", "gray matter=60,white matter=90"])
    assert [anchor.intensity for anchor in arguments.anchors] == [60.0, 90.0]


def test_wrong_starts_are_refused_before_anything_is_read(tmp_path):
    absent = tmp_path / "absent.mrk.json"
    for words, message in (
        (("--start", "here"), "landmarks and two point lists"),
        (("--start", "landmarks", absent), "two point lists"),
        (("--start", "landmarks", absent, absent), "does not exist"),
        (("--calibrate", "gain"), "knows no 'gain'"),
    ):
        with pytest.raises(DiffUSError, match=message):
            run("register", "v.nii.gz", "f.igs.mha", "-o", tmp_path / "out.tfm", *words)


def test_evaluate_refuses_wrong_choices(tmp_path):
    pytest.importorskip("nilearn")
    for words, message in (
        (("--tiers", "T9"), "T9 is unknown"),
        (("--slices", "two"), "whole numbers"),
        (("--poses", "-1"), "at least 1"),
        (("--first-seed", "-1"), "at least 0"),
        (("--start=-5,5",), "--start needs"),
        (("--start", "nan,5"), "--start needs"),
        (("--quick", "--bins"), "at least 5"),
        (("--bins", "--start", "5,5"), "leave --start out"),
    ):
        with pytest.raises(DiffUSError, match=message):
            run("evaluate", "-o", tmp_path / "evaluation", *words)
    assert not (tmp_path / "evaluation").exists()


def test_where_the_volume_is_stands_in_the_report(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((5, 6, 7), np.int16), None)
    image.set_sform(np.diag([2.0, 2, 2, 1]), 1)
    image.set_qform(np.diag([2.0, -2, -2, 1]), 1)
    nibabel.save(image, tmp_path / "two.nii")
    words = ("register", tmp_path / "two.nii", "sweep.igs.mha", "-o", "out.tfm")
    with pytest.warns(DiffUSWarning, match="two places"):
        _, told = register.read_volume_and_place(parsed(*words))
    assert told["file"] == "two.nii" and len(told["place_notes"]) == 1 and "sform" in told["place_notes"][0]
    assert json.loads(json.dumps(told))["ijk_to_ras"] == np.diag([2.0, 2, 2, 1]).tolist()
    _, told = register.read_volume_and_place(parsed(*words, "--prefer", "qform"))
    assert told["place_notes"] == [] and told["ijk_to_ras"][1][1] == -2


@pytest.fixture(scope="module")
def simulated():
    pytest.importorskip("nilearn")
    from DiffUSLib.simulator import cases

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
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["verdict"] == "accept"
    assert report["correction_ras"] == pytest.approx(correction, abs=1e-6)
    assert report["frames_used"] == [0, 1, 2]
    assert report["volume"]["file"] == "mni_icbm152_t1.nii.gz" and report["volume"]["modality"] == "t1"
    assert len(report["uncertainty_mm"]) == 3 and report["score_final"] > report["score_initial"]
    assert (tmp_path / "picture.png").read_bytes()[:4] == b"\x89PNG"


def fan_of(case):
    """The fan that the simulator scanned, in mm from the first pixel, as `--fan` takes it."""
    scanner = case.scanner
    apex = np.linalg.inv(case.image_to_transducer) @ [0, -scanner.radius_mm, 0, 1]
    pixel = case.image_to_transducer[0, 0]
    return {
        "kind": "curvilinear",
        "apex_mm": (apex[:2] * pixel).tolist(),
        "direction_deg": 90,
        "opening_deg": scanner.field_of_view_deg,
        "near_mm": scanner.radius_mm,
        "far_mm": scanner.radius_mm + scanner.depth_mm,
    }


def simulated_error(cases, case):
    center = (case.true @ [0, 0.55 * case.scanner.depth_mm, 0, 1])[:, :3].mean(0)
    turn = cases.rigid(np.array([3.5, -3.0, 2.5]), np.array([0.05, -0.06, 0.04]))
    return cases.rigid(center, np.zeros(3)) @ turn @ cases.rigid(-center, np.zeros(3))


@pytest.mark.slow
def test_a_fan_that_is_given_is_used(simulated, shared_data, tmp_path):
    """Half of each frame shows nothing (no contact), and bright bars are about it: only the user knows the fan."""
    cases, case = simulated
    error = simulated_error(cases, case)
    images = case.images.copy()
    images[:, :, : images.shape[2] * 2 // 5] = 0
    images[:, :12] = 120
    matrices = torch.from_numpy(error @ case.tracked @ case.image_to_transducer)
    write_tracked_frames(tmp_path / "sweep.igs.mha", images, {"ImageToReference": matrices})
    (tmp_path / "fan.json").write_text(json.dumps(fan_of(case)), encoding="utf-8")
    run(
        "register", shared_data / "mni_icbm152_t1.nii.gz", tmp_path / "sweep.igs.mha", "--fan", tmp_path / "fan.json",
        "-o", tmp_path / "correction.tfm", "--report", tmp_path / "report.json",
    )  # fmt: skip
    fan = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["fan"]
    assert fan["found"] is False and "given" in fan["sentence"]
    assert fan["opening_deg"] == pytest.approx(case.scanner.field_of_view_deg)
    assert fan["depth_mm"] == pytest.approx(case.scanner.depth_mm)
    correction = read_transform(tmp_path / "correction.tfm").numpy()
    before, after = (cases.target_error(matrix, case).mean() for matrix in (error, correction @ error))
    assert after < 2.0 < before


@pytest.mark.slow
def test_a_ct_with_a_shift_is_registered_as_asked(tmp_path, capsys):
    """The HU of a torso + 1024: refused with the likely rescaling, and put right with it."""
    from DiffUSLib.cli.commands import run as diffus
    from DiffUSLib.simulator import body, cases

    anatomy = body.torso(0)
    case = cases.make_case(7, 3, "T2", anatomy)
    error = simulated_error(cases, case)
    stored = (anatomy.seen.round() + 1024).clip(0).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(stored, anatomy.affine), tmp_path / "ct.nii.gz")
    matrices = torch.from_numpy(error @ case.tracked @ case.image_to_transducer)
    write_tracked_frames(tmp_path / "sweep.igs.mha", case.images, {"ImageToReference": matrices})
    words = [tmp_path / "ct.nii.gz", tmp_path / "sweep.igs.mha", "-o", tmp_path / "correction.tfm"]
    words = ["register", *map(str, words), "--report", str(tmp_path / "report.json")]
    assert diffus(words) == 2
    assert "with the rescaling 1,-1024" in capsys.readouterr().err and not (tmp_path / "correction.tfm").exists()
    assert diffus([*words, "--modality", "ct", "--rescaling", "1,-1024", "--lumen", "fluid"]) == 0
    told = capsys.readouterr().out
    assert "HU = 1 x value -1024" in told and "air inside the body taken for fluid" in told
    volume = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["volume"]
    assert volume["rescaling"] == {"slope": 1.0, "intercept": -1024.0} and volume["lumen"] == "fluid"
    correction = read_transform(tmp_path / "correction.tfm").numpy()
    before, after = (cases.target_error(matrix, case).mean() for matrix in (error, correction @ error))
    assert after < 3.0 < before


@pytest.mark.slow
def test_evaluate_writes_its_tables(tmp_path, capsys):
    pytest.importorskip("nilearn")
    folder = tmp_path / "evaluation"
    run("evaluate", "--tiers", "T2,T5", "--slices", "1", "--poses", "1", "--perturbations", "1", "-o", folder)
    assert capsys.readouterr().out.count("DiffUS quick") == 2
    assert sorted(path.name for path in folder.iterdir()) == [
        "bins.csv", "cases.csv", "errors.png", "report.json", "summary.csv", "summary.md",
    ]  # fmt: skip
    volumes = json.loads((folder / "report.json").read_text(encoding="utf-8"))["volumes"]
    assert {volume["modality"] for volume in volumes.values()} == {"t1"}
    rows = (folder / "cases.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 3
    header, first = rows[0].split(","), rows[1].split(",")
    assert float(first[header.index("initial_mm")]) > 0.1


def test_landmarks_are_read_from_tag_files(tmp_path):
    """A file as MINC's tools write it."""
    path = tmp_path / "Case1-MRI-beforeUS.tag"
    path.write_text(
        "MNI Tag Point File\nVolumes = 2;\n%VIO_Real: comment 1 2 3 4 5 6\n\nPoints =\n"
        ' 1.5 -2 3e0 4 5.25 -6 "1"\n -7 8 9 10 11 12 "2";\n'
    )
    first, second = landmarks.read_landmarks(path)
    assert first.tolist() == [[1.5, -2, 3], [-7, 8, 9]]
    assert second.tolist() == [[4, 5.25, -6], [10, 11, 12]]
    path.write_text("MNI Tag Point File\n")
    with pytest.raises(DiffUSError, match="no pairs"):
        landmarks.read_landmarks(path)
    with pytest.raises(DiffUSError, match="no MRI"):
        run("evaluate", "--landmarks", tmp_path, "-o", tmp_path / "out")
    with pytest.raises(DiffUSError, match="no folder"):
        run("evaluate", "--landmarks", tmp_path / "absent", "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def remind_case(folder, names):
    """Files as ReMIND2Reg names them; the ultrasound's voxels are half as large as the MRI's, both start at RAS 10."""
    import nibabel

    for kind in ("imagesTr", "landmarksTr"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for name, size in zip(names, (0.5, 1.0, 1.0), strict=False):
        matrix = np.diag([size, size, size, 1.0])
        matrix[:3, 3] = 10
        image = nibabel.Nifti1Image(np.ones((4, 4, 4), dtype=np.float32), matrix)
        nibabel.save(image, folder / "imagesTr" / f"{name}.nii.gz")
        (folder / "landmarksTr" / f"{name}.csv").write_text("4,6,8\n1,2,3\n")


def test_remind2reg_is_found_by_its_names(tmp_path):
    pytest.importorskip("nibabel")
    remind_case(tmp_path, ("ReMIND2Reg_0099_0000", "ReMIND2Reg_0099_0001", "ReMIND2Reg_0099_0002"))
    first, second = landmarks.find_cases(tmp_path)
    assert (first.modality, second.modality) == ("t1c", "t2")
    assert first.ultrasound.name == second.ultrasound.name == "ReMIND2Reg_0099_0000.nii.gz"
    assert second.mri.name == "ReMIND2Reg_0099_0002.nii.gz"
    mri, ultrasound = landmarks.read_volume(first.mri), landmarks.read_volume(first.ultrasound)
    in_mri, in_ultrasound = landmarks.landmarks_of(first, mri, ultrasound)
    assert in_mri.tolist() == [[14, 16, 18], [11, 12, 13]]
    assert in_ultrasound.tolist() == [[12, 13, 14], [10.5, 11, 11.5]]
    (tmp_path / "landmarksTr" / "ReMIND2Reg_0099_0001.csv").write_text("4,6,8\n")
    with pytest.raises(DiffUSError, match="1 and 2 landmarks"):
        landmarks.landmarks_of(first, mri, ultrasound)
    (tmp_path / "landmarksTr" / "ReMIND2Reg_0099_0001.csv").write_text("x,y,z\n")
    with pytest.raises(DiffUSError, match="no table"):
        landmarks.landmarks_of(first, mri, ultrasound)


@pytest.mark.slow
def test_evaluate_measures_at_landmarks(shared_data, tmp_path, capsys):
    """A case laid out like RESECT: the 3D ultrasound of a known head, moved by a known error."""
    pytest.importorskip("nilearn")
    import nibabel

    from DiffUSLib.simulator import cases
    from DiffUSLib.simulator.anatomy import mni152

    anatomy = mni152()
    box = (slice(110, 170), slice(90, 160), slice(70, 130))
    voxels = anatomy.echogenicity[box] + 3 * np.linalg.norm(np.gradient(anatomy.stiffness), axis=0)[box]
    speckle = np.random.default_rng(0).rayleigh(1.0, voxels.shape)
    level = 128 + 40 * np.log10(voxels * speckle + 1e-2)
    affine = anatomy.affine.copy()
    affine[:3, 3] += [110, 90, 70]
    center = (affine @ [30, 35, 30, 1])[:3]
    there, back = cases.rigid(center, np.zeros(3)), cases.rigid(-center, np.zeros(3))
    error = there @ cases.rigid(np.array([3.0, -3, 2]), np.array([0.05, 0.04, -0.05])) @ back
    folder = tmp_path / "RESECT" / "Case1"
    folder.mkdir(parents=True)
    for name, values, matrix in (
        ("Case1-US-before.nii.gz", level.clip(1, 255), error @ affine),
        ("Case1-T1.nii.gz", anatomy.seen, anatomy.affine),
    ):
        nibabel.save(nibabel.Nifti1Image(values.astype(np.float32), matrix), folder / name)
    points = center + np.random.default_rng(1).uniform(-20, 20, (12, 3))
    lines = [
        " ".join(f"{value:.6f}" for value in [*point, *(error @ [*point, 1])[:3]]) + ' "mark"' for point in points
    ]
    text = "MNI Tag Point File\nVolumes = 2;\nPoints =\n" + "\n".join(lines) + ";\n"
    (folder / "Case1-MRI-beforeUS.tag").write_text(text)
    run("evaluate", "--landmarks", tmp_path / "RESECT", "-o", tmp_path / "out")
    row = (tmp_path / "out" / "landmarks.csv").read_text(encoding="utf-8").splitlines()[1].split(",")
    before, after = float(row[2]), float(row[3])
    shown = np.linalg.norm([(error @ [*point, 1])[:3] - point for point in points], axis=1).mean()
    assert before == pytest.approx(shown, abs=1e-3)
    assert after < 2.0 < 4.0 < before
    told = capsys.readouterr()
    assert "Case1" in told.out and "Case1: The volume is taken for T1 (confidence" in told.err
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["volumes"]["Case1"]
    assert report["modality"] == "t1" and report["skull"] == "stripped" and len(report["anchors"]) == 3
