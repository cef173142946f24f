"""What happens where a GPU runs out of memory or rounds: shown without one, by injected errors and by meta tensors.

A tensor on the meta device has no values and cannot be mixed with those of the CPU: it stands for one that was left
on a GPU.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from DiffUSLib import Renderer, default_pose, look
from DiffUSLib.errors import DiffUSWarning
from DiffUSLib.evaluation import benchmark
from DiffUSLib.geometry.sampling import product, transform_points, transform_vectors
from DiffUSLib.registration.correction import LEVER_MM
from DiffUSLib.registration.features import Features, SmoothAnatomy
from DiffUSLib.registration.objective import Objective, Scale
from DiffUSLib.ultrasound.observation import UltrasoundSlices
from Testing.Library.test_renderer_gradients import POSE, TINY, tiny_settings, uneven_maps

CPU = torch.device("cpu")
FULL = torch.OutOfMemoryError("CUDA out of memory")


def anatomy():
    maps = uneven_maps()
    return SmoothAnatomy(maps, torch.stack([maps.impedance, maps.echogenicity], dim=-1).float())


def features():
    return Features(anatomy(), TINY, 24, CPU)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_changing_a_renderer_goes_on_on_the_cpu(monkeypatch):
    renderer = Renderer(uneven_maps(), TINY, tiny_settings("clinical"), "cpu")
    expected = renderer.changed_to(settings=tiny_settings("clinical", gain_db=6.0))(POSE).image
    renderer.device = torch.device("cuda")
    real = Renderer._prepare

    def full_on_the_gpu(self, device, *rest):
        if device.type == "cuda":
            raise FULL
        return real(self, device, *rest)

    monkeypatch.setattr(Renderer, "_prepare", full_on_the_gpu)
    with pytest.warns(DiffUSWarning, match="out of memory"):
        changed = renderer.changed_to(settings=tiny_settings("clinical", gain_db=6.0))
    assert changed.device.type == "cpu"
    assert "out of memory" in changed.fallback
    assert torch.equal(changed(POSE).image, expected)


def test_features_follow_their_renderer_to_the_cpu():
    """The renderer left the GPU in the middle of a call; what the features kept there is of no use any more."""
    expected = features()(POSE[None])
    left_behind = features()
    meta = torch.device("meta")
    left_behind._device, left_behind._points = meta, left_behind._points.to(meta)
    left_behind._ras_to_index = left_behind._ras_to_index.to(meta)
    assert torch.equal(left_behind(POSE[None]), expected)


def objective():
    pixels = np.random.default_rng(1).random((2, 48, 48), dtype=np.float32)
    to_transducer = np.diag([1.0, 1.0, 1.0, 1.0])
    to_transducer[0, 3] = -24.0
    poses = torch.stack([POSE, POSE]).double()
    slices = UltrasoundSlices(pixels, np.ones((48, 48), bool), to_transducer, poses, TINY)
    prior = torch.tensor([5.0, 5.0, 5.0, *[5.0 * LEVER_MM / 57.3] * 3, 1.0])
    return Objective(anatomy(), slices, Scale(0, 0, 12, 24, (3, 5)), POSE[:3, 3], prior, CPU)


def test_an_alignment_goes_on_when_the_backward_pass_fills_the_gpu(monkeypatch):
    units = 0.1 * torch.ones(3, 7)
    value, gradient = objective().posterior_and_gradient(units)
    full = objective()
    full._features._render.device = torch.device("cuda")
    monkeypatch.setattr(Renderer, "_checked", lambda self, pose: pose.to(self.dtype))
    real, calls = torch.autograd.grad, []

    def full_at_first(*arguments, **options):
        calls.append(1)
        if len(calls) == 1:
            raise FULL
        return real(*arguments, **options)

    monkeypatch.setattr(torch.autograd, "grad", full_at_first)
    monkeypatch.setattr(Features, "_device", torch.device("cuda"), raising=False)
    full._features._device = torch.device("cuda")
    # Nothing is really moved to a GPU that is not there.
    moved = torch.Tensor.to

    def to(self, *arguments, **options):
        arguments = [CPU if isinstance(item, torch.device) else item for item in arguments]
        return moved(self, *arguments, **options)

    monkeypatch.setattr(torch.Tensor, "to", to)
    with pytest.warns(DiffUSWarning, match="alignment goes on"):
        again = full.posterior_and_gradient(units)
    assert full._features.device.type == "cpu"
    torch.testing.assert_close(again[0], value)
    torch.testing.assert_close(again[1], gradient)


def test_a_default_pose_is_found_on_the_cpu():
    """Maps on a GPU come over whole; nothing of them is mixed with what is on the CPU."""
    maps = uneven_maps()
    asked = []

    def to(device):
        asked.append(device)
        return maps

    assert torch.equal(default_pose(SimpleNamespace(to=to)), default_pose(maps))
    assert asked == ["cpu"]


class Roundable(TorchDispatchMode):
    """Collects the operations that TF32 or autocast would round to three digits."""

    names = ("mm", "bmm", "addmm", "baddbmm", "convolution", "mv", "dot")

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        name = function.__name__.split(".")[0]
        if name in self.names:
            self.found.add(name)
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize("name", ["clinical", "paper"])
def test_no_image_goes_through_what_tf32_or_autocast_would_round(name):
    renderer = Renderer(uneven_maps(), TINY, tiny_settings(name))
    pose = POSE.float().clone().requires_grad_()
    with Roundable() as roundable:
        renderer(pose).image.sum().backward()
    assert roundable.found == set()


@pytest.mark.parametrize("name", ["clinical", "paper"])
def test_autocast_changes_no_image(name):
    renderer = Renderer(uneven_maps(), TINY, tiny_settings(name))
    expected = renderer(POSE).image
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(renderer(POSE).image, expected)


def test_small_products_are_those_of_pytorch():
    generator = torch.Generator().manual_seed(3)
    left, right = torch.randn(2, 5, 4, 4, dtype=torch.float64, generator=generator)
    points = torch.randn(7, 3, 3, dtype=torch.float64, generator=generator)
    torch.testing.assert_close(product(left, right), left @ right)
    turned = torch.einsum("bij,lkj->blki", left[:, :3, :3], points)
    torch.testing.assert_close(transform_vectors(left, points), turned)
    torch.testing.assert_close(transform_points(left, points), turned + left[:, None, None, :3, 3])


def test_the_benchmark_waits_for_an_apple_gpu(monkeypatch):
    waits = []
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waits.append("mps"))
    benchmark._wait(torch.device("mps"))
    benchmark._wait(CPU)
    assert waits == ["mps"]


def test_scan_conversion_needs_nothing_that_mps_lacks(monkeypatch):
    """There, grid_sample knows no border padding in 2D, and may not be there in 3D at all."""
    seen = []
    real = torch.nn.functional.grid_sample

    def grid_sample(values, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
        seen.append((values.ndim, padding_mode))
        return real(values, grid, mode, padding_mode, align_corners)

    monkeypatch.setattr(torch.nn.functional, "grid_sample", grid_sample)
    Renderer(uneven_maps(), TINY, look("clinical", samples=32, width_px=32, height_px=32), "cpu")(POSE)
    assert seen == [(4, "zeros")]
