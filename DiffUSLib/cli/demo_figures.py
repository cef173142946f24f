"""Pictures for people: what was rendered, beside what it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from DiffUSLib.geometry.sampling import Sampler, ras_to_index, transform_points
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io.extras import optional
from DiffUSLib.io.files import written_whole
from DiffUSLib.rendering.renderer import RenderedImage, Renderer

if TYPE_CHECKING:
    from DiffUSLib.acoustics.maps import AcousticMaps


def reslice(voxels: torch.Tensor, ijk_to_ras: torch.Tensor, image_to_ras: torch.Tensor, shape: tuple[int, int]):
    """A volume (K, J, I) in the plane of an image: (H, W) float32, 0 outside the volume.

    Args:
        voxels, ijk_to_ras: the volume and its place.
        image_to_ras: (4, 4) from pixel (column, row, slice) to RAS in mm.
        shape: (H, W) of the image.
    """
    rows, columns = torch.meshgrid(torch.arange(shape[0]), torch.arange(shape[1]), indexing="ij")
    pixels = torch.stack([columns, rows, torch.zeros_like(rows)], dim=-1).double()
    index = transform_points((ras_to_index(ijk_to_ras) @ image_to_ras)[None], pixels)[0]
    return Sampler([voxels.detach().cpu().float()], [0.0])(index.float())[0]


def write_overview(
    path: str | Path,
    volume: Volume,
    maps: AcousticMaps,
    renderer: Renderer,
    transducer_to_ras: torch.Tensor,
    rendered: RenderedImage,
) -> None:
    """One figure: the volume in the image plane with the outline of the fan, the impedance, the B-mode image.

    Raises:
        DiffUSError: if the file cannot be written.
    """
    FigureCanvasAgg = optional("matplotlib.backends.backend_agg", "pictures").FigureCanvasAgg
    Figure = optional("matplotlib.figure", "pictures").Figure
    grid = renderer.grid
    shape = (grid.height_px, grid.width_px)
    image_to_ras = transducer_to_ras @ grid.image_to_transducer()
    anatomy = reslice(volume.voxels, volume.ijk_to_ras, image_to_ras, shape)
    outside = maps.outside.impedance_mrayl
    impedance = outside + reslice(maps.impedance - outside, maps.ijk_to_ras, image_to_ras, shape)
    left, top, step = grid.left_mm, grid.top_mm, grid.spacing_mm
    right, bottom = left + step * (grid.width_px - 1), top + step * (grid.height_px - 1)
    extent = (left - step / 2, right + step / 2, bottom + step / 2, top - step / 2)
    outline = renderer.probe.outline_mm()
    figure = Figure(figsize=(15, 5.2), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)
    axes[0].imshow(anatomy, cmap="gray", extent=extent)
    axes[0].set_title(volume.name or "Volume")
    low, high = torch.quantile(impedance.flatten()[::7], torch.tensor([0.01, 0.99])).tolist()
    shown = axes[1].imshow(impedance, cmap="viridis", extent=extent, vmin=low, vmax=max(high, low + 1e-3))
    axes[1].set_title("Acoustic impedance")
    figure.colorbar(shown, ax=axes[1], label="MRayl", shrink=0.8)
    axes[2].imshow(rendered.image[0].detach().cpu(), cmap="gray", extent=extent, vmin=0, vmax=1)
    axes[2].set_title(f"B-mode, {renderer.probe.frequency_mhz:g} MHz")
    for panel in axes[:2]:
        panel.plot(outline[:, 0], outline[:, 1], color="#ffb000", linewidth=1.2)
    for panel in axes:
        panel.set_xlabel("lateral (mm)")
    axes[0].set_ylabel("depth (mm)")
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
