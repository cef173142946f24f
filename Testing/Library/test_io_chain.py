"""Chains of named transforms and PLUS calibration files."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.io import (
    compose_chain,
    find_chain,
    fit_calibration,
    patient_frame,
    read_calibration,
    split_transform_name,
)


def a_matrix(seed):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    matrix[:3, 3] = (seed, -2 * seed, 30)
    return torch.from_numpy(matrix)


def test_shortest_way_is_taken_in_both_directions():
    names = ["ProbeToTracker", "ReferenceToTracker", "ImageToProbe", "ImageToReference", "ReferenceToRas"]
    assert find_chain(names, "Image", "Ras") == [("ImageToReference", False), ("ReferenceToRas", False)]
    assert find_chain(names, "ras", "tracker") == [("ReferenceToRas", True), ("ReferenceToTracker", False)]
    assert find_chain(names, "Image", "Image") == []


def test_names_with_to_inside():
    assert find_chain(["TorsoToTool", "ToolToStylusTip"], "StylusTip", "Torso") == [
        ("ToolToStylusTip", True),
        ("TorsoToTool", True),
    ]
    with pytest.raises(DiffUSError, match="FromToTo"):
        split_transform_name("Nonsense")


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("ProbeToTracker", ("Probe", "Tracker")),
        ("probeTotracker", ("probe", "tracker")),
        ("needle_to_tracker", ("needle", "tracker")),
        ("Image_To_Probe", ("Image", "Probe")),
        ("Probe2Tracker", ("Probe", "Tracker")),
        ("referencetoras", ("reference", "ras")),
        ("TorsoToTool", ("Torso", "Tool")),
    ],
)
def test_names_in_other_spellings(name, ends):
    assert split_transform_name(name) == ends


def test_names_that_link_nothing_do_not_count():
    assert find_chain(["Calibration", "imageToprobe", "ProbeToReference"], "Image", "reference") == [
        ("imageToprobe", False),
        ("ProbeToReference", False),
    ]


@pytest.mark.parametrize(
    ("names", "patient"),
    [
        (["ImageToReference"], "Reference"),
        (["ImageToReference", "ReferenceToRas"], "Ras"),
        (["ImageToReference", "RASToReference"], "Ras"),
        (["ImageToReference", "PatientToReference"], "Patient"),
        (["ImageToProbe", "ProbeToTracker", "RasToTracker"], "Ras"),
        (["ImageToWorld"], "World"),
        (["ImageToProbe", "ProbeToTracker"], "Tracker"),
        (["ImageToReference", "ReferenceToTracker"], "Reference"),
        (["ProbeToReference"], "Reference"),  # the missing link is told against it
        (["ImageToReference", "StylusToRas"], "Ras"),  # a registration is not passed over in silence
    ],
)
def test_the_patient_is_found_in_any_direction_and_spelling(names, patient):
    assert patient_frame(names) == patient


def test_constant_and_per_frame_links_mix():
    transforms = {"ImageToProbe": a_matrix(1), "ProbeToReference": torch.stack([a_matrix(2), a_matrix(3)])}
    chain = compose_chain(transforms, "Image", "Reference")
    assert chain.shape == (2, 4, 4)
    assert torch.allclose(chain[1], a_matrix(3) @ a_matrix(1))
    back = compose_chain(transforms, "Reference", "Image")
    assert torch.allclose(back @ chain, torch.eye(4, dtype=torch.float64).expand(2, 4, 4), atol=1e-9)
    assert torch.equal(compose_chain({}, "Image", "Image"), torch.eye(4, dtype=torch.float64))


def test_missing_links_are_named():
    with pytest.raises(DiffUSError, match="nothing connects Image, Probe with Reference, Tracker"):
        compose_chain({"ImageToProbe": a_matrix(1), "ReferenceToTracker": a_matrix(2)}, "Image", "Reference")
    with pytest.raises(DiffUSError, match="no transform at all"):
        compose_chain({}, "Image", "Reference")
    with pytest.raises(DiffUSError, match="ReferenceToTracker is singular"):
        compose_chain({"ReferenceToTracker": torch.diag(torch.tensor([1.0, 0, 0, 1]))}, "Tracker", "Reference")


def xml(*transforms):
    rows = "".join(f'<Transform From="{a}" To="{b}" Matrix="{matrix}"/>' for a, b, matrix in transforms)
    return f"<PlusConfiguration><CoordinateDefinitions>{rows}</CoordinateDefinitions></PlusConfiguration>"


PLAUSIBLE = "0.1 0 0 5\n 0 0 -0.1 6\n 0 0.1 0 7\n 0 0 0 1"


def test_calibration_file(tmp_path):
    (tmp_path / "plus.xml").write_text(xml(("Image", "Probe", PLAUSIBLE)))
    matrix = read_calibration(tmp_path / "plus.xml")["ImageToProbe"]
    assert (matrix @ torch.tensor([10.0, 20.0, 0.0, 1.0], dtype=torch.float64)).tolist() == [6.0, 6.0, 9.0, 1.0]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("0.1 0 0 0  0 0.3 0 0  0 0 0.1 0  0 0 0 1", "0.1 x 0.3 mm"),
        ("0.1 0.03 0 0  0 0.1 0 0  0 0 0.1 0  0 0 0 1", "16.7 degrees off"),
        ("0 0 0 0  0 0.1 0 0  0 0 0.1 0  0 0 0 1", "no length"),
    ],
)
def test_improbable_calibration_is_warned_of(tmp_path, rows, problem):
    (tmp_path / "plus.xml").write_text(xml(("Image", "Probe", rows)))
    with pytest.warns(DiffUSWarning, match=problem):
        matrix = read_calibration(tmp_path / "plus.xml")["ImageToProbe"]
    assert problem in fit_calibration(matrix).problem


def test_a_left_handed_calibration_is_told_truly(tmp_path):
    rows = "0.1 0 0 0  0 0.1 0 0  0 0 -0.1 0  0 0 0 1"
    (tmp_path / "plus.xml").write_text(xml(("Image", "Probe", rows)))
    with pytest.warns(DiffUSWarning, match="left-handed: its third axis means nothing for flat images"):
        matrix = read_calibration(tmp_path / "plus.xml")["ImageToProbe"]
    assert fit_calibration(matrix).mirrored and not fit_calibration(matrix).problem


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty"),
        ("<PlusConfiguration>", "no valid XML"),
        ("a letter", "no valid XML"),
        ("<PlusConfiguration/>", "defines no transform"),
        (xml(("Image", "Probe", "1 2 3")), "16 finite numbers"),
        (xml(("Image", "Probe", "1 " * 16)), "0 0 0 1"),
    ],
)
def test_bad_calibration_files(tmp_path, content, words):
    (tmp_path / "plus.xml").write_text(content)
    with pytest.raises(DiffUSError, match=words):
        read_calibration(tmp_path / "plus.xml")
