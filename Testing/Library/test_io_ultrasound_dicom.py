"""Clips as DICOM and MP4: other programs find pixels and their size; clips of scanners are read as they are."""

import shutil
import subprocess

import av
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import torch
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.io.animation import write_video
from DiffUSLib.io.dicom_export import write_ultrasound_dicom
from DiffUSLib.io.ultrasound_dicom import read_ultrasound_dicom
from Testing.Library.dicom_series import dataset

FRAMES = np.random.default_rng(0).integers(0, 256, (4, 37, 51)).astype(np.uint8)

# PS3.3 A.7: the attributes of type 1 of its modules for a cine loop of gray frames.
REQUIRED = (
    "StudyInstanceUID", "Modality", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID", "ImageType",
    "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "PixelData", "NumberOfFrames", "FrameIncrementPointer", "FrameTime",
    "SequenceOfUltrasoundRegions",
)  # fmt: skip
REQUIRED_OF_REGION = (
    "RegionSpatialFormat", "RegionDataType", "RegionFlags", "RegionLocationMinX0", "RegionLocationMinY0",
    "RegionLocationMaxX1", "RegionLocationMaxY1", "PhysicalUnitsXDirection", "PhysicalUnitsYDirection",
    "PhysicalDeltaX", "PhysicalDeltaY",
)  # fmt: skip


def test_a_written_clip_is_read_by_simpleitk_with_its_pixel_size(tmp_path):
    path = tmp_path / "clip.dcm"
    write_ultrasound_dicom(path, torch.from_numpy(FRAMES / 255.0), (0.25, 0.4))
    image = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayFromImage(image), FRAMES)
    assert image.GetSpacing()[:2] == pytest.approx((0.25, 0.4))


def test_a_written_clip_holds_what_the_standard_asks_for(tmp_path):
    path = tmp_path / "clip.dcm"
    write_ultrasound_dicom(path, FRAMES, 0.3, face_px=(25.2, -0.6), frames_per_second=20, frequency_mhz=6.5)
    clip = pydicom.dcmread(path)
    assert clip.SOPClassUID.name == "Ultrasound Multi-frame Image Storage"
    assert all(clip.get(name) not in (None, "") for name in REQUIRED)
    (region,) = clip.SequenceOfUltrasoundRegions
    assert all(region.get(name) is not None for name in REQUIRED_OF_REGION)
    assert (region.RegionSpatialFormat, region.RegionDataType) == (1, 1)  # two-dimensional tissue
    assert (region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection) == (3, 3)  # cm
    assert (region.PhysicalDeltaX, region.PhysicalDeltaY) == pytest.approx((0.03, 0.03))
    assert (region.RegionLocationMaxX1, region.RegionLocationMaxY1) == (50, 36)
    # The face of the transducer is the origin: 25.2 pixels to the right, 0.6 above the first row.
    x = region.ReferencePixelPhysicalValueX + (25.2 - region.ReferencePixelX0) * region.PhysicalDeltaX
    y = region.ReferencePixelPhysicalValueY + (-0.6 - region.ReferencePixelY0) * region.PhysicalDeltaY
    assert (x, y) == pytest.approx((0, 0))
    assert region.TransducerFrequency == 6500  # kHz
    assert clip.FrameTime == 50 and clip.FrameIncrementPointer == pydicom.datadict.tag_for_keyword("FrameTime")
    assert "imulated" in clip.DerivationDescription and clip.ImageType[0] == "DERIVED"


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("with_template", [False, True])
def test_dciodvfy_finds_no_error(tmp_path, with_template):
    template = tmp_path / "slice.dcm"
    dataset(np.zeros((5, 6)), (0, 0, 0)).save_as(template, enforce_file_format=True)
    path = tmp_path / "clip.dcm"
    write_ultrasound_dicom(path, FRAMES, 0.3, (25, 0), template=template if with_template else None)
    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False).stderr
    assert "USMultiFrameImage" in said and "Error" not in said


def test_patient_and_study_are_those_of_the_template(tmp_path):
    slice_ = dataset(np.zeros((5, 6)), (0, 0, 0))
    slice_.SpecificCharacterSet = "ISO_IR 100"
    slice_.PatientName, slice_.PatientID, slice_.PatientBirthDate = "Müller^Änne", "4711", "19700101"
    slice_.StudyDate, slice_.AccessionNumber = "20240229", "A1"
    slice_.save_as(tmp_path / "slice.dcm", enforce_file_format=True)
    write_ultrasound_dicom(tmp_path / "clip.dcm", FRAMES[0], 0.3, template=tmp_path / "slice.dcm")
    clip = pydicom.dcmread(tmp_path / "clip.dcm")
    for name in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "StudyDate", "AccessionNumber"):
        assert clip[name].value == slice_[name].value
    assert clip.SeriesInstanceUID != slice_.SeriesInstanceUID
    assert clip.PatientSex == "" and clip.NumberOfFrames == 1


@pytest.mark.parametrize(
    ("name", "template", "words"),
    [("clip.dicom", None, "must end in .dcm"), ("clip.dcm", "letter.txt", "no DICOM file with a patient")],
)
def test_what_cannot_be_written_is_told(tmp_path, name, template, words):
    (tmp_path / "letter.txt").write_text("hello")
    with pytest.raises(DiffUSError, match=words):
        write_ultrasound_dicom(tmp_path / name, FRAMES, 0.3, template=template and tmp_path / template)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def a_clip(pixels, photometric="MONOCHROME2", bits=8):
    """A clip as a scanner writes it."""
    clip, clip.file_meta = Dataset(), FileMetaDataset()
    clip.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    clip.SOPClassUID = clip.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    clip.SOPInstanceUID = clip.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    clip.SeriesInstanceUID, clip.Modality = "1.2.3", "US"
    clip.NumberOfFrames, clip.Rows, clip.Columns = pixels.shape[:3]
    clip.SamplesPerPixel, clip.PhotometricInterpretation, clip.PlanarConfiguration = 1, photometric, 0
    if pixels.ndim == 4:
        clip.SamplesPerPixel = 3
    clip.BitsAllocated, clip.BitsStored, clip.HighBit = 8 * pixels.itemsize, bits, bits - 1
    clip.PixelRepresentation = 0
    clip.PixelData = pixels.tobytes()
    return clip


def a_region(unit=3, spatial=1, delta=(0.02, 0.05), corners=(4, 2, 46, 35)):
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = spatial, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = corners[:2]
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = corners[2:]
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = unit
    region.PhysicalDeltaX, region.PhysicalDeltaY = delta
    return region


def read(clip, tmp_path):
    clip.save_as(tmp_path / "clip.dcm", enforce_file_format=True)
    return read_ultrasound_dicom(tmp_path / "clip.dcm")


def test_pixel_size_comes_from_the_two_dimensional_region(tmp_path):
    clip = a_clip(FRAMES)
    clip.SequenceOfUltrasoundRegions = [a_region(unit=4, spatial=2), a_region()]  # the first is an M-mode in seconds
    frames = read(clip, tmp_path)
    assert np.array_equal(frames.images, FRAMES)
    assert frames.pixel_mm == pytest.approx((0.2, 0.5)) and frames.region_px == (4, 2, 46, 35)
    clip.SequenceOfUltrasoundRegions = [a_region(unit=4, spatial=2)]
    assert read(clip, tmp_path).pixel_mm is None
    clip.PixelSpacing = [0.7, 0.3]  # rows, columns
    assert read(clip, tmp_path).pixel_mm == pytest.approx((0.3, 0.7))


def test_a_region_beyond_a_shrunk_image_has_no_pixel_size(tmp_path):
    clip = a_clip(FRAMES)
    clip.SequenceOfUltrasoundRegions = [a_region(corners=(4, 2, 90, 70))]
    with pytest.warns(DiffUSWarning, match="beyond its image"):
        frames = read(clip, tmp_path)
    assert frames.pixel_mm is None and frames.region_px is None


def test_times_of_frames(tmp_path):
    clip = a_clip(FRAMES)
    assert read(clip, tmp_path).times_s is None
    clip.FrameTime = 40
    assert read(clip, tmp_path).times_s == pytest.approx([0, 0.04, 0.08, 0.12])
    clip.FrameTimeVector = [0, 10, 30, 20]
    assert read(clip, tmp_path).times_s == pytest.approx([0, 0.01, 0.04, 0.06])


def test_colors_depth_inversion_and_compression(tmp_path):
    gray = np.repeat(FRAMES[..., None], 3, axis=-1)
    assert np.array_equal(read(a_clip(gray, "RGB"), tmp_path).images, FRAMES)
    red = np.zeros_like(gray)
    red[..., 0] = 200
    assert (read(a_clip(red, "RGB"), tmp_path).images == 60).all()  # 0.299 x 200
    deep = (FRAMES.astype(np.uint16) << 4) + 8
    assert np.abs(read(a_clip(deep, bits=12), tmp_path).images - FRAMES.astype(int)).max() <= 1
    assert np.array_equal(read(a_clip(FRAMES, "MONOCHROME1"), tmp_path).images, 255 - FRAMES)
    packed = a_clip(FRAMES)
    packed.compress(RLELossless)
    assert np.array_equal(read(packed, tmp_path).images, FRAMES)


def test_what_is_no_ultrasound_is_told(tmp_path):
    with pytest.raises(DiffUSError, match=r"no ultrasound \(CT\)"):
        read(dataset(np.zeros((5, 6)), (0, 0, 0)), tmp_path)
    (tmp_path / "letter.dcm").write_text("hello")
    with pytest.raises(DiffUSError, match="no DICOM image"):
        read_ultrasound_dicom(tmp_path / "letter.dcm")
    path = tmp_path / "cut.dcm"
    a_clip(FRAMES).save_as(path, enforce_file_format=True)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DiffUSError, match="cannot be decoded"):
        read_ultrasound_dicom(path)


def test_a_video_shows_the_frames(tmp_path):
    y, x = np.mgrid[:37, :51]
    frames = np.stack([(np.hypot(x - 25, y - 9 * n) < 12) * 180 + 40 for n in range(1, 5)]).astype(np.uint8)
    write_video(tmp_path / "clip.mp4", frames, frames_per_second=10)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        shown = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
        assert float(container.streams.video[0].average_rate) == pytest.approx(10)
    assert len(shown) == 4 and shown[0].shape == (38, 52)
    assert all(np.abs(a[:37, :51].astype(int) - b).mean() < 6 for a, b in zip(shown, frames, strict=True))
