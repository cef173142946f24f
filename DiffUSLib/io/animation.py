"""Images in a row as an animation."""

from __future__ import annotations

from pathlib import Path

import torch

from DiffUSLib.io.extras import optional
from DiffUSLib.io.files import written_whole
from DiffUSLib.io.images import to_uint8


def write_animation(path: str | Path, frames: torch.Tensor, frames_per_second: float = 12.5) -> None:
    """Write (N, H, W) gray frames in [0, 1] as an endless GIF that plays forth and back.

    Raises:
        DiffUSError: if the file cannot be written or Pillow is missing.
    """
    Image = optional("PIL.Image", "pictures")
    pictures = [Image.fromarray(frame) for frame in to_uint8(frames)]
    pictures += pictures[-2:0:-1]
    with written_whole(path) as temporary:
        pictures[0].save(
            temporary, format="GIF", save_all=True, append_images=pictures[1:], loop=0,
            duration=round(1000 / frames_per_second),
        )  # fmt: skip
