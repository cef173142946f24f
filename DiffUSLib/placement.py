"""Placing a transducer on the patient's surface."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.medium import Medium
from DiffUSLib.pose import look_at
from DiffUSLib.sampling import transform_points

if TYPE_CHECKING:
    from DiffUSLib.acoustics.maps import AcousticMaps

TISSUE_ECHOGENICITY = 0.2
"""What scatters at least this much (relative to white matter) counts as tissue, not as fluid or coupling gel."""


def snap_to_surface(maps: AcousticMaps, transducer_to_ras: torch.Tensor, search_mm: float = 150.0) -> torch.Tensor:
    """Slide the transducer along its central scan line until its face rests on the first tissue.

    Args:
        maps: the patient.
        transducer_to_ras: (4, 4) pose; the surface is sought up to `search_mm` behind and before the face.

    Returns:
        (4, 4) float64 pose.

    Raises:
        DiffUSError: if the central scan line meets no tissue.
    """
    pose = transducer_to_ras.detach().to("cpu", torch.float64)
    along_mm = torch.arange(-search_mm, search_mm, 0.25, dtype=torch.float64)
    points = torch.zeros(len(along_mm), 3, dtype=torch.float64)
    points[:, 1] = along_mm
    medium = Medium(maps, torch.device("cpu"), torch.float32)
    grid = transform_points((medium.ras_to_grid.double() @ pose)[None], points)[0]
    tissue = medium.sample(grid.float(), channels=3)[2] > TISSUE_ECHOGENICITY
    if not bool(tissue.any()):
        raise DiffUSError("the transducer does not look at the patient; point it at the volume first.")
    moved = pose.clone()
    moved[:3, 3] += pose[:3, 1] * along_mm[int(tissue.int().argmax())]
    return moved


def default_pose(maps: AcousticMaps) -> torch.Tensor:
    """A transducer on the surface above the middle of the tissue: at the top of a head, at the front of a body.

    Returns:
        (4, 4) float64 TransducerToRas.

    Raises:
        DiffUSError: if the maps hold no tissue.
    """
    tissue = (maps.echogenicity > TISSUE_ECHOGENICITY).nonzero().double()
    if len(tissue) == 0:
        raise DiffUSError("there is no tissue in this volume; check its modality or give the pose yourself.")
    middle_kji = tissue.mean(dim=0)
    homogeneous = torch.cat([middle_kji.flip(0), torch.ones(1, dtype=torch.float64)])
    middle = (maps.ijk_to_ras @ homogeneous)[:3]
    head = maps.modality.startswith("t")
    away = torch.tensor([25.0, 0.0, 60.0] if head else [0.0, 60.0, 0.0], dtype=torch.float64)
    reach = 300.0
    return snap_to_surface(maps, look_at(middle + away / away.norm() * reach, middle), search_mm=reach)
