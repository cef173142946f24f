"""How alike real ultrasound and what is rendered in its place are: the rows of the paper's Table 1, and looks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from scipy import ndimage

from DiffUSLib.acoustics.maps import AcousticMaps
from DiffUSLib.appearance.appearance import Appearance
from DiffUSLib.geometry.sampling import Sampler, ras_to_index, transform_points
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import RenderSettings, look
from DiffUSLib.similarity.metrics import ImageSimilarity, compare_images
from DiffUSLib.ultrasound.observation import UltrasoundSlices

GRADIENT_SIGMA_MM = 0.25
GRADIENT = "gradient magnitude"


class FrameComparison:
    """One real frame, and images of the patient's volume on its pixels.

    Args:
        slices: the ultrasound; gray from 0 to 255.
        index: number of the frame.
        volume: the patient's.
        maps: acoustic maps of it, made without a look.

    Attributes:
        ultrasound: (H, W) gray in [0, 1].
        mask: (H, W) bool, the pixels that are compared: those in the fan whose place lies in the volume.
    """

    def __init__(self, slices: UltrasoundSlices, index: int, volume: Volume, maps: AcousticMaps):
        self.ultrasound = slices.images[index].astype(np.float64) / 255
        self._slices, self._volume, self._maps = slices, volume, maps
        self._pose = slices.transducer_to_ras[index]
        rows, columns = np.mgrid[: self.ultrasound.shape[0], : self.ultrasound.shape[1]]
        self._pixels = np.stack([columns, rows, 0 * rows, 1 + 0 * rows], axis=-1).astype(np.float64)
        self._pixel_mm = math.sqrt(abs(np.linalg.det(slices.image_to_transducer[:2, :2])))
        self.mask = slices.mask[index] & (self._sampled(torch.ones_like(maps.impedance)) > 0.5)

    def stages(self) -> dict[str, np.ndarray]:
        """(H, W) images of the stages from the volume to the paper's image, each spread over [0, 1] in the mask."""
        volume = self._sampled(self._volume.voxels.float())
        gradient = ndimage.gaussian_gradient_magnitude(volume, GRADIENT_SIGMA_MM / self._pixel_mm)
        images = {
            self._maps.modality.upper(): volume,
            GRADIENT: gradient,
            "+ impedance": self._sampled(self._maps.impedance),
            "+ propagation": self.rendered(look("paper", paper_artifacts=False)),
            "+ artifacts (paper look)": self.rendered(look("paper")),
        }
        return {name: self._spread(image) for name, image in images.items()}

    def rendered(self, settings: RenderSettings, appearance: Appearance | None = None) -> np.ndarray:
        """(H, W) the B-mode image on the pixels of the ultrasound."""
        if appearance is not None:
            settings = appearance.settings(settings)
        renderer = Renderer(self._maps, self._slices.probe, settings, "cpu")
        with torch.no_grad():
            image = renderer(self._pose).image[0].numpy()
        # The render has finer pixels: average them over one pixel of the ultrasound before picking values.
        image = ndimage.gaussian_filter(image, self._pixel_mm / renderer.grid.spacing_mm / 2)
        to_render = np.linalg.inv(renderer.grid.image_to_transducer().numpy()) @ self._slices.image_to_transducer
        found = self._pixels @ to_render.T
        return ndimage.map_coordinates(image, [found[..., 1], found[..., 0]], order=1)

    def measures(self, image: np.ndarray, align: bool = False) -> ImageSimilarity:
        """NCC, SSIM, MSE and MAE of an image (H, W) with the ultrasound inside the mask."""
        return compare_images(self.ultrasound, image, self.mask, align=align)

    def _sampled(self, voxels: torch.Tensor) -> np.ndarray:
        """(H, W) voxels of a grid like the volume's at the pixels."""
        matrix = ras_to_index(self._volume.ijk_to_ras) @ self._pose
        points = torch.from_numpy(self._pixels @ self._slices.image_to_transducer.T)[..., :3]
        index = transform_points(matrix[None], points)[0].float()
        return Sampler([voxels.float()], (0.0,))(index)[0].numpy().astype(np.float64)

    def _spread(self, image: np.ndarray) -> np.ndarray:
        low, high = image[self.mask].min(), image[self.mask].max()
        return np.clip((image - low) / max(high - low, 1e-12), 0, 1)


def table_one(
    comparison: FrameComparison, looks: Mapping[str, Appearance] | None = None
) -> dict[str, tuple[np.ndarray, ImageSimilarity]]:
    """Images and measures by the name of their row: the paper's stages, the default look, and further looks.

    A look gives two rows, with speckle and without: speckle of real and rendered tissue cannot agree in its grains.
    """
    images = comparison.stages()
    clinical = look("clinical")
    for name, appearance in {"default look": None, **(looks or {})}.items():
        images[name] = comparison.rendered(clinical, appearance)
        quiet = replace(clinical, speckle=False)
        images[f"{name}, no speckle"] = comparison.rendered(quiet, appearance)
    return {name: (image, comparison.measures(image)) for name, image in images.items()}
