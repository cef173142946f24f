"""An abdomen as sound and as a CT see it, from a map of its tissues; and a made-up torso.

What the CT shows need not be there on the day of the ultrasound: gas and fluid change places in the bowel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from DiffUSLib.simulator.anatomy import Anatomy, patches


@dataclass(frozen=True)
class BodyTissue:
    """HU without and with contrast agent; echogenicity, stiffness and attenuation as in `Anatomy`."""

    hu: float
    hu_contrast: float
    echogenicity: float
    stiffness: float
    attenuation: float


# Typical values, chosen for the order of brightness in abdominal ultrasound: not those of DiffUSLib's tissue table.
TISSUES = {
    "outside": BodyTissue(-1000, -1000, 0.03, 0.80, 0.0),
    "skin": BodyTissue(30, 40, 1.2, 1.05, 1.2),
    "fat": BodyTissue(-95, -95, 0.9, 0.88, 0.5),
    "muscle": BodyTissue(52, 60, 0.35, 1.03, 0.8),
    "liver": BodyTissue(58, 108, 0.6, 1.00, 0.5),
    "spleen": BodyTissue(48, 115, 0.65, 1.00, 0.45),
    "kidney": BodyTissue(32, 170, 0.4, 0.98, 0.6),
    "kidney sinus": BodyTissue(-50, -20, 1.6, 0.90, 0.5),
    "blood": BodyTissue(42, 150, 0.03, 0.955, 0.15),
    "vessel wall": BodyTissue(50, 100, 1.7, 1.06, 0.6),
    "fluid": BodyTissue(8, 8, 0.01, 0.93, 0.01),
    "bowel": BodyTissue(38, 60, 1.1, 1.00, 0.8),
    "gas": BodyTissue(-900, -900, 2.5, 0.30, 12.0),
    "bone": BodyTissue(700, 720, 1.0, 2.00, 9.0),
    "metal": BodyTissue(3071, 3071, 3.0, 3.00, 15.0),
    "gel": BodyTissue(20, 20, 0.2, 0.95, 0.3),
}
NAMES = tuple(TISSUES)
_NOISE_HU = 14.0
_PADDING_HU = -3024.0


def body(
    tissues: np.ndarray,
    affine: np.ndarray,
    aims: np.ndarray,
    outward: np.ndarray,
    seed: int = 0,
    contrast: bool = False,
    lumens: np.ndarray | None = None,
    drained: bool = False,
) -> Anatomy:
    """An abdomen.

    Args:
        tissues: (I, J, K) indices into `NAMES`.
        affine: (4, 4) voxel to RAS in mm.
        aims, outward: as in `Anatomy`.
        seed: of noise and patchy echogenicity, and of what fills the lumens.
        contrast: whether the CT was taken with contrast agent.
        lumens: (I, J, K) numbers of what may hold gas or content, 0 elsewhere: drawn anew for CT and ultrasound.
        drained: instead, all lumens hold gas in the CT and fluid in the ultrasound, as a phantom filled for it does.
    """
    rng = np.random.default_rng([seed, 2])
    at_ct, at_ultrasound = tissues, tissues
    if lumens is not None and lumens.max() > 0:
        filling: np.ndarray | tuple = rng.choice(
            [NAMES.index("gas"), NAMES.index("bowel")], size=(2, int(lumens.max()) + 1), p=[0.6, 0.4]
        )
        if drained:
            filling = tuple(np.full(int(lumens.max()) + 1, NAMES.index(name)) for name in ("gas", "fluid"))
        at_ct, at_ultrasound = (np.where(lumens > 0, fill[lumens], tissues) for fill in filling)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)

    def mapped(which: np.ndarray, name: str) -> np.ndarray:
        return np.array([getattr(tissue, name) for tissue in TISSUES.values()], dtype=np.float32)[which]

    ct = ndimage.gaussian_filter(mapped(at_ct, "hu_contrast" if contrast else "hu"), 0.8 / spacing)
    ct += _NOISE_HU * ndimage.gaussian_filter(rng.normal(size=ct.shape), 0.5) / 0.42
    across, along = ((np.arange(size) - (size - 1) / 2) / (size / 2) for size in ct.shape[:2])
    ct[np.hypot(across[:, None], along) > 1.0] = _PADDING_HU  # beyond the scanner's field of view
    inside = tissues != 0
    echogenicity = mapped(at_ultrasound, "echogenicity") * patches(tissues.shape, seed)
    stiffness = ndimage.gaussian_filter(mapped(at_ultrasound, "stiffness"), 0.5 / spacing)
    depth = ndimage.distance_transform_edt(inside, spacing) - ndimage.distance_transform_edt(~inside, spacing)
    return Anatomy(
        seen=ct.astype(np.float32),
        echogenicity=echogenicity.astype(np.float32),
        stiffness=stiffness.astype(np.float32),
        attenuation=mapped(at_ultrasound, "attenuation"),
        depth=depth.astype(np.float32),
        affine=affine,
        modality="ct",
        aims=np.atleast_2d(aims),
        outward=outward / np.linalg.norm(outward),
        spread_deg=50.0,
        body=True,
    )


@lru_cache(maxsize=2)
def torso(seed: int = 0, contrast: bool = False) -> Anatomy:
    """A made-up upper abdomen, different with each seed: liver with vessels, gallbladder and a metal clip, kidneys,
    spleen, spine, ribs, vessels, and a bowel with gas. No model of anyone. 2 mm voxels."""
    rng = np.random.default_rng([seed, 3])
    shape = np.array([170, 130, 96])
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -(shape - 1)
    point = np.moveaxis(np.indices(tuple(shape)), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    point = point + _wobble(shape, rng)
    tissues, lumens = np.zeros(tuple(shape), dtype=np.uint8), np.zeros(tuple(shape), dtype=np.uint8)

    def fill(name: str, mask: np.ndarray) -> None:
        tissues[mask] = NAMES.index(name)

    def blob(center, radii) -> np.ndarray:
        return (((point - center) / radii) ** 2).sum(-1)

    trunk = np.hypot(point[..., 0] / 150, point[..., 1] / 108)
    for name, limit in (("skin", 1.0), ("fat", 0.985), ("muscle", 0.88), ("fat", 0.78)):
        fill(name, trunk < limit)
    for level in np.arange(-28, 130, 26):
        drop = point[..., 2] - level + 0.3 * point[..., 1]
        fill("bone", (np.abs(trunk - 0.83) < 0.03) & (np.abs(drop) < 4) & (point[..., 1] < 45))
    fill("bone", np.hypot(point[..., 0], point[..., 1] + 68) < 19)
    liver = (blob([58, 12, 25], [78, 72, 68]) < 1) & (trunk < 0.77) & (blob([0, -75, 0], [45, 42, 500]) > 1)
    fill("liver", liver)
    within, inner = point[liver], tissues[liver]
    for wall_mm, start, direction in ((2.2, [22, 5, -8], [1.0, 0.1, 0.5]), (0.0, [15, -12, 70], [0.9, 0.3, -0.7])):
        vessels = list(_tree(rng, np.array(start, dtype=float), np.array(direction), 62.0, 7.0, 4))
        distance = np.min([_segment(within, begin, end) - width for begin, end, width in vessels], axis=0)
        inner[distance < wall_mm] = NAMES.index("vessel wall")
        inner[distance < 0] = NAMES.index("blood")
    tissues[liver] = inner
    place = rng.uniform(-6, 6, 3)
    fill("fluid", blob(np.add(place, [62, 45, -32]), [14, 20, 26]) < 1)
    fill("metal", blob(np.add(place, [50, 28, -8]), [3, 3, 3]) < 1)
    for side in (1, -1):
        center = np.array([side * 78, -42, -30 + 8 * side]) + rng.uniform(-5, 5, 3)
        kidney = blob(center, [26, 30, 54])
        fill("fat", (blob(center, [34, 38, 62]) < 1) & (trunk < 0.77))
        fill("kidney", kidney < 1)
        fill("kidney sinus", blob(center - [side * 8, 0, 0], [13, 14, 30]) < 1)
    fill("spleen", (blob([-100, -15, 45], [28, 42, 40]) < 1) & (trunk < 0.77))
    fill("blood", np.hypot(point[..., 0] + 14, point[..., 1] + 42) < 9)
    fill("blood", np.hypot(point[..., 0] - 18, point[..., 1] + 40) < 10)
    loops = (([-60, 30, 25], [38, 32, 34]), ([-30, 55, -40], [30, 22, 24]), ([20, 62, -62], [28, 20, 22]))
    for number, (middle, radii) in enumerate(loops, start=1):
        loop = blob(np.array(middle) + rng.uniform(-8, 8, 3), np.array(radii))
        fill("bowel", (loop < 1) & (trunk < 0.77) & ~liver)
        lumens[(loop < 0.7) & (trunk < 0.74) & ~liver] = number
    aims = np.array([[55.0, 10, 15], [70.0, -15, -15]])
    return body(tissues, affine, aims, np.array([0.75, 0.65, 0.0]), seed, contrast, lumens)


@lru_cache(maxsize=2)
def kidney_phantom(seed: int = 0) -> Anatomy:
    """A kidney in a block of gel, its hollow system full of air in the CT and of fluid in the ultrasound. 1.5 mm."""
    rng = np.random.default_rng([seed, 4])
    shape = np.array([100, 84, 100])
    affine = np.diag([1.5, 1.5, 1.5, 1.0])
    affine[:3, 3] = -0.75 * (shape - 1)
    point = np.moveaxis(np.indices(tuple(shape)), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    bent = point + _wobble(shape, rng) * 0.6
    tissues, lumens = np.zeros(tuple(shape), dtype=np.uint8), np.zeros(tuple(shape), dtype=np.uint8)
    tissues[(np.abs(point) < [66, 54, 66]).all(-1)] = NAMES.index("gel")
    kidney = (np.square(bent / [27, 24, 50]).sum(-1) < 1) & (np.square((bent - [24, 0, 0]) / [15, 14, 18]).sum(-1) > 1)
    tissues[kidney] = NAMES.index("liver")  # 40 HU above the gel
    for level in (-30, -10, 10, 30):
        end = np.array([rng.uniform(-14, 0), rng.uniform(-12, 12), level])
        lumens[kidney & (_segment(bent, np.array([12.0, 0, level / 3]), end) < rng.uniform(3, 5))] = 1
    aims = np.array([[0.0, 0.0, -12.0], [0.0, 0.0, 12.0]])
    return body(tissues, affine, aims, np.array([0.0, 1.0, 0.0]), seed, False, lumens, drained=True)


def _wobble(shape: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(I, J, K, 3) mm by which shapes are bent, so that no ellipsoid stays one."""
    coarse = ndimage.gaussian_filter(rng.normal(size=(3, *(shape // 8 + 2))), [0, 1.6, 1.6, 1.6])
    coarse *= 5.0 / coarse.std()
    fine = [ndimage.zoom(axis, shape / np.array(axis.shape), order=1) for axis in coarse]
    return np.stack(fine, axis=-1)


def _tree(
    rng: np.random.Generator, start: np.ndarray, direction: np.ndarray, length: float, width: float, levels: int
) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Segments (start, end, radius in mm) of a branching vessel."""
    direction = direction / np.linalg.norm(direction)
    end = start + direction * length
    yield start, end, width
    if levels > 1:
        for _ in range(3):
            turned = direction + rng.normal(size=3) * 0.6
            place = start + direction * length * rng.uniform(0.4, 1.0)
            yield from _tree(rng, place, turned, length * 0.7, width * 0.68, levels - 1)


def _segment(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distance in mm of points (..., 3) to a segment."""
    along = np.clip((point - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
    return np.linalg.norm(point - start - along[..., None] * (end - start), axis=-1)
