"""Fans as files: what a person writes by hand, what is refused, and a probe that is placed in an image."""

import json

import numpy as np
import pytest

from DiffUSLib.errors import DiffUSError
from DiffUSLib.probes.probe import Probe, save_probe
from DiffUSLib.ultrasound.fan_detection import detect_fan, fan_report, read_fan, write_fan

SIZE = (200, 300)  # rows, columns
SECTOR = {"kind": "sector", "apex_px": [150, 10], "direction_deg": 90, "opening_deg": 60, "far_px": 170}
SECTOR["image_size_px"] = [300, 200]


def written(folder, values):
    path = folder / "fan.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def test_hand_written_fans_cover_what_they_say(tmp_path):
    rows, columns = np.indices(SIZE)
    images = np.zeros(SIZE)
    place = columns - 150 + 1j * (rows - 10)
    sector = (np.abs(np.angle(place / 1j, deg=True)) <= 30) & (np.abs(place) <= 170)
    fan = read_fan(written(tmp_path, SECTOR), images)
    assert (fan.mask != sector).sum() <= 1  # the apex itself has no direction
    box = {"kind": "linear", "apex_px": [100.3, 19.5], "direction_deg": 90, "width_px": 80, "far_px": 151}
    steered = box | {"steer_deg": 10}
    middle = 100.3 - np.tan(np.radians(10)) * (rows - 19.5)
    inside = (np.abs(columns - middle) <= 40) & (rows >= 20) & (rows <= 170)
    assert np.array_equal(read_fan(written(tmp_path, steered), images).mask, inside)
    flat = {"kind": "trapezoid", "apex_px": [150, -80], "direction_deg": 90, "opening_deg": 40, "near_px": 89.5}
    flat |= {"far_px": 240.5, "flat_end": True}
    inside = (np.abs(columns - 150) <= np.tan(np.radians(20)) * (rows + 80)) & (rows >= 10) & (rows <= 160)
    assert np.array_equal(read_fan(written(tmp_path, flat), images).mask, inside)
    curved_end = (rows >= 10) & (np.hypot(columns - 150, rows + 80) <= 240.5)
    curved_end &= np.abs(columns - 150) <= np.tan(np.radians(20)) * (rows + 80)
    assert np.array_equal(read_fan(written(tmp_path, flat | {"flat_end": False}), images).mask, curved_end)


def test_millimeters_need_the_pixel_size(tmp_path):
    in_mm = {"kind": "sector", "apex_mm": [75, 5], "direction_deg": 90, "opening_deg": 60, "far_mm": 85}
    path = written(tmp_path, in_mm)
    fan = read_fan(path, np.zeros(SIZE), pixel_mm=0.5)
    assert fan.apex_px == pytest.approx((150, 10))
    assert fan.far_px == pytest.approx(170)
    assert fan_report(fan, 0.5)["depth_mm"] == pytest.approx(85)
    with pytest.raises(DiffUSError, match="pixel size"):
        read_fan(path, np.zeros(SIZE))


def test_what_is_written_is_read(tmp_path):
    given = read_fan(written(tmp_path, SECTOR), np.zeros(SIZE))
    write_fan(tmp_path / "again.json", given)
    again = read_fan(tmp_path / "again.json", np.zeros((5, *SIZE)))
    assert np.array_equal(again.mask, given.mask)
    assert "given" in again.sentence


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "round"}, "kind"),
        ({"image_size_px": [640, 480]}, "640 x 480"),
        ({"far_px": -3}, "no fan"),
        ({"opening_deg": 360}, "no fan"),
        ({"opening_deg": "wide"}, "one number"),
        ({"apex_px": [1]}, "2 numbers"),
        ({"colour": 3}, "unknown entry"),
        ({"apex_px": [5000, 10]}, "hardly any pixel"),
    ],
)
def test_wrong_files_are_refused_in_words(tmp_path, change, words):
    with pytest.raises(DiffUSError, match=words):
        read_fan(written(tmp_path, SECTOR | change), np.zeros(SIZE))


def test_missing_entries_are_named(tmp_path):
    lacking = {name: value for name, value in SECTOR.items() if name != "far_px"}
    with pytest.raises(DiffUSError, match="lacks far"):
        read_fan(written(tmp_path, lacking), np.zeros(SIZE))
    with pytest.raises(DiffUSError, match="object"):
        read_fan(written(tmp_path, [1, 2]), np.zeros(SIZE))


def test_a_probe_is_placed_where_its_image_is(tmp_path):
    """Speckle in a fan of the probe's size, at a place that only the image tells; half of it is black."""
    rng = np.random.default_rng(5)
    rows, columns = np.indices((300, 400))
    place = columns - 170 + 1j * (rows + 20)
    inside = (np.abs(np.angle(place / 1j, deg=True)) <= 35) & (np.abs(place) >= 60) & (np.abs(place) <= 280)
    image = np.where(inside & (np.angle(place / 1j, deg=True) < 10), rng.integers(5, 200, rows.shape), 0)
    probe = Probe("known", "curvilinear", 110.0, 5.0, field_of_view_deg=70.0, radius_mm=30.0)
    save_probe(probe, tmp_path / "probe.json")
    fan = read_fan(tmp_path / "probe.json", image.astype(np.uint8), pixel_mm=0.5)
    assert fan.apex_px == pytest.approx((170, -20), abs=3)
    assert (fan.near_px, fan.far_px) == pytest.approx((60, 280))
    with pytest.raises(DiffUSError, match="does not fit"):
        read_fan(tmp_path / "probe.json", image.astype(np.uint8), pixel_mm=0.1)


def test_how_sure_a_fan_is_stands_in_its_sentence():
    rng = np.random.default_rng(2)
    rows, columns = np.indices((240, 320))
    wedge = np.abs(columns - 160) <= 0.8 * (rows - 5)
    radius = np.hypot(columns - 160, rows - 5)
    clear = np.where(wedge & (radius <= 210), rng.integers(5, 200, rows.shape), 0).astype(np.uint8)
    assert "was found" in detect_fan(clear).sentence
    # The echoes fade away: nobody can know how deep the image goes.
    faint = (clear * np.clip(1.2 - radius / 130, 0, 1)).astype(np.uint8)
    fan = detect_fan(faint)
    assert not fan.is_sure
    assert "--fan" in fan.sentence
    assert "deep end" in fan.sentence
