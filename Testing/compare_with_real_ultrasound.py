"""Renders real MRI slices in their own plane and compares them with the real ultrasound of the same plane.

    python Testing/compare_with_real_ultrasound.py FOLDER [-o PICTURES]

FOLDER holds pairs NAME_ceT1.png and NAME_iUS.png: one patient, one plane, the same square pixels. Both were aligned
by their scanners' coordinates alone, so brain shift remains and there is no true match. Prints the measures of the
paper's Table 1 inside the fan for each stage from MRI to B-mode, and puts the pictures side by side.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude, map_coordinates

from DiffUSLib.acoustics import AcousticMaps, Anchor, acoustic_maps
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io import write_image
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import RenderSettings, look
from DiffUSLib.similarity.metrics import compare_images
from DiffUSLib.ultrasound.fan_detection import FanGeometry, detect_fan

PIXEL_MM = 0.5
FREQUENCY_MHZ = 6.0  # not told with the images; typical of such probes

# Read off the two slices by hand. The lesion is almost as dark as fluid, which cannot be told from one slice alone.
ANCHORS = tuple(
    Anchor(name, gray, spread=1.0)
    for name, gray in {
        "cerebrospinal fluid": 17.0,
        "tumor": 41.0,
        "gray matter": 67.0,
        "white matter": 82.0,
        "choroid plexus": 140.0,
    }.items()
)


def read_gray(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("L"), dtype=float) / 255


def as_volume(slice_: np.ndarray) -> Volume:
    """The slice as a volume one pixel thick, pixel (column, row) at RAS (column, row, 0) x 0.5 mm."""
    affine = torch.diag(torch.tensor([PIXEL_MM, PIXEL_MM, PIXEL_MM, 1.0], dtype=torch.float64))
    return Volume(torch.from_numpy(slice_ * 255).float()[None], affine, "MRI slice")


def render(maps: AcousticMaps, fan: FanGeometry, settings: RenderSettings) -> np.ndarray:
    """The B-mode image on the pixels of the real ultrasound."""
    renderer = Renderer(maps, fan.to_probe((PIXEL_MM, PIXEL_MM), FREQUENCY_MHZ), settings, "cpu")
    ultrasound_to_transducer = fan.image_to_transducer((PIXEL_MM, PIXEL_MM))
    pixel_to_ras = maps.ijk_to_ras.numpy()
    pose = pixel_to_ras @ np.linalg.inv(ultrasound_to_transducer)
    image = renderer(torch.from_numpy(pose)).image[0].numpy()
    # The render has finer pixels: average them over one pixel of the ultrasound before picking values.
    step = renderer.grid.spacing_mm
    image = gaussian_filter(image, PIXEL_MM / step / 2)
    rows, columns = np.mgrid[: fan.shape[0], : fan.shape[1]]
    pixels = np.stack([columns, rows, 0 * rows, 1 + 0 * rows], axis=-1)
    render_from_ultrasound = np.linalg.inv(renderer.grid.image_to_transducer().numpy()) @ ultrasound_to_transducer
    found = pixels @ render_from_ultrasound.T
    return map_coordinates(image, [found[..., 1], found[..., 0]], order=1)


def stages(mri: np.ndarray, fan: FanGeometry) -> dict[str, np.ndarray]:
    """What the paper's Table 1 compares, from the MRI to the B-mode image."""
    maps = acoustic_maps(as_volume(mri), "t1c", anchors=ANCHORS)
    return {
        "MRI": mri,
        "MRI gradient magnitude": gaussian_gradient_magnitude(mri, 0.5),
        "+ impedance": maps.impedance[0].numpy(),
        "+ propagation": render(maps, fan, look("paper", paper_artifacts=False)),
        "+ artifacts (paper look)": render(maps, fan, look("paper")),
        "clinical look": render(maps, fan, look("clinical")),
        "clinical, no speckle": render(maps, fan, look("clinical", speckle=False)),
    }


def scaled(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Spread over [0, 1] inside the fan, like the ultrasound."""
    low, high = image[mask].min(), image[mask].max()
    return np.clip((image - low) / max(high - low, 1e-12), 0, 1)


def compare(name: str, folder: Path) -> list[np.ndarray]:
    """Print the measures of one pair; returns the pictures of MRI, clinical look and ultrasound."""
    ultrasound, mri = read_gray(folder / f"{name}_iUS.png"), read_gray(folder / f"{name}_ceT1.png")
    fan = detect_fan(ultrasound)
    print(
        f"\n{name}: fan of {2 * fan.half_angle_deg:.0f} degrees, {(fan.far_px - fan.near_px) * PIXEL_MM:.0f} mm deep"
    )
    print(f"{'':<26}{'NCC':>7}{'SSIM':>7}{'MSE':>8}{'MAE':>8}   NCC after phase correlation (shift in mm)")
    images = stages(mri, fan)
    for stage, image in images.items():
        image = scaled(image, fan.mask)
        plain = compare_images(ultrasound, image, fan.mask)
        moved = compare_images(ultrasound, image, fan.mask, align=True)
        shift = ", ".join(f"{PIXEL_MM * pixels:.1f}" for pixels in moved.shift_px)
        measures = f"{plain.ncc:>7.3f}{plain.ssim:>7.3f}{plain.mse:>8.4f}{plain.mae:>8.4f}"
        print(f"{stage:<26}{measures}   {moved.ncc:.3f} ({shift})")
    return [picture * fan.mask for picture in (mri, images["clinical look"], ultrasound)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of NAME_ceT1.png and NAME_iUS.png")
    parser.add_argument("-o", "--output", type=Path, default=Path("comparison.png"), help="default: comparison.png")
    arguments = parser.parse_args()
    names = sorted(path.name.removesuffix("_iUS.png") for path in arguments.folder.glob("*_iUS.png"))
    if not names:
        print(f"{arguments.folder} holds no files NAME_iUS.png.", file=sys.stderr)
        return 2
    rows = [np.hstack(compare(name, arguments.folder)) for name in names]
    write_image(arguments.output, np.clip(np.vstack(rows), 0, 1))
    print(f"\nWrote {arguments.output}: MRI, clinical look and real ultrasound, one pair a row.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
