"""A correction as seven numbers that compare, all in millimeters: rigid in the world, and the scale of the image."""

from __future__ import annotations

import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import rigid_matrix

LEVER_MM = 40.0
"""A rotation moves the far parts of a fan by about this lever: one unit of rotation is 1 / 40 rad."""

UNITS = 7

_FREE = {
    "rigid_and_scale": (1, 1, 1, 1, 1, 1, 1),
    "rigid": (1, 1, 1, 1, 1, 1, 0),
    "translation": (1, 1, 1, 0, 0, 0, 0),
    "in_plane": (1, 1, 0, 0, 0, 1, 0),
}


def degrees_of_freedom_names() -> list[str]:
    """What may be corrected: "rigid_and_scale" (the scale is that of the images, which a wrong speed of sound
    changes), "rigid", "translation", or "in_plane" (shift and turn within the first image's plane)."""
    return list(_FREE)


def check_degrees_of_freedom(name: str) -> None:
    """Raises DiffUSError unless it is one of `degrees_of_freedom_names`."""
    if name not in _FREE:
        raise DiffUSError(f"the degrees of freedom '{name}' are unknown; choose one of {', '.join(_FREE)}.")


def correction_matrix(units: torch.Tensor, center_ras_mm: torch.Tensor) -> torch.Tensor:
    """Corrections (B, 4, 4), to be multiplied from the left to TransducerToRas.

    Args:
        units: (B, 7) translation in mm and rotation vector times `LEVER_MM`, along the axes R, A and S; the last one
            is the image scale's, see `image_scale`.
        center_ras_mm: (3,) the point about which the rotation turns.
    """
    center = center_ras_mm.to(units)
    turn = rigid_matrix(units[:, 3:6] / LEVER_MM, torch.zeros_like(units[:, :3]))
    shift = units[:, :3] + center - turn[:, :3, :3] @ center
    column = torch.cat([shift, torch.ones_like(shift[:, :1])], dim=1).unsqueeze(2)
    return torch.cat([turn[:, :, :3], column], dim=2)


def image_scale(units: torch.Tensor) -> torch.Tensor:
    """(B,) size of the tissue against its image: above 1 if sound is faster than the scanner assumes."""
    return 1 + units[:, 6] / LEVER_MM


def free_directions(name: str, transducer_to_ras: torch.Tensor) -> torch.Tensor:
    """(7, F) orthonormal float64 columns that span the units which may change.

    Args:
        name: one of `degrees_of_freedom_names`.
        transducer_to_ras: (4, 4) pose whose image plane "in_plane" means.

    Raises:
        DiffUSError: for an unknown name.
    """
    check_degrees_of_freedom(name)
    rotation = transducer_to_ras[:3, :3].to("cpu", torch.float64)
    return torch.block_diag(rotation, rotation, torch.ones(1, 1, dtype=torch.float64))[
        :, torch.tensor(_FREE[name]).bool()
    ]
