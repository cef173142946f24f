"""Ultrasound of the scene with frames that cannot be used, and transforms in other spellings and directions."""

import numpy as np
import pytest

from Testing.Module.conftest import MODULE_FOLDER
from Testing.Module.ultrasound import add_sweep, image_of

COUNT = 8
PIXELS = np.diag([0.4, 0.4, 1.0, 1.0])


@pytest.fixture
def source(host):
    """The loaded module's reader of ultrasound."""
    host.load_module(MODULE_FOLDER, "DiffUS")
    from DiffUSModule.alignment import ultrasound_source

    return ultrasound_source


def a_sweep():
    """Images of noise, and poses 2 mm apart."""
    images = np.random.default_rng(0).integers(1, 250, (COUNT, 40, 50)).astype(np.uint8)
    poses = np.tile(np.eye(4), (COUNT, 1, 1))
    poses[:, :3, 3] = np.arange(COUNT)[:, None] * (0.5, 0.0, 2.0) + (120.0, -40.0, 300.0)
    return images, poses


def test_bad_frames_of_a_sequence_are_left_out_by_number(source):
    images, poses = a_sweep()
    images[1] = 0
    poses[3] = np.eye(4)
    poses[6] = poses[5]
    browser = add_sweep(images, PIXELS, poses)
    browser.SetSelectedItemNumber(4)
    frames = source.readUltrasound(browser, None)
    assert frames.numbers == (0, 2, 4, 5, 7) and frames.numbers[frames.shown] == 4
    assert np.array_equal(frames.images, images[list(frames.numbers)])
    assert np.allclose(frames.imageToRas, poses[list(frames.numbers)] @ PIXELS)
    told = "; ".join(frames.leftOut)
    assert "frame 1: its image is constant" in told and "frame 3: its tracking" in told
    assert "frame 6: it has exactly the pose of frame 5" in told


def test_a_sequence_of_bad_frames_is_one_sentence(source):
    images, poses = a_sweep()
    with pytest.raises(ValueError, match=r"No frame of Sweep can be used: frames 0, 1, .* is constant\."):
        source.readUltrasound(add_sweep(np.zeros_like(images), PIXELS, poses), None)


def hang_under(image, name):
    import slicer

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    image.GetParentTransformNode().SetAndObserveTransformNodeID(transform.GetID())


@pytest.mark.parametrize("name", ["ReferenceToRas", "scan reference_to_ras", "ReferenceToPatient_1", "Mine"])
def test_a_registration_in_any_spelling_is_walked(source, name):
    images, poses = a_sweep()
    browser = add_sweep(images, PIXELS, poses)
    hang_under(image_of(browser), name)
    assert len(source.readUltrasound(browser, None).numbers) == COUNT


@pytest.mark.parametrize("name", ["RasToReference", "scan RASToReference", "patient_to_reference"])
def test_a_registration_the_wrong_way_round_is_told(source, name):
    images, poses = a_sweep()
    browser = add_sweep(images, PIXELS, poses)
    hang_under(image_of(browser), name)
    with pytest.raises(ValueError, match=f"{name}, above .*, stands the wrong way round: invert it"):
        source.readUltrasound(browser, None)
