"""An appearance fitted to real frames, with the patient's volume behind them."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass

import torch

from DiffUSLib.acoustics.maps import AcousticMaps
from DiffUSLib.appearance.appearance import Appearance
from DiffUSLib.appearance.defaults import fit_start
from DiffUSLib.appearance.frames import with_grain_of
from DiffUSLib.appearance.model import FrameModel, correlation
from DiffUSLib.appearance.parameters import Parameters
from DiffUSLib.appearance.shading import misfit, shading_alone
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import rigid_matrix
from DiffUSLib.steps import value_of
from DiffUSLib.ultrasound.observation import UltrasoundSlices

_STEPS = 60
_ITERATIONS = 2  # of a step
_MEMORY = 30  # steps that the curvature of the posterior is estimated from
_FOLDS = 2
_BLOCK_LINES = 16
LEAST_EXPLAINED = 0.3
"""Correlation, in parts of the frames kept back, below which the volume does not explain them: see `FitResult`."""

_POSE_SPREAD_MM, _POSE_SPREAD_DEG = 2.0, 2.0


@dataclass(frozen=True)
class FitProgress:
    """Where a fit stands.

    Args:
        stage: "check" (parts of the frames kept back) or "fit" (all of them).
        step, steps: of the whole fit, from 1.
        likeness: normalized cross-correlation with the frames now.
    """

    stage: str
    step: int
    steps: int
    likeness: float


@dataclass(frozen=True)
class FitResult:
    """What a fit found.

    Args:
        appearance: the look.
        likeness_before, likeness: normalized cross-correlation of the expected image with the frames, with the look
            that the fit started from and with the fitted one.
        explained: correlation of what the anatomy adds to gain and shading with what the frames show beyond them, in
            parts of the frames that the fit had not seen. About 0 for another anatomy.
        transducer_to_ras: (S, 4, 4) poses, refined if that was asked for.
        seconds: how long it took.
    """

    appearance: Appearance
    likeness_before: float
    likeness: float
    explained: float
    transducer_to_ras: torch.Tensor
    seconds: float

    @property
    def explains(self) -> bool:
        """Whether the volume explains the frames."""
        return self.explained >= LEAST_EXPLAINED

    def check(self) -> None:
        """Refuse a fit whose volume does not explain the frames.

        Raises:
            DiffUSError: if so.
        """
        if not self.explains:
            raise DiffUSError(
                "the volume does not explain this ultrasound: in parts kept back from the fit, the correlation of "
                f"what its anatomy adds is {self.explained:.2f}, and at least {LEAST_EXPLAINED} is needed; check "
                "transform and patient, or match the look to the frames alone."
            )


def fit_appearance(
    slices: UltrasoundSlices,
    maps: AcousticMaps,
    start: Appearance | None = None,
    name: str = "matched",
    refine_pose: bool = False,
) -> Generator[FitProgress, None, FitResult]:
    """Fit an appearance to frames and the volume behind them. Yields after each step; returns a `FitResult`.

    The most probable appearance is sought (MAP): speckle counts as noise, not as something to imitate, by comparing
    local means of gray with those that speckle of the expected level has; the errors' size is estimated along.

    Args:
        slices: real frames with their places; gray from 0 to 255.
        maps: of the patient, made without a look.
        start: the look to start from, around which the priors lie; the clinical one by default.
        name: of the fitted look.
        refine_pose: correct the place of each frame along, by millimeters.

    Raises:
        DiffUSError: if frames and volume do not overlap, or the maps hold no axis of tissues.
    """
    began = time.monotonic()
    if maps.axis is None:
        raise DiffUSError(
            "the tissues of this volume cannot be told apart by its intensities, so no curves can be fitted to it; "
            "match the look to the frames alone."
        )
    kind = maps.axis.kind
    start = _with_grain(slices, fit_start(start, maps, slices.probe.depth_mm))
    model = FrameModel(slices, maps, start.curves[kind])
    parameters = Parameters(start, kind)
    blocks = _blocks(model.weights)
    steps = _FOLDS * _STEPS + _STEPS
    done, explained = 0, []
    for fold in range(_FOLDS):
        seen = model.weights * (blocks != fold)
        hidden = model.weights * (blocks == fold)
        vector, _ = yield from _climb(model, parameters, seen, done, steps, "check", False)
        done += _STEPS
        with torch.no_grad():
            anatomy = model.expected(parameters.appearance(vector))
        shading = shading_alone(model.observed, seen, model.probe, start)
        explained.append(correlation(anatomy - shading, model.observed - shading, hidden))
    with torch.no_grad():
        before = model.likeness(model.expected(start))
    vector, poses = yield from _climb(model, parameters, model.weights, done, steps, "fit", refine_pose)
    model.poses = poses
    with torch.no_grad():
        likeness = model.likeness(model.expected(parameters.appearance(vector)))
    look = parameters.frozen(vector, name=name)
    return FitResult(look, before, likeness, sum(explained) / len(explained), poses, time.monotonic() - began)


def _with_grain(slices: UltrasoundSlices, appearance: Appearance) -> Appearance:
    """The look with the grain of the frames, or as it is where they show too little of it."""
    try:
        return with_grain_of(slices, appearance)
    except DiffUSError:
        return appearance


def fitted(fit: Generator[FitProgress, None, FitResult]) -> FitResult:
    """Run a fit to its end, without progress."""
    return value_of(fit)


def _climb(
    model: FrameModel, parameters: Parameters, weights: torch.Tensor, done: int, steps: int, stage: str, poses: bool
) -> Generator[FitProgress, None, tuple[torch.Tensor, torch.Tensor]]:
    """L-BFGS on the log-posterior; yields after each step, returns the vector and the poses (S, 4, 4)."""
    vector = torch.zeros(parameters.count, requires_grad=True)
    twists = torch.zeros(len(model.poses), 6, requires_grad=poses)
    optimizer = torch.optim.LBFGS(
        [vector, twists] if poses else [vector],
        max_iter=_ITERATIONS,
        history_size=_MEMORY,
        line_search_fn="strong_wolfe",
    )
    likeness = 0.0

    def closure() -> torch.Tensor:
        nonlocal likeness
        optimizer.zero_grad()
        gray = model.expected(parameters.appearance(vector), _moved(model.poses, twists) if poses else None)
        loss = misfit(gray, model.observed, weights, model.area_mm2) + parameters.penalty(vector)
        loss = loss + twists.square().sum() / 2
        loss.backward()
        likeness = model.likeness(gray.detach(), weights)
        return loss

    for step in range(_STEPS):
        optimizer.step(closure)
        yield FitProgress(stage, done + step + 1, steps, likeness)
    return vector.detach(), _moved(model.poses, twists.detach()) if poses else model.poses


def _moved(poses: torch.Tensor, twists: torch.Tensor) -> torch.Tensor:
    """Poses (S, 4, 4) turned and shifted in their own frames by twists (S, 6) in standard deviations of the prior."""
    turn = twists[:, :3].to(poses) * math.radians(_POSE_SPREAD_DEG)
    shift = twists[:, 3:].to(poses) * _POSE_SPREAD_MM
    return poses @ rigid_matrix(turn, shift)


def _blocks(weights: torch.Tensor) -> torch.Tensor:
    """(S, L, 1) number of the fold that each block of scan lines is kept back in; shifted from frame to frame."""
    frames, lines, _ = weights.shape
    block = torch.arange(lines)[None] // _BLOCK_LINES + torch.arange(frames)[:, None]
    return (block % _FOLDS)[..., None]
