"""Images in a row as an animation or a video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from DiffUSLib.io.extras import optional
from DiffUSLib.io.files import quiet_stderr, written_whole
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


def write_video(path: str | Path, frames: torch.Tensor, frames_per_second: float = 12.5) -> None:
    """Write (N, H, W) gray frames in [0, 1] as MP4 (H.264), which is lossy; an odd last row or column is doubled.

    Raises:
        DiffUSError: if the file cannot be written or PyAV is missing.
    """
    av = optional("av", "video")
    pixels = to_uint8(frames)
    pixels = np.pad(pixels, ((0, 0), (0, pixels.shape[1] % 2), (0, pixels.shape[2] % 2)), mode="edge")
    rate = Fraction(frames_per_second).limit_denominator(1000)
    with written_whole(path) as temporary, quiet_stderr(), av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=rate, options={"crf": "18"})
        stream.height, stream.width, stream.pix_fmt = pixels.shape[1], pixels.shape[2], "yuv420p"
        for frame in pixels:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode(None))
