"""The evaluation of registration: baselines that work where they should, and tables computed by hand."""

import numpy as np
import pytest
import torch
from scipy import ndimage

pytest.importorskip("nilearn")

from DiffUSLib.evaluation import protocol, tables
from DiffUSLib.evaluation.baselines import BASELINES, baseline
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.registration import slices_from_volume
from DiffUSLib.simulator import cases
from Testing.Library.scenes import blobs


@pytest.fixture(scope="module")
def displaced():
    """A 3D ultrasound volume that shows intensity and edges, and the error of its place."""
    volume, maps = blobs()
    voxels = volume.voxels.numpy()
    shown = 300 - voxels + 3 * ndimage.gaussian_gradient_magnitude(voxels, 1)
    shown[:8], shown[:, :10], shown[:, :, 64:] = 0, 0, 0
    error = cases.rigid(np.array([1.0, -1.5, 1.0]), np.array([0.02, -0.03, 0.02]))
    ultrasound = Volume(torch.from_numpy(shown.clip(0)), torch.from_numpy(error) @ volume.ijk_to_ras)
    return volume, maps, slices_from_volume(ultrasound, planes=3), error


def left_mm(correction, error, slices):
    points = torch.cat([slices.centers_ras_mm, slices.transducer_to_ras[:, :3, 3]]).numpy()
    moved = (correction @ error)[:3, :3] @ points.T + (correction @ error)[:3, 3:]
    return np.linalg.norm(moved.T - points, axis=1).mean()


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_undo_a_small_error_of_a_plain_scene(displaced, name):
    volume, maps, slices, error = displaced
    before = left_mm(np.eye(4), error, slices)
    after = left_mm(baseline(name, slices, volume, maps), error, slices)
    assert after == before if name == "identity" else after < 0.6 * before


def outcomes(finals, initials, verdicts, tier="T2", binned=True):
    experiment = protocol.Experiment(tier, 7, binned=binned)
    rest = {
        field: 0.0 for field in protocol.Outcome.__dataclass_fields__
        if field not in protocol.Experiment.__dataclass_fields__
    }  # fmt: skip
    return [
        protocol.Outcome(**vars(experiment), **(rest | {"final_mm": f, "initial_mm": i, "verdict": v}))
        for f, i, v in zip(finals, initials, verdicts, strict=True)
    ]


def test_summary_counts_what_was_accepted():
    finals, verdicts = [0.5, 1.5, 2.5, 4.0], ["accept", "check", "accept", "accept"]
    row = tables.summary(outcomes(finals, [1, 5, 9, 15], verdicts))
    assert row["median_mm"] == 2.0 and row["below_2mm"] == 0.5 and row["below_1mm"] == 0.25
    assert row["accept"] == 0.75 and row["accepted_but_wrong"] == 0.25 and row["right_ones_accepted"] == 0.5
    other = tables.summary(outcomes(finals, [1, 5, 9, 15], verdicts, tier="T5"))
    assert other["accepted_but_wrong"] == 0.75  # whatever the error: there was nothing to find
    assert "| T5 | 7 |" in tables.markdown([row, other])


@pytest.mark.parametrize(
    ("finals", "reached"),
    [([0.1] * 5, 30), ([0.1, 0.1, 0.1, 3, 0.1], 12), ([3, 0.1, 0.1, 0.1, 0.1], 0), ([0.1, 0.1, 0.1, 0.1, 2.0], 20)],
)
def test_capture_range_ends_below_the_first_bin_that_fails(finals, reached):
    given = outcomes(finals, [2, 6, 10, 16, 25], ["accept"] * 5)
    assert tables.capture_range_mm(given) == reached
    assert tables.capture_range_mm(given[:2] + given[3:]) == min(reached, 8)  # nothing is known of the third bin
    assert [row["below_2mm"] for row in tables.bins(given)] == [float(final < 2) for final in finals]


@pytest.mark.slow
def test_binned_perturbations_fill_the_bins(monkeypatch):
    monkeypatch.setattr(protocol, "_outcome", lambda _, case, person, error, seed, number: (case, error, number))
    experiment = protocol.Experiment("T2", 1, 30.0, 25.0, binned=True)
    for case, error, number in protocol.run_experiment(experiment, [3], 10):
        low, high = protocol.BINS_MM[number % 5], protocol.BINS_MM[number % 5 + 1]
        assert low <= cases.target_error(error, case).mean() < high
