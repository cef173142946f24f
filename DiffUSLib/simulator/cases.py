"""Tracked slices of a known head from a known place, as good or bad as the tier says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from DiffUSLib.simulator.anatomy import Anatomy, mni152
from DiffUSLib.simulator.scanner import DEPTH_MM, Scene, image_to_transducer, scan

TIERS = ("T2", "T3", "T4", "T5")
_DEEP_GRAY_RAS_MM = np.array([0.0, -12.0, 6.0])


@dataclass(frozen=True)
class Case:
    """What registration gets, and the truth.

    Args:
        images: (S, rows, columns) uint8.
        image_to_transducer: (4, 4) from (column, row, 0, 1) to mm.
        tracked: (S, 4, 4) TransducerToRas as the tracker reports it (no registration error yet).
        true: (S, 4, 4) TransducerToRas as it was.
        targets_ras: (S, P, 3) where the tissue at `fan_targets` is in the MRI; for T5, where it would be.
        tier, seed: what it was made from.
    """

    images: np.ndarray
    image_to_transducer: np.ndarray
    tracked: np.ndarray
    true: np.ndarray
    targets_ras: np.ndarray
    tier: str
    seed: int


def make_case(seed: int, slices: int, tier: str = "T2") -> Case:
    """A case with slices that are not parallel (for more than one). T2: other physics; T3: and errors of sound speed,
    calibration and tracking; T4: and a warp of 5 mm and a resection; T5: another anatomy than the MRI's.
    """
    if tier not in TIERS:
        raise ValueError(f"tier {tier} is none of {TIERS}")
    rng = np.random.default_rng([seed, slices])
    anatomy = mni152()
    true = sweep(anatomy, rng, slices)
    tracked = true.copy()
    scene = {}
    if tier in ("T3", "T4"):
        scene["speed_error"] = 0.03 * rng.choice([-1, 1])
        calibration = rigid(_direction(rng) * 1.0, _direction(rng) * np.deg2rad(1.0))
        tracked = np.stack(
            [rigid(rng.normal(size=3) * 0.5 / np.sqrt(3), np.zeros(3)) @ pose @ calibration for pose in true]
        )
    if tier == "T4":
        scene["displace"] = smooth_warp(anatomy, rng, 5.0)
        middle = true[slices // 2] @ [rng.uniform(-10, 10), rng.uniform(14, 22), rng.uniform(-4, 4), 1]
        scene["cavity"] = (middle[:3], rng.uniform(7, 10))
    if tier == "T5":
        scene["displace"] = another_head(rng)
    images = np.stack([scan(anatomy, Scene(pose, **scene), seed * 1000 + n) for n, pose in enumerate(true)])
    targets = _transformed(true, fan_targets(true))
    if tier == "T4":
        targets = scene["displace"](targets)
    return Case(images, image_to_transducer(), tracked, true, targets, tier, seed)


def sweep(anatomy: Anatomy, rng: np.random.Generator, slices: int) -> np.ndarray:
    """(S, 4, 4) poses of a probe that stands on the cortex, looks at the deep gray matter, and tilts and turns."""
    while True:
        outward = _direction(rng)
        if outward[2] > -0.1:
            break
    target = _DEEP_GRAY_RAS_MM + rng.uniform(-12, 12, 3)
    ray = target + np.arange(0, 140, 0.5)[:, None] * outward
    entry = ray[np.nonzero(anatomy.sample("depth", ray) < -1.0)[0][0]]
    depth_axis = -outward
    lateral = np.cross(depth_axis, _direction(rng))
    lateral /= np.linalg.norm(lateral)
    base = np.eye(4)
    base[:3, :3] = np.stack([lateral, depth_axis, np.cross(lateral, depth_axis)], axis=1)
    base[:3, 3] = entry
    if slices == 1:
        return base[None]
    tilts = np.linspace(-18, 18, slices) + rng.uniform(-2, 2, slices)
    turns = rng.uniform(-25, 25, slices)
    poses = []
    for tilt, turn in zip(tilts, turns, strict=True):
        motion = np.eye(4)
        motion[:3, :3] = (
            Rotation.from_euler("y", turn, degrees=True) * Rotation.from_euler("x", tilt, degrees=True)
        ).as_matrix()
        motion[:3, 3] = [rng.uniform(-3, 3), rng.uniform(-1, 1), rng.uniform(-3, 3)]
        poses.append(base @ motion)
    return np.stack(poses)


def fan_targets(poses: np.ndarray) -> np.ndarray:
    """(S, P, 3) target points in the Transducer frames: a grid over the fan, and the same 10 mm off both sides."""
    lateral, depth, aside = np.meshgrid([-0.45, 0.0, 0.45], np.linspace(0.1, 0.95, 4) * DEPTH_MM, [-10.0, 0.0, 10.0])
    points = np.stack([lateral * (depth + 10), depth, aside], axis=-1).reshape(-1, 3)
    return np.broadcast_to(points, (len(poses), *points.shape))


def target_error(correction: np.ndarray, case: Case) -> np.ndarray:
    """(S, P) distances in mm between targets where the correction puts them and where their tissue is in the MRI."""
    moved = _transformed(correction @ case.tracked, fan_targets(case.true))
    return np.linalg.norm(moved - case.targets_ras, axis=-1)


def _transformed(matrices: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (S, P, 3) by matrices (S, 4, 4)."""
    return points @ matrices[:, :3, :3].transpose(0, 2, 1) + matrices[:, None, :3, 3]


def perturbation(
    rng: np.random.Generator, center: np.ndarray, translation_mm: float, rotation_deg: float
) -> np.ndarray:
    """(4, 4) rigid error about a center: up to this far in any direction, evenly by length and angle."""
    shift = _direction(rng) * rng.uniform(0, translation_mm)
    turn = _direction(rng) * np.deg2rad(rng.uniform(0, rotation_deg))
    return rigid(center, np.zeros(3)) @ rigid(shift, turn) @ rigid(-center, np.zeros(3))


def rigid(translation: np.ndarray, rotation_vector: np.ndarray) -> np.ndarray:
    """(4, 4) matrix from a translation in mm and a rotation vector in radians."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(rotation_vector).as_matrix()
    matrix[:3, 3] = translation
    return matrix


def smooth_warp(anatomy: Anatomy, rng: np.random.Generator, largest_mm: float):
    """A displacement that varies over centimeters and reaches `largest_mm`."""
    coarse = rng.normal(size=(3, 20, 24, 20))
    coarse = np.stack([ndimage.gaussian_filter(axis, 2.0) for axis in coarse])  # 10 mm cells: 20 mm correlation
    coarse *= largest_mm / np.linalg.norm(coarse, axis=0).max()
    origin = anatomy.affine[:3, 3]

    def displace(points):
        place = np.moveaxis((points - origin) / 10.0, -1, 0)
        shift = [ndimage.map_coordinates(axis, place, order=1, mode="nearest") for axis in coarse]
        return points + np.stack(shift, axis=-1)

    return displace


def another_head(rng: np.random.Generator):
    """Seen from the same place, quite another brain: turned by 60 to 180 degrees, larger or smaller."""
    center = np.array([0.0, -18.0, 10.0])
    turn = Rotation.from_rotvec(_direction(rng) * np.deg2rad(rng.uniform(60, 180))).as_matrix()
    scale = rng.uniform(0.8, 1.2)
    return lambda points: (points - center) @ turn.T * scale + center


def _direction(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)
