"""Align tracked ultrasound slices to a volume, step by step."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from DiffUSLib.acoustics import AcousticMaps, acoustic_maps
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.registration import search, trust
from DiffUSLib.registration.correction import UNITS, correction_matrix, free_directions, image_scale
from DiffUSLib.registration.features import Anatomy, crop, smoothed
from DiffUSLib.registration.objective import COARSE, FINE, INDEPENDENT_SAMPLES, MIDDLE, SHARP, WIDE, Objective
from DiffUSLib.registration.settings import PRESETS, RegistrationSettings
from DiffUSLib.registration.tissue_refinement import (
    TissueObjective,
    TissueRefinement,
    anchors_of,
    refine_tissue,
    tissue_shares,
)
from DiffUSLib.rendering.device import choose_device
from DiffUSLib.ultrasound.observation import UltrasoundSlices

_COARSE_SLICES = 3
_MIDDLE_SURVIVORS = ((4, 3), (9, 2))
_CATCH_UP = 0.5, 3.0
"""A place behind the best one by more than this share of its posterior, and this many nats, does not catch up."""


@dataclass(frozen=True)
class Progress:
    """Where an alignment stands.

    Args:
        stage: "start", "coarse", "middle", "fine", "trust" or "tissue".
        iteration: within the stage.
        score: of the best correction so far, comparable within a stage; 0 before the first comparison.
        correction_ras: (4, 4) float64, the best so far; moves the ultrasound in RAS.
    """

    stage: str
    iteration: int
    score: float
    correction_ras: torch.Tensor


@dataclass(frozen=True)
class RegistrationResult:
    """The correction and whether to trust it.

    Args:
        correction_ras: (4, 4) float64; moves the ultrasound in RAS: corrected TransducerToRas = correction @ tracked.
        image_scale: size of the tissue against its image, about the transducer's face; 1 unless it was free.
            Above 1 if sound was faster than the scanner assumed.
        verdict: "accept", "check" or "reject".
        reasons: sentences.
        confidence: probability that the mean target error is below 3 mm.
        expected_error_mm: of right registrations with such evidence half, and 90 %, have less than this.
        score_initial, score_final: similarity before and after (`DiffUSLib.similarity.regression`).
        displacement_mm: mean over the fans.
        displacement_axes_mm: mean over the fans along lateral, depth and elevation.
        uncertainty_mm: standard deviation along lateral, depth and elevation.
        competitor_ras: (4, 4) the next best correction, or None.
        evidence: figures behind the verdict.
        seconds: that the search took.
        device, seed: what it ran with.
        tissue: refined impedances and gain, or None unless asked for.
    """

    correction_ras: torch.Tensor
    image_scale: float
    verdict: str
    reasons: list[str]
    confidence: float
    expected_error_mm: tuple[float, float]
    score_initial: float
    score_final: float
    displacement_mm: float
    displacement_axes_mm: tuple[float, float, float]
    uncertainty_mm: tuple[float, float, float]
    competitor_ras: torch.Tensor | None
    evidence: trust.Evidence
    seconds: float
    device: str
    seed: int
    tissue: TissueRefinement | None = None


class Alignment:
    """One alignment. Iterate over `steps()` to run it; stop iterating to cancel; then `result` holds the outcome.

    Args:
        volume: MRI or CT.
        slices: the ultrasound at the poses that tracking and any initial registration give.
        settings: choices of the user.
        maps: acoustic maps of the volume; made from it by default.

    Raises:
        DiffUSError: if the fans do not meet the volume, or tissue is to be refined that does not come from an MRI.
    """

    def __init__(
        self,
        volume: Volume,
        slices: UltrasoundSlices,
        settings: RegistrationSettings | None = None,
        maps: AcousticMaps | None = None,
    ):
        self.settings = settings or RegistrationSettings()
        self.slices = slices
        self.result: RegistrationResult | None = None
        self._volume, self._maps = volume, maps
        self._device = choose_device(self.settings.device)[0]
        self._center = slices.centers_ras_mm.mean(0)
        _check_overlap(volume, slices)
        if maps is not None and self.settings.refine_tissue:
            anchors_of(maps)

    def steps(self) -> Iterator[Progress]:
        """Runs the alignment; each step takes a fraction of a second.

        Raises:
            DiffUSError: if no acoustic maps can be made of the volume.
        """
        began = time.perf_counter()
        settings, preset = self.settings, PRESETS[self.settings.preset]
        name = settings.degrees_of_freedom
        if self.slices.size_known and name == "rigid_and_scale":
            name = "rigid"
        directions = free_directions(name, self.slices.transducer_to_ras[0])
        maps = self._maps or acoustic_maps(self._volume)
        if settings.refine_tissue:
            anchors_of(maps)
        anatomy = crop(self._volume, maps, self._fan_points_ras_mm(), margin_mm=2.5 * float(settings.prior_units[0]))
        smooth, objectives = yield from self._objectives(anatomy)
        fine = objectives[-1]
        count = preset.starts
        starts = search.quasi_random_starts(
            (1 + preset.second_wind) * count, settings.prior_units, directions, settings.seed
        )
        optima = yield from self._round(objectives, starts[:count], directions)
        null_scores = yield from self._null_scores(fine, optima[0], directions)
        if trust.contrast(float(fine.score(optima[0].units[None])), null_scores) < trust.SECOND_WIND_CONTRAST:
            # Most likely the right hill was missed: look at more places before giving up.
            optima += yield from self._round(objectives, starts[count:], directions)
            optima.sort(key=lambda optimum: -optimum.posterior)
            null_scores = yield from self._null_scores(fine, optima[0], directions)
        tissue = None
        if settings.refine_tissue:
            optima[0], tissue = yield from self._refined(anatomy, smooth, fine, optima[0], directions)
        halves_mm = yield from self._disagreement_mm(objectives[-2], optima[0], directions)
        seconds = time.perf_counter() - began
        self.result = replace(self._judged(fine, optima, null_scores, halves_mm, directions, seconds), tissue=tissue)

    def _round(self, objectives: list[Objective], starts: torch.Tensor, directions: torch.Tensor):
        """One search from these starts; returns its best optimum and, if there is one elsewhere, the next best."""
        wide, coarse, middle, fine = objectives
        preset = PRESETS[self.settings.preset]
        picked = yield from self._shown(search.rank(wide, starts, preset.climbed, "start"))
        # The tracker's own pose is always followed to the end of the coarse scale.
        picked = torch.cat([torch.zeros(1, UNITS), picked])
        units, values = yield from self._shown(search.climb(coarse, picked, directions, "coarse", preset.survivors))
        units = search.distinct(units, values, preset.refined)
        units, values = yield from self._shown(search.climb(middle, units, directions, "middle", _MIDDLE_SURVIVORS))
        optima = [(yield from self._shown(search.polish(fine, units[values.argmax()], directions)))]
        rivals = self._rivals(units, optima[0].units)
        if bool(rivals.any()):
            rival = units[rivals][values[rivals].argmax()]
            reached = float(fine.posterior(rival[None]))
            share, least = _CATCH_UP
            if reached > optima[0].posterior - max(share * abs(optima[0].posterior), least):
                optima.append((yield from self._shown(search.polish(fine, rival, directions))))
            else:
                optima.append(search.Optimum(rival, reached, optima[0].hessian))
        return sorted(optima, key=lambda optimum: -optimum.posterior)

    def _null_scores(self, fine: Objective, best: search.Optimum, directions: torch.Tensor):
        """Similarity at random poses around the best one."""
        correction, scores = self._correction_ras(best.units), []
        nulls = best.units + trust.null_corrections(directions, self.settings.seed)
        for index, part in enumerate(nulls.split(fine.chunk)):
            scores.append(fine.score(part))
            yield Progress("trust", index, best.posterior, correction)
        return torch.cat(scores)

    def _disagreement_mm(self, middle: Objective, best: search.Optimum, directions: torch.Tensor):
        """Mean distance over the fans between where disjoint halves of the ultrasound go from the best correction."""
        ends = []
        for half in middle.halves():
            units, _ = yield from self._shown(search.climb(half, best.units[None], directions, "trust"))
            ends.append(self._correction_ras(units[0]))
        return trust.mean_distance_mm(ends[0], ends[1], self.slices)

    def _refined(self, anatomy: Anatomy, smooth: dict, fine: Objective, best: search.Optimum, directions):
        """The optimum with refined tissues, and these.

        They are found together with the pose without smoothing; the pose then at the fine scale again, which is the
        better one for it.
        """
        correction = self._correction_ras(best.units)
        beginning = Progress("tissue", 0, best.posterior, correction)
        anchors = anchors_of(anatomy.maps)
        sharp = yield from search.told(smoothed(anatomy, SHARP.volume_mm), beginning)
        objective = Objective(sharp, self.slices, SHARP, self._center, self.settings.prior_units, self._device)
        shares = yield from search.told(tissue_shares(anatomy, SHARP.volume_mm), beginning)
        together = TissueObjective(objective, sharp, shares, anchors)
        tissue = yield from self._shown(refine_tissue(together, best.units, directions, anchors))
        shares = yield from search.told(tissue_shares(anatomy, FINE.volume_mm), beginning)
        adapted = TissueObjective(fine, smooth[FINE.volume_mm], shares, anchors).adapted(tissue)
        return (yield from self._shown(search.polish(adapted, best.units, directions))), tissue

    def _objectives(self, anatomy: Anatomy):
        """The anatomy smoothed by each scale, and what to compare at the wide, and to climb at the coarse, the middle
        and the fine scale."""
        prior = self.settings.prior_units
        beginning = Progress("start", 0, 0.0, torch.eye(4, dtype=torch.float64))
        smooth, objectives = {}, []
        few = few_slices(self.slices)
        for scale, slices in ((WIDE, few), (COARSE, few), (MIDDLE, self.slices), (FINE, self.slices)):
            if scale.volume_mm not in smooth:
                smooth[scale.volume_mm] = yield from search.told(smoothed(anatomy, scale.volume_mm), beginning)
            objectives.append(Objective(smooth[scale.volume_mm], slices, scale, self._center, prior, self._device))
            yield beginning
        return smooth, objectives

    def _shown(self, steps):
        """Passes steps on as `Progress`, and returns what the generator returns."""
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                return stop.value
            yield Progress(step.stage, step.iteration, step.score, self._correction_ras(step.units))

    def _correction_ras(self, units: torch.Tensor) -> torch.Tensor:
        """(4, 4) float64 correction of units (7,)."""
        return correction_matrix(units[None].double(), self._center)[0]

    def _rivals(self, units: torch.Tensor, best: torch.Tensor) -> torch.Tensor:
        """(K,) bool: corrections (K, 7) that put the fans elsewhere than the best one does."""
        first, *others = correction_matrix(torch.cat([best[None], units]).double(), self._center)
        distances = [trust.mean_distance_mm(first, other, self.slices) for other in others]
        return torch.tensor(distances) > trust.COMPETITOR_MM

    def _fan_points_ras_mm(self) -> torch.Tensor:
        poses = self.slices.transducer_to_ras
        points = self.slices.probe.outline_mm()
        return (points @ poses[:, :3, :3].transpose(1, 2) + poses[:, None, :3, 3]).reshape(-1, 3)

    def _judged(
        self,
        fine: Objective,
        optima: list[search.Optimum],
        null_scores: torch.Tensor,
        halves_mm: float,
        directions: torch.Tensor,
        seconds: float,
    ) -> RegistrationResult:
        best = optima[0]
        corrections = correction_matrix(torch.stack([o.units for o in optima]).double(), self._center)
        identity = torch.zeros(1, UNITS)
        scores = fine.score(torch.cat([identity, torch.stack([optimum.units for optimum in optima])]))
        distances = [trust.mean_distance_mm(corrections[0], other, self.slices) for other in corrections]
        # Optima come best first.
        rival = next((n for n, distance in enumerate(distances) if distance > trust.COMPETITOR_MM), None)
        spread = max(float(null_scores.std()), 1e-6)
        lowest = float(self.settings.prior_units.max()) ** -2
        uncertainty = trust.uncertainty_mm(best.hessian, directions, self.slices, self._center, lowest)
        evidence = trust.Evidence(
            contrast=trust.contrast(float(scores[1]), null_scores),
            gain=INDEPENDENT_SAMPLES * float(scores[1] - null_scores.mean()),
            margin=math.inf if rival is None else float(scores[1] - scores[1 + rival]) / spread,
            competitor_mm=0.0 if rival is None else distances[rival],
            uncertainty_mm=uncertainty,
            coverage=float(fine.coverage(best.units).mean()),
            halves_mm=halves_mm,
            prior_sigmas=float((best.units / self.settings.prior_units).square().mean().sqrt()),
        )
        judgement = trust.judge(evidence)
        moved = trust.displacements_mm(corrections[0], torch.eye(4, dtype=torch.float64), self.slices)
        own = torch.einsum("spi,sij->spj", moved, self.slices.transducer_to_ras[:, :3, :3])
        return RegistrationResult(
            correction_ras=corrections[0],
            image_scale=float(image_scale(best.units[None])),
            verdict=judgement.verdict,
            reasons=judgement.reasons,
            confidence=judgement.confidence,
            expected_error_mm=judgement.expected_error_mm,
            score_initial=float(scores[0]),
            score_final=float(scores[1]),
            displacement_mm=float(moved.norm(dim=-1).mean()),
            displacement_axes_mm=tuple(own.mean((0, 1)).tolist()),
            uncertainty_mm=uncertainty,
            competitor_ras=None if rival is None else corrections[rival],
            evidence=evidence,
            seconds=seconds,
            device=str(self._device),
            seed=self.settings.seed,
        )


def register(
    volume: Volume,
    slices: UltrasoundSlices,
    settings: RegistrationSettings | None = None,
    maps: AcousticMaps | None = None,
) -> RegistrationResult:
    """Align slices to a volume without a break; see `Alignment` for the arguments and to follow the steps."""
    alignment = Alignment(volume, slices, settings, maps)
    for _ in alignment.steps():
        pass
    assert alignment.result is not None  # it ran to its end
    return alignment.result


def seen_from(result: RegistrationResult, start: torch.Tensor, slices: UltrasoundSlices) -> RegistrationResult:
    """A result for slices that had been moved by a start (4, 4), told for the slices as they were."""
    total = result.correction_ras @ start
    moved = trust.displacements_mm(total, torch.eye(4, dtype=torch.float64), slices)
    lateral, depth, elevation = torch.einsum("spi,sij->spj", moved, slices.transducer_to_ras[:, :3, :3]).mean((0, 1))
    return replace(
        result,
        correction_ras=total,
        displacement_mm=float(moved.norm(dim=-1).mean()),
        displacement_axes_mm=(float(lateral), float(depth), float(elevation)),
        competitor_ras=None if result.competitor_ras is None else result.competitor_ras @ start,
    )


def few_slices(slices: UltrasoundSlices) -> UltrasoundSlices:
    """The few slices, evenly picked, that the wide and the coarse scale look at."""
    count = len(slices.images)
    return slices.subset(torch.linspace(0, count - 1, min(_COARSE_SLICES, count)).round())


def _check_overlap(volume: Volume, slices: UltrasoundSlices) -> None:
    points = slices.target_points_mm()
    poses = slices.transducer_to_ras
    world = points @ poses[:, :3, :3].transpose(1, 2) + poses[:, None, :3, 3]
    index = world @ volume.ras_to_ijk[:3, :3].T + volume.ras_to_ijk[:3, 3]
    size = torch.tensor(volume.voxels.shape[::-1], dtype=torch.float64)
    if not bool(((index > -0.5) & (index < size - 0.5)).all(-1).any()):
        raise DiffUSError(
            "the ultrasound does not meet the volume at all; check the tracking, or give an initial transform from "
            "the tracker's reference to the patient."
        )
