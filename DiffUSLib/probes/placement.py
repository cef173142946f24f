"""Placing a transducer on the patient's surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from DiffUSLib.acoustics.medium import BONE_MRAYL, TISSUE_ECHOGENICITY, Medium
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import look_at
from DiffUSLib.geometry.sampling import transform_points

if TYPE_CHECKING:
    from DiffUSLib.acoustics.maps import AcousticMaps

SKULL_DEPTH_MM = 40.0
"""Bone this close below the skin belongs to the skull's near side."""

HEAD_WIDTH_MM = 220.0
"""A patient narrower than this from side to side is a head."""


def snap_to_surface(
    maps: AcousticMaps, transducer_to_ras: torch.Tensor, search_mm: float = 150.0, beneath_bone: bool = False
) -> torch.Tensor:
    """Slide the transducer along its central scan line until its face rests on the first tissue.

    Args:
        maps: the patient.
        transducer_to_ras: (4, 4) pose; the surface is sought up to `search_mm` behind and before the face.
        beneath_bone: rest on what lies below the near side of the skull, as through a craniotomy, not on the skin.

    Returns:
        (4, 4) float64 pose.

    Raises:
        DiffUSError: if the central scan line meets no tissue.
    """
    pose = transducer_to_ras.detach().to("cpu", torch.float64)
    distance_mm = distance_to_surface(maps, pose[None], search_mm, beneath_bone)
    if bool(distance_mm.isnan()):
        raise DiffUSError("the transducer does not look at the patient; point it at the volume first.")
    moved = pose.clone()
    moved[:3, 3] += pose[:3, 1] * distance_mm
    return moved


def distance_to_surface(
    maps: AcousticMaps, transducer_to_ras: torch.Tensor, search_mm: float, beneath_bone: bool
) -> torch.Tensor:
    """How far before the face, in mm, the central scan lines of poses (B, 4, 4) meet tissue, as in `snap_to_surface`.

    Returns:
        (B,) float64; below zero behind the face, NaN where no tissue is met.
    """
    along_mm = torch.arange(-search_mm, search_mm, 0.25, dtype=torch.float64)
    points = torch.zeros(len(along_mm), 3, dtype=torch.float64)
    points[:, 1] = along_mm
    medium = Medium(maps, torch.device("cpu"), torch.float32)
    index = transform_points(medium.ras_to_index.double() @ transducer_to_ras, points)
    impedance, _, echogenicity = medium.sample(index.float(), channels=3)
    tissue = (echogenicity > TISSUE_ECHOGENICITY) & medium.covers(index)
    if beneath_bone:
        first_mm = along_mm[tissue.int().argmax(dim=1)]
        bone = (along_mm < first_mm[:, None] + SKULL_DEPTH_MM) & (impedance > BONE_MRAYL) & tissue.any(dim=1)[:, None]
        number = torch.arange(len(along_mm))
        tissue = tissue & (number > torch.where(bone, number, -1).amax(dim=1)[:, None])
    distance_mm = along_mm[tissue.int().argmax(dim=1)]
    return distance_mm.where(tissue.any(dim=1), torch.nan)


def default_pose(maps: AcousticMaps) -> torch.Tensor:
    """A transducer above the middle of the tissue: on the brain in a head, on the skin at the front of a body.

    Returns:
        (4, 4) float64 TransducerToRas.

    Raises:
        DiffUSError: if the maps hold no tissue.
    """
    maps = maps.to("cpu")
    tissue = (maps.echogenicity > TISSUE_ECHOGENICITY).nonzero().double()
    if len(tissue) == 0:
        raise DiffUSError("there is no tissue in this volume; check its modality or give the pose yourself.")
    middle_kji = tissue.mean(dim=0)
    homogeneous = torch.cat([middle_kji.flip(0), torch.ones(1, dtype=torch.float64)])
    middle = (maps.ijk_to_ras @ homogeneous)[:3]
    sides = tissue.flip(1) @ maps.ijk_to_ras[0, :3]
    head = float(sides.max() - sides.min()) < HEAD_WIDTH_MM
    away = torch.tensor([25.0, 0.0, 60.0] if head else [0.0, 60.0, 0.0], dtype=torch.float64)
    reach = 300.0
    return snap_to_surface(
        maps, look_at(middle + away / away.norm() * reach, middle), search_mm=reach, beneath_bone=head
    )
