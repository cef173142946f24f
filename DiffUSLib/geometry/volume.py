"""A volume: voxels and their place in the patient."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from DiffUSLib.errors import DiffUSError

_AS_INT32 = (torch.bool, torch.uint16, torch.uint32)


@dataclass(frozen=True)
class Volume:
    """Scalar voxels with their IJK-to-RAS matrix.

    Args:
        voxels: (K, J, I) tensor, the array order of SimpleITK and Slicer; real and finite values
            (bool and unsigned types that PyTorch hardly supports become int32).
        ijk_to_ras: (4, 4) matrix that maps a voxel index (I, J, K, 1) to RAS in mm; stored as float64 on the CPU.
        name: shown to people, for instance the file name.

    Raises:
        DiffUSError: if the voxels are not 3D, empty or not finite, or if the matrix is singular or not affine.
    """

    voxels: torch.Tensor
    ijk_to_ras: torch.Tensor
    name: str = ""

    def __post_init__(self):
        label = self.name or "the volume"
        if not isinstance(self.voxels, torch.Tensor) or self.voxels.is_complex():
            raise DiffUSError(f"the voxels of {label} must be a tensor of real numbers.")
        if self.voxels.dtype in _AS_INT32:
            object.__setattr__(self, "voxels", self.voxels.to(torch.int32))
        if self.voxels.ndim != 3:
            raise DiffUSError(f"{label} has {self.voxels.ndim} dimensions; give a 3D volume with one value per voxel.")
        if self.voxels.numel() == 0:
            raise DiffUSError(f"{label} has no voxels; give a volume that is at least one voxel wide on each axis.")
        if self.voxels.is_floating_point() and not bool(torch.isfinite(self.voxels).all()):
            raise DiffUSError(
                f"{label} holds NaN or infinite voxels; replace them (for instance by the background value)."
            )
        matrix = torch.as_tensor(self.ijk_to_ras, dtype=torch.float64, device="cpu")
        if matrix.shape != (4, 4) or not bool(torch.isfinite(matrix).all()):
            raise DiffUSError(f"the IJK-to-RAS matrix of {label} must hold 4 x 4 finite numbers.")
        if not torch.equal(matrix[3], torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)):
            raise DiffUSError(f"the IJK-to-RAS matrix of {label} must end in the row 0 0 0 1.")
        columns = matrix[:3, :3].norm(dim=0)
        if bool((columns <= 0).any()) or float((matrix[:3, :3] / columns).det().abs()) < 1e-3:
            raise DiffUSError(
                f"the voxel axes of {label} do not span space; correct its spacing and direction matrix."
            )
        object.__setattr__(self, "ijk_to_ras", matrix)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along I, J and K in mm."""
        return tuple(self.ijk_to_ras[:3, :3].norm(dim=0).tolist())

    @property
    def ras_to_ijk(self) -> torch.Tensor:
        """(4, 4) float64 matrix that maps RAS in mm to voxel indices (I, J, K)."""
        return torch.linalg.inv(self.ijk_to_ras)

    @property
    def center_ras_mm(self) -> torch.Tensor:
        """(3,) float64: the RAS position in mm of the middle of the grid."""
        k, j, i = self.voxels.shape
        middle = torch.tensor([(i - 1) / 2, (j - 1) / 2, (k - 1) / 2, 1.0], dtype=torch.float64)
        return (self.ijk_to_ras @ middle)[:3]

    def to(self, *args, **kwargs) -> Volume:
        """The same volume with its voxels moved by `torch.Tensor.to`; the matrix stays float64 on the CPU."""
        return replace(self, voxels=self.voxels.to(*args, **kwargs))


def check_not_constant(volume: Volume) -> None:
    """Refuse a volume that shows nothing.

    Raises:
        DiffUSError: if all voxels have one value.
    """
    if bool(volume.voxels.min() == volume.voxels.max()):
        raise DiffUSError(f"{volume.name or 'the volume'} is constant; give a volume that shows some anatomy.")
