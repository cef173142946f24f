"""Ultrasound and rendered image of one slice in the same pixels, for people to compare."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage

from DiffUSLib.acoustics import AcousticMaps
from DiffUSLib.errors import DiffUSError
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import RenderSettings, look
from DiffUSLib.ultrasound.observation import UltrasoundSlices

if TYPE_CHECKING:
    from DiffUSLib.registration.alignment import RegistrationResult

OVERLAYS = ("checkerboard", "blend", "side_by_side")
"""Ways to put both images into one."""

_FIELDS = 12  # of a checkerboard along each side


class SliceComparison:
    """One ultrasound slice, and what the volume would show at its place after a correction.

    Args:
        slices: the ultrasound.
        maps: of the patient.
        index: number of the slice.
        size_px: width and height of the images.
        device: of the renderer.
        settings: the look; the clinical one without speckle by default. Its size in pixels does not count.

    Attributes:
        ultrasound: (H, W) float32 in [0, 1], probe at the top; 0 outside the fan.
        mask: (H, W) bool, the pixels inside the fan.
        image_to_transducer: (4, 4) array from (column, row, 0, 1) of these images to mm.
        transducer_to_ras: (4, 4) float64 tensor, where the tracking has the slice, in mm.

    Raises:
        DiffUSError: if the device is unknown or not there.
    """

    def __init__(
        self,
        slices: UltrasoundSlices,
        maps: AcousticMaps,
        index: int,
        size_px: int = 360,
        device: str = "auto",
        settings: RenderSettings | None = None,
    ):
        settings = settings or look("clinical", speckle=False, near_field=False)
        settings = replace(settings, width_px=size_px, height_px=size_px)
        self._renderer = Renderer(maps, slices.probe, settings, device)
        self.transducer_to_ras = slices.transducer_to_ras[index]
        with torch.no_grad():
            self.mask = self._renderer(self.transducer_to_ras).mask.cpu().numpy()
        self.image_to_transducer = self._renderer.grid.image_to_transducer().numpy()
        to_image = np.linalg.inv(slices.image_to_transducer) @ self.image_to_transducer
        row, column = np.mgrid[:size_px, :size_px]
        x, y = (to_image[axis, 0] * column + to_image[axis, 1] * row + to_image[axis, 3] for axis in (0, 1))
        ultrasound = ndimage.map_coordinates(slices.images[index], [y, x], order=1) * self.mask
        self.ultrasound = (ultrasound / max(float(ultrasound.max()), 1e-6)).astype(np.float32)

    def rendered(self, corrections_ras: torch.Tensor) -> np.ndarray:
        """(B, H, W) float32 in [0, 1]: the rendered images after world corrections (B, 4, 4)."""
        return self._render(corrections_ras.to(self.transducer_to_ras) @ self.transducer_to_ras)

    def before_and_after(self, result: RegistrationResult) -> np.ndarray:
        """(2, H, W) float32 in [0, 1]: the rendered images at the tracked place, and as registration found it, the
        size of the image included.
        """
        size = torch.diag(torch.tensor([result.image_scale] * 3 + [1.0])).to(self.transducer_to_ras)
        found = result.correction_ras.to(self.transducer_to_ras) @ self.transducer_to_ras @ size
        return self._render(torch.stack([self.transducer_to_ras, found]))

    def _render(self, poses: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            return self._renderer(poses).image.float().cpu().numpy()


def overlay(
    ultrasound: np.ndarray, rendered: np.ndarray, mask: np.ndarray, style: str, share: float = 0.5
) -> np.ndarray:
    """Both images in one, in equal brightness and contrast.

    Args:
        ultrasound, rendered: (H, W) in [0, 1].
        mask: (H, W) bool, the pixels inside the fan.
        style: "checkerboard", "blend", or "side_by_side" (the ultrasound at the left).
        share: of the rendered image in "blend", 0 to 1.

    Returns:
        (H, W) in [0, 1]; (H, 2 W) for "side_by_side".

    Raises:
        DiffUSError: for an unknown style.
    """
    if style not in OVERLAYS:
        raise DiffUSError(f"the overlay '{style}' is unknown; choose one of {', '.join(OVERLAYS)}.")
    contrast = ultrasound[mask].std() / max(float(rendered[mask].std()), 1e-6)
    matched = np.clip((rendered - rendered[mask].mean()) * contrast + ultrasound[mask].mean(), 0, 1) * mask
    if style == "side_by_side":
        return np.concatenate([ultrasound, matched], axis=1)
    if style == "blend":
        return (1 - share) * ultrasound + share * matched
    row, column = np.indices(ultrasound.shape)
    height, width = ultrasound.shape
    return np.where((row * _FIELDS // height + column * _FIELDS // width) % 2 == 0, ultrasound, matched)
