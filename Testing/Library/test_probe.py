"""Probes: presets, files, geometry and what is refused."""

import json
import math

import numpy as np
import pytest
import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.probes.probe import Probe, load_probe, probe_names, save_probe
from Testing.Library.scenes import PROBES


def test_there_is_a_preset_for_each_class_of_transducer():
    kinds = {name: load_probe(name) for name in probe_names()}
    assert len(kinds) >= 5
    assert {probe.kind for probe in kinds.values()} == {"curvilinear", "sector", "linear"}
    assert all(probe.source for probe in kinds.values())


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_scan_lines_start_on_the_face_and_have_unit_length(probe):
    origins, directions = probe.scan_lines(dtype=torch.float64)
    np.testing.assert_allclose(directions.norm(dim=1), 1.0)
    if probe.kind == "linear":
        np.testing.assert_allclose(origins[[0, -1], 0], (-25, 25))
    else:
        radius = probe.face_radius_mm
        np.testing.assert_allclose((origins - torch.tensor([0.0, -radius, 0.0])).norm(dim=1), radius, atol=1e-12)
        opening = math.degrees(math.acos(float(directions[0] @ directions[-1])))
        assert opening == pytest.approx(probe.field_of_view_deg)
    assert bool((origins[1:, 0] >= origins[:-1, 0]).all())  # the last line is on the marked side


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_line_spacing_is_the_distance_between_neighbors(probe):
    origins, directions = probe.scan_lines(dtype=torch.float64)
    depth = torch.tensor([5.0, 40.0, 70.0], dtype=torch.float64)
    points = origins[95:97, None] + directions[95:97, None] * depth[:, None]
    np.testing.assert_allclose(probe.line_spacing_mm(depth), (points[1] - points[0]).norm(dim=1), rtol=1e-4)


def test_a_probe_survives_a_file(tmp_path):
    path = tmp_path / "mine.json"
    save_probe(PROBES["curvilinear"], path)
    assert load_probe(path) == PROBES["curvilinear"]


@pytest.mark.parametrize(
    "change,words",
    [
        ({"kind": "spherical"}, "linear"),
        ({"depth_mm": 0.0}, "depth_mm"),
        ({"depth_mm": -3.0}, "depth_mm"),
        ({"frequency_mhz": float("nan")}, "frequency_mhz"),
        ({"field_of_view_deg": 180.0}, "179"),
        ({"radius_mm": 0.0}, "radius_mm"),
        ({"lines": 1}, "lines"),
        ({"lines": 20.5}, "lines"),
        ({"depth_mm": "deep"}, "depth_mm"),
    ],
)
def test_impossible_probes_are_refused(change, words):
    values = {"name": "p", "kind": "curvilinear", "depth_mm": 80.0, "frequency_mhz": 5.0}
    values |= {"field_of_view_deg": 60.0, "radius_mm": 20.0}
    with pytest.raises(DiffUSError, match=words):
        Probe(**{**values, **change})


@pytest.mark.parametrize(
    "text,words",
    [("{", "JSON"), ("[]", "object"), (json.dumps({"name": "p"}), "lacks"), (json.dumps({"colour": 1}), "colour")],
)
def test_bad_probe_files_are_refused(tmp_path, text, words):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(DiffUSError, match=words):
        load_probe(path)


def test_unknown_probes_are_refused_with_the_choices(tmp_path):
    with pytest.raises(DiffUSError, match="craniotomy_curvilinear"):
        load_probe("magic")
    with pytest.raises(DiffUSError, match="does not exist"):
        load_probe(tmp_path / "absent.json")
