"""Where frames end up in the patient, and which are left out: poses known to the test, one thing wrong at a time."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from DiffUSLib import DiffUSError, place_frames
from DiffUSLib.io import TrackedFrames

COUNT, HEIGHT, WIDTH, PIXEL = 9, 64, 80, 0.4
PIXELS = np.diag([PIXEL, PIXEL, PIXEL, 1.0])


def a_rigid(seed, reach=300.0):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    matrix[:3, 3] = np.random.default_rng(seed).uniform(-reach, reach, 3)
    return matrix


def truth():
    """(COUNT, 4, 4) image to patient of a sweep that tilts and slides by 2 mm a frame."""
    poses = []
    for index in range(COUNT):
        motion = np.eye(4)
        motion[:3, :3] = Rotation.from_euler("x", 2.0 * index, degrees=True).as_matrix()
        motion[:3, 3] = 0.3 * index, 0.1 * index, 2.0 * index
        poses.append(a_rigid(1) @ motion @ PIXELS)
    return np.stack(poses)


def speckle():
    """Images with a fan of speckle on black, another in every frame."""
    images = np.zeros((COUNT, HEIGHT, WIDTH), np.uint8)
    images[:, 5:60, 10:70] = np.random.default_rng(3).integers(20, 250, (COUNT, 55, 60))
    return images


def a_sequence(transforms, images=None, problems=None):
    transforms = {name: np.asarray(matrix) for name, matrix in transforms.items()}
    transforms = {name: np.broadcast_to(m, (COUNT, 4, 4)).copy() for name, m in transforms.items()}
    statuses = {name: torch.ones(COUNT, dtype=torch.bool) for name in transforms}
    for name, found in (problems or {}).items():
        statuses[name][list(found)] = False
    return TrackedFrames(
        images=torch.from_numpy(speckle() if images is None else images),
        transforms={name: torch.from_numpy(matrix) for name, matrix in transforms.items()},
        statuses=statuses,
        image_statuses=torch.ones(COUNT, dtype=torch.bool),
        timestamps_s=torch.full((COUNT,), torch.nan, dtype=torch.float64),
        name="sweep.igs.mha",
        numbers=tuple(range(1, COUNT + 1)),  # the file counts from 1
        problems=problems or {},
    )


def inverse(matrix):
    return np.linalg.inv(matrix)


REGISTRATION, REFERENCE = a_rigid(20), a_rigid(30, 1500.0)
CALIBRATION = a_rigid(40, 60.0) @ PIXELS
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
IN_REFERENCE = inverse(REGISTRATION) @ truth()
PROBE = REFERENCE @ IN_REFERENCE @ inverse(CALIBRATION)  # ProbeToTracker
APART = {"ProbeToTracker": PROBE, "ReferenceToTracker": REFERENCE}
SPLIT = {"ImageToMiddle": PIXELS, "MiddleToProbe": CALIBRATION @ inverse(PIXELS)}
FLAT = CALIBRATION @ np.diag([1, 1, 0, 1.0])
LEFT_HANDED = CALIBRATION @ np.diag([1, 1, -1, 1.0])


@pytest.mark.parametrize(
    ("transforms", "constants", "note"),
    [
        ({"ImageToReference": truth()}, {}, "Reference counts as RAS"),
        ({"ImageToReference": IN_REFERENCE, "ReferenceToRas": REGISTRATION}, {}, ""),
        ({"ImageToReference": IN_REFERENCE, "RASToReference": inverse(REGISTRATION)}, {}, ""),
        ({"ImageToReference": IN_REFERENCE}, {"RasToReference": inverse(REGISTRATION)}, ""),
        ({"ReferenceToImage": inverse(IN_REFERENCE), "reference_to_ras": REGISTRATION}, {}, ""),
        ({"ImageToReference": IN_REFERENCE, "PatientToReference": inverse(REGISTRATION)}, {}, "Patient counts as RAS"),
        ({"ImageToReference": IN_REFERENCE, "ReferenceToWorld": REGISTRATION}, {}, "World counts as RAS"),
        ({"ImageToReference": IN_REFERENCE, "LPSToReference": inverse(LPS @ REGISTRATION)}, {}, "LPS"),
        ({"imageTopatient": truth()}, {}, "patient counts as RAS"),
        ({"ImageToRAS": truth(), "ReferenceToRAS": REGISTRATION}, {}, "Not used: ReferenceToRAS."),
        ({"ImageToReference": truth(), "StylusToTracker": a_rigid(50)}, {}, "Not used: StylusToTracker."),
        (APART, {"ImageToProbe": CALIBRATION, "ReferenceToRas": REGISTRATION}, ""),
        (APART, {"ProbeToImage": inverse(CALIBRATION), "RasToReference": inverse(REGISTRATION)}, ""),
        (APART, {**SPLIT, "ReferenceToRas": REGISTRATION}, ""),
        (APART, {"ImageToProbe": FLAT, "ReferenceToRas": REGISTRATION}, ""),
        (APART, {"ImageToProbe": LEFT_HANDED, "ReferenceToRas": REGISTRATION}, ""),
        (
            {"ProbeToTracker": PROBE},
            {"ImageToProbe": CALIBRATION, "TrackerToRas": REGISTRATION @ inverse(REFERENCE)},
            "",
        ),
        (
            {"ImageToReference": IN_REFERENCE, "ReferenceToRas": REGISTRATION, "ReferenceToImage": inverse(truth())},
            {},
            "ReferenceToImage contradicts the transforms used by up to",
        ),
        ({**APART, "ImageToProbe": CALIBRATION}, {"ImageToProbe": a_rigid(4) @ PIXELS, "ReferenceToRas": REGISTRATION},
         "The ImageToProbe of the calibration file contradicts"),
    ],
)  # fmt: skip
def test_frames_are_placed_by_whatever_links_there_are(transforms, constants, note):
    constants = {name: torch.from_numpy(matrix) for name, matrix in constants.items()}
    placed = place_frames(a_sequence(transforms), constants)
    assert bool(placed.valid.all()) and placed.skipped == ()
    corners = np.array([[0, 0, 0, 1], [WIDTH - 1, 0, 0, 1], [0, HEIGHT - 1, 0, 1]], dtype=float).T
    expected = truth() @ corners
    assert np.allclose(placed.image_to_patient.numpy() @ corners, expected, atol=1e-6)
    assert note in " ".join(placed.notes)
    assert ("contradict" in " ".join(placed.notes)) == ("contradict" in note)


def test_a_registration_given_by_hand_counts():
    sequence = a_sequence({"ImageToReference": IN_REFERENCE, "ReferenceToRas": a_rigid(7)})
    placed = place_frames(sequence, reference_to_ras=torch.from_numpy(REGISTRATION))
    assert np.allclose(placed.image_to_patient, truth())
    assert "counts instead of ReferenceToRas" in " ".join(placed.notes)
    placed = place_frames(a_sequence({"ImageToRAS": IN_REFERENCE}), reference_to_ras=torch.from_numpy(REGISTRATION))
    assert np.allclose(placed.image_to_patient, truth())
    assert "on top" in " ".join(placed.notes)


def test_a_registration_that_nothing_connects_is_not_passed_over():
    with pytest.raises(DiffUSError, match=r"missing link.*nothing connects Image, Reference with Ras, Tracker"):
        place_frames(a_sequence({"ImageToReference": truth(), "TrackerToRas": REGISTRATION}))


def changed(matrices, index, matrix):
    matrices = matrices.copy()
    matrices[index] = matrix
    return matrices


def dark(value, text=True):
    """Frames 2 and 7 show nothing but what is burnt in to every frame, and noise up to `value`."""
    images = speckle()
    images[[1, 6]] = np.random.default_rng(0).integers(0, value + 1, (2, HEIGHT, WIDTH))
    if text:
        images[:, 1:4, 3:60:3] = 200
    return images


def pointed():
    images = dark(0, text=False)
    images[[1, 6], 5, 5] = 255
    return images


def repeated():
    images = speckle()
    images[[1, 6]] = images[[0, 5]]
    return images


FROZEN = truth()
FROZEN[[1, 6]] = FROZEN[[0, 5]]
LEAP = truth()[1].copy()
LEAP[:3, 3] += (0, 400, 0)


@pytest.mark.parametrize(
    ("transforms", "images", "reason"),
    [
        ({"ImageToReference": truth()}, dark(0, text=False), "constant"),
        ({"ImageToReference": truth()}, dark(0), "dark"),
        ({"ImageToReference": truth()}, dark(8), "dark"),
        ({"ImageToReference": truth()}, pointed(), "dark"),
        ({"ImageToReference": truth()}, repeated(), "repeats the image of frame"),
        ({"ImageToReference": FROZEN}, speckle(), "exactly the pose of frame"),
        ({"ImageToReference": FROZEN}, repeated(), "repeats frame"),
        ({"ImageToReference": changed(truth(), [1, 6], np.eye(4))}, None, "identity"),
        ({"ImageToProbe": CALIBRATION, "ProbeToReference": changed(truth() @ inverse(CALIBRATION), [1, 6], np.eye(4))},
         None, "identity"),
        ({"ImageToProbe": CALIBRATION, "ProbeToTracker": PROBE, "RasToTracker": REFERENCE @ inverse(REGISTRATION),
          "StylusToTracker": np.eye(4)}, dark(0), "dark"),
        ({"ImageToProbe": CALIBRATION, "ProbeToTracker": PROBE, "RasToReference": inverse(REGISTRATION),
          "ReferenceToTracker": changed(np.broadcast_to(REFERENCE, (COUNT, 4, 4)), [1, 6], np.eye(4))},
         None, "identity"),
        ({"ImageToReference": changed(truth(), [1, 6], LEAP)}, None, "leaps"),
        ({"ImageToReference": changed(truth(), [1, 6], truth()[1] @ np.diag([2, 2, 2, 1.0]))}, None, "scale"),
        ({"ImageToReference": changed(truth(), [1, 6], np.diag([0, 0, 0, 1.0]))}, None, "singular"),
        ({"ImageToReference": changed(truth(), [1, 6], np.full((4, 4), np.nan))}, None, "16 finite numbers"),
        ({"ReferenceToImage": changed(inverse(truth()), [1, 6], np.diag([0, 0, 0, 1.0]))}, None, "singular"),
    ],
)  # fmt: skip
def test_bad_frames_are_left_out_by_their_own_numbers(transforms, images, reason):
    placed = place_frames(a_sequence(transforms, images))
    assert [frame.number for frame in placed.skipped] == [2, 7]
    assert all(reason in frame.reason for frame in placed.skipped)
    good = placed.valid.numpy()
    assert good.tolist() == [index not in (1, 6) for index in range(COUNT)]
    assert np.allclose(placed.image_to_patient.numpy()[good], truth()[good], atol=1e-6)
    assert f"2 of {COUNT} frames left out" in placed.notes[-1]


def test_frames_that_the_file_marks_are_left_out_only_where_they_matter():
    problems = {"ImageToReference": {1: "ImageToReference is marked OUT_OF_VIEW"}, "StylusToTracker": {3: "lost"}}
    sequence = a_sequence({"ImageToReference": truth(), "StylusToTracker": a_rigid(9)}, problems=problems)
    placed = place_frames(sequence)
    assert [(frame.number, frame.reason) for frame in placed.skipped] == [(2, problems["ImageToReference"][1])]


def test_tracking_that_stops_costs_the_frames_after_it():
    frozen = PROBE.copy()
    frozen[5:] = frozen[4]
    jitter = np.stack([a_rigid(1, 0.0) for _ in range(COUNT)])
    jitter[:, :3, :3] = np.eye(3)
    jitter[:, :3, 3] = np.random.default_rng(0).normal(0, 0.05, (COUNT, 3))
    transforms = {"ImageToProbe": CALIBRATION, "ProbeToTracker": frozen, "ReferenceToTracker": REFERENCE @ jitter}
    placed = place_frames(a_sequence(transforms))
    assert [frame.number for frame in placed.skipped] == [6, 7, 8, 9]
    assert all("pose of frame 5" in frame.reason for frame in placed.skipped)


def test_a_sweep_that_starts_at_the_identity_keeps_its_first_frame():
    poses = inverse(truth()[0] @ inverse(PIXELS)) @ truth() @ inverse(PIXELS)
    poses[0] = np.eye(4)
    placed = place_frames(a_sequence({"ImageToProbe": PIXELS, "ProbeToReference": poses}))
    assert placed.skipped == ()


def test_a_transducer_that_never_moves_leaves_one_frame():
    placed = place_frames(a_sequence({"ImageToReference": truth()[0]}))
    assert int(placed.valid.sum()) == 1
    assert len(placed.skipped) == COUNT - 1 and "pose of frame 1" in placed.skipped[-1].reason


def test_dim_frames_of_poor_contact_are_kept():
    images = speckle()
    images[2, :, 35:] = 0  # half the transducer has no contact
    images[4] //= 4  # gain
    assert place_frames(a_sequence({"ImageToReference": truth()}, images)).skipped == ()


def test_nothing_left_is_told_with_every_reason():
    sequence = a_sequence({"ImageToReference": truth()}, problems={
        "ImageToReference": {index: "ImageToReference is marked INVALID" for index in range(COUNT)}
    })  # fmt: skip
    with pytest.raises(DiffUSError, match=r"none of the 9 frames of sweep.* frames 1, 2.*marked INVALID"):
        place_frames(sequence)
    with pytest.raises(DiffUSError, match="constant"):
        place_frames(a_sequence({"ImageToReference": truth()}, np.zeros((COUNT, HEIGHT, WIDTH), np.uint8)))


METERS = np.diag([1e-3, 1e-3, 1e-3, 1.0])


def in_meters(matrices):
    matrices = np.array(matrices)
    matrices[..., :3, 3] *= 1e-3
    return matrices


@pytest.mark.parametrize(
    ("transforms", "calibrated"),
    [
        ({"ImageToReference": METERS @ IN_REFERENCE, "ReferenceToRas": in_meters(REGISTRATION)}, False),
        ({"ReferenceToImage": inverse(METERS @ IN_REFERENCE), "ReferenceToRas": in_meters(REGISTRATION)}, False),
        ({"ImageToReference": in_meters(IN_REFERENCE), "ReferenceToRas": in_meters(REGISTRATION)}, False),
        ({"ProbeToTracker": in_meters(PROBE), "RasToTracker": in_meters(REFERENCE @ inverse(REGISTRATION))}, True),
    ],
)
def test_meters_are_told_and_converted(transforms, calibrated):
    constants = {"ImageToProbe": torch.from_numpy(CALIBRATION)} if calibrated else {}
    sequence = a_sequence(transforms)
    with pytest.raises(DiffUSError, match=r"look.* like meters.*--units m"):
        place_frames(sequence, constants)
    placed = place_frames(sequence.from_meters(), constants)
    assert bool(placed.valid.all()) and np.allclose(placed.image_to_patient, truth(), atol=1e-6)
    place_frames(a_sequence(APART), {"ImageToProbe": torch.from_numpy(CALIBRATION)})  # mm are not taken for meters
    near = inverse(truth()[0] @ inverse(PIXELS)) @ truth()  # a short sweep that counts from its first frame, in mm
    assert bool(place_frames(a_sequence({"ImageToReference": near})).valid.all())
