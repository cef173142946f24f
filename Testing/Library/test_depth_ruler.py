"""The depth ruler of screens that the test draws, and no ruler where there is none."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from DiffUSLib.errors import DiffUSError
from DiffUSLib.ultrasound.depth_ruler import read_depth_ruler

HEIGHT, WIDTH = 480, 640


def a_screen(seed=0):
    """Speckle in a fan that changes from frame to frame, and a line of text: (5, H, W)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    radius, angle = np.hypot(x - 320, y + 60), np.abs(np.degrees(np.arctan2(x - 320, y + 60)))
    fan = (radius > 100) & (radius < 500) & (angle < 32)
    frames = np.stack([ndimage.gaussian_filter(rng.rayleigh(60, (HEIGHT, WIDTH)), 1.2) * fan for _ in range(5)])
    for column in range(20, 220, 9):
        frames[:, 8:19, column : column + 6] = np.where(rng.random((11, 6)) > 0.5, 210, 0)
    return frames


def with_ruler(spacing, count, long_every, labels=False, column=600, first=25.4, long=14, short=6, frames=None):
    frames = a_screen() if frames is None else frames
    for index in range(count):
        row = first + index * spacing
        if row > HEIGHT - 4:
            break
        width = long if long_every and index % long_every == 0 else short
        for line in (int(row), int(row) + 1):  # drawn between pixels, as screens scale them
            frames[:, line, column : column + width] = 220 * (1 - abs(row - line))
        if labels and index % (long_every or 1) == 0:
            low, high = round(row) - 5, round(row) + 6
            frames[:, low:high, column + 20 : column + 26] = np.where(
                np.random.default_rng(index).random((high - low, 6)) > 0.5, 210, 0
            )
    return frames.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("spacing", "count", "long_every", "tick_mm"),
    [(22.37, 20, 2, 5.0), (5.81, 76, 10, 1.0), (36.3, 12, 5, 10.0)],
)
@pytest.mark.parametrize("labels", [False, True])
def test_long_and_short_ticks_tell_the_size_of_a_pixel(spacing, count, long_every, tick_mm, labels):
    ruler = read_depth_ruler(with_ruler(spacing, count, long_every, labels))
    assert ruler.tick_mm == tick_mm and ruler.long_every == long_every
    assert ruler.pixel_mm == pytest.approx(tick_mm / spacing, rel=2e-3)
    assert ruler.confidence >= 0.8


def test_equal_ticks_are_asked_about():
    frames = with_ruler(31.2, 14, 0)
    with pytest.raises(
        DiffUSError, match=r"tick every 31\.2 pixels .*--tick-mm 5 \(65 mm deep\) or 10 \(130 mm deep\)"
    ):
        read_depth_ruler(frames)
    assert read_depth_ruler(frames, tick_mm=10).pixel_mm == pytest.approx(10 / 31.2, rel=2e-3)
    frames = with_ruler(20.6, 21, 5)
    with pytest.raises(DiffUSError, match=r"--tick-mm 2 \(40 mm deep\) or 10 \(200 mm deep\)"):
        read_depth_ruler(frames)


@pytest.mark.parametrize("seed", range(2))
def test_no_ruler_is_seen_where_there_is_none(seed):
    for frames in (a_screen(seed), a_screen(seed)[:1]):
        with pytest.raises(DiffUSError, match="no depth ruler"):
            read_depth_ruler(frames.clip(0, 255).astype(np.uint8))


def test_real_images_without_ruler_have_none(shared_data):
    for name in ("liver_sweep35.igs.mha", "plus_SpinePhantomFreehand.igs.mha"):
        images = sitk.GetArrayFromImage(sitk.ReadImage(str(shared_data / name)))
        for frames in (images, images[:1]):
            with pytest.raises(DiffUSError, match="no depth ruler"):
                read_depth_ruler(frames)
