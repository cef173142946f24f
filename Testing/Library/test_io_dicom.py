"""DICOM as hospitals send it: every voxel at its true place, or one sentence that says what stands in the way."""

import shutil
import warnings
from contextlib import nullcontext

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.io import read_volume
from Testing.Library.dicom_series import (
    AXIAL,
    MR,
    OBLIQUE,
    ROOT,
    SAGITTAL,
    assert_voxels_are_where_they_say,
    dataset,
    positions,
    slice_at,
    write_enhanced,
    write_series,
)

EVEN = np.arange(8) * 2.0


@pytest.fixture
def silent():
    """Any warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, OBLIQUE])
@pytest.mark.parametrize("order", [1, -1])
def test_slices_in_any_orientation_and_order(tmp_path, silent, orientation, order):
    volume = read_volume(write_series(tmp_path / "s", positions(EVEN, orientation)[::order], orientation))
    assert volume.voxels.shape == (8, 5, 6)
    assert volume.spacing_mm == pytest.approx((0.75, 1.5, 2.0))
    assert_voxels_are_where_they_say(volume)


def test_a_series_of_another_writer_agrees_with_simpleitk(tmp_path, silent):
    # An independent reader of the same files: where it puts a voxel of given value, there DiffUS must, too.
    folder = write_series(tmp_path / "s", positions(EVEN, OBLIQUE), OBLIQUE)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    volume = read_volume(folder)
    assert np.array_equal(volume.voxels.numpy(), sitk.GetArrayFromImage(image))
    corner = image.TransformIndexToPhysicalPoint((5, 4, 7))
    assert (volume.ijk_to_ras.numpy() @ (5, 4, 7, 1))[:3] == pytest.approx(np.array(corner) * (-1, -1, 1), abs=1e-3)


@pytest.mark.parametrize("distances", [[0, 2, 4, 6, 10, 14, 18], [0, 1, 2, 5, 8, 11], [0, 2.3, 4.1, 6.4, 8.2, 10.4]])
def test_uneven_slices_stay_at_their_true_places(tmp_path, distances):
    folder = write_series(tmp_path / "s", positions(distances, OBLIQUE), OBLIQUE)
    with pytest.warns(DiffUSWarning, match="interpolated"):
        volume = read_volume(folder)
    assert volume.spacing_mm[2] * (volume.voxels.shape[0] - 1) == pytest.approx(distances[-1])
    assert_voxels_are_where_they_say(volume, tolerance=1.01)


def test_one_missing_slice_is_interpolated_and_told_many_are_refused(tmp_path):
    with pytest.warns(DiffUSWarning, match=r"missing slices.*interpolated"):
        volume = read_volume(write_series(tmp_path / "one", positions(np.delete(EVEN, 4))))
    assert volume.voxels.shape[0] == 8
    assert_voxels_are_where_they_say(volume, tolerance=1.01)
    with pytest.raises(DiffUSError, match=r"lacks slices: 8\.0 mm .*s003\.dcm"):
        read_volume(write_series(tmp_path / "many", positions([0, 2, 4, 6, 14, 16, 18, 20])))


def test_slices_within_the_rounding_of_their_positions_are_even(tmp_path, silent):
    wobble = np.random.default_rng(0).uniform(-0.01, 0.01, 8)
    assert read_volume(write_series(tmp_path / "s", positions(EVEN + wobble))).voxels.shape[0] == 8


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("TemporalPositionIdentifier", (1, 2)),
        ("EchoTime", ("4.9", "9.8")),
        ("AcquisitionNumber", (1, 2)),
        ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"])),
        ("ConvolutionKernel", ("H30", "H60")),
        (None, None),
    ],
)
def test_volumes_at_one_place_are_refused_until_one_is_chosen(tmp_path, keyword, values):
    places = positions(EVEN)

    def change(one, index):
        second = index >= len(places)
        if keyword is not None:
            setattr(one, keyword, values[second])
        if second:
            one.PixelData = (np.frombuffer(one.PixelData, "<i2") + 1000).astype("<i2").tobytes()

    folder = write_series(tmp_path / "s", places * 2, change=change)
    with pytest.raises(DiffUSError, match=r"holds 2 volumes \(1: .*8 axial slices.*2: .*--phase N"):
        read_volume(folder)
    assert_voxels_are_where_they_say(read_volume(folder, phase=1))
    assert int((read_volume(folder, phase=2).voxels - read_volume(folder, phase=1).voxels).unique()) == 1000
    with pytest.raises(DiffUSError, match="no volume 3"):
        read_volume(folder, phase=3)


def test_phases_between_which_the_table_moved_are_not_mixed(tmp_path):
    def change(one, index):
        one.AcquisitionNumber = 1 + (index >= 8)

    folder = write_series(tmp_path / "s", positions(np.concatenate([EVEN, EVEN + 0.4])), change=change)
    with pytest.raises(DiffUSError, match=r"2 volumes \(1: acquisition number 1, 8 .*2: acquisition number 2, 8"):
        read_volume(folder)
    for phase in (1, 2):
        assert_voxels_are_where_they_say(read_volume(folder, phase=phase))


def test_thick_slices_among_thin_ones_are_a_choice(tmp_path):
    def change(one, index):
        one.SliceThickness = 1 if index < 20 else 5

    folder = write_series(tmp_path / "s", positions([*np.arange(20), *np.arange(0, 20, 5)]), change=change)
    for path in sorted(folder.iterdir())[20:]:
        one = pydicom.dcmread(path)
        one.PixelData = (np.frombuffer(one.PixelData, "<i2") + 1).astype("<i2").tobytes()
        one.save_as(path)
    with pytest.raises(DiffUSError, match=r"1: slice thickness 1\.0, 20 .*2: slice thickness 5\.0, 4 "):
        read_volume(folder)
    assert read_volume(folder, phase=2).spacing_mm[2] == pytest.approx(5)


def test_slices_moved_sideways_are_no_volume(tmp_path):
    places = [place + np.array([0, 3.0 * (index in (2, 5, 6)), 0]) for index, place in enumerate(positions(EVEN))]
    with pytest.raises(DiffUSError, match="sheared slices"):
        read_volume(write_series(tmp_path / "s", places))


def test_slices_that_are_there_twice_count_once(tmp_path):
    folder = write_series(tmp_path / "s", [place for place in positions(EVEN) for _ in range(2)])
    with pytest.warns(DiffUSWarning, match="8 slices twice"):
        volume = read_volume(folder)
    assert volume.voxels.shape[0] == 8
    assert_voxels_are_where_they_say(volume)


def test_the_same_uid_in_every_slice_loses_none(tmp_path, silent):
    # Tools that make patients anonymous do that.
    def change(one, index):
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = ROOT + "2.1"

    assert read_volume(write_series(tmp_path / "s", positions(EVEN), change=change)).voxels.shape[0] == 8


@pytest.mark.parametrize("kind", ["crosswise", "other size", "named", "beside", "without a place"])
def test_a_localizer_among_the_slices_is_left_out_by_name(tmp_path, kind):
    folder = write_series(tmp_path / "s", positions(np.arange(12) * 2.0))
    place = np.array([-10.0, 20.0, 90.0])
    scout = dataset(slice_at(place), place, number=99)
    if kind == "crosswise":
        scout.ImageOrientationPatient = list(SAGITTAL)
    elif kind == "other size":
        scout.Rows, scout.PixelData = 3, scout.PixelData[: 3 * 6 * 2]
    elif kind == "named":
        scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    elif kind == "beside":
        scout.ImagePositionPatient = [40, 20, 35]
    else:
        del scout.ImagePositionPatient
    scout.save_as(folder / "scout.dcm", enforce_file_format=True)
    with pytest.warns(DiffUSWarning, match=r"an image that does not belong.*scout\.dcm"):
        volume = read_volume(folder)
    assert volume.voxels.shape == (12, 5, 6)
    assert_voxels_are_where_they_say(volume)


def test_mixed_orientations_are_named_and_chosen(tmp_path):
    folder = write_series(tmp_path / "s", positions(EVEN))
    write_series(folder, positions(EVEN[:5], SAGITTAL), SAGITTAL, name="t")
    with pytest.raises(DiffUSError, match=r"1: 8 axial slices of 6 x 5; 2: 5 sagittal slices"):
        read_volume(folder)
    for phase, count in ((1, 8), (2, 5)):
        volume = read_volume(folder, phase=phase)
        assert volume.voxels.shape[0] == count
        assert_voxels_are_where_they_say(volume)


@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE])
def test_enhanced_files_read_alone_and_as_a_folder(tmp_path, silent, orientation):
    slopes = [1.0, 0.5, 2.0, 1.0, 0.5, 1.0, 1.0, 1.0]
    (tmp_path / "s").mkdir()
    path = write_enhanced(tmp_path / "s" / "one.dcm", positions(EVEN, orientation), orientation, slopes)
    for given in (path, path.parent):
        assert_voxels_are_where_they_say(read_volume(given), tolerance=1.01)
    bare = path.rename(path.with_name("IM0001"))
    assert_voxels_are_where_they_say(read_volume(bare), tolerance=1.01)


def test_enhanced_phases_and_uneven_frames(tmp_path):
    places = positions(EVEN)
    frames = [slice_at(place) for place in places]
    path = write_enhanced(
        tmp_path / "two.dcm", places * 2, labels=np.repeat([1, 2], 8), frames=frames + [one + 500 for one in frames]
    )
    with pytest.raises(DiffUSError, match=r"temporal position index 1.*temporal position index 2"):
        read_volume(path)
    assert_voxels_are_where_they_say(read_volume(path, phase=1))
    uneven = write_enhanced(tmp_path / "uneven.dcm", positions([0, 2, 4, 8, 12, 16]))
    with pytest.warns(DiffUSWarning, match="interpolated"):
        assert_voxels_are_where_they_say(read_volume(uneven), tolerance=1.01)


def test_monochrome1_keeps_hounsfield_units_and_inverts_what_has_no_scale(tmp_path):
    def invert(one, index):
        one.PhotometricInterpretation = "MONOCHROME1"

    plain = read_volume(write_series(tmp_path / "plain", positions(EVEN), sop=MR)).voxels
    hounsfield = read_volume(write_series(tmp_path / "ct", positions(EVEN), change=invert)).voxels
    assert (hounsfield == plain).all()
    with pytest.warns(DiffUSWarning, match="MONOCHROME1"):
        white = read_volume(write_series(tmp_path / "mr", positions(EVEN), change=invert, sop=MR)).voxels
    assert (white == -1 - plain).all()


def test_series_in_subfolders_and_by_number(tmp_path):
    top = tmp_path / "disk"
    top.mkdir()
    write_series(top / "SE1", positions(EVEN), series="21", change=lambda one, _: setattr(one, "SeriesNumber", 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_volume(top).voxels.shape[0] == 8
    write_series(top / "SE2", positions(EVEN[:3]), series="22", change=lambda one, _: setattr(one, "SeriesNumber", 5))
    with pytest.warns(DiffUSWarning, match=rf"{ROOT}21, was taken.*{ROOT}22 \(CT, 5, 3 slices\)"):
        assert read_volume(top).voxels.shape[0] == 8
    assert read_volume(top, series_uid="5").voxels.shape[0] == 3
    scout = dataset(slice_at(np.zeros(3)), np.zeros(3), series="23")
    scout.save_as(top / "scout.dcm", enforce_file_format=True)
    with pytest.warns(DiffUSWarning, match=rf"{ROOT}21, was taken"):
        assert read_volume(top).voxels.shape[0] == 8
    (top / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    assert read_volume(top / "DICOMDIR", series_uid="5").voxels.shape[0] == 3


def test_names_without_endings_and_files_without_preamble(tmp_path, silent):
    folder = write_series(tmp_path / "s", positions(EVEN))
    for number, path in enumerate(sorted(folder.iterdir())):
        one = pydicom.dcmread(path)
        path.unlink()
        bare = folder / f"IM{number}"
        one.save_as(bare) if number % 2 else pydicom.dcmwrite(
            bare, _without_meta(one), implicit_vr=True, little_endian=True, enforce_file_format=False
        )
    assert_voxels_are_where_they_say(read_volume(folder))


def _without_meta(one):
    del one.file_meta
    return one


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_transfer_syntaxes_of_pydicom(tmp_path, silent, syntax):
    folder = write_series(tmp_path / "s", positions(EVEN))
    for path in folder.iterdir():
        one = pydicom.dcmread(path)
        if syntax == RLELossless:
            one.compress(syntax)
            one.save_as(path)
            continue
        big = syntax == ExplicitVRBigEndian
        if big:
            one.PixelData = np.frombuffer(one.PixelData, "<i2").astype(">i2").tobytes()
        one.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(path, one, implicit_vr=not big, little_endian=not big)
    assert_voxels_are_where_they_say(read_volume(folder))


@pytest.mark.parametrize(
    ("compressor", "photometric"),
    [("JPEG", "MONOCHROME2"), ("JPEG2000", "MONOCHROME2"), ("JPEG", "MONOCHROME1"), ("JPEG2000", "MONOCHROME1")],
)
def test_lossless_jpeg_as_gdcm_writes_it(tmp_path, compressor, photometric):
    folder = tmp_path / "s"
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number, place in enumerate(positions(EVEN)):
        image = sitk.GetImageFromArray(np.tile(np.rint(slice_at(place)), (4, 4)).astype(np.int16)[None])
        image.SetSpacing((0.75, 1.5, 2.0))
        for key, value in {
            "0008|0060": "MR",
            "0020|000e": ROOT + "7",
            "0008|0018": f"{ROOT}7.{number + 1}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0032": "\\".join(map(str, place)),
        }.items():
            image.SetMetaData(key, value)
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
        writer.SetFileName(str(folder / f"{number}.dcm"))
        writer.Execute(image)
    inverted = photometric == "MONOCHROME1"
    for path in folder.iterdir():
        one = pydicom.dcmread(path)
        assert one.file_meta.TransferSyntaxUID.is_compressed
        one.PhotometricInterpretation = photometric
        one.save_as(path)
    with pytest.warns(DiffUSWarning) if inverted else nullcontext():
        volume = read_volume(folder)
    for k, place in enumerate(positions(EVEN)):
        stored = np.rint(slice_at(place))
        assert np.array_equal(volume.voxels[k, :5, :6].numpy(), -1 - stored if inverted else stored)


def write_mosaic(folder):
    write_series(folder, positions(EVEN), change=lambda one, _: setattr(one, "ImageType", "ORIGINAL\\PRIMARY\\MOSAIC"))


def write_tilted(folder):
    tilt = np.radians(12)
    places = [np.array([0.0, 0.0, distance]) for distance in EVEN]
    write_series(folder, places, (1, 0, 0, 0, np.cos(tilt), -np.sin(tilt)))


def write_screenshots(folder):
    write_series(folder, positions(EVEN), change=lambda one, _: one.__delattr__("ImageOrientationPatient"))


def write_clip(folder):
    one = dataset(np.zeros((4, 5, 6)), None)
    one.NumberOfFrames, one.Modality = 4, "US"
    one.save_as(folder / "clip.dcm", enforce_file_format=True)


def write_segmentation(folder):
    one = dataset(np.zeros((5, 6)), (0, 0, 0))
    one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    one.save_as(folder / "seg.dcm", enforce_file_format=True)


def write_colors(folder):
    def color(one, index):
        one.SamplesPerPixel, one.PhotometricInterpretation, one.PlanarConfiguration = 3, "RGB", 0
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 8, 8, 7, 0
        one.PixelData = bytes(5 * 6 * 3)

    write_series(folder, positions(EVEN), change=color)


def write_cut(folder):
    write_series(folder, positions(EVEN))
    path = folder / "s003.dcm"
    path.write_bytes(path.read_bytes()[:-20])


def write_bad_number(folder):
    write_series(folder, positions(EVEN))
    path = folder / "s003.dcm"
    path.write_bytes(path.read_bytes().replace(b"-10.000000", b"-10.0x0000"))


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (write_mosaic, "Siemens mosaic"),
        (write_tilted, r"gantry tilt of 12\.0 degrees"),
        (write_screenshots, "does not say where its slices are"),
        (write_clip, "ultrasound clip"),
        (write_segmentation, "segmentation only"),
        (write_colors, "3 values per voxel"),
        (write_cut, r"s003\.dcm cannot be decoded"),
        (write_bad_number, r"header of .*s003\.dcm is damaged"),
    ],
)
def test_what_is_no_volume_is_told_in_one_sentence(tmp_path, capfd, write, words):
    folder = tmp_path / "s"
    folder.mkdir()
    write(folder)
    capfd.readouterr()
    with pytest.raises(DiffUSError, match=words) as caught:
        read_volume(folder)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert capfd.readouterr() == ("", "")


def test_one_slice_by_name_asks_for_its_folder(tmp_path):
    folder = write_series(tmp_path / "s", positions(EVEN))
    with pytest.raises(DiffUSError, match="name the folder that holds all slices"):
        read_volume(folder / "s001.dcm")
    with pytest.raises(DiffUSError, match="no DICOM"):
        (tmp_path / "letter.dcm").write_text("hello")
        read_volume(tmp_path / "letter.dcm")
    shutil.rmtree(folder)
