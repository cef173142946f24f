"""DICOM files for tests, written by pydicom; each voxel says where it is."""

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

ROOT = "1.2.826.0.1.3680043.8.498."
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
AXIAL = (1, 0, 0, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)
OBLIQUE = (0.36, -0.8, 0.48, 0.48, 0.6, 0.64)
SPACING = (1.5, 0.75)  # between rows, between columns
STEPS = np.array([3.0, -5.0, 7.0])


def value_at(lps):
    """What a voxel at (..., 3) LPS mm holds: linear, so that a wrong place or a mirrored axis shows."""
    return np.asarray(lps) @ STEPS + 100


def slice_at(position, orientation=AXIAL, shape=(5, 6), spacing=SPACING):
    """(rows, columns) values of a slice whose first pixel is at a position in LPS mm."""
    row, column = np.reshape(np.asarray(orientation, float), (2, 3))
    down, across = np.indices(shape)
    return value_at(position + across[..., None] * row * spacing[1] + down[..., None] * column * spacing[0])


def positions(distances, orientation=AXIAL, start=(-10.0, 20.0, 30.0)):
    """Positions in LPS mm at distances along the normal."""
    row, column = np.reshape(np.asarray(orientation, float), (2, 3))
    return [np.array(start) + distance * np.cross(row, column) for distance in distances]


def dataset(values, position, orientation=AXIAL, spacing=SPACING, number=1, series="2", sop=CT, slope=1, intercept=0):
    """One classic slice; change what a test needs before it is saved."""
    values = np.asarray(values)
    image, meta = Dataset(), FileMetaDataset()
    image.file_meta = meta
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = meta.MediaStorageSOPClassUID = sop
    image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = f"{ROOT}{series}.{number}"
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = ROOT + "1", ROOT + series, ROOT + "3"
    image.Modality = "CT" if sop == CT else "MR"
    image.PatientName, image.PatientID, image.InstanceNumber = "Test^Phantom", "0", number
    if position is not None:
        image.ImagePositionPatient = [f"{value:.6f}" for value in position]
        image.ImageOrientationPatient = [f"{value:.8f}" for value in orientation]
        image.PixelSpacing = list(spacing)
    image.Rows, image.Columns = values.shape[-2:]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 1
    image.RescaleSlope, image.RescaleIntercept = str(slope), str(intercept)
    image.PixelData = np.rint((values - intercept) / slope).astype("<i2").tobytes()
    return image


def write_series(folder, places, orientation=AXIAL, name="s", change=None, **kwargs):
    """A series with a slice at each place; `change(dataset, index)` alters one before it is saved."""
    folder.mkdir(exist_ok=True)
    for index, place in enumerate(places):
        one = dataset(slice_at(place, orientation), place, orientation, number=index + 1, **kwargs)
        if change is not None:
            change(one, index)
        one.save_as(folder / f"{name}{index:03d}.dcm", enforce_file_format=True)
    return folder


def write_enhanced(path, places, orientation=AXIAL, slopes=None, labels=None, frames=None):
    """An enhanced CT with a frame at each place; `labels` (N,) are temporal position indices."""
    slopes = slopes or [1.0] * len(places)
    stored = [slice_at(place, orientation) / slope for place, slope in zip(places, slopes, strict=True)]
    one = dataset(np.rint(np.stack(stored if frames is None else frames)), None)
    one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = CT + ".1"
    one.NumberOfFrames = len(places)
    del one.RescaleSlope, one.RescaleIntercept
    shared = Dataset()
    shared.PlaneOrientationSequence = _item(ImageOrientationPatient=[f"{value:.8f}" for value in orientation])
    shared.PixelMeasuresSequence = _item(PixelSpacing=list(SPACING), SliceThickness=1)
    one.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for index, (place, slope) in enumerate(zip(places, slopes, strict=True)):
        group = Dataset()
        group.PlanePositionSequence = _item(ImagePositionPatient=[f"{value:.6f}" for value in place])
        group.PixelValueTransformationSequence = _item(RescaleSlope=str(slope), RescaleIntercept="0")
        content = {"TemporalPositionIndex": int(labels[index])} if labels is not None else {}
        group.FrameContentSequence = _item(DimensionIndexValues=[index + 1], **content)
        groups.append(group)
    one.PerFrameFunctionalGroupsSequence = Sequence(groups)
    one.save_as(path, enforce_file_format=True)
    return path


def _item(**values):
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return Sequence([item])


def assert_voxels_are_where_they_say(volume, tolerance=0.51):
    """Every voxel of a volume holds what `value_at` says for its place."""
    index = np.stack(np.meshgrid(*map(np.arange, volume.voxels.shape), indexing="ij"), -1)[..., ::-1]
    matrix = volume.ijk_to_ras.numpy()
    lps = (index @ matrix[:3, :3].T + matrix[:3, 3]) * (-1, -1, 1)
    assert np.abs(volume.voxels.numpy() - value_at(lps)).max() <= tolerance
