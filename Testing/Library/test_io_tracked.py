"""Tracked ultrasound sequences: files built byte by byte here, and real ones, against independent readings."""

import gzip
import re
import zlib

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy.spatial.transform import Rotation

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io import read_tracked_frames, write_tracked_frames

COUNT, HEIGHT, WIDTH = 3, 4, 6
FRAMES = np.random.default_rng(5).integers(0, 256, (COUNT, HEIGHT, WIDTH), dtype=np.uint8)


def a_rigid(seed):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    matrix[:3, 3] = np.random.default_rng(seed).uniform(-100, 100, 3)
    return matrix


def words(matrix):
    return " ".join(repr(float(number)) for number in np.ravel(matrix))


def frame_fields(frames=COUNT, invalid=(), name="ImageToReference", scale=0.2):
    """Seq_ fields as PLUS writes them; frame i has the pose a_rigid(i) with pixels of `scale` mm."""
    fields = {}
    for index in range(frames):
        matrix = a_rigid(index) @ np.diag([scale, scale, scale, 1.0])
        fields[f"Seq_Frame{index:04d}_{name}Transform"] = words(matrix)
        fields[f"Seq_Frame{index:04d}_{name}TransformStatus"] = "INVALID" if index in invalid else "OK"
        fields[f"Seq_Frame{index:04d}_Timestamp"] = f"{10 + index / 10:.6f}"
        fields[f"Seq_Frame{index:04d}_ImageStatus"] = "OK"
    return fields


def write_mha(path, pixels=FRAMES, fields=None, orientation="MFA", compressed=False, element="MET_UCHAR", channels=1,
              spacing="1 1 1"):  # fmt: skip
    size = pixels.shape[:-1] if channels > 1 else pixels.shape
    data = pixels.tobytes()
    payload = zlib.compress(data) if compressed else data
    lines = ["ObjectType = Image", f"NDims = {len(size)}", "BinaryData = True", "BinaryDataByteOrderMSB = False"]
    lines += [f"CompressedData = {compressed}"] + ([f"CompressedDataSize = {len(payload)}"] if compressed else [])
    lines += [f"DimSize = {' '.join(map(str, size[::-1]))}", f"ElementSpacing = {spacing}", f"ElementType = {element}"]
    lines += [f"ElementNumberOfChannels = {channels}"] if channels > 1 else []
    lines += [f"UltrasoundImageOrientation = {orientation}"] if orientation else []
    lines += [f"{key} = {value}" for key, value in (frame_fields() if fields is None else fields).items()]
    path.write_bytes("\n".join([*lines, "ElementDataFile = LOCAL\n"]).encode() + payload)
    return path


def write_nrrd(path, pixels=FRAMES, kinds="domain domain list", encoding="gz", fields=None, extra=(), kind="uint8"):
    lines = ["NRRD0004", "# a comment", f"type: {kind}", f"dimension: {pixels.ndim}", f"encoding: {encoding}"]
    lines += [f"sizes: {' '.join(map(str, pixels.shape[::-1]))}", f"kinds: {kinds}", *extra]
    lines += ["ultrasound image orientation:=MFA"]
    lines += [f"{key}:={value}" for key, value in (frame_fields() if fields is None else fields).items()]
    data = pixels.tobytes()
    path.write_bytes("\n".join([*lines, "", ""]).encode() + (gzip.compress(data) if encoding == "gz" else data))
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_grey_mha(tmp_path, compressed):
    tracked = read_tracked_frames(write_mha(tmp_path / "s.igs.mha", compressed=compressed))
    assert np.array_equal(tracked.images, FRAMES) and tracked.images.dtype == torch.uint8
    assert tracked.orientation == "MFA" and tracked.notes == ()
    assert tracked.timestamps_s.tolist() == pytest.approx([10.0, 10.1, 10.2])
    matrices, valid = tracked.image_to("Reference")
    assert valid.all()
    for index in range(COUNT):
        expected = a_rigid(index) @ (0.2 * 5, 0.2 * 3, 0, 1)  # the pixel in column 5, row 3
        assert np.allclose(matrices[index].numpy() @ (5, 3, 0, 1), expected)


@pytest.mark.parametrize("encoding", ["raw", "gz"])
@pytest.mark.parametrize(
    ("kinds", "arrange"),
    [
        ("domain domain list", lambda frames: frames),
        ("domain domain domain", lambda frames: frames),
        ("list domain domain domain", lambda frames: frames.transpose(1, 2, 0)[None]),
        ("domain domain domain list", lambda frames: frames[:, None]),
        ("vector domain domain list", lambda frames: np.repeat(frames[..., None], 3, axis=-1)),
    ],
)
def test_nrrd_in_every_order_of_axes(tmp_path, kinds, arrange, encoding):
    path = write_nrrd(tmp_path / "s.igs.nrrd", np.ascontiguousarray(arrange(FRAMES)), kinds, encoding)
    tracked = read_tracked_frames(path)
    assert np.array_equal(tracked.images, FRAMES) and tracked.orientation == "MFA"
    assert np.allclose(tracked.transforms["ImageToReference"][2], a_rigid(2) @ np.diag([0.2, 0.2, 0.2, 1]))


def test_mha_of_flat_volumes(tmp_path):
    tracked = read_tracked_frames(write_mha(tmp_path / "s.mha", FRAMES[:, None], spacing="1 1 1 1"))
    assert np.array_equal(tracked.images, FRAMES)


def test_colors_become_grey(tmp_path):
    colors = np.random.default_rng(1).integers(0, 256, (COUNT, HEIGHT, WIDTH, 3), dtype=np.uint8)
    tracked = read_tracked_frames(write_mha(tmp_path / "s.mha", colors, channels=3))
    for index in np.ndindex(COUNT, HEIGHT, WIDTH):
        red, green, blue = (float(value) for value in colors[index])
        assert abs(float(tracked.images[index]) - (0.299 * red + 0.587 * green + 0.114 * blue)) <= 0.5 + 1e-9
    assert tracked.notes == ("Colors were turned to gray.",)


@pytest.mark.parametrize("tag", ["MF", "MFA", "MFD", "MN", "UF", "UFA", "UN", "UNA", "FM", "FU", "NM", "NU", "mf"])
def test_orientation_tag_is_respected(tmp_path, tag):
    # A pixel's column toward the marked side and row away from the transducer, from its place in the file.
    def upright(letter, index, length):
        return index if letter in "MF" else length - 1 - index

    first, second = tag.upper()[:2]
    stored_shape = (HEIGHT, WIDTH) if first in "MU" else (WIDTH, HEIGHT)
    stored = np.empty((COUNT, *stored_shape), np.uint8)
    for y, x in np.ndindex(stored_shape):
        along_x, along_y = upright(first, x, stored_shape[1]), upright(second, y, stored_shape[0])
        column, row = (along_x, along_y) if first in "MU" else (along_y, along_x)
        stored[:, y, x] = FRAMES[:, row, column]
    tracked = read_tracked_frames(write_mha(tmp_path / "s.mha", stored, orientation=tag))
    assert np.array_equal(tracked.images, FRAMES)
    assert bool(tracked.notes) == (tag.upper()[:2] != "MF")


def test_untold_orientation_is_assumed_and_said(tmp_path):
    tracked = read_tracked_frames(write_mha(tmp_path / "s.mha", orientation=""))
    assert np.array_equal(tracked.images, FRAMES) and "MF was assumed" in tracked.notes[0]


def test_invalid_frames_are_counted_and_not_used(tmp_path):
    path = write_mha(tmp_path / "s.mha", fields=frame_fields(invalid=(1,)))
    tracked = read_tracked_frames(path)
    assert tracked.statuses["ImageToReference"].tolist() == [True, False, True]
    assert tracked.matrices("Image", "Reference")[1].nonzero().flatten().tolist() == [0, 2]
    fields = frame_fields() | {"Seq_Frame0002_ImageStatus": "INVALID"}
    tracked = read_tracked_frames(write_mha(tmp_path / "s.mha", fields=fields))
    assert tracked.matrices("Image", "Reference")[1].nonzero().flatten().tolist() == [0, 1]


def test_frames_without_a_valid_one_are_refused_when_placed(tmp_path):
    path = write_mha(tmp_path / "s.mha", fields=frame_fields(invalid=(0, 1, 2)))
    tracked = read_tracked_frames(path)
    with pytest.raises(DiffUSError, match="none of the 3 frames"):
        tracked.image_to("Reference")


def test_chain_through_calibration_and_a_constant(tmp_path):
    fields = {}
    for index in range(COUNT):
        for name, seed in (("ProbeToTracker", index), ("ReferenceToTracker", 10)):
            fields[f"Seq_Frame{index:04d}_{name}Transform"] = words(a_rigid(seed))
            status = "INVALID" if (name, index) == ("ReferenceToTracker", 1) else "OK"
            fields[f"Seq_Frame{index:04d}_{name}TransformStatus"] = status
    tracked = read_tracked_frames(write_mha(tmp_path / "s.mha", fields=fields))
    calibration = a_rigid(20) @ np.diag([0.1, 0.15, 0.12, 1])
    to_ras = a_rigid(30)
    constants = {"ImageToProbe": torch.from_numpy(calibration), "ReferenceToRas": torch.from_numpy(to_ras)}
    matrices, valid = tracked.image_to("RAS", constants)
    assert valid.tolist() == [True, False, True]
    for index in (0, 2):
        tracker = a_rigid(index) @ calibration @ (40, 70, 0, 1)
        assert np.allclose(matrices[index].numpy() @ (40, 70, 0, 1), to_ras @ np.linalg.solve(a_rigid(10), tracker))
    with pytest.raises(DiffUSError, match=r"missing link.*Image with Probe"):
        tracked.image_to("Reference")
    with pytest.raises(DiffUSError, match=r"missing link.*Ras"):
        tracked.image_to("Ras", {"ImageToProbe": torch.from_numpy(calibration)})


def test_pixel_spacing_comes_from_header_or_caller_or_is_missed(tmp_path):
    rigid = frame_fields(scale=1.0)
    tracked = read_tracked_frames(write_mha(tmp_path / "s.mha", fields=rigid))
    with pytest.raises(DiffUSError, match="pixel spacing"):
        tracked.image_to("Reference")
    given, _ = tracked.image_to("Reference", pixel_spacing_mm=0.25)
    assert np.allclose(given[1].numpy() @ (4, 8, 0, 1), a_rigid(1) @ (1, 2, 0, 1))
    tracked = read_tracked_frames(write_mha(tmp_path / "s.mha", fields=rigid, spacing="0.5 0.25 1"))
    told, _ = tracked.image_to("Reference")
    assert np.allclose(told[1].numpy() @ (4, 8, 0, 1), a_rigid(1) @ (2, 2, 0, 1))


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("s.mha", lambda path: None, "does not exist"),
        ("s.mha", lambda path: path.touch(), "is empty"),
        ("s.mha", lambda path: path.write_text("a letter\n" * 30), "cannot be read"),
        ("s.nrrd", lambda path: path.write_text("a letter\n" * 30), "not an NRRD"),
        ("s.avi", lambda path: path.write_text("film"), "not of a kind"),
        ("s.mha", lambda path: write_mha(path, fields={}), "no tracking"),
        (
            "s.mha",
            lambda path: write_mha(path, fields=frame_fields(5)),
            r"5 frames \(numbered 0 to 4\) and holds 3 images",
        ),
        ("s.mha", lambda path: write_mha(path, orientation="AMF"), "image orientation AMF"),
        ("s.mha", lambda path: write_mha(path, np.full((3, 4, 6), -1, np.int16), element="MET_SHORT"), "int16"),
        ("s.mha", lambda path: write_mha(path, np.zeros((2, 3, 4, 6), np.uint8), spacing="1 1 1 1"), "volumes"),
        ("s.mha", lambda path: write_mha(path, np.zeros((3, 4, 6, 2), np.uint8), channels=2), "2 values per pixel"),
        ("s.nrrd", lambda path: write_nrrd(path, np.full((3, 4, 6), -1, np.int16), kind="int16"), "int16"),
        ("s.nrrd", lambda path: write_nrrd(path, FRAMES, encoding="hex"), "raw or gzip"),
        ("s.nrrd", lambda path: write_nrrd(path, extra=["data file: other.raw"]), "raw or gzip"),
    ],
)
def test_bad_files_are_told_in_one_sentence(tmp_path, capfd, name, write, message):
    write(tmp_path / name)
    capfd.readouterr()
    with pytest.raises(DiffUSError, match=message) as caught:
        read_tracked_frames(tmp_path / name)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("matrix", "reason"), [("1 2 3", "16 finite numbers"), ("x " * 16, "16 finite"), ("nan " * 16, "16 finite"),
                           ("1 " * 16, "0 0 0 1"), (None, "no ImageToReference")],
)  # fmt: skip
def test_a_matrix_that_cannot_be_read_costs_its_frame_only(tmp_path, matrix, reason):
    fields = frame_fields()
    key = "Seq_Frame0001_ImageToReferenceTransform"
    if matrix is None:
        del fields[key]
    else:
        fields[key] = matrix
    tracked = read_tracked_frames(write_mha(tmp_path / "s.mha", fields=fields))
    assert tracked.statuses["ImageToReference"].tolist() == [True, False, True]
    assert reason in tracked.problems["ImageToReference"][1]
    assert np.allclose(tracked.image_to("Reference")[0][2] @ torch.eye(4)[3].double(), a_rigid(2)[:, 3])


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("12.5", 12.5),
        ("12,5", 12.5),
        ("2013-05-17T10:22:31.120", 1368786151.12),  # by `date --utc --date=... +%s.%2N`
        ("2013-05-17 12:22:31.120000+02:00", 1368786151.12),
        ("noon", np.nan),
        ("", np.nan),
    ],
)
def test_timestamps_in_any_form(tmp_path, told, seconds):
    fields = frame_fields() | {"Seq_Frame0001_Timestamp": told}
    tracked = read_tracked_frames(write_mha(tmp_path / "s.mha", fields=fields))
    assert float(tracked.timestamps_s[1]) == pytest.approx(seconds, nan_ok=True)
    assert float(tracked.timestamps_s[2]) == pytest.approx(10.2)


@pytest.mark.parametrize(("first", "gap"), [(1, 1), (17, 1), (3, 2)])
def test_frames_keep_the_numbers_of_their_file(tmp_path, first, gap):
    fields = {}
    for key, value in frame_fields(invalid=(1,)).items():
        number = int(key[9:13])
        fields[f"Seq_Frame{first + gap * number:04d}{key[13:]}"] = value
    tracked = read_tracked_frames(write_mha(tmp_path / "s.mha", fields=fields))
    assert tracked.numbers == tuple(first + gap * index for index in range(COUNT))
    matrices, valid = tracked.image_to("Reference")
    assert valid.tolist() == [True, False, True]
    assert np.allclose(matrices[2], a_rigid(2) @ np.diag([0.2, 0.2, 0.2, 1]))
    assert any("gaps" in note for note in tracked.notes) == (gap > 1)


@pytest.mark.parametrize(
    ("kind", "element", "factor"), [(np.uint16, "MET_USHORT", 257), (np.int16, "MET_SHORT", 16),
                                    (np.float32, "MET_FLOAT", 1 / 255), (np.int32, "MET_INT", 4)],
)  # fmt: skip
def test_deeper_gray_is_scaled_to_8_bits(tmp_path, kind, element, factor):
    frames = FRAMES.copy()
    frames[0, 0, 0] = 255
    full = {257: 65535, 16: 4095, 1 / 255: 1.0, 4: 1023}[factor]  # white of as many bits as the values need
    stored = (frames * float(factor)).astype(kind)
    expected = np.rint(stored * (255 / full))
    for path in (
        write_mha(tmp_path / "s.mha", stored, element=element),
        write_nrrd(tmp_path / "s.nrrd", stored, kind={"f": "float"}.get(np.dtype(kind).kind, np.dtype(kind).name)),
        write_nrrd(tmp_path / "b.nrrd", stored.astype(np.dtype(kind).newbyteorder(">")), extra=["endian: big"],
                   kind={"f": "float"}.get(np.dtype(kind).kind, np.dtype(kind).name)),
    ):  # fmt: skip
        tracked = read_tracked_frames(path)
        assert tracked.images.dtype == torch.uint8 and np.array_equal(tracked.images, expected)
        assert any("scaled to 8 bits" in note for note in tracked.notes)


@pytest.mark.parametrize("told", ["XX", "N/A", "AMF", "MM"])
def test_unknown_orientation_is_asked_for(tmp_path, told):
    path = write_mha(tmp_path / "s.mha", FRAMES[:, ::-1], orientation=told)
    with pytest.raises(DiffUSError, match="--orientation"):
        read_tracked_frames(path)
    assert np.array_equal(read_tracked_frames(path, orientation="MN").images, FRAMES)


def test_names_that_link_nothing_are_ignored_by_name(tmp_path):
    fields = frame_fields() | {f"Seq_Frame{index:04d}_CalibrationTransform": "a " * 16 for index in range(COUNT)}
    tracked = read_tracked_frames(write_mha(tmp_path / "s.mha", fields=fields))
    assert list(tracked.transforms) == ["ImageToReference"]
    assert any("Calibration" in note and note.startswith("Ignored") for note in tracked.notes)


def test_a_registration_of_the_first_frame_counts_for_all(tmp_path):
    fields = frame_fields() | {"Seq_Frame0000_RasToReferenceTransform": words(a_rigid(9))}
    tracked = read_tracked_frames(write_mha(tmp_path / "s.mha", fields=fields))
    matrices, valid = tracked.image_to("Ras")
    assert bool(valid.all()) and "counts for all" in tracked.notes[0]
    assert np.allclose(matrices[2], np.linalg.solve(a_rigid(9), a_rigid(2) @ np.diag([0.2, 0.2, 0.2, 1])))


def test_a_transform_of_the_whole_file_counts_for_every_frame(tmp_path):
    fields = frame_fields() | {"ReferenceToRasTransform": words(a_rigid(9))}
    tracked = read_tracked_frames(write_mha(tmp_path / "s.mha", fields=fields))
    matrices, _ = tracked.image_to("Ras")
    assert np.allclose(matrices[1], a_rigid(9) @ a_rigid(1) @ np.diag([0.2, 0.2, 0.2, 1]))


@pytest.mark.parametrize("write", [write_mha, write_nrrd])
def test_cut_off_pixels_are_noticed(tmp_path, write):
    path = write(tmp_path / f"s.{write.__name__[-4:].strip('_')}")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DiffUSError, match="cut off"):
        read_tracked_frames(path)


def test_written_sequence_reads_back_everywhere(tmp_path):
    path = tmp_path / "sweep.igs.mha"
    poses = np.stack([a_rigid(index) @ np.diag([0.3, 0.3, 1.0, 1.0]) for index in range(COUNT)])
    statuses = {"ImageToReference": torch.tensor([True, True, False])}
    write_tracked_frames(path, FRAMES, {"ImageToReference": poses}, np.array([0.0, 0.5, 1.25]), statuses)
    image = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayFromImage(image), FRAMES)
    assert image.GetMetaData("Kinds") == "domain domain list"
    header = path.read_bytes().split(b"ElementDataFile")[0].decode()
    assert re.search(r"^UltrasoundImageOrientation = MFA$", header, re.M)
    line = re.search(r"^Seq_Frame0001_ImageToReferenceTransform = (.*)$", header, re.M)
    assert len(line[0]) < 1000  # SlicerIGSIO's reader holds no longer lines
    assert np.allclose(np.reshape(line[1].split(), (4, 4)).astype(float), poses[1], rtol=1e-10)
    tracked = read_tracked_frames(path)
    assert np.array_equal(tracked.images, FRAMES)
    assert tracked.timestamps_s.tolist() == [0.0, 0.5, 1.25]
    assert tracked.matrices("Image", "Reference")[1].nonzero().flatten().tolist() == [0, 1]
    assert np.allclose(tracked.image_to("Reference")[0][:2], poses[:2], rtol=1e-10)


def test_slicer_reads_the_written_transforms(tmp_path):
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
    if not hasattr(slicer, "vtkMRMLLinearTransformSequenceStorageNode"):
        pytest.skip("the package named slicer is not Slicer")
    import vtk

    path = tmp_path / "sweep.igs.mha"
    poses = np.stack([a_rigid(index) for index in range(COUNT)])
    write_tracked_frames(path, FRAMES, {"ProbeToReference": poses})
    scene = slicer.vtkMRMLScene()
    storage = scene.AddNewNodeByClass("vtkMRMLLinearTransformSequenceStorageNode")
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(sequence) == 1
    assert sequence.GetNumberOfDataNodes() == COUNT
    for index in range(COUNT):
        matrix = vtk.vtkMatrix4x4()
        sequence.GetNthDataNode(index).GetMatrixTransformToParent(matrix)
        loaded = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
        assert np.allclose(loaded, poses[index], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "images", "transforms", "times", "message"),
    [
        ("s.avi", FRAMES, {}, None, "ending"),
        ("s.mha", FRAMES[0], {}, None, "no sequence"),
        ("s.mha", FRAMES, {"ImageToReference": np.zeros((2, 4, 4))}, None, "each of the 3 images"),
        ("s.mha", FRAMES, {"ImageToReference": np.full((3, 4, 4), np.nan)}, None, "finite"),
        ("s.mha", FRAMES, {}, [1.0], "timestamps"),
        ("no/s.mha", FRAMES, {}, None, "does not exist"),
    ],
)
def test_what_is_no_sequence_is_not_written(tmp_path, name, images, transforms, times, message):
    with pytest.raises(DiffUSError, match=message):
        write_tracked_frames(tmp_path / name, images, transforms, times)
    assert list(tmp_path.iterdir()) == []
