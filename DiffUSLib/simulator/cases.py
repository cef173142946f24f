"""Tracked slices of a known head from a known place, as good or bad as the tier says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from DiffUSLib.simulator.anatomy import Anatomy, mni152
from DiffUSLib.simulator.scanner import BODY_SCANNER, HEAD_SCANNER, Scanner, Scene, image_to_transducer, scan

TIERS = ("T2", "T3", "T4", "T5", "T6")


def nothing_to_find(tier: str) -> bool:
    """Whether no place is right in a tier, of heads or of bodies: what is seen is not the patient."""
    return tier[1:] in ("5", "6")


@dataclass(frozen=True)
class Case:
    """What registration gets, and the truth.

    Args:
        images: (S, rows, columns) uint8.
        image_to_transducer: (4, 4) from (column, row, 0, 1) to mm.
        tracked: (S, 4, 4) TransducerToRas as the tracker reports it (no registration error yet).
        true: (S, 4, 4) TransducerToRas as it was.
        targets_ras: (S, P, 3) where the tissue at `fan_targets` is in the MRI; for T5 and T6, where it would be.
        tier, seed, scanner: what it was made from.
    """

    images: np.ndarray
    image_to_transducer: np.ndarray
    tracked: np.ndarray
    true: np.ndarray
    targets_ras: np.ndarray
    tier: str
    seed: int
    scanner: Scanner = HEAD_SCANNER


def make_case(
    seed: int, slices: int, tier: str = "T2", anatomy: Anatomy | None = None, another_machine: bool = False
) -> Case:
    """A case with slices that are not parallel (for more than one). T2: other physics; T3: and errors of sound speed,
    calibration and tracking; T4: and a warp of 5 mm and a resection; T5: another anatomy than the one seen; T6:
    speckle without anatomy.

    Args:
        seed, slices, tier: what to make.
        anatomy: of the patient; the MNI152 head by default.
        another_machine: draw interfaces, resolution, gray scale and noise of the scanner, too.
    """
    if tier not in TIERS:
        raise ValueError(f"tier {tier} is none of {TIERS}")
    rng = np.random.default_rng([seed, slices])
    anatomy = anatomy or mni152()
    true = sweep(anatomy, rng, slices)
    tracked = true.copy()
    scanner = BODY_SCANNER if anatomy.body else HEAD_SCANNER
    if another_machine:
        scanner = scanner.another(np.random.default_rng([seed, slices, 5]))
    scene: dict[str, Any] = {"scanner": scanner}
    if tier in ("T3", "T4"):
        scene["speed_error"] = 0.03 * rng.choice([-1, 1])
        calibration = rigid(_direction(rng) * 1.0, _direction(rng) * np.deg2rad(1.0))
        tracked = np.stack(
            [rigid(rng.normal(size=3) * 0.5 / np.sqrt(3), np.zeros(3)) @ pose @ calibration for pose in true]
        )
    if tier == "T4":
        scene["displace"] = smooth_warp(anatomy, rng, 5.0)
        deep = scanner.depth_mm / HEAD_SCANNER.depth_mm
        middle = true[slices // 2] @ [rng.uniform(-10, 10), rng.uniform(14, 22) * deep, rng.uniform(-4, 4), 1]
        scene["cavity"] = (middle[:3], rng.uniform(7, 10))
    if tier == "T5":
        scene["displace"] = another_body(rng, anatomy.aims[0])
    images = np.stack([scan(anatomy, Scene(pose, **scene), seed * 1000 + n) for n, pose in enumerate(true)])
    if tier == "T6":
        images = speckle_alone(images, rng)
    targets = _transformed(true, fan_targets(true, scanner.depth_mm))
    if tier == "T4":
        targets = scene["displace"](targets)
    return Case(images, image_to_transducer(scanner), tracked, true, targets, tier, seed, scanner)


def sweep(anatomy: Anatomy, rng: np.random.Generator, slices: int) -> np.ndarray:
    """(S, 4, 4) poses of a probe that stands on the surface, looks at one of the aims, and tilts and turns."""
    for _ in range(200):
        outward = _direction(rng)
        target = anatomy.aims[rng.integers(len(anatomy.aims))] if len(anatomy.aims) > 1 else anatomy.aims[0]
        if outward @ anatomy.outward < np.cos(np.deg2rad(anatomy.spread_deg)):
            continue
        target = target + rng.uniform(-12, 12, 3)
        ray = target + np.arange(0, 260, 0.5)[:, None] * outward
        beyond = np.nonzero(anatomy.sample("depth", ray) < -1.0)[0]
        if not len(beyond):
            continue
        entry = ray[beyond[0]]
        if not anatomy.body or _is_window(anatomy, entry, outward):
            break
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


def _is_window(anatomy: Anatomy, entry: np.ndarray, outward: np.ndarray) -> bool:
    """Whether sound gets past bone and gas: most of a cone of rays, 60 mm deep."""
    side = np.cross(outward, [0.3, 0.5, 0.8])
    side /= np.linalg.norm(side)
    up = np.cross(outward, side)
    ends = [a * side + b * up for a in (-20, 0, 20) for b in (-20, 0, 20)]
    rays = entry + np.stack([np.linspace(0, 1, 60)[:, None] * (end - 60 * outward) for end in ends])
    return (anatomy.sample("attenuation", rays).max(1) < 4).mean() > 0.6


def fan_targets(poses: np.ndarray, depth_mm: float = HEAD_SCANNER.depth_mm) -> np.ndarray:
    """(S, P, 3) target points in the Transducer frames: a grid over the fan, and the same 10 mm off both sides."""
    grid: Any = np.meshgrid([-0.45, 0.0, 0.45], np.linspace(0.1, 0.95, 4) * depth_mm, [-10.0, 0.0, 10.0])
    lateral, depth, aside = grid
    points = np.stack([lateral * (depth + 10), depth, aside], axis=-1).reshape(-1, 3)
    return np.broadcast_to(points, (len(poses), *points.shape))


def target_error(correction: np.ndarray, case: Case) -> np.ndarray:
    """(S, P) distances in mm between targets where the correction puts them and where their tissue is in the MRI."""
    moved = _transformed(correction @ case.tracked, fan_targets(case.true, case.scanner.depth_mm))
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
    corners = np.stack(np.meshgrid(*[(0, size - 1) for size in anatomy.seen.shape], indexing="ij"), -1).reshape(-1, 3)
    corners = corners @ anatomy.affine[:3, :3].T + anatomy.affine[:3, 3]
    origin, size = corners.min(0), np.ceil(np.ptp(corners, axis=0) / 10).astype(int) + 1
    coarse = rng.normal(size=(3, *size))
    coarse = np.stack([ndimage.gaussian_filter(axis, 2.0) for axis in coarse])  # 10 mm cells: 20 mm correlation
    coarse *= largest_mm / np.linalg.norm(coarse, axis=0).max()

    def displace(points):
        place = np.moveaxis((points - origin) / 10.0, -1, 0)
        shift = [ndimage.map_coordinates(axis, place, order=1, mode="nearest") for axis in coarse]
        return points + np.stack(shift, axis=-1)

    return displace


def another_body(rng: np.random.Generator, center: np.ndarray):
    """Seen from the same place, quite another anatomy: turned by 60 to 180 degrees, larger or smaller."""
    turn = Rotation.from_rotvec(_direction(rng) * np.deg2rad(rng.uniform(60, 180))).as_matrix()
    scale = rng.uniform(0.8, 1.2)
    return lambda points: (points - center) @ turn.T * scale + center


def speckle_alone(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grains of a few pixels and of any contrast where images (S, rows, columns) uint8 are not black."""
    grains = ndimage.gaussian_filter(rng.normal(size=images.shape), (0, rng.uniform(0.7, 3), rng.uniform(0.7, 5)))
    gray = rng.uniform(50, 150) + rng.uniform(15, 50) * grains / grains.std()
    return np.where(images > 0, np.clip(gray, 1, 255), 0).astype(np.uint8)


def _direction(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)
