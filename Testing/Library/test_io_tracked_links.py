"""The links of a tracked sequence, multiplied again, put pixels where the chain of the file puts them."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from DiffUSLib import DiffUSError, tracked_links
from DiffUSLib.io import TrackedFrames

COUNT = 3
IDENTITY = torch.eye(4, dtype=torch.float64)


def a_rigid(seed):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    matrix[:3, 3] = np.random.default_rng(seed).uniform(-100, 100, 3)
    return matrix


def stack(first_seed, scale=1.0):
    return torch.from_numpy(np.stack([a_rigid(first_seed + i) @ np.diag([scale] * 3 + [1]) for i in range(COUNT)]))


def a_sequence(transforms, invalid=(), spacing=(1.0, 1.0)):
    good = torch.tensor([index not in invalid for index in range(COUNT)])
    return TrackedFrames(
        images=torch.from_numpy(np.random.default_rng(0).integers(0, 256, (COUNT, 4, 6), dtype=np.uint8)),
        transforms=transforms,
        statuses={name: good for name in transforms},
        image_statuses=torch.ones(COUNT, dtype=torch.bool),
        timestamps_s=torch.arange(COUNT, dtype=torch.float64),
        pixel_spacing_mm=spacing,
    )


CALIBRATION = a_rigid(50) @ np.array([[0.1, 0.002, 0, 3], [0, 0.09, 0, 4], [0, 0, 0.5, 0], [0, 0, 0, 1]])


def place(found, frame, column, row):
    x, y = found.pixel_spacing_mm
    chain = found.reference_to_ras @ found.probe_to_reference[frame] @ found.image_to_probe
    return chain.numpy() @ (column * x, row * y, 0, 1)


@pytest.mark.parametrize("frame", range(COUNT))
def test_calibration_tracking_and_patient_are_three_links(frame):
    to_tracker, reference, ras = stack(1), stack(11), a_rigid(60)
    sequence = a_sequence({"ProbeToTracker": to_tracker, "ReferenceToTracker": reference})
    constants = {"ImageToProbe": torch.from_numpy(CALIBRATION), "ReferenceToRas": torch.from_numpy(ras)}
    found = tracked_links(sequence, constants)
    assert (found.probe, found.reference) == ("Probe", "Reference")
    assert np.allclose(found.reference_to_ras, ras)
    chain = ras @ np.linalg.inv(reference[frame].numpy()) @ to_tracker[frame].numpy() @ CALIBRATION
    for column, row in ((0, 0), (5, 0), (0, 3), (5, 3)):
        assert place(found, frame, column, row) == pytest.approx(chain @ (column, row, 0, 1), abs=1e-9)
    assert found.pixel_spacing_mm == pytest.approx(np.linalg.norm(CALIBRATION[:3, :2], axis=0))
    calibration = found.image_to_probe.numpy()
    assert np.linalg.norm(calibration[:3, :3], axis=0) == pytest.approx(1)
    assert np.linalg.det(calibration[:3, :3]) == pytest.approx(1, abs=1e-3)


def test_a_calibration_and_a_registration_repeated_for_each_frame_are_constant_links():
    def each(matrix):
        return torch.from_numpy(np.stack([np.eye(4), matrix, matrix]))  # the first frame is not valid

    ras, tracking = a_rigid(60), stack(1)
    names = {"ImageToProbe": each(CALIBRATION), "ProbeToReference": tracking, "ReferenceToRas": each(ras)}
    found = tracked_links(a_sequence(names, invalid=(0,)))
    assert (found.probe, found.reference) == ("Probe", "Reference")
    assert np.allclose(found.reference_to_ras, ras)
    chain = ras @ tracking[2].numpy() @ CALIBRATION
    assert place(found, 2, 5, 3) == pytest.approx(chain @ (5, 3, 0, 1), abs=1e-9)


def test_one_combined_transform_holds_the_pixel_size_or_the_header_does():
    scaled = tracked_links(a_sequence({"ImageToReference": stack(1, scale=0.2)}))
    apart = tracked_links(a_sequence({"ImageToReference": stack(1)}, spacing=(0.2, 0.2)))
    for found in (scaled, apart):
        assert (found.probe, found.reference) == ("Image", "Reference")
        assert torch.allclose(found.image_to_probe, IDENTITY) and torch.equal(found.reference_to_ras, IDENTITY)
        assert found.pixel_spacing_mm == pytest.approx((0.2, 0.2))
        assert place(found, 2, 5, 3) == pytest.approx(a_rigid(3) @ (1.0, 0.6, 0, 1), abs=1e-9)


def test_frames_without_tracking_are_counted():
    found = tracked_links(a_sequence({"ImageToReference": stack(1, scale=0.2)}, invalid=(1,)))
    assert found.valid.tolist() == [True, False, True]
    assert any("1 of 3 frames" in note for note in found.notes)
    with pytest.raises(DiffUSError, match="none of the 3 frames"):
        tracked_links(a_sequence({"ImageToReference": stack(1, scale=0.2)}, invalid=(0, 1, 2)))


def test_what_is_missing_is_named():
    with pytest.raises(DiffUSError, match=r"nothing connects Image with Probe, Reference.*calibration file"):
        tracked_links(a_sequence({"ProbeToReference": stack(1)}))
    with pytest.raises(DiffUSError, match="pixel spacing"):
        tracked_links(a_sequence({"ImageToReference": stack(1)}))


def test_a_calibration_far_from_rigid_is_told():
    skewed = torch.tensor([[0.1, 0.05, 0, 0], [0, 0.1, 0, 0], [0, 0, 0.1, 0], [0, 0, 0, 1]], dtype=torch.float64)
    found = tracked_links(a_sequence({"ProbeToReference": stack(1)}), {"ImageToProbe": skewed})
    assert any("far from rigid" in note for note in found.notes)
