"""Random poses of the transducer, and wrong tracked poses whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from DiffUSLib.acoustics.maps import AcousticMaps
from DiffUSLib.datasets.recipe import Poses, Range, TrackingError
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import MOTIONS, look_at, move, rigid_matrix
from DiffUSLib.probes.placement import default_pose, distance_to_surface

_COARSE_MM = 2.0
"""Contact with the surface is looked for in voxels of about this size."""
_REACH_MM = 300.0
"""So far outside of what is looked at the search begins."""
_TRIES = 50
_TURNS = ("tilt", "rotate", "rock")


class PoseSampler:
    """Draws poses TransducerToRas on one patient.

    Args:
        maps: the patient.
        poses: where to stand.
    """

    def __init__(self, maps: AcousticMaps, poses: Poses):
        self._poses = poses
        self._coarse = _coarse(maps)
        self._start = default_pose(maps)
        tissue = (self._coarse.echogenicity > 0).nonzero().double().mean(dim=0).flip(0)
        self._middle = (self._coarse.ijk_to_ras @ torch.cat([tissue, torch.ones(1).double()]))[:3]

    def draw(self, random: np.random.Generator, count: int) -> torch.Tensor:
        """(count, 4, 4) float64 TransducerToRas.

        Raises:
            DiffUSError: if no place on the surface was found.
        """
        poses = self._poses
        if poses.kind == "sweep":
            amounts = [_draw(random, poses.motion_range) for _ in range(count)]
            return torch.stack([move(self._start, **{poses.motion: amount}) for amount in amounts])
        contacts = self._contacts(random, count)
        for _ in range(_TRIES):
            if len(contacts) >= count:
                break
            contacts = torch.cat([contacts, self._contacts(random, count)])
        else:
            raise DiffUSError("no place on the patient's surface was found for these poses; widen within_deg.")
        turns_rad = np.radians(
            [[_draw(random, getattr(poses, f"{name}_deg")) for name in _TURNS] for _ in range(count)]
        )
        vectors = torch.zeros(count, 2, 3, dtype=torch.float64)  # rotate comes first, then the others as one turn
        for place, name in enumerate(_TURNS):
            vectors[:, int(name != "rotate"), MOTIONS[name][0] - 3] = torch.from_numpy(turns_rad[:, place])
        first, then = rigid_matrix(vectors, torch.zeros_like(vectors)).unbind(dim=1)
        return contacts[:count] @ first @ then

    def _contacts(self, random: np.random.Generator, count: int) -> torch.Tensor:
        """(N, 4, 4) poses in contact, at most `count`: some ways there is no patient."""
        aims = []
        for _ in range(count):
            target = self._middle
            if self._poses.kind == "landmarks":
                points = self._poses.landmarks_ras_mm
                target = torch.tensor(points[random.integers(len(points))], dtype=torch.float64)
            outward = _within(random, -self._start[:3, 1].numpy(), math.radians(self._poses.within_deg))
            aims.append(look_at(target + torch.from_numpy(outward) * (_REACH_MM / 2), target))
        aim = torch.stack(aims)
        distance_mm = distance_to_surface(self._coarse, aim, _REACH_MM / 2, beneath_bone=True)
        aim[:, :3, 3] += aim[:, :3, 1] * distance_mm[:, None]
        return aim[~distance_mm.isnan()]


def tracking_error(random: np.random.Generator, error: TrackingError, center_ras_mm: np.ndarray) -> torch.Tensor:
    """(4, 4) float64 matrix in RAS by which a tracked pose is wrong; it turns about a point."""
    axis, direction = (_within(random, np.array([0.0, 0.0, 1.0]), math.pi) for _ in range(2))
    turn = Rotation.from_rotvec(axis * math.radians(_draw(random, error.rotation_deg)))
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = torch.from_numpy(turn.as_matrix())
    shift = direction * _draw(random, error.translation_mm)
    matrix[:3, 3] = torch.from_numpy(center_ras_mm + shift) - matrix[:3, :3] @ torch.from_numpy(center_ras_mm)
    return matrix


def _draw(random: np.random.Generator, limits: Range) -> float:
    return float(random.uniform(*limits))


def _within(random: np.random.Generator, axis: np.ndarray, angle_rad: float) -> np.ndarray:
    """A unit vector within an angle of another one, uniform on the sphere's cap."""
    cosine = random.uniform(math.cos(angle_rad), 1.0)
    around = random.uniform(0.0, 2 * math.pi)
    first = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
    first /= np.linalg.norm(first)
    second = np.cross(axis, first)
    sine = math.sqrt(max(0.0, 1 - cosine**2))
    return cosine * axis / np.linalg.norm(axis) + sine * (math.cos(around) * first + math.sin(around) * second)


def _coarse(maps: AcousticMaps) -> AcousticMaps:
    """Every so manieth voxel, at about 2 mm."""
    spacing_ijk = maps.ijk_to_ras[:3, :3].norm(dim=0).tolist()
    steps = [max(1, round(_COARSE_MM / size)) for size in spacing_ijk]
    part = tuple(slice(None, None, step) for step in reversed(steps))
    names = ("impedance", "attenuation", "echogenicity")
    matrix = maps.ijk_to_ras @ torch.diag(torch.tensor([*map(float, steps), 1.0], dtype=torch.float64))
    return replace(maps, **{name: getattr(maps, name)[part].contiguous() for name in names}, ijk_to_ras=matrix)
