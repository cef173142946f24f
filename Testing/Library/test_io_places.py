"""Where NIfTI, NRRD and MetaImage files say they are: one place, two that differ, none, or in other units."""

import gzip
import warnings

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.io import read_volume

AFFINE = np.array([[-2.0, 0, 0, 60], [0, 2.5, 0, -70], [0, 0, 3, -40], [0, 0, 0, 1]])
SHAPE = (6, 5, 4)


def write_nifti(path, sform=None, qform=None, codes=(0, 0), unit="mm", shape=SHAPE, dtype=np.int16, **fields):
    image = nibabel.Nifti1Image(np.arange(np.prod(shape)).reshape(shape).astype(dtype), None)
    image.set_sform(AFFINE if sform is None else sform, codes[0])
    image.set_qform(AFFINE if qform is None else qform, codes[1])
    image.header.set_xyzt_units(unit)
    for name, value in fields.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


def moved(matrix, by_mm):
    matrix = matrix.copy()
    matrix[2, 3] += by_mm
    return matrix


def itk_affine(path):
    """IJK-to-RAS as ITK has it: an independent reader, whose choice between the two forms Slicer shares."""
    image = sitk.ReadImage(str(path))
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return np.diag([-1, -1, 1, 1]) @ lps


@pytest.mark.parametrize("sform_code", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("qform_code", [0, 1, 2, 4])
@pytest.mark.parametrize("other", [moved(AFFINE, 40.0), np.diag([-1.0, 1, 1, 1]) @ AFFINE], ids=["moved", "mirrored"])
def test_of_two_places_that_of_itk_is_taken_and_both_are_told(tmp_path, sform_code, qform_code, other):
    path = write_nifti(tmp_path / "v.nii.gz", AFFINE, other, (sform_code, qform_code))
    two = sform_code and qform_code
    words = "two places.*sform.*qform.*--prefer" if two else "does not say where"
    if bool(sform_code) != bool(qform_code):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            volume = read_volume(path)
    else:
        with pytest.warns(DiffUSWarning, match=words):
            volume = read_volume(path)
    assert np.allclose(volume.ijk_to_ras, itk_affine(path), atol=1e-3)
    if sform_code in (0, 1) and (sform_code or qform_code):
        assert np.allclose(volume.ijk_to_ras, nibabel.load(path).affine, atol=1e-3)
    for prefer, matrix, code in (("sform", AFFINE, sform_code), ("qform", other, qform_code)):
        if code:
            assert np.allclose(read_volume(path, prefer=prefer).ijk_to_ras, matrix, atol=1e-3)
        elif sform_code or qform_code:
            with pytest.warns(DiffUSWarning, match=f"has no {prefer}"):
                assert np.allclose(read_volume(path, prefer=prefer).ijk_to_ras, volume.ijk_to_ras)


@pytest.mark.parametrize(("by_mm", "told"), [(0.15, False), (0.3, True)])
def test_a_tenth_of_a_voxel_is_no_difference(tmp_path, by_mm, told):
    path = write_nifti(tmp_path / "v.nii", AFFINE, moved(AFFINE, by_mm), (2, 1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_volume(path)
    assert bool(caught) is told


def test_a_sheared_sform_is_refused_even_beside_a_plain_qform(tmp_path):
    sheared = AFFINE.copy()
    sheared[0, 2] = 1.0
    for codes in ((1, 1), (4, 1), (1, 0)):
        path = write_nifti(tmp_path / "v.nii", sheared, AFFINE, codes)
        with pytest.raises(DiffUSError, match=r"sform of .* not at right angles"):
            read_volume(path)
    with pytest.raises(DiffUSError, match="not at right angles"):
        read_volume(write_nifti(path, sheared, AFFINE, (1, 1)), prefer="sform")
    assert np.allclose(read_volume(path, prefer="qform").ijk_to_ras, AFFINE)


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1e-3), ("micron", 1e3), ("mm", 1.0), ("unknown", 1.0)])
@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (1, 1)])
def test_units_of_nifti(tmp_path, unit, factor, codes):
    scaled = np.diag([factor] * 3 + [1]) @ AFFINE
    path = write_nifti(tmp_path / "v.nii", scaled, scaled, codes, unit)
    assert np.allclose(read_volume(path).ijk_to_ras, AFFINE, rtol=1e-4)


@pytest.mark.parametrize(("factor", "word"), [(1e-3, "meters"), (1e3, "micrometers")])
@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_other_units_called_mm_are_refused(tmp_path, factor, word, ending):
    image = sitk.Image((60, 70, 50), sitk.sitkUInt8)
    image.SetSpacing([2.0 * factor] * 3)
    sitk.WriteImage(image, str(tmp_path / f"v{ending}"), useCompression=True)
    with pytest.raises(DiffUSError, match=f"looks like {word} that are called mm"):
        read_volume(tmp_path / f"v{ending}")


def test_plain_and_compressed_nifti_under_each_other_s_names(tmp_path):
    path = write_nifti(tmp_path / "plain.nii", codes=(1, 1))
    content = path.read_bytes()
    (tmp_path / "plain.nii.gz").write_bytes(content)
    (tmp_path / "packed.nii").write_bytes(gzip.compress(content))
    for name in ("plain.nii.gz", "packed.nii"):
        assert np.array_equal(read_volume(tmp_path / name).voxels, np.arange(120).reshape(SHAPE).T)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-9])
        with pytest.raises(DiffUSError, match="cut off"):
            read_volume(tmp_path / name)


@pytest.mark.parametrize("slope", [0.0, np.nan])
@pytest.mark.parametrize("intercept", [0.0, 100.0, np.nan])
def test_slope_zero_scales_nothing(tmp_path, slope, intercept):
    path = write_nifti(tmp_path / "v.nii", codes=(1, 1))
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([slope, intercept], "<f4").tobytes()
    path.write_bytes(content)
    assert np.array_equal(read_volume(path).voxels, np.arange(120).reshape(SHAPE).T)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64, np.int64])
@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_scaled_voxels_of_every_type_agree_with_nibabel(tmp_path, dtype, endian, kind):
    values = np.random.default_rng(0).integers(0, 250, SHAPE).astype(dtype)
    image = kind(values, AFFINE, kind.header_class(endianness=endian), dtype=dtype)
    image.header.set_slope_inter(1, 0)
    path = tmp_path / "v.nii"
    nibabel.save(image, path)
    content = bytearray(path.read_bytes())
    place, number = (112, "f4") if kind is nibabel.Nifti1Image else (176, "f8")
    content[place : place + 2 * int(number[1])] = np.array([-0.5, 30.25], endian + number).tobytes()
    path.write_bytes(content)
    volume = read_volume(path)
    reference = nibabel.load(path)
    assert np.allclose(volume.voxels.numpy(), reference.get_fdata().T) and volume.voxels.min() < 0
    assert np.allclose(volume.ijk_to_ras, reference.affine)


def test_voxels_begin_after_the_header_also_where_the_offset_is_zero(tmp_path):
    path = write_nifti(tmp_path / "v.nii", codes=(1, 1))
    content = bytearray(path.read_bytes())
    content[108:112] = bytes(4)
    path.write_bytes(content)
    assert np.array_equal(read_volume(path).voxels, np.arange(120).reshape(SHAPE).T)


def test_one_of_several_volumes_is_chosen(tmp_path):
    path = write_nifti(tmp_path / "v.nii.gz", codes=(1, 1), shape=(*SHAPE, 3))
    values = np.arange(360).reshape(*SHAPE, 3)
    for phase in (1, 2, 3):
        assert np.array_equal(read_volume(path, phase=phase).voxels, values[..., phase - 1].T)
    with pytest.raises(DiffUSError, match="--phase 4 is not among"):
        read_volume(path, phase=4)
    sitk.WriteImage(sitk.GetImageFromArray(values.T, isVector=False), str(tmp_path / "v.nrrd"))
    assert np.array_equal(read_volume(tmp_path / "v.nrrd", phase=3).voxels, values[..., 2].T)
    with pytest.raises(DiffUSError, match="--phase 1 to --phase 3"):
        read_volume(tmp_path / "v.nrrd")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-4]))
    with pytest.raises(DiffUSError, match="cut off"):
        read_volume(path, phase=1)


def test_freesurfer_volumes(tmp_path):
    values = np.random.default_rng(0).integers(0, 2000, SHAPE).astype(np.int32)
    for ending in (".mgz", ".mgh"):
        nibabel.save(nibabel.MGHImage(values, AFFINE), tmp_path / f"v{ending}")
        volume = read_volume(tmp_path / f"v{ending}")
        assert np.array_equal(volume.voxels, values.T)
        assert np.allclose(volume.ijk_to_ras, AFFINE)
    content = (tmp_path / "v.mgh").read_bytes()
    (tmp_path / "v.mgh").write_bytes(content[:600])
    with pytest.raises(DiffUSError, match="cut off"):
        read_volume(tmp_path / "v.mgh")


def write_nrrd(path, *fields):
    header = ["NRRD0005", "type: short", "dimension: 3", "sizes: 6 5 4", "encoding: raw", "endian: little", *fields]
    path.write_bytes("\n".join(header).encode() + b"\n\n" + np.arange(120).astype("<i2").tobytes())
    return path


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("right-anterior-superior", (1, 1, 1)),
        ("RAS", (1, 1, 1)),
        ("left-anterior-superior", (-1, 1, 1)),
        ("left-posterior-superior", (-1, -1, 1)),
        ("LPS", (-1, -1, 1)),
    ],
)
@pytest.mark.parametrize(("unit", "mm"), [("", 1), ("m", 1000), ("mm", 1), ("cm", 10), ("um", 0.001)])
def test_spaces_and_units_of_nrrd(tmp_path, space, signs, unit, mm):
    # Axes in an odd order and a left-handed grid: columns of the matrix, as the NRRD definition says.
    axes = np.array([[0, 0, 3.0], [-2.0, 0, 0], [0, -1.5, 0]]) * signs / mm
    origin = np.array([10.0, -20, 30]) * signs / mm
    vector = "({:.10g},{:.10g},{:.10g})".format
    fields = [f"space: {space}", "space directions: " + " ".join(vector(*axis) for axis in axes)]
    fields.append("space origin: " + vector(*origin))
    if unit:
        fields.append("space units: " + " ".join([f'"{unit}"'] * 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        volume = read_volume(write_nrrd(tmp_path / "v.nrrd", *fields))
    expected = np.array([[0, -2.0, 0, 10], [0, 0, -1.5, -20], [3, 0, 0, 30], [0, 0, 0, 1]])
    assert np.allclose(volume.ijk_to_ras, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (["spacings: 1 2 3"], "names no space of a patient"),
        (["space: scanner-xyz", "space directions: (1,0,0) (0,2,0) (0,0,3)"], "space scanner-xyz, not in that of a"),
        (["space: RAS", "space directions: (1,0,0) (0,2,0) (0,0,3)"], "no space origin"),
        (["space: RAS", "space origin: (1,2,3)"], "no space directions"),
    ],
)
def test_nrrd_that_leaves_its_place_open_is_told(tmp_path, fields, words):
    with pytest.warns(DiffUSWarning, match=words):
        read_volume(write_nrrd(tmp_path / "v.nrrd", *fields))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (['space units: "inch" "inch" "inch"'], "lengths in inch"),
        (['space units: "mm" "mm" "cm"'], "lengths in cm and mm"),
    ],
)
def test_nrrd_units_that_cannot_be_used_are_refused(tmp_path, fields, words):
    placed = ["space: RAS", "space directions: (1,0,0) (0,2,0) (0,0,3)", "space origin: (1,2,3)"]
    with pytest.raises(DiffUSError, match=words):
        read_volume(write_nrrd(tmp_path / "v.nrrd", *placed, *fields))


def test_metaimage_without_offset_and_in_cm(tmp_path):
    header = "ObjectType = Image\nNDims = 3\nBinaryData = True\n{}DimSize = 6 5 4\nElementType = MET_UCHAR\n"
    header += "ElementDataFile = LOCAL\n"
    path = tmp_path / "v.mha"
    path.write_bytes(header.format("ElementSpacing = 1 2 3\n").encode() + bytes(120))
    with pytest.warns(DiffUSWarning, match="no Offset"):
        read_volume(path)
    path.write_bytes(
        header.format("Position = 1 2 3\nElementSpacing = 1 2 3\nDistanceUnits = cm\n").encode() + bytes(120)
    )
    assert np.allclose(read_volume(path).spacing_mm, (10, 20, 30))
    assert read_volume(path).ijk_to_ras[:3, 3].tolist() == pytest.approx([-10, -20, 30])


@pytest.mark.parametrize(("name", "words"), [("v.mnc", "mnc2nii"), ("v.hdr", "pair"), ("v.zip", "unpack")])
def test_kinds_that_are_not_read_are_told_with_a_way(tmp_path, name, words):
    (tmp_path / name).write_bytes(b"\x89HDF\r\n" + bytes(600))
    with pytest.raises(DiffUSError, match=words):
        read_volume(tmp_path / name)


def test_prefer_is_for_nifti(tmp_path):
    sitk.WriteImage(sitk.Image((6, 5, 4), sitk.sitkUInt8), str(tmp_path / "v.nrrd"))
    with pytest.raises(DiffUSError, match="no NIfTI file"):
        read_volume(tmp_path / "v.nrrd", prefer="sform")
    with pytest.raises(DiffUSError, match="prefer sform or qform"):
        read_volume(tmp_path / "v.nrrd", prefer="best")
