"""Screens and logs become a tracked sweep: images and tables that the test writes, poses that it knows."""

import argparse

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from DiffUSLib.cli import track
from DiffUSLib.errors import DiffUSError
from DiffUSLib.io import read_tracked_frames

COUNT, HEIGHT, WIDTH = 8, 60, 80
RNG = np.random.default_rng(4)
IMAGES = np.zeros((COUNT, HEIGHT, WIDTH), np.uint8)
IMAGES[:, 4:56, 10:70] = RNG.integers(1, 250, (COUNT, 52, 60))


def pose_at(second):
    """The probe turns evenly by 20 degrees a second and slides by 12 mm a second; (4, 4) in mm."""
    matrix = np.eye(4)
    start = Rotation.from_rotvec([0.4, -1.1, 0.3])
    matrix[:3, :3] = (start * Rotation.from_rotvec([0, 0, np.deg2rad(20) * second])).as_matrix()
    matrix[:3, 3] = (120 + 12 * second, -340 + 5 * second, 900)
    return matrix


def quaternion(second):
    return Rotation.from_matrix(pose_at(second)[:3, :3]).as_quat()  # x, y, z, w


def run(*words):
    parser = argparse.ArgumentParser()
    track.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["track", *map(str, words)])
    arguments.run(arguments)


def write_folder(folder, images=IMAGES, name="frame{}.png", numbers=None):
    folder.mkdir()
    for index, image in enumerate(images):
        path = folder / name.format(index if numbers is None else numbers[index])
        sitk.WriteImage(sitk.GetImageFromArray(image), str(path))
    return folder


def write_table(path, header, rows, delimiter=","):
    lines = [delimiter.join(header)] + [
        delimiter.join(f"{cell:.12g}" if isinstance(cell, float) else str(cell) for cell in row) for row in rows
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def plain_table(path, times=None):
    times = np.arange(COUNT) * 0.1 if times is None else times
    rows = [[float(t), *pose_at(t)[:3, 3], *quaternion(t)] for t in times]
    return write_table(path, ["time_s", "tx_mm", "ty_mm", "tz_mm", "qx", "qy", "qz", "qw"], rows)


def check(path, seconds, pixel=0.25, used=range(COUNT)):
    tracked = read_tracked_frames(path)
    assert np.array_equal(tracked.images, IMAGES[list(used)])
    matrices = tracked.image_to("Reference")[0].numpy()
    for matrix, second in zip(matrices, seconds, strict=True):
        for column, row in ((0, 0), (79, 0), (10, 59)):
            expected = pose_at(second) @ (column * pixel, row * pixel, 0, 1)
            assert matrix @ (column, row, 0, 1) == pytest.approx(expected, abs=1e-4)


SECONDS = [0.1 * index for index in range(COUNT)]


def rows_of(form):
    for second in SECONDS:
        m, (x, y, z, w) = pose_at(second), quaternion(second)
        yield {
            "ros": [int(second * 1e9 + 1.6e18), *m[:3, 3] / 1000, x, y, z, w],
            "wxyz": [second, w, x, y, z, *m[:3, 3] / 1000],
            "elements": [second, *m[:3].ravel()],
            "turn": [*m[:3, 3] / 10, *m[:3, :3].ravel()],
            "flat": [*m.ravel()],
            "columns": [*m.T.ravel()],
            "text": [" ".join(f"{value:.9f}" for value in m.ravel())],
            "bare": [*m[:3, 3], x, y, z, w],
        }[form]


ELEMENTS = [f"m{row}{column}" for row in range(3) for column in range(4)]
TURN = [f"R{row}{column}" for row in (1, 2, 3) for column in (1, 2, 3)]
ROS = ["%time", *(f"field.pose.position.{axis}" for axis in "xyz"), *(f"field.pose.orientation.{a}" for a in "xyzw")]


@pytest.mark.parametrize(
    ("form", "header", "options"),
    [
        ("ros", ROS, ["--units", "m"]),
        ("wxyz", ["timestamp (s)", "q0", "q1", "q2", "q3", "X [m]", "Y [m]", "Z [m]"], ["--quaternion", "wxyz"]),
        ("wxyz", ["t", "qw", "qx", "qy", "qz", "x_m", "y_m", "z_m"], []),
        ("elements", ["Time", *ELEMENTS], []),
        ("turn", ["tx_cm", "ty_cm", "tz_cm", *TURN], []),
        ("flat", [f"T{index}" for index in range(16)], []),
        ("columns", [f"T{index}" for index in range(1, 17)], []),
        ("text", ["ImageToReferenceTransform"], []),
        ("bare", ["Tx", "Ty", "Tz", "x", "y", "z", "w"], []),
        ("bare", [*(f"Probe Position {a}" for a in "XYZ"), *(f"Probe Rotation {a}" for a in "XYZW")], []),
        ("wxyz", ["unix_time", "Q0", "Qx", "Qy", "Qz", "Tx (m)", "Ty (m)", "Tz (m)"], []),
        ("wxyz", ["elapsed s", "RW", "RX", "RY", "RZ", "TX m", "TY m", "TZ m"], []),
        ("wxyz", ["time", "q_r", "q_i", "q_j", "q_k", "t1_m", "t2_m", "t3_m"], []),
        ("elements", ["time", *(name.replace("m", "a") for name in ELEMENTS)], []),
    ],
)
def test_tables_as_people_write_them(tmp_path, form, header, options):
    delimiter = ";\t,"[len(header) % 3]
    table = write_table(tmp_path / "poses.csv", header, rows_of(form), delimiter)
    folder = write_folder(tmp_path / "images", numbers=range(5, 5 + COUNT))  # frame5 stands before frame10
    run(folder, table, "-o", tmp_path / "s.igs.mha", "--pixel-mm", 0.25, *options)
    check(tmp_path / "s.igs.mha", SECONDS)


def test_a_decimal_comma_and_comments_are_read(tmp_path):
    rows = [[f"{cell:.9f}".replace(".", ",") for cell in row] for row in rows_of("bare")]
    table = write_table(tmp_path / "poses.csv", ["Tx", "Ty", "Tz", "x", "y", "z", "w"], rows, ";")
    table.write_text("\ufeff" + table.read_text() + "# the end\n", encoding="utf-8")
    run(write_folder(tmp_path / "images"), table, "-o", tmp_path / "s.igs.mha", "--pixel-mm", "0.25,0.25")
    check(tmp_path / "s.igs.mha", SECONDS)


def test_images_are_matched_by_name_in_any_order(tmp_path):
    order = [3, 1, 7, 0, 2, 4, 6]  # nothing names image 5
    rows = [[f"frame{index}.png", *pose_at(SECONDS[index])[:3].ravel()] for index in order]
    table = write_table(tmp_path / "poses.csv", ["file", *ELEMENTS], rows)
    run(write_folder(tmp_path / "images"), table, "-o", tmp_path / "s.igs.mha", "--pixel-mm", 0.25)
    used = [0, 1, 2, 3, 4, 6, 7]
    check(tmp_path / "s.igs.mha", [SECONDS[index] for index in used], used=used)


@pytest.mark.parametrize("first", [0, 1])
def test_images_are_matched_by_number_in_any_order(tmp_path, capsys, first):
    order = [3, 1, 7, 0, 2, 4, 6]
    rows = [[index + first, "OK", *pose_at(SECONDS[index])[:3].ravel()] for index in order]
    if first:  # counted from 1 only if the last one is there; the tracker lost image 5
        rows.append([6, "Missing", *[0.0] * 12])
    table = write_table(tmp_path / "poses.csv", ["Frame", "State", *ELEMENTS], rows)
    folder = write_folder(tmp_path / "images", name="{}th.png")  # no numbers at the end of the names
    run(folder, table, "-o", tmp_path / "s.igs.mha", "--pixel-mm", 0.25)
    assert "matched by number" in capsys.readouterr().out
    used = [0, 1, 2, 3, 4, 6, 7]
    check(tmp_path / "s.igs.mha", [SECONDS[index] for index in used], used=used)


def test_what_a_column_calls_its_poses_counts(tmp_path, capsys):
    header = ["time_of_day", *(f"ProbeToTracker_{name}" for name in ("tx", "ty", "tz", "qx", "qy", "qz", "qw"))]
    rows = [[f"10:22:{30 + t:04.1f}", *pose_at(t)[:3, 3], *quaternion(t)] for t in SECONDS]
    table = write_table(tmp_path / "poses.csv", header, rows)
    run(write_folder(tmp_path / "images"), table, "-o", tmp_path / "s.igs.mha")
    assert "ProbeToTracker is no pose of the images" in capsys.readouterr().err
    matrices = read_tracked_frames(tmp_path / "s.igs.mha").transforms["ProbeToTracker"].numpy()
    assert matrices == pytest.approx(np.stack([pose_at(t) for t in SECONDS]), abs=1e-6)


def test_images_are_matched_by_time_with_latency(tmp_path, capsys):
    """Poses at 47 Hz, images at 10 Hz stamped 0.13 s late; where poses are missing, images are dropped."""
    times = np.arange(-0.5, 0.9, 1 / 47)
    times = times[(times < 0.22) | (times > 0.41)]
    table = plain_table(tmp_path / "poses.csv", 1000 + times)
    rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
    for row, time in zip(rows, times, strict=True):
        row[1:] = [f"{value:.12g}" for value in (*pose_at(time)[:3, 3], *quaternion(time))]
    write_table(table, ["time_s", "tx_mm", "ty_mm", "tz_mm", "qx", "qy", "qz", "qw"], rows)
    run(write_folder(tmp_path / "images"), table, "-o", tmp_path / "s.igs.mha", "--pixel-mm", 0.25, "--fps", 10,
        "--latency", 0.13, "--first-image", 1000)  # fmt: skip
    seconds = np.array(SECONDS) - 0.13
    used = [index for index, second in enumerate(seconds) if not times[times < 0.3].max() < second < 0.41]
    assert 5 < len(used) < COUNT
    check(tmp_path / "s.igs.mha", seconds[used], used=used)
    assert "no pose is near in time" in capsys.readouterr().err


def test_frozen_poses_are_not_stretched(tmp_path):
    """The tracker repeats its last pose for 0.4 s: images of that time have no pose."""
    times = np.arange(0, 0.8, 0.02)
    held = np.where((times > 0.2) & (times < 0.6), 0.2, times)
    rows = [[float(t), *pose_at(h)[:3].ravel()] for t, h in zip(times, held, strict=True)]
    table = write_table(tmp_path / "poses.csv", ["time", *ELEMENTS], rows)
    run(write_folder(tmp_path / "images"), table, "-o", tmp_path / "s.igs.mha", "--pixel-mm", 0.25, "--fps", 10)
    used = [0, 1, 2, 6, 7]
    check(tmp_path / "s.igs.mha", [SECONDS[index] for index in used], used=used)


def test_repeated_images_and_lost_poses_are_dropped(tmp_path, capsys):
    images = IMAGES.copy()
    images[4] = images[3]
    header = ["tx_mm", "ty_mm", "tz_mm", "qx", "qy", "qz", "qw", "status"]
    rows = [[*pose_at(t)[:3, 3], *quaternion(t), "OK"] for t in SECONDS]
    rows[1][7], rows[6][3:7] = "MISSING", [0.0, 0.0, 0.0, 0.0]
    table = write_table(tmp_path / "poses.csv", header, rows)
    run(write_folder(tmp_path / "images", images), table, "-o", tmp_path / "s.igs.mha", "--pixel-mm", 0.25)
    used = [0, 2, 3, 5, 7]
    check(tmp_path / "s.igs.mha", [SECONDS[index] for index in used], used=used)
    told = capsys.readouterr().err
    assert "3 of 8 images dropped" in told and "line 3: the tracker says 'MISSING'" in told
    assert "line 8: its quaternion has the length 0" in told and "4: it repeats the image before" in told


def test_a_calibration_makes_probe_poses_a_sweep(tmp_path):
    calibration = pose_at(3.0) @ np.diag([0.25, 0.25, 0.25, 1])
    text = " ".join(map(repr, calibration.ravel().tolist()))
    (tmp_path / "plus.xml").write_text(
        f'<P><CoordinateDefinitions><Transform From="Image" To="Probe" Matrix="{text}"/></CoordinateDefinitions></P>'
    )
    run(write_folder(tmp_path / "images"), plain_table(tmp_path / "p.csv"), "-o", tmp_path / "s.igs.mha",
        "--calibration", tmp_path / "plus.xml", "--match", "row", "--transform", "ProbeToTracker")  # fmt: skip
    matrices, _ = read_tracked_frames(tmp_path / "s.igs.mha").image_to("Tracker")
    assert np.allclose(matrices[3], pose_at(0.3) @ calibration, atol=1e-5)
    with pytest.raises(DiffUSError, match="leads from Image to neither Stylus nor Tracker"):
        run(tmp_path / "images", tmp_path / "p.csv", "-o", tmp_path / "t.mha", "--calibration", tmp_path / "plus.xml",
            "--transform", "StylusToTracker")  # fmt: skip


def test_matrices_that_take_pixels_hold_their_size(tmp_path):
    rows = [[*(pose_at(t) @ np.diag([0.25, 0.25, 0.25, 1]))[:3].ravel()] for t in SECONDS]
    table = write_table(tmp_path / "poses.csv", ELEMENTS, rows)
    run(write_folder(tmp_path / "images"), table, "-o", tmp_path / "s.igs.mha")
    check(tmp_path / "s.igs.mha", SECONDS)


def test_a_video_is_read_with_its_times(tmp_path):
    """Every frame stands twice in the video, as screen recorders write it; its own times find the poses."""
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "v.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=20)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 8_000_000
        smooth = np.kron(IMAGES[:, ::10, ::10], np.ones((10, 10), np.uint8))
        for image in np.repeat(smooth, 2, axis=0):
            for packet in stream.encode(av.VideoFrame.from_ndarray(np.repeat(image[..., None], 3, -1), "rgb24")):
                container.mux(packet)
        container.mux(stream.encode())
    times = np.arange(0, 1.0, 0.04)
    run(tmp_path / "v.mp4", plain_table(tmp_path / "p.csv", times), "-o", tmp_path / "s.igs.mha", "--pixel-mm", 0.25)
    tracked = read_tracked_frames(tmp_path / "s.igs.mha")
    assert len(tracked.images) == COUNT
    for index in range(COUNT):
        assert np.abs(tracked.images[index].numpy().astype(int) - smooth[index]).mean() < 6
        expected = pose_at(SECONDS[index]) @ np.diag([0.25, 0.25, 0.25, 1])
        assert np.allclose(tracked.transforms["ImageToReference"][index], expected, atol=1e-3)


def write_dicom(path, image, number, **more):
    """A single ultrasound image as a scanner sends it: calibrated region, its time in milliseconds."""
    pydicom = pytest.importorskip("pydicom")
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    region = pydicom.Dataset()
    region.RegionSpatialFormat, region.RegionDataType = 1, 1
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 10, 4
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 69, 55
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.025  # cm
    data = pydicom.Dataset()
    data.file_meta, data.Modality, data.InstanceNumber = meta, "US", number
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.SequenceOfUltrasoundRegions = [region]
    data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = *image.shape, 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation, data.PixelData = 7, 0, image.tobytes()
    for key, value in more.items():
        setattr(data, key, value)
    data.save_as(path, enforce_file_format=True)


def test_dicom_images_tell_pixel_size_and_times(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for index, image in enumerate(IMAGES):  # the names are in no order, the instance numbers are
        time = f"1200{index // 5 + 30:02d}.{index % 5 * 200:03d}000"
        write_dicom(folder / f"{(index * 5) % 8}", image, index + 1, ContentDate="20240102", ContentTime=time)
    start = 1704196830.0  # `date --utc --date='2024-01-02 12:00:30' +%s`
    times = np.arange(0, 1.6, 0.05)
    rows = [[f"{start + t:.3f}", *pose_at(t / 2)[:3].ravel()] for t in times]
    table = write_table(tmp_path / "poses.csv", ["time", *ELEMENTS], rows)
    run(folder, table, "-o", tmp_path / "s.igs.mha")
    check(tmp_path / "s.igs.mha", SECONDS)
    write_dicom(folder / "clip", IMAGES[0], 20, SequenceOfUltrasoundRegions=[])
    with pytest.raises(DiffUSError, match="differ in the size of their pixels"):
        run(folder, table, "-o", tmp_path / "t.igs.mha")


@pytest.mark.parametrize(
    ("header", "row", "words", "message"),
    [
        (["a", "b"], ["1", "2"], [], "hold no pose; name them"),
        (["1", "2", "3"], ["1", "2", "3"], [], "no names of columns"),
        (["tx", "ty", "tz", "roll", "pitch", "yaw"], ["1"] * 6, [], "turn by angles"),
        (["tx", "ty", "tz", "q0", "q1", "q2", "q3"], ["900", "1", "1", "0", "0", "0", "1"], [], "--quaternion"),
        (["tx", "ty", "tz", "qx", "qy", "qz", "qw"], ["0.9", "1", "1", "0", "0", "0", "1"], [], "like meters"),
        (["tx", "ty", "tz", "qx", "qy", "qz", "qw"], ["900", "1", "1", "0", "0", "0", "9"], [], "length 9 instead"),
        (["tx_mm", "ty_mm", "tz_m", "qx", "qy", "qz", "qw"], ["900"] * 7, [], "several units"),
        (["a_x", "a_y", "a_z", "b_x", "b_y", "b_z", "qx", "qy", "qz", "qw"], ["1"] * 10, [], "several poses .a, b"),
        (["tx", "ty", "tz", "qx", "qy", "qz", "qw"], ["900", "1", "1", "0", "0", "0"], [], "line 2 .* has 6 cells"),
        (ELEMENTS, ["1"] * 12, [], "singular"),
        (["tx_mm", *ELEMENTS[1:]], ["1"] * 12, [], "hold no pose"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_read_are_a_sentence(tmp_path, header, row, words, message):
    table = write_table(tmp_path / "p.csv", header, [row] * COUNT)
    folder = write_folder(tmp_path / "images")
    with pytest.raises(DiffUSError, match=message) as caught:
        run(folder, table, "-o", tmp_path / "s.igs.mha", "--pixel-mm", 0.2, *words)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert not (tmp_path / "s.igs.mha").exists()


@pytest.mark.parametrize(
    ("make", "words", "message"),
    [
        (lambda path: None, [], "does not exist"),
        (lambda path: path.mkdir(), [], "holds no images"),
        (lambda path: write_folder(path, IMAGES[:5]), [], "8 poses, so rows do not tell"),
        (lambda path: write_folder(path, IMAGES[:5]), ["--match", "time"], "nothing tells when"),
        (lambda path: write_folder(path), ["--fps", 10, "--first-image", 77], "no time in common"),
        (lambda path: write_folder(path), ["--latency", 0.2], "match by time"),
        (lambda path: write_folder(path), ["--fps", -1], "--fps is -1"),
        (lambda path: write_folder(path), ["--transform", "Nonsense"], "FromToTo"),
        (lambda path: (write_folder(path) / "frame3.png").write_bytes(b"no picture"), [], "frame3.png cannot be read"),
        (lambda path: write_folder(path.parent / "x", IMAGES[:1]).rename(path) and sitk.WriteImage(
            sitk.GetImageFromArray(IMAGES[0, :30]), str(path / "frame9.png")), [], "80 x 30 pixels"),
    ],
)  # fmt: skip
def test_images_that_cannot_be_used_are_a_sentence(tmp_path, make, words, message):
    make(tmp_path / "images")
    table = plain_table(tmp_path / "p.csv")
    with pytest.raises(DiffUSError, match=message):
        run(tmp_path / "images", table, "-o", tmp_path / "s.igs.mha", "--pixel-mm", 0.2, *words)
    with pytest.raises(DiffUSError, match="video"):
        run(table, table, "-o", tmp_path / "s.igs.mha", "--pixel-mm", 0.2)
    assert not (tmp_path / "s.igs.mha").exists()


def test_a_video_that_is_none_is_a_sentence(tmp_path):
    pytest.importorskip("av")
    (tmp_path / "v.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(DiffUSError, match="cannot be decoded"):
        run(tmp_path / "v.mp4", plain_table(tmp_path / "p.csv"), "-o", tmp_path / "s.igs.mha", "--pixel-mm", 0.2)


def test_the_pixel_size_is_asked_for_where_no_ruler_is(tmp_path):
    with pytest.raises(DiffUSError, match="--pixel-mm"):
        run(write_folder(tmp_path / "images"), plain_table(tmp_path / "p.csv"), "-o", tmp_path / "s.igs.mha")
