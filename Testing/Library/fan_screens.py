"""Synthetic screens of ultrasound scanners whose fan is known: bars, text, wedges, rulers, traces, compression."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from Testing.Library.fan_shapes import random_shape
from Testing.Library.fan_textures import along_lines, log_compressed

KINDS = ("curvilinear", "curvilinear", "sector", "linear", "microconvex", "endocavity", "trapezoid", "steered")
SIZES = (
    (192, 192), (256, 320), (480, 640), (480, 640), (540, 720), (576, 720), (600, 800), (768, 1024), (720, 1280),
    (960, 1280), (1080, 1920),
)  # fmt: skip
STYLES = {"A": log_compressed, "B": along_lines}
TURNS = {"top": 0, "left": 1, "bottom": 2, "right": 3}
WORDS = ("Abd", "MI 0.9", "TIs 0.4", "FR 28Hz", "C5-2", "Gn 62", "DR 70", "P 82%", "THI", "14.2 cm", "2D", "Liver")


@dataclass(frozen=True)
class Screen:
    """A screen and its truth.

    Args:
        frames: (F, H, W) uint8; texts, bars and geometry are the same in all of them.
        inside: (H, W) bool, the whole fan as the scanner draws it, also where it is black.
        kind: "curvilinear", "sector", "linear", "trapezoid" or "steered".
        drawn: the kind of probe that was drawn; it names microconvex and endocavity apart.
        side: of the transducer.
    """

    frames: np.ndarray
    inside: np.ndarray
    kind: str
    drawn: str
    side: str


def make_screen(seed: int, style: str = "A", frames: int = 1, kind: str | None = None) -> Screen:
    """The screen of a seed, drawn in a style; with `kind`, of that kind of probe."""
    rng = np.random.default_rng([seed, ord(style)])
    kind = kind or str(rng.choice(KINDS))
    height, width = SIZES[rng.integers(len(SIZES))]
    side = str(rng.choice(list(TURNS), p=[0.88, 0.04, 0.04, 0.04]))
    upright = (width, height) if side in ("left", "right") else (height, width)
    is_bare = rng.random() < (0.5 if height == 192 else 0.12)  # a masked or cropped frame without a screen
    margins = rng.uniform(0.0, 0.04, 4) if is_bare else rng.uniform([0.1, 0.04, 0.1, 0.03], [0.25, 0.14, 0.25, 0.12])
    room = np.array([0, 0, upright[1] - 1, upright[0] - 1.0])
    room += margins * [1, 1, -1, -1] * np.array([upright[1], upright[0], upright[1], upright[0]])
    shape = random_shape(rng, kind, upright, room)
    turn = TURNS[side]
    inside = np.rot90(shape.inside, turn)
    black = 0 if rng.random() < 0.5 else int(rng.integers(1, 17))
    ground = black if is_bare or rng.random() < 0.9 else int(rng.integers(20, 70))
    overlay = None if is_bare else draw_overlays(rng, inside, black, side)
    softness = float(rng.choice([0.0, 0.6]))
    wear = _wear(rng)
    grain = rng.uniform(0.3, 1.2) if rng.random() < 0.15 else 0.0
    pictures = []
    for _ in range(frames):
        gray = np.rot90(STYLES[style](rng, shape), turn)
        share = inside.astype(float)
        if softness:
            share = ndimage.gaussian_filter(share, softness)
        picture = ground + (np.maximum(gray, black) - ground) * share
        if overlay is not None:
            drawn, covers = overlay
            picture = np.where(covers, drawn, picture)
        if grain:
            picture = picture + rng.normal(0, grain, picture.shape)
        pictures.append(wear(np.clip(np.rint(picture), 0, 255).astype(np.uint8)))
    return Screen(np.stack(pictures), inside, shape.kind, kind, side)


def _wear(rng):
    """How the screen was kept: as it is, as JPEG, or as a video of fewer pixels."""
    way = rng.random()
    quality, share = int(rng.integers(40, 96)), rng.uniform(0.5, 0.9)
    if way < 0.45:
        return lambda picture: picture

    def compress(picture):
        image = Image.fromarray(picture)
        small = image if way < 0.8 else image.resize([round(length * share) for length in image.size])
        file = io.BytesIO()
        small.save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file).resize(image.size))

    return compress


def draw_overlays(rng, inside: np.ndarray, black: int, side: str) -> tuple[np.ndarray, np.ndarray]:
    """What a scanner writes around and over the fan: (gray, where it covers the picture)."""
    height, width = inside.shape
    image, cover = Image.new("L", (width, height), black), Image.new("L", (width, height), 0)
    pens = ImageDraw.Draw(image), ImageDraw.Draw(cover)
    unit = height / 480
    rows, columns = np.nonzero(inside.any(1))[0], np.nonzero(inside.any(0))[0]
    left, right, top, bottom = columns[0], columns[-1], rows[0], rows[-1]

    def box(xy, value):
        pens[0].rectangle(xy, fill=int(value))
        pens[1].rectangle(xy, fill=255)

    def line(xy, value, thick=1):
        pens[0].line(xy, fill=int(value), width=thick)
        pens[1].line(xy, fill=255, width=thick)

    def text(x, y, words, value, size):
        font = ImageFont.load_default(max(7, size))
        pens[0].text((x, y), words, fill=int(value), font=font)
        pens[1].text((x, y), words, fill=255, font=font)

    size = round(rng.uniform(9, 14) * unit)
    ink = rng.integers(120, 256)
    if rng.random() < 0.5:
        end = min(top - 2, round(rng.uniform(0.03, 0.1) * height))
        if end > 4:
            box((0, 0, width, end), rng.integers(25, 220))
            text(6 * unit, 2 * unit, " ".join(rng.choice(WORDS, 5)), rng.choice([10, 250]), min(size, end - 3))
    if rng.random() < 0.2 and height - bottom > 12:
        box((0, bottom + 6, width, height), rng.integers(25, 120))
    if rng.random() < 0.2 and left > 0.1 * width:
        box((0, 0, round(left * rng.uniform(0.3, 0.8)), height), rng.integers(20, 110))
    if rng.random() < 0.8:
        x, y = rng.uniform(0.005, 0.06) * width, rng.uniform(0.06, 0.4) * height
        for number in range(rng.integers(3, 12)):
            text(x, y + number * size * 1.35, str(rng.choice(WORDS)), ink, size)
    if rng.random() < 0.5:
        for number in range(rng.integers(1, 5)):
            text(width * 0.8, (0.75 + 0.06 * number) * height, str(rng.choice(WORDS)), ink, size)
    if rng.random() < 0.6 and width - right > 20 * unit:  # gray wedge
        x = rng.uniform(right + 6 * unit, width - 14 * unit)
        y, end = round(rng.uniform(0.1, 0.3) * height), round(rng.uniform(0.5, 0.8) * height)
        for row in range(y, end):
            box((x, row, x + 8 * unit, row), 255 - (255 - black) * (row - y) / (end - y))
    if rng.random() < 0.6:  # depth ruler
        x = right + rng.uniform(3, 12) * unit if rng.random() < 0.7 else left - rng.uniform(3, 12) * unit
        step = (bottom - top) / rng.integers(4, 20)
        for number, y in enumerate(np.arange(top, bottom + 1, step)):
            line((x, y, x + (6 if number % 5 == 0 else 3) * unit, y), ink)
    if rng.random() < 0.4:  # mark of the transducer's side
        x, y = (left + right) / 2 - rng.uniform(0.1, 0.3) * (right - left), max(top - 2 * size, 0)
        if not inside[int(y) : int(y) + 2 * size, int(x) : int(x) + 2 * size].any():
            text(x, y, str(rng.choice(list("VGPSB"))), ink, round(1.4 * size))
    if rng.random() < 0.3:  # a logo
        x, y, r = rng.uniform(0.02, 0.1) * width, rng.uniform(0.02, 0.2) * height, rng.uniform(6, 18) * unit
        for pen, value in zip(pens, (ink, 255), strict=True):
            pen.ellipse((x, y, x + 2 * r, y + 1.4 * r), fill=int(value))
    if rng.random() < 0.25:  # ECG
        y = min(height - 12 * unit, bottom - rng.uniform(-12, 40) * unit)
        beat = np.array([0, 0, -2, 0, 3, -14, 5, 0, 0, -3, -3, 0]) * unit
        x = np.arange(0, width, 6 * unit)
        line(list(zip(x, y + np.resize(beat, len(x)), strict=True)), ink)
    if rng.random() < 0.3:  # calipers
        ys, xs = np.nonzero(inside)
        for index in rng.integers(0, len(ys), 4):
            line((xs[index] - 4 * unit, ys[index], xs[index] + 4 * unit, ys[index]), ink)
            line((xs[index], ys[index] - 4 * unit, xs[index], ys[index] + 4 * unit), ink)
    if rng.random() < 0.2:  # text in the image
        ys, xs = np.nonzero(inside)
        index = rng.integers(len(ys))
        text(xs[index], ys[index], str(rng.choice(WORDS)), ink, size)
    if rng.random() < 0.15 and side == "top":  # a pictogram of the body
        x, y = right + 2, bottom - 40 * unit
        for pen, value in zip(pens, (ink, 255), strict=True):
            pen.ellipse((x, y, x + 25 * unit, y + 38 * unit), outline=int(value))
    return np.asarray(image, dtype=float), np.asarray(cover) > 0
