"""Where the patient is: the body as a whole, on a coarse grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from DiffUSLib.acoustics.medium import TISSUE_ECHOGENICITY
from DiffUSLib.errors import DiffUSError

if TYPE_CHECKING:
    from DiffUSLib.acoustics.maps import AcousticMaps

GAP_MM = 18.0
"""Narrower gaps count as body: sulci, and a skull that a craniotomy opens to the outside."""


def body_share(maps: AcousticMaps, cell_mm: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    """How much of each cell of a coarse grid lies in the patient.

    What tissue encloses (air, fluid, bone) counts in, and so do gaps that are narrower than GAP_MM.

    Args:
        maps: the patient.
        cell_mm: wanted edge of a cell; voxels that are larger stay as they are.

    Returns:
        (K, J, I) float32 shares, 0 to 1, of the largest connected part, with a border of empty cells around the
        volume, and the (4, 4) float64 matrix from cell indices (I, J, K, 1) to RAS in mm. The surface of the patient
        is where the share is 0.5.

    Raises:
        DiffUSError: if the maps hold no tissue.
    """
    from scipy import ndimage

    tissue = (maps.echogenicity.detach() > TISSUE_ECHOGENICITY).to("cpu", torch.float32)
    spacing = torch.linalg.vector_norm(maps.ijk_to_ras[:3, :3], dim=0).flip(0)  # of k, j, i
    step = [min(max(1, round(cell_mm / float(mm))), count) for mm, count in zip(spacing, tissue.shape, strict=True)]
    share = torch.nn.functional.avg_pool3d(tissue[None, None], step, ceil_mode=True)[0, 0]
    reach = max(1, round(GAP_MM / 2 / cell_mm))
    border = reach + 1
    share = torch.nn.functional.pad(share, (border,) * 6)
    parts, count = ndimage.label((share > 0.5).numpy())
    if count == 0:
        raise DiffUSError("there is no tissue in this volume; check its modality.")
    sizes = ndimage.sum_labels(parts > 0, parts, range(1, count + 1))
    largest = parts == 1 + int(sizes.argmax())
    closed = ndimage.binary_fill_holes(ndimage.binary_closing(largest, iterations=reach))
    near = torch.from_numpy(ndimage.binary_dilation(largest))
    share = torch.where(torch.from_numpy(closed & ~largest), 1.0, torch.where(near, share, 0.0))
    cell_to_ijk = torch.eye(4, dtype=torch.float64)
    for axis, size in enumerate(reversed(step)):
        cell_to_ijk[axis, axis] = size
        cell_to_ijk[axis, 3] = (size - 1) / 2 - border * size  # the middle of the border's first cell
    return share, maps.ijk_to_ras.double() @ cell_to_ijk
