"""Anchors: the intensities at which an MRI shows known tissues, measured in the volume itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK
from scipy import ndimage

from DiffUSLib.acoustics.head import Head, find_head, find_intracranial
from DiffUSLib.acoustics.histogram import shorth
from DiffUSLib.acoustics.tissue import tissue
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume, check_not_constant

MRI_MODALITIES = ("t1", "t1c", "t2", "flair")
_CLASSES = {
    "t1": ("cerebrospinal fluid", "gray matter", "white matter"),
    "t1c": ("cerebrospinal fluid", "gray matter", "white matter"),
    "t2": ("white matter", "gray matter", "cerebrospinal fluid"),
    "flair": ("cerebrospinal fluid", "white matter", "gray matter"),
}
_SHARES = (0.12, 0.48, 0.40)  # of a brain in fluid, gray and white matter; where the search starts
_SAMPLES = 30_000
_ROUNDS = 35
_CLEAN = 0.1  # dark flank of the main peak of a T2 in parts of its place: real ones 0.15 and more
_ENHANCING = 1.25
_MOST_BIAS = 0.5  # natural logarithm
# In parts of the brightest class; gray to white matter is 0.64 to 0.85 in T1, white to gray 0.77 to 0.9 in FLAIR.
_FLUID, _T2_MATTER = 0.65, 0.75
_MATTER = {"t1": (0.45, 0.96), "t1c": (0.45, 0.96), "flair": (0.7, 0.95)}
# Between the bright classes in parts of their spread: of T1 2.7 in real ones, 1.8 in noise; of FLAIR from 1.3.
_APART = {"t1": 2.0, "t1c": 2.0, "flair": 1.0}
_BIAS_MM = 60.0  # in a thinner piece of brain, anatomy cannot be told from a bias field


@dataclass(frozen=True)
class Anchor:
    """A tissue and the intensity at which the volume shows it.

    Args:
        tissue: a name in the tissue table.
        intensity: in the units of the volume.
        spread: standard deviation of the intensity in this tissue, above zero.
        impedance_mrayl: acoustic impedance in MRayl, above zero, in the place of the one in the tissue table.
    """

    tissue: str
    intensity: float
    spread: float
    impedance_mrayl: float | None = None

    def __post_init__(self):
        tissue(self.tissue)
        if not (np.isfinite(self.intensity) and np.isfinite(self.spread) and self.spread > 0):
            raise DiffUSError(f"the anchor of {self.tissue} needs a finite intensity and a spread above zero.")
        if self.impedance_mrayl is not None and not 0 < self.impedance_mrayl < float("inf"):
            raise DiffUSError(f"the anchor of {self.tissue} needs a finite impedance above zero.")

    @property
    def impedance(self) -> float:
        """The acoustic impedance that it stands for, in MRayl."""
        return tissue(self.tissue).impedance_mrayl if self.impedance_mrayl is None else self.impedance_mrayl


def check_modality(modality: str) -> None:
    """Refuse what is no MRI contrast that DiffUS knows."""
    if modality == "pd":
        raise DiffUSError(
            "proton density MRI is not supported, as fluid and gray matter look alike in it; choose a T1 or T2 of the "
            "same patient."
        )
    if modality not in MRI_MODALITIES:
        raise DiffUSError(f"MRI modality '{modality}' is unknown; choose one of {', '.join(MRI_MODALITIES)}.")


def measure_anchors(volume: Volume, modality: str) -> tuple[Anchor, ...]:
    """Measure the intensities of fluid, gray and white matter in an MRI of a head.

    T1: a Gaussian mixture of three classes and their partial volumes is fitted to the intensities of the brain
    together with a smooth bias field. T2, where gray and white matter overlap: two classes around the main peak, and
    fluid where it fills its surroundings. Contrast T1 gets a fourth anchor for enhancing tumor and vessels, FLAIR one
    for edema, where anything is so bright, T2 one for edema between gray matter and fluid; all follow from the others.

    Args:
        volume: the MRI.
        modality: one of `MRI_MODALITIES`.

    Returns:
        Anchors in increasing order of intensity.

    Raises:
        DiffUSError: if the modality is unknown, the volume constant, or no three classes are there.
    """
    check_modality(modality)
    check_not_constant(volume)
    return measure(volume, modality, find_head(volume))[0]


def measure(volume: Volume, modality: str, head: Head) -> tuple[tuple[Anchor, ...], np.ndarray]:
    """What `measure_anchors` returns, and the bias field on the coarse grid of the head (1: none)."""
    means, spread, field = _measure_t2(head) if modality == "t2" else _measure_t1(head)
    if modality != "t2" and not _likely(means, spread, modality):
        # In slabs and single slices the ball may hold little of the brain, or scalp and orbit as well.
        means, spread, field = _measure_t1(_brain_about_its_mode(head))
    if not _likely(means, spread, modality):
        raise DiffUSError(
            f"{volume.name or 'the volume'} does not show fluid, gray and white matter apart; give the anchors."
        )
    names = _CLASSES[modality]
    anchors = [Anchor(name, float(mean + head.zero), float(spread)) for name, mean in zip(names, means, strict=True)]
    _, middle, bright = anchors
    step = max(bright.intensity - middle.intensity, 3 * bright.spread)
    brightest = float(head.intensities[head.brain].max()) + head.zero
    if modality == "t1c" and bright.intensity + step < brightest:
        anchors.append(Anchor("tumor", min(bright.intensity + 1.5 * step, brightest), bright.spread))
    if modality == "flair" and bright.intensity + 0.5 * step < brightest:
        anchors.append(Anchor("edema", min(bright.intensity + 1.5 * step, brightest), bright.spread))
    if modality == "t2":
        between = middle.intensity + 0.45 * (bright.intensity - middle.intensity)
        anchors.insert(2, Anchor("edema", between, middle.spread))
    return tuple(anchors), field


def brain_values(head: Head) -> tuple[np.ndarray, np.ndarray]:
    """Mask of the brain without the zeros in holes and at the border of a stripped brain, and its intensities."""
    mask = head.brain & (head.intensities > 0.02 * np.percentile(head.intensities[head.brain], 95))
    values = head.intensities[mask].astype(np.float64)
    if len(values) < 1000:
        raise DiffUSError("too few brain voxels were found to measure anchors; give the anchors yourself.")
    return mask, values


def _measure_t1(head: Head) -> tuple[np.ndarray, float, np.ndarray]:
    """Means of the three classes, dark to bright, their common spread, and the bias field."""
    mask, values = brain_values(head)
    step = max(1, len(values) // _SAMPLES)
    full_basis = _quadratic_basis(mask, head.spacing_mm)
    if min(np.ptp(axis) * size for axis, size in zip(mask.nonzero(), head.spacing_mm[::-1], strict=True)) < _BIAS_MM:
        full_basis = full_basis * 0.0
    sample, basis = values[::step], full_basis[mask][::step]
    matter = sample < _ENHANCING * np.percentile(sample, 95)  # enhancing tumor and vessels belong to no class
    sample, basis = sample[matter], basis[matter]
    starts = _starts(sample)
    if not starts:
        raise DiffUSError("the volume does not show fluid, gray and white matter apart; give the anchors.")
    fits = [_fit_mixture(sample, basis, start) for start in starts]
    _, means, spread, coefficients = max(fits, key=lambda fit: fit[0])
    return means, spread, np.exp((full_basis @ coefficients).clip(-_MOST_BIAS, _MOST_BIAS))


def _likely(means: np.ndarray, spread: float, modality: str) -> bool:
    """Whether intensities above no signal, dark to bright, are those of fluid and matter."""
    dark, middle = means[:2] / means[2]
    if modality == "t2":
        return bool(dark < 0.98 * middle and middle < _T2_MATTER)
    apart = (means[2] - means[1]) / spread > _APART[modality]
    low, high = _MATTER[modality]
    return bool(dark < _FLUID and dark < 0.9 * middle and low < middle < high and apart)


def _brain_about_its_mode(head: Head) -> Head:
    """The same head with all for a brain that is connected and about as bright as most of it."""
    _, values = brain_values(head)
    main, _ = shorth(values, 0.2)
    return replace(head, brain=find_intracranial(head, (0.5 * main, 1.5 * main)))


def fit_classes(sample: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Means of three classes, dark to bright, of a sample of a brain without a bias field; None without three.

    The second value is how much better they explain the sample than one normal distribution, in nats a voxel.
    """
    sample = sample[sample < _ENHANCING * np.percentile(sample, 95)]
    fits = [_fit_mixture(sample, np.zeros((len(sample), 1)), start) for start in _starts(sample)]
    if not fits:
        return None
    likelihood, means, _, _ = max(fits, key=lambda fit: fit[0])
    return means, float(likelihood + np.log(sample.std()) + 0.5)  # densities lack the same factor


def _starts(sample: np.ndarray) -> list[np.ndarray]:
    """Where to start looking for three classes: by their usual shares, and by Otsu's thresholds."""
    cuts = [np.quantile(sample, np.cumsum(_SHARES[:2]))]
    image = SimpleITK.GetImageFromArray(sample[None].clip(*np.percentile(sample, [0.1, 99.9])))
    otsu = SimpleITK.OtsuMultipleThresholdsImageFilter()
    otsu.SetNumberOfThresholds(2)
    otsu.Execute(image)
    cuts.append(np.array(otsu.GetThresholds()))
    classes = [np.digitize(sample, cut) for cut in cuts]
    return [np.array([np.median(sample[c == n]) for n in range(3)]) for c in classes if len(np.unique(c)) == 3]


def _fit_mixture(sample: np.ndarray, basis: np.ndarray, means: np.ndarray) -> tuple:
    """Mean logarithmic likelihood, means, common spread, and coefficients of the logarithmic bias field."""
    spread = max(np.diff(means).min(), 0.05 * np.ptp(means)) / 3 + 1e-12
    weights = np.full(5, 0.2)
    corrected, coefficients = sample, np.zeros(basis.shape[1])
    design = np.concatenate([basis, np.ones((len(sample), 1))], axis=1)
    for turn in range(_ROUNDS):
        posterior, components, likelihood = _posterior(corrected, means, spread, weights)
        weights = (posterior.sum(axis=0) + 1e-9) / len(corrected)
        pure = posterior[:, ::2]
        total = pure.sum(axis=0) + 1e-9
        means = (pure * corrected[:, None]).sum(axis=0) / total
        spread = np.sqrt((pure * (corrected[:, None] - means) ** 2).sum() / total.sum())
        spread = float(np.clip(spread, 0.02 * np.ptp(means) + 1e-12, 0.3 * np.ptp(means) + 1e-12))
        if turn % 5 == 4:
            expected = posterior @ components
            ratio = np.log(np.maximum(sample, 1e-9) / np.maximum(expected, 1e-9)).clip(-0.5, 0.5)
            weight = np.sqrt(posterior[:, 2:].sum(axis=1))[:, None]  # fluid is too dark to show the field
            solution, *_ = np.linalg.lstsq(design * weight, ratio * weight[:, 0], rcond=None)
            coefficients = solution[:-1]
            corrected = sample / np.exp((basis @ coefficients).clip(-_MOST_BIAS, _MOST_BIAS))
    return likelihood, means, spread, coefficients


def _measure_t2(head: Head) -> tuple[np.ndarray, float, np.ndarray]:
    """Means of white matter, gray matter and fluid, the common spread of the matter, and no bias field (ones)."""
    mask, values = brain_values(head)
    counts, edges = np.histogram(values, 128, range=(0.0, np.percentile(values, 99.8)))
    peak = edges[np.convolve(counts, np.ones(5), mode="same").argmax()] + (edges[1] - edges[0]) / 2
    below = peak - np.quantile(values[values < peak], 0.32)  # one standard deviation of the dark flank
    matter = values[np.abs(values - peak - below) < 3.5 * below]
    matter = matter[:: max(1, len(matter) // _SAMPLES)]
    means, spread = np.array([peak - below / 2, peak + 1.5 * below]), below
    for _ in range(_ROUNDS):
        densities = np.exp(-0.5 * ((matter[:, None] - means) / spread) ** 2)
        posterior = densities / (densities.sum(axis=1, keepdims=True) + 1e-300)
        total = posterior.sum(axis=0) + 1e-9
        means = (posterior * matter[:, None]).sum(axis=0) / total
        spread = np.sqrt((posterior * (matter[:, None] - means) ** 2).sum() / total.sum())
    if below < _CLEAN * peak:  # gray matter is a peak of its own, far from that of white matter
        classes = fit_classes(values[:: max(1, len(values) // _SAMPLES)])
        means = means if classes is None else classes[0][:2]
    half = (means[1] + np.percentile(values, 99.8)) / 2
    pure = ndimage.binary_erosion(mask & (head.intensities > half))
    fluid = head.intensities[pure if pure.sum() > 50 else mask & (head.intensities > half)]
    return np.array([*means, np.median(fluid)]), float(spread), np.ones_like(head.intensities)


def _posterior(values, means, spread, weights):
    """Probabilities of three classes and of the partial volumes between them, their means, and the likelihood."""
    halves = (means[1:] + means[:-1]) / 2
    components = np.array([means[0], halves[0], means[1], halves[1], means[2]])
    mixed = np.hypot(spread, np.diff(means) / 5)
    spreads = np.array([spread, mixed[0], spread, mixed[1], spread])
    densities = weights / spreads * np.exp(-0.5 * ((values[:, None] - components) / spreads) ** 2)
    total = densities.sum(axis=1, keepdims=True) + 1e-300
    return densities / total, components, float(np.log(total).mean())


def _quadratic_basis(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """(K, J, I, 9) polynomials of second order over the grid, each with mean zero over the mask."""
    places = np.moveaxis(np.indices(mask.shape, dtype=np.float32), 0, -1) * np.array(spacing_mm[::-1], np.float32)
    places = places - places[mask].mean(axis=0)
    x, y, z = np.moveaxis(places / np.abs(places[mask]).max(), -1, 0)
    basis = np.stack([x, y, z, x * x, y * y, z * z, x * y, x * z, y * z], axis=-1)
    return basis - basis[mask].mean(axis=0)
