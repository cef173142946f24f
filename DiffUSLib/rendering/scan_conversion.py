"""From scan lines to a grid of square pixels in mm."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from DiffUSLib.errors import DiffUSError
from DiffUSLib.probes.probe import Probe


@dataclass(frozen=True)
class ImageGrid:
    """Square pixels in the image plane; row 0 is at the transducer, column 0 away from the marked side (low X).

    Args:
        width_px, height_px: size in pixels.
        spacing_mm: pixel size.
        left_mm, top_mm: center of the first pixel in the Transducer frame (X and Y).
    """

    width_px: int
    height_px: int
    spacing_mm: float
    left_mm: float
    top_mm: float

    @classmethod
    def around(cls, probe: Probe, width_px: int, height_px: int) -> ImageGrid:
        """The grid that shows the whole fan as large as possible, in the middle, with a margin of one pixel."""
        if min(width_px, height_px) < 4:
            raise DiffUSError(f"an image of {width_px} x {height_px} pixels is too small; ask for at least 4 x 4.")
        left, right, top, bottom = probe.extent_mm()
        spacing = max((right - left) / (width_px - 3), (bottom - top) / (height_px - 3))
        middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
        first_x, first_y = middle_x - spacing * (width_px - 1) / 2, middle_y - spacing * (height_px - 1) / 2
        return cls(width_px, height_px, spacing, first_x, first_y)

    def image_to_transducer(self, thickness_mm: float = 1.0) -> torch.Tensor:
        """(4, 4) float64 matrix from (column, row, slice) to the Transducer frame in mm."""
        matrix = torch.diag(torch.tensor([self.spacing_mm, self.spacing_mm, thickness_mm, 1.0], dtype=torch.float64))
        matrix[0, 3], matrix[1, 3] = self.left_mm, self.top_mm
        return matrix

    def pixel_centers_mm(self, **tensor_options) -> tuple[torch.Tensor, torch.Tensor]:
        """X (1, W) and Y (H, 1) of the pixel centers in the Transducer frame, in mm."""
        x = self.left_mm + self.spacing_mm * torch.arange(self.width_px, **tensor_options)
        y = self.top_mm + self.spacing_mm * torch.arange(self.height_px, **tensor_options)
        return x[None, :], y[:, None]


class ScanConverter:
    """Bilinear interpolation of scan lines (B, L, N) at the pixels of an image grid; black outside the fan.

    Args:
        probe: the fan.
        grid: the pixels.
        samples: N, the samples of a line, at the middles of N equal steps from the face to the full depth.
    """

    def __init__(self, probe: Probe, grid: ImageGrid, samples: int, dtype: torch.dtype, device: torch.device):
        x, y = grid.pixel_centers_mm(dtype=torch.float64)
        if probe.kind == "linear":
            line = (x / probe.width_mm + 0.5).expand(grid.height_px, -1)
            depth_mm = y.expand(-1, grid.width_px)
        else:
            below_apex = y + probe.face_radius_mm
            line = torch.atan2(x.expand_as(below_apex * x), below_apex) / math.radians(probe.field_of_view_deg) + 0.5
            depth_mm = torch.hypot(x, below_apex) - probe.face_radius_mm
        depth = depth_mm / probe.depth_mm
        self.mask = ((line >= 0) & (line <= 1) & (depth >= 0) & (depth <= 1)).to(device)
        """(H, W) bool: the pixels inside the fan."""
        # The ends of the lines lie half a step beyond the first and last sample, the outer lines at the sides of the
        # fan. What lies beyond the last sample takes its value: not by grid_sample, which cannot do this on MPS.
        across = (line * 2 - 1) * (1 - 1 / probe.lines)
        along = (depth * 2 - 1).clamp(1 / samples - 1, 1 - 1 / samples)
        grid_xy = torch.stack([along, across], dim=-1)
        # Only pixels in the fan are interpolated, dealt out to one batch entry a thread: grid_sample shares work by
        # those.
        inside = grid_xy[self.mask.cpu()]
        threads = torch.get_num_threads() if device.type == "cpu" else 1
        self._parts = threads
        self._count = inside.shape[0]
        inside = F.pad(inside, (0, 0, 0, -self._count % threads))
        self._points = inside.reshape(threads, -1, 1, 2).to(dtype=dtype, device=device)
        self._pixels = self.mask.flatten().nonzero().squeeze(1)
        self._shape = (grid.height_px, grid.width_px)

    def __call__(self, lines: torch.Tensor) -> torch.Tensor:
        """(B, H, W) images of lines (B, L, N)."""
        batch = lines.shape[0]
        values = F.grid_sample(lines[None].expand(self._parts, -1, -1, -1), self._points, align_corners=False)
        values = values.squeeze(-1).transpose(0, 1).reshape(batch, -1)[:, : self._count]
        image = lines.new_zeros(batch, self._shape[0] * self._shape[1])
        return image.index_copy(1, self._pixels, values).reshape(batch, *self._shape)
