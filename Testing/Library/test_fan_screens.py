"""Fan detection on synthetic screens whose fan is known, and on the things that used to mislead it."""

import numpy as np
import pytest
from scipy import ndimage

from DiffUSLib.errors import DiffUSError
from DiffUSLib.ultrasound.fan_detection import detect_fan
from Testing.Library.fan_screens import make_screen


def overlap(first, second):
    return (first & second).sum() / (first | second).sum()


def speckle(shape, seed=0):
    return ndimage.gaussian_filter(np.random.default_rng(seed).rayleigh(1, shape), 1) * 90


def polar(shape, apex):
    rows, columns = np.indices(shape)
    place = (columns - apex[0] + 1j * (rows - apex[1])) / 1j
    return np.abs(place), np.angle(place, deg=True)


@pytest.mark.parametrize(
    "kind", ["curvilinear", "sector", "linear", "microconvex", "endocavity", "trapezoid", "steered"]
)
def test_sure_fans_of_every_kind_are_right(kind):
    for seed in (5001,):
        screen = make_screen(seed, "B", kind=kind)
        try:
            fan = detect_fan(screen.frames)
        except DiffUSError:
            continue
        if fan.is_sure:
            assert overlap(fan.mask, screen.inside) > 0.95


def test_several_frames_tell_the_fan_from_a_bright_bar():
    """A bar of texts touches the fan; in one frame it is part of the bright thing, but it never changes."""
    radius, angle = polar((300, 400), (200, -30))
    inside = (radius >= 60) & (radius <= 300) & (np.abs(angle) <= 33)
    letters = np.kron(np.random.default_rng(1).integers(0, 2, (14, 200)), np.ones((2, 2))) * 200
    frames = []
    for seed in range(4):
        frame = np.where(inside, speckle(inside.shape, seed), 0)
        frame[2:30] = np.where(inside[2:30], frame[2:30], letters)
        frames.append(frame.clip(0, 255).astype(np.uint8))
    fan = detect_fan(np.stack(frames))
    assert overlap(fan.mask, inside) > 0.97
    assert fan.is_sure


def test_endocavity_of_170_degrees():
    radius, angle = polar((400, 540), (270, 190))
    inside = (radius >= 25) & (radius <= 190) & (np.abs(angle) <= 85)
    fan = detect_fan(np.where(inside, speckle(inside.shape), 0))
    assert fan.kind == "curvilinear"
    assert fan.half_angle_deg == pytest.approx(85, abs=0.7)
    assert overlap(fan.mask, inside) > 0.97


def test_steered_and_virtual_convex_fans_are_told_and_not_simulated():
    rows, columns = np.indices((300, 400))
    steered = (rows >= 20) & (rows < 280) & (np.abs(columns - 180 - 0.3 * (rows - 20)) < 80)
    fan = detect_fan(np.where(steered, speckle(steered.shape), 0))
    assert fan.kind == "linear"
    assert fan.steer_deg == pytest.approx(-np.degrees(np.arctan(0.3)), abs=0.5)
    assert overlap(fan.mask, steered) > 0.97
    with pytest.raises(DiffUSError, match="steered"):
        fan.to_probe((0.3, 0.3), 8.0)
    spread = (rows >= 20) & (rows < 280) & (np.abs(columns - 200) < 70 + 0.25 * (rows - 20))
    fan = detect_fan(np.where(spread, speckle(spread.shape), 0))
    assert fan.kind == "trapezoid"
    assert fan.half_angle_deg == pytest.approx(np.degrees(np.arctan(0.25)), abs=0.5)
    assert overlap(fan.mask, spread) > 0.97
    with pytest.raises(DiffUSError, match="virtual convex"):
        fan.to_probe((0.3, 0.3), 8.0)


def test_a_radial_image_is_refused_by_name():
    radius, _ = polar((300, 300), (150, 150))
    with pytest.raises(DiffUSError, match="radial"):
        detect_fan(np.where((radius > 15) & (radius < 140), speckle(radius.shape), 0))


def test_a_dark_near_field_is_no_face_to_be_sure_of():
    """A phased array without contact looks like a curvilinear one whose face is longer than its image is deep."""
    radius, angle = polar((400, 540), (270, 20))
    image = np.where((np.abs(angle) <= 43) & (radius > 170) & (radius < 350), speckle(radius.shape), 0)
    fan = detect_fan(image)
    assert not fan.is_sure
    assert "near field" in fan.sentence


def test_a_side_that_fades_to_black_is_no_side_to_be_sure_of():
    """Without contact at one end of the transducer the scan lines there are black; the fan then seems to lean."""
    radius, angle = polar((400, 500), (250, 10))
    contact = np.clip((33 - angle) / 6, 0, 1)
    inside = (radius >= 60) & (radius <= 350) & (np.abs(angle) <= 40)
    fan = detect_fan(np.where(inside, (speckle(inside.shape, 4) + 3) * contact, 0).astype(np.uint8))
    assert overlap(fan.mask, inside) > 0.95 or not fan.is_sure


def test_a_dim_near_field_belongs_to_the_fan():
    """Of this screen two fans have every edge: one ends at the first bright arc, below dim scan lines."""
    screen = make_screen(30004, "B")
    fan = detect_fan(screen.frames)
    assert overlap(fan.mask, screen.inside) > 0.97


def test_echoes_that_sink_into_black_are_no_deep_end_to_be_sure_of():
    screen = make_screen(32047, "B")  # lit to half of its depth, with shadows that end at the same arc
    fan = detect_fan(screen.frames)
    assert not fan.is_sure
    assert "deep end" in fan.sentence


def test_video_black_and_its_noise_are_background():
    radius, angle = polar((300, 400), (200, -30))
    inside = (radius >= 60) & (radius <= 300) & (np.abs(angle) <= 33)
    noise = np.random.default_rng(3).integers(0, 4, inside.shape)
    image = np.where(inside, speckle(inside.shape).clip(20, 255), 12 + noise)
    fan = detect_fan(image.astype(np.uint8))
    assert fan.is_sure
    assert overlap(fan.mask, inside) > 0.97


def test_colors_and_a_white_page_around_the_screen_do_not_matter():
    radius, angle = polar((300, 400), (200, -10))
    inside = (radius >= 50) & (radius <= 280) & (np.abs(angle) <= 35)
    image = np.where(inside, speckle(inside.shape), 0)
    image[:6] = image[-6:] = 255
    image[:, :6] = image[:, -6:] = 255
    colors = np.stack([image, image, 0.6 * image], axis=-1).clip(0, 255).astype(np.uint8)
    fan = detect_fan(colors)
    assert overlap(fan.mask, inside) > 0.97
