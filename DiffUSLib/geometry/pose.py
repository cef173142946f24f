"""Poses: where the transducer stands and how it moves. A pose is a 4 x 4 TransducerToRas matrix (mm)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from DiffUSLib.errors import DiffUSError

Point = torch.Tensor | Sequence[float]

MOTIONS = {
    "pan": (0, "mm", "along the image plane, toward the marked side"),
    "push": (1, "mm", "into the patient"),
    "slide": (2, "mm", "across the image plane"),
    "tilt": (3, "degrees", "about the lateral axis: the fan swings out of its plane"),
    "rotate": (4, "degrees", "about the central scan line"),
    "rock": (5, "degrees", "about the elevation axis: the fan swings within its plane"),
}
"""Motions in the probe's own frame: component of the twist, unit, meaning. Turns pivot on the middle of the face."""


def look_at(entry_ras_mm: Point, target_ras_mm: Point, roll_deg: float = 0.0) -> torch.Tensor:
    """The pose of a transducer whose face sits at the entry point and looks at the target point.

    At roll 0 the marked side points to the patient's right, or to the front when the probe itself looks along the
    left-right axis.

    Args:
        entry_ras_mm, target_ras_mm: three RAS coordinates in mm each; as tensors they receive gradients.
        roll_deg: turn about the central scan line, right-handed about the viewing direction.

    Returns:
        (4, 4) float64 TransducerToRas.

    Raises:
        DiffUSError: if the points or the roll are not finite, or the points coincide.
    """
    entry = torch.as_tensor(entry_ras_mm, dtype=torch.float64)
    target = torch.as_tensor(target_ras_mm, dtype=torch.float64)
    if not math.isfinite(roll_deg):
        raise DiffUSError(f"the roll is {roll_deg} degrees; give a finite number.")
    if entry.shape != (3,) or target.shape != (3,) or not bool(torch.isfinite(entry + target).all()):
        raise DiffUSError("entry and target must be three finite RAS coordinates in mm each.")
    distance = (target - entry).norm()
    if float(distance.detach()) < 1e-6:
        raise DiffUSError("entry and target are the same point; move one so that the transducer has a direction.")
    depth = (target - entry) / distance
    axis = [1.0, 0.0, 0.0] if abs(float(depth[0].detach())) < 0.9 else [0.0, 1.0, 0.0]
    reference = torch.tensor(axis, dtype=torch.float64)
    lateral = reference - (reference @ depth) * depth
    lateral = lateral / lateral.norm()
    columns = torch.stack([lateral, depth, torch.linalg.cross(lateral, depth), entry], dim=1)
    pose = torch.cat([columns, torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=torch.float64)])
    return move(pose, rotate=roll_deg) if roll_deg else pose


def move(transducer_to_ras: torch.Tensor, **motions: float) -> torch.Tensor:
    """The pose after motions in the probe's own frame.

    Args:
        transducer_to_ras: (..., 4, 4).
        motions: names of `MOTIONS` with amounts in mm or degrees; together they make one rigid motion: first the
            turns, as one rotation vector about the middle of the face, then the shifts along the axes before turning.

    Raises:
        DiffUSError: for an unknown motion.
    """
    step = torch.eye(4, dtype=transducer_to_ras.dtype, device=transducer_to_ras.device)
    vector = torch.zeros(3, dtype=torch.float64)
    for name, amount in motions.items():
        if name not in MOTIONS:
            raise DiffUSError(f"the motion '{name}' is unknown; choose one of {', '.join(MOTIONS)}.")
        component, unit, _ = MOTIONS[name]
        if unit == "mm":
            step[component, 3] = amount
        else:
            vector[component - 3] = math.radians(amount)
    step[:3, :3] = rotation_matrix(vector).to(step)
    return transducer_to_ras @ step


def rotation_matrix(rotation_vector_rad: torch.Tensor) -> torch.Tensor:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3) in radians; differentiable, at zero too."""
    x, y, z = rotation_vector_rad.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(*x.shape, 3, 3)
    return torch.linalg.matrix_exp(skew)


def rigid_matrix(rotation_vector_rad: torch.Tensor, translation_mm: torch.Tensor) -> torch.Tensor:
    """(..., 4, 4) matrices from rotation vectors (..., 3) in radians and translations (..., 3) in mm."""
    top = torch.cat([rotation_matrix(rotation_vector_rad), translation_mm.unsqueeze(-1)], dim=-1)
    last = torch.zeros_like(top[..., :1, :])
    last[..., 3] = 1.0
    return torch.cat([top, last], dim=-2)


def check_rigid(matrix: torch.Tensor, name: str = "the pose", tolerance: float = 1e-3) -> None:
    """Make sure that (..., 4, 4) matrices only turn and shift.

    Raises:
        DiffUSError: if a matrix is not finite, has another shape or last row, scales, shears or mirrors.
    """
    matrix = matrix.detach().to("cpu", torch.float64)
    if matrix.shape[-2:] != (4, 4) or not bool(torch.isfinite(matrix).all()):
        raise DiffUSError(f"{name} must hold 4 x 4 finite numbers.")
    rotation = matrix[..., :3, :3]
    identity = torch.eye(3, dtype=torch.float64)
    last_row = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    if not bool(((matrix[..., 3, :] - last_row).abs() < tolerance).all()):
        raise DiffUSError(f"{name} must end in the row 0 0 0 1.")
    if float((rotation @ rotation.transpose(-1, -2) - identity).abs().max()) > tolerance:
        scales = ", ".join(f"{scale:.3f}" for scale in rotation.norm(dim=-2).reshape(-1, 3)[0].tolist())
        raise DiffUSError(
            f"{name} is not rigid (its axes are scaled by {scales} or sheared); give turns and shifts only."
        )
    if not bool((torch.linalg.det(rotation) > 0).all()):
        raise DiffUSError(f"{name} mirrors the patient; give a right-handed matrix.")
