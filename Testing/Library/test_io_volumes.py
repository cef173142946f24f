"""Volumes from files: the right place and voxels, and one sentence for everything that is wrong."""

import gzip
import struct

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.io import read_volume

# Rows and columns of length 1, at right angles, exact in decimals.
OBLIQUE = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])


def an_image(dtype=np.float32, direction=OBLIQUE, spacing=(0.7, 1.1, 2.5), origin=(-12.0, 34.0, 5.5)):
    voxels = np.arange(4 * 5 * 6).reshape(4, 5, 6).astype(dtype)
    image = sitk.GetImageFromArray(voxels)
    image.SetDirection(np.ravel(direction).tolist())
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    return image, voxels


@pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd"])
def test_every_format_lands_where_simpleitk_puts_it(tmp_path, ending):
    image, voxels = an_image()
    path = tmp_path / f"volume{ending}"
    sitk.WriteImage(image, str(path))
    volume = read_volume(path)
    assert volume.name == path.name
    assert np.array_equal(volume.voxels.numpy(), voxels)
    for index in [(0, 0, 0), (5, 4, 3), (2, 0, 1)]:
        x, y, z = image.TransformIndexToPhysicalPoint(index)
        ras = (volume.ijk_to_ras @ torch.tensor([*index, 1.0], dtype=torch.float64))[:3]
        assert ras.tolist() == pytest.approx([-x, -y, z], abs=1e-4)


def test_nifti_written_by_nibabel_has_the_affine_of_nibabel(tmp_path):
    # NIfTI itself is RAS: nibabel's affine is an answer that no LPS convention of ours can touch.
    affine = np.eye(4)
    affine[:3, :3] = OBLIQUE * (0.9, 1.3, 2.0)
    affine[:3, 3] = (10, -20, 30)
    voxels = np.random.default_rng(0).integers(0, 1000, (6, 5, 4), dtype=np.int16)
    path = tmp_path / "nibabel.nii.gz"
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
    volume = read_volume(path)
    assert np.allclose(volume.ijk_to_ras, affine, atol=1e-4)
    assert np.array_equal(volume.voxels.numpy(), voxels.transpose(2, 1, 0))


@pytest.mark.parametrize(
    "name",
    ["hanke_T1w_1mm_u8", "du7294_t1c", "du7294_t2", "mni_icbm152_t1", "ts_example_ct", "ts_example_seg"],
)
def test_real_nifti_volumes_agree_with_nibabel(shared_data, name):
    path = shared_data / f"{name}.nii.gz"
    reference = nibabel.load(path)
    volume = read_volume(path)
    assert np.allclose(volume.ijk_to_ras, reference.affine, atol=1e-3)
    assert np.allclose(volume.voxels.numpy(), np.asarray(reference.dataobj).transpose(2, 1, 0), rtol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.uint8, torch.uint8),
        (np.int16, torch.int16),
        (np.uint16, torch.int32),
        (np.uint32, torch.int64),
        (np.uint64, torch.float64),
        (np.float32, torch.float32),
        (np.float64, torch.float64),
    ],
)
def test_voxels_keep_their_type_where_torch_computes_with_it(tmp_path, dtype, expected):
    image, voxels = an_image(dtype)
    sitk.WriteImage(image, str(tmp_path / "v.nrrd"))
    volume = read_volume(tmp_path / "v.nrrd")
    assert volume.voxels.dtype == expected
    assert np.array_equal(volume.voxels.numpy(), voxels)


def test_largest_unsigned_values_survive(tmp_path):
    image = sitk.GetImageFromArray(np.full((2, 2, 2), 65535, np.uint16))
    sitk.WriteImage(image, str(tmp_path / "v.nrrd"))
    assert int(read_volume(tmp_path / "v.nrrd").voxels.max()) == 65535


def test_4d_with_a_single_volume_counts_as_3d(tmp_path):
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = (1, 2, 3)
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4, 1)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), tmp_path / "v.nii")
    volume = read_volume(tmp_path / "v.nii")
    assert volume.voxels.shape == (4, 3, 2)
    assert np.allclose(volume.ijk_to_ras, affine)


def write_vector(path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True), str(path))


def write_time_series(path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5, 6), np.int16), np.eye(4)), path)


def write_2d(path):
    sitk.WriteImage(sitk.Image(4, 5, sitk.sitkUInt8), str(path))


def write_text(path):
    path.write_text("This is a letter, not a volume.\n" * 50)


def write_empty(path):
    path.touch()


def write_with_nan(path):
    voxels = an_image()[1]
    voxels[1, 2, 3] = np.nan
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))


def write_sheared_nifti(path):
    affine = np.eye(4)
    affine[0, 1] = 0.4
    header = nibabel.Nifti1Header()
    header.set_data_shape((3, 4, 5))
    header.set_sform(affine, code=1)
    header.set_qform(None, code=0)
    nibabel.save(nibabel.Nifti1Image(np.zeros((3, 4, 5), np.int16), None, header), path)


def write_mha(path, matrix="1 0 0 0 1 0 0 0 1", spacing="1 1 1"):
    header = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"TransformMatrix = {matrix}\nOffset = 0 0 0\nElementSpacing = {spacing}\nDimSize = 3 4 5\n"
        "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    )
    path.write_bytes(header.encode() + bytes(60))


def write_sheared_mha(path):
    write_mha(path, matrix="1 0 0 0.3 1 0 0 0 1")


def write_singular_mha(path):
    write_mha(path, matrix="1 0 0 1 0 0 0 0 1")


def write_cut_off(path):
    image, _ = an_image(np.int32)
    sitk.WriteImage(image, str(path))
    content = path.read_bytes()
    path.write_bytes(content[:-40])


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("v.nrrd", write_vector, "3 values"),
        ("v.nii.gz", write_time_series, "6 volumes"),
        ("v.mha", write_2d, "2D image"),
        ("v.nrrd", write_text, "cannot be read as a volume"),
        ("v.nii.gz", write_text, "cannot be read as a volume"),
        ("v.mha", write_text, "cannot be read as a volume"),
        ("v.nrrd", write_empty, "is empty"),
        ("v.mha", write_with_nan, "NaN"),
        ("v.nii", write_sheared_nifti, "right angles"),
        ("v.mha", write_sheared_mha, "right angles"),
        ("v.mha", write_singular_mha, "right angles"),
        ("v.nii", write_cut_off, "cut off"),
        ("v.nii.gz", write_cut_off, "cut off"),
        ("v.mha", write_cut_off, "cut off"),
        ("v.nrrd", write_cut_off, "cut off"),
        ("v.mgz", write_text, "FreeSurfer volume"),
        ("v.docx", write_text, "of a kind that DiffUS does not read"),
    ],
)
def test_bad_files_are_told_in_one_sentence_and_nothing_else(tmp_path, capfd, name, write, words):
    path = tmp_path / name
    write(path)
    capfd.readouterr()
    with pytest.raises(DiffUSError, match=words) as caught:
        read_volume(path)
    message = str(caught.value)
    assert "\n" not in message and "itk" not in message.lower() and message.endswith(".")
    assert capfd.readouterr() == ("", "")


def test_a_nifti_cut_off_anywhere_is_noticed(tmp_path):
    image, _ = an_image(np.int16)
    for ending in (".nii", ".nii.gz"):
        path = tmp_path / f"v{ending}"
        sitk.WriteImage(image, str(path))
        content = path.read_bytes()
        for length in range(1, len(content), max(1, len(content) // 40)):
            path.write_bytes(content[:length])
            with pytest.raises(DiffUSError):
                read_volume(path)


def test_big_endian_nifti(tmp_path):
    voxels = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    path = tmp_path / "big.nii"
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4), nibabel.Nifti1Header(endianness=">")), path)
    assert struct.unpack(">i", path.read_bytes()[:4])[0] == 348
    assert np.array_equal(read_volume(path).voxels.numpy(), voxels.transpose(2, 1, 0))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DiffUSError, match="cut off"):
        read_volume(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DiffUSError, match=r"absent\.nrrd does not exist"):
        read_volume(tmp_path / "absent.nrrd")


def write_dicom_series(folder, uid, slices, shape=(6, 8), step=2.0, skip=(), shift=0.0):
    folder.mkdir(exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index in range(slices):
        if index in skip:
            continue
        image = sitk.GetImageFromArray(np.full(shape, index + 1, np.int16)[None])
        image.SetSpacing((0.5, 0.75, step))
        tags = {
            "0008|0060": "MR",
            "0020|000e": uid,
            "0020|0013": str(index),
            "0008|0018": f"{uid}.{index + 1}",
            "0020|0037": "\\".join(map(str, (0.0, 1.0, 0.0, 0.0, 0.0, -1.0))),
            "0020|0032": "\\".join(map(str, (10.0 - step * index, 20.0 + shift * index, 30.0))),
        }
        for key, value in tags.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{uid}-{index:03d}.dcm"))
        writer.Execute(image)


def test_dicom_folder_in_sagittal_orientation(tmp_path):
    write_dicom_series(tmp_path / "mr", "1.2.826.1", 5)
    volume = read_volume(tmp_path / "mr")
    # Columns run to the back (-A), rows downward (-S); slices were written from right to left or in reverse order.
    spacing = volume.spacing_mm
    assert spacing == pytest.approx((0.5, 0.75, 2.0))
    assert volume.ijk_to_ras[:3, 0].tolist() == pytest.approx([0, -0.5, 0])
    assert volume.ijk_to_ras[:3, 1].tolist() == pytest.approx([0, 0, -0.75])
    for k in range(5):
        written = int(volume.voxels[k, 0, 0]) - 1
        ras = volume.ijk_to_ras @ torch.tensor([0, 0, k, 1], dtype=torch.float64)
        assert ras[:3].tolist() == pytest.approx([-(10.0 - 2.0 * written), -20.0, 30.0])


def test_dicom_folder_with_several_series(tmp_path):
    write_dicom_series(tmp_path / "mr", "1.2.826.1", 3)
    write_dicom_series(tmp_path / "mr", "1.2.826.2", 5)
    with pytest.warns(DiffUSWarning, match=r"1\.2\.826\.2.*was taken.*1\.2\.826\.1"):
        assert read_volume(tmp_path / "mr").voxels.shape[0] == 5
    uids = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(tmp_path / "mr"))
    small = next(uid for uid in uids if uid.startswith("1.2.826.1"))
    assert read_volume(tmp_path / "mr", series_uid=small).voxels.shape[0] == 3
    with pytest.raises(DiffUSError, match=r"no series 9\.9"):
        read_volume(tmp_path / "mr", series_uid="9.9")


def test_dicom_slices_that_are_missing_or_sheared(tmp_path):
    write_dicom_series(tmp_path / "gap", "1.2.826.3", 6, skip=(3,))
    with pytest.warns(DiffUSWarning, match="missing slices"):
        read_volume(tmp_path / "gap")
    write_dicom_series(tmp_path / "tilt", "1.2.826.4", 6, shift=0.5)
    with pytest.raises(DiffUSError, match="gantry tilt"):
        read_volume(tmp_path / "tilt")


def test_folder_without_dicom(tmp_path, capfd):
    (tmp_path / "letter.txt").write_text("hello")
    with pytest.raises(DiffUSError, match="without DICOM"):
        read_volume(tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nan_in_nifti_is_refused_though_itk_reads_zero(tmp_path, bad, ending):
    voxels = np.zeros((4, 4, 4), np.float32)
    image = sitk.GetImageFromArray(voxels + 1)
    plain = tmp_path / "plain.nii"
    sitk.WriteImage(image, str(plain))
    content = bytearray(plain.read_bytes())
    content[352 + 40 : 352 + 44] = np.float32(bad).tobytes()
    path = tmp_path / f"bad{ending}"
    path.write_bytes(gzip.compress(bytes(content)) if ending == ".nii.gz" else bytes(content))
    with pytest.raises(DiffUSError, match="NaN or infinite"):
        read_volume(path)
