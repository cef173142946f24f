"""The evaluation of registration: baselines that work where they should, and tables computed by hand."""

import numpy as np
import pytest
import torch
from scipy import ndimage

pytest.importorskip("nilearn")

from DiffUSLib.evaluation import anatomies, protocol, split_sweeps, tables, verdict_calibration
from DiffUSLib.evaluation.baselines import BASELINES, baseline
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.probes.probe import Probe
from DiffUSLib.registration import UltrasoundSlices, slices_from_volume
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


@pytest.mark.slow
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


def test_remind_starts_turn_as_published():
    """Rotations with a median of 4.8 degrees and 5 to 95 % of 2.1 to 8.5, whatever the case."""
    true = np.tile(np.eye(4), (2, 1, 1))
    case = cases.Case(np.zeros((2, 1, 1)), np.eye(4), true, true, np.zeros((2, 36, 3)), "T2", 0)
    experiment = protocol.Experiment("T2", 2, remind=True)
    errors = np.stack([protocol.start_error(experiment, case, 1, number) for number in range(2000)])
    angles = np.rad2deg(np.arccos((np.trace(errors[:, :3, :3], axis1=1, axis2=2) - 1) / 2))
    low, middle, high = np.quantile(angles, (0.05, 0.5, 0.95))
    assert middle == pytest.approx(4.8, rel=0.06) and 2.0 < low < 3.0 and 7.5 < high < 10.0
    shifts = np.linalg.norm(errors[:, :3, :3] @ [0, 44.0, 0] + errors[:, :3, 3] - [0, 44.0, 0], axis=1)
    assert shifts.max() <= 10.0


def test_patients_are_there_without_any_file_and_more_with(tmp_path):
    assert anatomies.patient_names("T2", None) == ["warped0", "warped1", "warped2"]
    assert anatomies.patient_names("B2", tmp_path) == ["torso0", "torso1", "torso2", "kidney_phantom"]
    (tmp_path / "spl_abd_seg.nrrd").touch()
    assert anatomies.patient_names("B4", tmp_path)[-1] == "abdomen"
    assert "abdomen" not in anatomies.patient_names("T4", tmp_path)


def row_of(contrast, final_mm, tier="T2", seed=100):
    return {
        "tier": tier, "final_mm": final_mm, "pose_seed": seed, "slices": 7, "contrast": contrast, "gain": 5.0,
        "margin": 99.0, "uncertainty_mm": 1.0, "halves_mm": 0.5, "prior_sigmas": 0.8,
    }  # fmt: skip


def test_a_fitted_verdict_is_calibrated_on_cases_that_follow_its_law():
    """Cases drawn from a known logistic law of the contrast: the fit must return its probabilities."""
    rng = np.random.default_rng(0)
    contrasts = np.exp(rng.uniform(0.2, 3.4, 1500))
    law = 1 / (1 + np.exp(-(4.0 * np.log(contrasts) - 8.0)))
    right = rng.random(1500) < law
    errors = np.where(right, rng.uniform(0.3, 2.5, 1500), rng.uniform(4, 12, 1500))
    rows = [row_of(float(c), float(e)) for c, e in zip(contrasts, errors, strict=True)]
    features = [verdict_calibration.features_of_row(row) for row in rows]
    model = verdict_calibration.fit(features, *verdict_calibration.truth(rows))
    found = np.array([model.confidence(values) for values in features])
    assert np.abs(found - law).mean() < 0.03
    rows = [row | {"patient": f"p{number % 4}"} for number, row in enumerate(rows)]
    told = verdict_calibration.reliability(verdict_calibration.held_out(rows))
    assert told["expected_calibration_error"] < 0.05 and told["accepted_but_wrong"] <= 0.01
    assert told["errors_below_predicted_90"] == pytest.approx(0.9, abs=0.02)


def test_another_anatomy_is_never_right():
    rows = [row_of(9.0, 0.1), row_of(9.0, 0.1, "B5"), row_of(9.0, 0.1, "S5")]
    errors, other, exact = verdict_calibration.truth(rows)
    assert exact.tolist() == [True, True, False]
    assert errors.tolist() == [0.1, 0.1, 0.1] and other.tolist() == [False, True, True]


def test_half_a_sweep_becomes_the_volume_it_shows():
    """Slices through a known field: the volume made of them must show that field where they went."""
    poses = np.tile(np.eye(4), (15, 1, 1))
    poses[:, 2, 3] = np.arange(15) * 1.5
    row, column = np.mgrid[:80, :80]
    image_to_transducer = np.diag([0.5, 0.5, 1.0, 1.0])
    image_to_transducer[0, 3] = -20
    field = [100 + column * 0.5 - 20 + 2 * 0.5 * row + 3 * z for z in poses[:, 2, 3]]
    probe = Probe("flat", "linear", 40.0, 5.0, width_mm=40.0)
    slices = UltrasoundSlices(
        np.stack(field), np.ones((80, 80), bool), image_to_transducer, torch.from_numpy(poses), probe
    )
    volume = split_sweeps.volume_of(slices)
    place = np.array([4.0, 18.0, 9.0, 1.0])
    index = (volume.ras_to_ijk.numpy() @ place)[:3][::-1]
    shown = ndimage.map_coordinates(volume.voxels.numpy(), index[:, None], order=1)[0]
    assert shown == pytest.approx(100 + 4 + 2 * 18 + 3 * 9, abs=2.5)
