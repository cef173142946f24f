"""Images to files: what other programs find there, and nothing half-written."""

import os
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io import IMAGE_ENDINGS, read_volume, to_uint8, write_image, write_transform, written_whole


def a_place(angles_deg=(20, -35, 70), spacing=(0.3, 0.4, 2.0), origin=(5.0, -60.0, 33.0)):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix() * spacing
    matrix[:3, 3] = origin
    return matrix


def a_picture(height=7, width=11):
    return torch.rand(height, width, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("ending", [".nrrd", ".nii", ".nii.gz", ".mha"])
def test_simpleitk_finds_each_pixel_at_its_place(tmp_path, ending):
    path, place, picture = tmp_path / f"image{ending}", a_place(), a_picture()
    write_image(path, picture, place, pixel_type="float32")
    image = sitk.ReadImage(str(path))
    assert image.GetSize() == (11, 7, 1)
    for column, row in [(0, 0), (10, 6), (4, 2)]:
        right, front, up = (place @ (column, row, 0, 1))[:3]
        index = image.TransformPhysicalPointToContinuousIndex((-right, -front, up))
        assert index == pytest.approx((column, row, 0), abs=1e-3)
        assert image.GetPixel(column, row, 0) == pytest.approx(float(picture[row, column]))


@settings(max_examples=25)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.05, 5)] * 3),
    origin=st.tuples(*[st.floats(-300, 300)] * 3),
)
def test_any_place_survives_in_nifti_as_nibabel_reads_it(tmp_path_factory, angles, spacing, origin):
    path = tmp_path_factory.mktemp("nifti") / "image.nii"
    place = a_place(angles, spacing, origin)
    write_image(path, a_picture(), place)
    assert np.allclose(nibabel.load(path).affine, place, atol=2e-4)


def test_stack_reads_back_as_volume(tmp_path):
    stack = torch.rand(3, 7, 11, generator=torch.Generator().manual_seed(1))
    write_image(tmp_path / "stack.nrrd", stack, a_place(), pixel_type="float32")
    volume = read_volume(tmp_path / "stack.nrrd")
    assert torch.equal(volume.voxels, stack)
    assert np.allclose(volume.ijk_to_ras, a_place())


def test_png_holds_rounded_brightness(tmp_path):
    write_image(tmp_path / "image.png", torch.tensor([[0.0, 0.5, 1.0], [-1.0, 0.2, 7.0]]))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "image.png")), [[0, 128, 255], [0, 51, 255]])


def test_to_uint8_keeps_bytes_and_takes_gradients_off():
    values = torch.full((2, 2), 0.25, requires_grad=True)
    assert to_uint8(values).tolist() == [[64, 64], [64, 64]]
    assert to_uint8(np.array([[3, 255]], np.uint8)).tolist() == [[3, 255]]


SHEARED = np.array([[1, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


@pytest.mark.parametrize(
    ("name", "image", "place", "words"),
    [
        ("image.bmp", a_picture(), np.eye(4), "does not write"),
        ("image.nrrd", a_picture(), None, "place of the image"),
        ("image.nrrd", a_picture(), SHEARED, "right angles"),
        ("image.nii.gz", a_picture(), np.diag([1.0, 0, 1, 1]), "singular"),
        ("image.nrrd", a_picture(), np.eye(3), "4 x 4"),
        ("image.nrrd", a_picture()[0], np.eye(4), "shape"),
        ("image.nrrd", a_picture() / 0, np.eye(4), "NaN"),
        ("image.nrrd", torch.ones(3, 3, dtype=torch.int64), np.eye(4), "int64"),
        ("image.png", torch.rand(2, 3, 4), None, "one image, not 2"),
        ("absent/image.png", a_picture(), None, "does not exist"),
    ],
)
def test_what_cannot_be_written_is_said_and_leaves_nothing(tmp_path, name, image, place, words):
    with pytest.raises(DiffUSError, match=words):
        write_image(tmp_path / name, image, place)
    assert list(tmp_path.iterdir()) == []


def test_failure_keeps_the_file_that_was_there(tmp_path):
    path = tmp_path / "image.nrrd"
    path.write_text("earlier")
    with pytest.raises(DiffUSError):
        write_image(path, a_picture(), SHEARED)
    with pytest.raises(ZeroDivisionError), written_whole(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text(encoding="utf-8") == "earlier" and list(tmp_path.iterdir()) == [path]


WRITE_UNDER_A_SIZE_LIMIT = """
import pathlib, resource, sys, numpy, torch
from DiffUSLib.errors import DiffUSError
from DiffUSLib.io import IMAGE_ENDINGS, write_image
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
for ending in IMAGE_ENDINGS:
    try:
        write_image(pathlib.Path(sys.argv[1]) / f"image{ending}", torch.rand(300, 300), numpy.eye(4))
    except DiffUSError as error:
        print(error)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="file size limits exist on POSIX systems only")
def test_full_disk_leaves_nothing(tmp_path):
    command = [sys.executable, "-c", WRITE_UNDER_A_SIZE_LIMIT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for ending in IMAGE_ENDINGS:
        assert f"image{ending} cannot be written" in done.stdout, done.stderr
    assert done.stderr == "" and list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DiffUSError, match="cannot be written"):
        write_transform(tmp_path / "pose.tfm", np.eye(4))
    tmp_path.chmod(0o700)
