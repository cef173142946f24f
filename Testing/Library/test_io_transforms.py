"""Linear transforms as Slicer saves them, checked against Slicer's own storage node."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from DiffUSLib.errors import DiffUSError
from DiffUSLib.io import read_transform, write_transform

ENDINGS = [".tfm", ".txt", ".h5", ".mat"]


def a_matrix(scale=1.0):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (25, -40, 110), degrees=True).as_matrix() * scale
    matrix[:3, 3] = (12.5, -47.25, 81.0)
    return matrix


@pytest.fixture
def mrml():
    """Slicer's data classes, from the wheel slicer-core."""
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
    if not hasattr(slicer, "vtkMRMLTransformStorageNode"):
        pytest.skip("the package named slicer is not Slicer")
    return slicer


def mrml_matrix(node):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetMatrixTransformToParent(matrix)
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def mrml_node(slicer, to_parent=None):
    import vtk

    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    if to_parent is not None:
        matrix = vtk.vtkMatrix4x4()
        for row in range(4):
            for column in range(4):
                matrix.SetElement(row, column, to_parent[row, column])
        node.SetMatrixTransformToParent(matrix)
    return scene, node


@pytest.mark.parametrize("ending", ENDINGS)
def test_slicer_loads_the_matrix_that_was_written(tmp_path, mrml, ending):
    path = tmp_path / f"TransducerToRas{ending}"
    write_transform(path, a_matrix())
    scene, node = mrml_node(mrml)
    storage = scene.AddNewNodeByClass("vtkMRMLTransformStorageNode")
    storage.SetFileName(str(path))
    assert storage.ReadData(node) == 1
    assert np.allclose(mrml_matrix(node), a_matrix(), atol=1e-12)


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_slicer_saved_is_read_as_slicer_shows_it(tmp_path, mrml, ending):
    path = tmp_path / f"TransducerToRas{ending}"
    scene, node = mrml_node(mrml, a_matrix(scale=1.3))
    storage = scene.AddNewNodeByClass("vtkMRMLTransformStorageNode")
    storage.SetFileName(str(path))
    assert storage.WriteData(node) == 1
    assert np.allclose(read_transform(path), a_matrix(scale=1.3), atol=1e-12)


@settings(max_examples=25)
@given(angles=st.tuples(*[st.floats(-180, 180)] * 3), shift=st.tuples(*[st.floats(-500, 500)] * 3))
def test_any_rigid_matrix_comes_back(tmp_path_factory, angles, shift):
    matrix = a_matrix()
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    matrix[:3, 3] = shift
    path = tmp_path_factory.mktemp("transform") / "pose.tfm"
    write_transform(path, torch.from_numpy(matrix))
    back = read_transform(path)
    assert back.dtype == torch.float64 and np.allclose(back, matrix, atol=1e-10)


def test_text_written_by_hand(tmp_path):
    # Turning by 90 degrees about z and shifting by (10, 20, 30) in LPS, from the parent.
    path = tmp_path / "hand.tfm"
    path.write_text(
        "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
        "Parameters: 0 -1 0 1 0 0 0 0 1 10 20 30\nFixedParameters: 0 0 0\n"
    )
    point_ras = np.array([-7.0, 8.0, 9.0, 1.0])  # in LPS (7, -8, 9), which the file maps to (18, 27, 39)
    mapped_ras = np.array([-18.0, -27.0, 39.0, 1.0])
    assert np.allclose(read_transform(path).numpy() @ mapped_ras, point_ras)


def test_center_of_rotation_counts(tmp_path):
    euler = sitk.Euler3DTransform((10.0, 20.0, 30.0), 0.1, 0.2, 0.3, (1.0, 2.0, 3.0))
    sitk.WriteTransform(euler, str(tmp_path / "euler.tfm"))
    matrix = read_transform(tmp_path / "euler.tfm").numpy()
    point = (4.0, -5.0, 6.0)
    to = euler.TransformPoint(point)
    assert np.allclose(matrix @ (-to[0], -to[1], to[2], 1.0), (-point[0], -point[1], point[2], 1.0))


def test_composite_of_linear_transforms_counts_as_product(tmp_path):
    composite = sitk.CompositeTransform(3)
    composite.AddTransform(sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.3, 0.0, -0.2, (1.0, 2.0, 3.0)))
    composite.AddTransform(sitk.TranslationTransform(3, (5.0, 6.0, 7.0)))
    for name in ("composite.h5", "composite.tfm"):
        sitk.WriteTransform(composite, str(tmp_path / name))
        x, y, z = composite.TransformPoint((1.0, 1.0, 1.0))
        assert np.allclose(read_transform(tmp_path / name).numpy() @ (-x, -y, z, 1.0), (-1.0, -1.0, 1.0, 1.0))


def write_bspline(path):
    sitk.WriteTransform(sitk.BSplineTransform(3, 3), str(path))


def write_2d(path):
    sitk.WriteTransform(sitk.Euler2DTransform(), str(path))


def write_singular(path):
    scale = sitk.ScaleTransform(3, (1.0, 1.0, 1e-30))
    sitk.WriteTransform(scale, str(path))


def write_letter(path):
    path.write_text("A letter.\n" * 20)


def write_plain_numbers(path):
    np.savetxt(path, np.eye(4))


def write_cut_off(path):
    sitk.WriteTransform(sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.3, 0.0, -0.2, (1.0, 2.0, 3.0)), str(path))
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"Parameters") + 20])


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("t.tfm", write_bspline, "deformation"),
        ("t.h5", write_bspline, "deformation"),
        ("t.tfm", write_2d, "2D"),
        ("t.tfm", write_singular, "singular"),
        ("t.tfm", lambda path: path.touch(), "empty"),
        ("t.txt", write_letter, "Insight Transform File"),
        ("t.txt", write_plain_numbers, "Insight Transform File"),
        ("t.h5", write_letter, "cannot be read"),
        ("t.mat", write_letter, "cannot be read"),
        ("t.tfm", write_cut_off, "cut off"),
        ("t.json", write_letter, "ending"),
        ("t.tfm", lambda path: None, "does not exist"),
    ],
)
def test_bad_transform_files_are_told_in_one_sentence(tmp_path, capfd, name, write, words):
    write(tmp_path / name)
    capfd.readouterr()
    with pytest.raises(DiffUSError, match=words) as caught:
        read_transform(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (np.diag([1.0, 1.0, 0.0, 1.0]), "singular"),
        (np.eye(3), "4 x 4"),
        (np.full((4, 4), np.nan), "4 x 4"),
        (np.ones((4, 4)), "0 0 0 1"),
        ("a word", "4 x 4"),
    ],
)
def test_matrices_that_are_no_transform_are_not_written(tmp_path, matrix, words):
    with pytest.raises(DiffUSError, match=words):
        write_transform(tmp_path / "t.tfm", matrix)
    assert list(tmp_path.iterdir()) == []
