"""Real tracked ultrasound loads with every frame at its place; expectations are computed from the raw files."""

from xml.etree import ElementTree

import numpy as np
import pytest

from DiffUSLib.io import compose_chain, fit_calibration, place_frames, read_calibration, read_tracked_frames
from Testing.Library.raw_sequence import raw, raw_matrix

CALIBRATION = "PlusDeviceSet_SpinePhantomFreehandReconstructionOnly.xml"


def test_spine_phantom_in_its_reference(shared_data):
    path = shared_data / "plus_SpinePhantomFreehand.igs.mha"
    pixels, header = raw(path)
    matrices = {
        f"{element.get('From')}To{element.get('To')}": np.array(element.get("Matrix").split(), float).reshape(4, 4)
        for element in ElementTree.parse(shared_data / CALIBRATION).iter("Transform")
    }
    tracked = read_tracked_frames(path)
    constants = read_calibration(shared_data / CALIBRATION)
    to_reference, valid = tracked.image_to("Reference", constants)
    assert np.array_equal(tracked.images, pixels) and len(pixels) == 21 and bool(valid.all())
    for frame in range(21):
        for corner in ((0, 0, 0, 1), (819, 0, 0, 1), (400, 615, 0, 1)):
            in_tracker = raw_matrix(header, frame, "ProbeToTracker") @ matrices["ImageToProbe"] @ corner
            expected = np.linalg.inv(raw_matrix(header, frame, "ReferenceToTracker")) @ in_tracker
            assert np.allclose(to_reference[frame].numpy() @ corner, expected, atol=1e-9)
    # A freehand sweep: neighboring frames lie within a few millimeters of each other.
    middles = to_reference.numpy() @ (410, 308, 0, 1)
    steps = np.linalg.norm(np.diff(middles[:, :3], axis=0), axis=1)
    assert steps.max() < 10 and np.linalg.norm(middles[-1] - middles[0]) > 10
    assert np.allclose(compose_chain(constants, "Phantom", "Reference"), matrices["PhantomToReference"])


def test_spine_phantom_calibration_is_plausible(shared_data):
    fit = fit_calibration(read_calibration(shared_data / CALIBRATION)["ImageToProbe"])
    assert fit.problem == "" and not fit.mirrored
    assert fit.scale_mm[:2] == pytest.approx((0.0854, 0.0790), abs=1e-4)


def test_liver_sweep(shared_data):
    path = shared_data / "liver_sweep35.igs.mha"
    pixels, header = raw(path)
    tracked = read_tracked_frames(path)
    to_reference, valid = tracked.image_to("Reference")
    assert np.array_equal(tracked.images, pixels) and len(pixels) == 35 and bool(valid.all())
    for frame in range(35):
        assert np.allclose(to_reference[frame], raw_matrix(header, frame, "ImageToReference"))
    placed = place_frames(tracked)  # the tracking stood still twice near the end, while the images went on
    assert [frame.number for frame in placed.skipped] == [29, 30, 32, 33, 34]
    assert np.array_equal(raw_matrix(header, 31, "ImageToReference"), raw_matrix(header, 34, "ImageToReference"))
    assert to_reference[:, :3, :2].norm(dim=1).numpy() == pytest.approx(0.315, abs=1e-3)
