"""The table of the deformable step, and SimpleITK's B-splines as its baseline."""

import argparse

import numpy as np
import pytest
import torch
from scipy import ndimage

from DiffUSLib.cli import evaluate
from DiffUSLib.evaluation.brain_shift import ShiftOutcome, mutual_information_warp, shift_table
from DiffUSLib.geometry.volume import Volume
from Testing.Library.scenes import blobs
from Testing.Library.test_registration import poses, slices_of


def outcome(rigid_mm, deformed_mm, verdict="accept", is_kept=True):
    return ShiftOutcome(7, "mni", 0, verdict, 5.0, rigid_mm, deformed_mm, 3.0, is_kept, 0.5, 0.9, 0.8, 10.0)


def test_the_table_has_medians_of_what_was_not_rejected():
    rows = [outcome(1.0, 0.5), outcome(1.4, 1.7), outcome(1.2, 1.2, is_kept=False), outcome(9.0, 9.0, "reject")]
    cells = [cell.strip() for cell in shift_table(rows).splitlines()[-1].strip("|").split("|")]
    assert cells == ["7", "3", "1", "5.00", "1.20", "1.20", "3.00", "1", "1", "50%", "90%", "0.80", "10"]


def test_the_table_tells_when_all_were_rejected():
    assert shift_table([outcome(9.0, 9.0, "reject")]).splitlines()[-1].startswith("| 7 | 0 | 1 |")


def test_the_baseline_moves_the_volume_toward_the_ultrasound():
    """Ultrasound of a volume that was shifted by 3 mm along R: the transform has that direction and sign."""
    volume, _ = blobs()
    moved = ndimage.shift(volume.voxels.numpy(), (0, 0, -3.0), order=1)  # tissue at x stands at x + 3 in the volume
    shown = Volume(torch.from_numpy(moved), volume.ijk_to_ras)
    slices = slices_of(shown, poses(5))
    transform = mutual_information_warp(slices, volume)
    points = slices.centers_ras_mm.numpy()
    found = np.array([transform.TransformPoint((p * [-1, -1, 1]).tolist()) for p in points]) * [-1, -1, 1] - points
    assert found[:, 0].mean() == pytest.approx(3.0, abs=1.5)


def test_evaluate_knows_the_deformable_step():
    parser = argparse.ArgumentParser()
    evaluate.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["evaluate", "--deformable", "--quick"])
    assert arguments.deformable and arguments.slices is None
