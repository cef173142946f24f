"""An alignment whose start is not known: everywhere on the surface first, then near the best places."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from DiffUSLib.acoustics import AcousticMaps, acoustic_maps
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.registration import search, trust
from DiffUSLib.registration.alignment import Alignment, Progress, RegistrationResult, few_slices, seen_from
from DiffUSLib.registration.correction import UNITS, correction_matrix
from DiffUSLib.registration.features import Anatomy, smoothed
from DiffUSLib.registration.objective import BROAD, COARSE, Objective
from DiffUSLib.registration.settings import RegistrationSettings
from DiffUSLib.registration.surface_search import surface_places
from DiffUSLib.rendering.device import choose_device
from DiffUSLib.ultrasound.observation import UltrasoundSlices

_NO_PRIOR = 1e4


class WideAlignment:
    """As `Alignment`, wherever the tracked slices are: the probe stands somewhere on the patient's surface and looks
    inward. Iterate over `steps()` to run it; then `result` holds the outcome.

    Args:
        volume, slices, settings, maps: as of an `Alignment`; of the settings, prior and preset count near the places
            that were found.
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

    def steps(self) -> Iterator[Progress]:
        """Runs the alignment; each step takes a fraction of a second.

        Raises:
            DiffUSError: if no acoustic maps can be made of the volume, or it shows no surface.
        """
        began = time.perf_counter()
        maps = self._maps or acoustic_maps(self._volume)
        starts = yield from self._places(maps)
        ends = []
        for start in starts:
            moved = replace(self.slices, transducer_to_ras=start @ self.slices.transducer_to_ras)
            alignment = Alignment(self._volume, moved, self.settings, maps)
            for progress in alignment.steps():
                yield replace(progress, correction_ras=progress.correction_ras @ start)
            if alignment.result is not None:
                ends.append((alignment.result, start))
        ends.sort(key=lambda end: -end[0].score_final)
        self.result = replace(self._together(ends), seconds=time.perf_counter() - began)

    def _places(self, maps: AcousticMaps):
        """(4, 4) corrections that bring the slices near the places that fit best."""
        few = few_slices(self.slices)
        middle = len(few.images) // 2
        center, reference = few.centers_ras_mm[middle], few.transducer_to_ras[middle].numpy()
        beginning = Progress("start", 0, 0.0, torch.eye(4, dtype=torch.float64))
        prior, device = torch.full((UNITS,), _NO_PRIOR), choose_device(self.settings.device)[0]
        objectives = []
        for scale in (BROAD, COARSE):
            smooth = yield from search.told(smoothed(Anatomy(self._volume, maps), scale.volume_mm), beginning)
            objectives.append(Objective(smooth, few, scale, center, prior, device))
        places = surface_places(objectives[0], objectives[1], maps, reference, center.numpy(), self.settings.seed)
        while True:
            try:
                step = next(places)
            except StopIteration as stop:
                return list(correction_matrix(stop.value.double(), center))
            matrix = correction_matrix(step.units[None].double(), center)[0]
            yield Progress(step.stage, step.iteration, step.score, matrix)

    def _together(self, ends: list[tuple[RegistrationResult, torch.Tensor]]) -> RegistrationResult:
        """The best result, seen from where the slices were; the next best place counts as its rival."""
        seen = [seen_from(result, start, self.slices) for result, start in ends]
        best, evidence, competitor = seen[0], seen[0].evidence, seen[0].competitor_ras
        for other in seen[1:]:
            distance = trust.mean_distance_mm(best.correction_ras, other.correction_ras, self.slices)
            if distance > trust.COMPETITOR_MM:
                margin = evidence.contrast * (1 - other.score_final / max(best.score_final, 1e-9))
                if margin < evidence.margin:
                    evidence = replace(evidence, margin=margin, competitor_mm=distance)
                    competitor = other.correction_ras
                break
        judgement = trust.judge(evidence)
        return replace(
            best,
            verdict=judgement.verdict,
            reasons=judgement.reasons,
            confidence=judgement.confidence,
            expected_error_mm=judgement.expected_error_mm,
            competitor_ras=competitor,
            evidence=evidence,
        )
