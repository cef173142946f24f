"""Gradients, batches, precision and devices."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import look_at, move, rigid_matrix
from DiffUSLib.probes.probe import Probe
from DiffUSLib.rendering.propagation import PROPAGATIONS
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import RenderSettings, look
from Testing.Library.scenes import PROBES, uniform_maps

TINY = Probe("tiny", "curvilinear", 10.0, 4.0, field_of_view_deg=40.0, radius_mm=8.0, lines=5)
POSE = look_at((1.3, -0.7, 6.1), (0.4, 0.3, -3.0), 17.0)


def uneven_maps(dtype=torch.float64, shape=(21, 21, 21)):
    maps = uniform_maps(shape, dtype=dtype)
    noise = torch.rand(3, *shape[::-1], generator=torch.Generator().manual_seed(4), dtype=torch.float64).to(dtype)
    return replace(
        maps,
        impedance=maps.impedance + 0.1 * noise[0],
        attenuation=maps.attenuation * (0.5 + noise[1]),
        echogenicity=maps.echogenicity * (0.5 + noise[2]),
    )


def tiny_settings(name, **changes):
    # A fixed compensation: by default it is the median of the maps, a constant to autograd.
    fixed = {"tgc_db_cm_mhz": 0.6} if name == "clinical" else {}
    return look(name, samples=9, width_px=16, height_px=16, dynamic_range_db=120.0, **fixed, **changes)


def every_chain():
    chains = [("clinical", {"propagation": model}) for model in PROPAGATIONS]
    chains += [
        ("clinical", {"speckle": False}),
        ("clinical", {"point_spread": False}),
        ("clinical", {"elevation_planes": 3}),
    ]
    return [*chains, ("paper", {}), ("paper", {"sign_convention": "energy_conserving"})]


@pytest.mark.parametrize("name,changes", every_chain())
def test_pose_gradient_agrees_with_finite_differences(name, changes):
    renderer = Renderer(uneven_maps(), TINY, tiny_settings(name, **changes), "cpu", torch.float64)

    def lines(motion):
        rendered = renderer(POSE @ rigid_matrix(motion[:3], motion[3:]))
        # The paper's look is scaled by a percentile of the image, a constant to autograd: compare before the scaling.
        return rendered.scan_lines.power.sqrt() if name == "paper" else rendered.image[:, rendered.mask]

    motion = torch.full((6,), 0.013, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lines, motion, eps=1e-7, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("field", ["impedance", "attenuation", "echogenicity"])
def test_map_gradients_agree_with_finite_differences(field):
    maps = uneven_maps(shape=(6, 6, 6))

    def image(values):
        renderer = Renderer(replace(maps, **{field: values}), TINY, tiny_settings("clinical"), "cpu", torch.float64)
        return renderer(POSE).image

    values = getattr(maps, field).clone().requires_grad_()
    assert torch.autograd.gradcheck(image, values, eps=1e-7, atol=1e-5, rtol=1e-3, fast_mode=True)


def test_a_renderer_of_trained_maps_can_be_used_again_and_again():
    maps = uneven_maps()
    maps.impedance.requires_grad_()
    renderer = Renderer(maps, TINY, tiny_settings("clinical"), "cpu", torch.float64)
    for _ in range(2):
        renderer(POSE).image.sum().backward()
    assert float(maps.impedance.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", ["clinical", "paper"])
@pytest.mark.parametrize("place", ["inside", "looking away", "far away", "equal impedance", "air"])
def test_gradients_are_finite_everywhere(name, place):
    maps = uneven_maps(torch.float32)
    if place == "equal impedance":
        maps = uniform_maps((21, 21, 21))
    if place == "air":
        maps.impedance[8:12] = 0.0004
        maps.echogenicity[8:12] = 0.0
    target = {"looking away": (0, 0, 90), "far away": (5000, 0, 0)}.get(place, (0, 0, 0))
    entry = (4900, 0, 0) if place == "far away" else (0, 0, 9)
    pose = look_at(entry, target).requires_grad_()
    for tensor in (maps.impedance, maps.attenuation, maps.echogenicity):
        tensor.requires_grad_()
    image = Renderer(maps, TINY, tiny_settings(name), "cpu")(pose).image
    assert bool(torch.isfinite(image).all())
    image.sum().backward()
    for tensor in (pose, maps.impedance, maps.attenuation, maps.echogenicity):
        assert tensor.grad is None or bool(torch.isfinite(tensor.grad).all())


def test_gradients_work_after_a_render_without_them():
    maps, settings = uneven_maps(torch.float32), tiny_settings("clinical", seed=4321)  # a seed that no other test uses
    with torch.inference_mode():
        Renderer(maps, TINY, settings, "cpu")(POSE)
    pose = POSE.clone().requires_grad_()
    Renderer(maps, TINY, settings, "cpu")(pose).image.sum().backward()
    assert float(pose.grad.abs().max()) > 0


@pytest.mark.parametrize("name", ["clinical", "paper"])
def test_an_image_does_not_depend_on_the_batch(name):
    renderer = Renderer(uneven_maps(torch.float32), TINY, tiny_settings(name), "cpu")
    poses = torch.stack([move(POSE, tilt=float(angle)) for angle in range(5)])
    together = renderer(poses).image
    for i, pose in enumerate(poses):
        np.testing.assert_allclose(renderer(pose).image[0], together[i], atol=2e-6)


def test_single_precision_is_close_to_double():
    images = [
        Renderer(uneven_maps(dtype), PROBES["curvilinear"], RenderSettings(samples=100), "cpu", dtype)(
            POSE
        ).image.double()
        for dtype in (torch.float32, torch.float64)
    ]
    assert float((images[0] - images[1]).abs().mean()) < 1e-4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU here")
def test_the_gpu_agrees_with_the_cpu():
    maps = uneven_maps(torch.float32)
    powers = [
        Renderer(maps, PROBES["curvilinear"], RenderSettings(samples=100), device).scan_lines(POSE).power.cpu()
        for device in ("cpu", "cuda")
    ]
    assert float((powers[0] - powers[1]).abs().max() / powers[0].abs().max()) < 1e-4


@pytest.mark.parametrize(
    "pose",
    [POSE * float("nan"), POSE[None][:0], POSE[:3], torch.zeros(1, 1, 4, 4)],
    ids=["NaN", "none", "3 x 4", "4D"],
)
def test_poses_that_are_none_are_refused(pose):
    renderer = Renderer(uniform_maps((21, 21, 21)), TINY, tiny_settings("clinical"), "cpu")
    with pytest.raises(DiffUSError, match="pose"):
        renderer(pose)


def test_extreme_gain_stays_finite():
    deep = Probe("deep", "linear", 1000.0, 50.0, width_mm=40.0, lines=8)
    image = Renderer(uniform_maps((21, 21, 21)), deep, tiny_settings("clinical"), "cpu")(POSE).image
    assert bool(torch.isfinite(image).all())


def test_half_precision_is_refused():
    with pytest.raises(DiffUSError, match="float32"):
        Renderer(uniform_maps(), TINY, device="cpu", dtype=torch.float16)


def test_the_papers_artifacts_join_any_look():
    maps = uneven_maps(torch.float32)
    plain, noisy = (
        Renderer(maps, TINY, tiny_settings("clinical", speckle=False, paper_artifacts=on), "cpu")(POSE).image
        for on in (False, True)
    )
    assert not torch.equal(plain, noisy)
    assert float(torch.corrcoef(torch.stack([plain.flatten(), noisy.flatten()]))[0, 1]) > 0.9


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(DiffUSError, match="cuda:99"):
        Renderer(uniform_maps(), TINY, device="cuda:99")
    with pytest.raises(DiffUSError, match="unknown"):
        Renderer(uniform_maps(), TINY, device="toaster")


def test_out_of_gpu_memory_goes_on_on_the_cpu_and_says_so(monkeypatch):
    from DiffUSLib.errors import DiffUSWarning

    renderer = Renderer(uniform_maps((21, 21, 21)), TINY, tiny_settings("clinical"), "cpu")
    expected = renderer(POSE).image
    renderer.device = torch.device("cuda")
    real, calls = Renderer.scan_lines, []

    def full_at_first(self, pose):
        calls.append(self.device.type)
        if self.device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, pose)

    monkeypatch.setattr(Renderer, "scan_lines", full_at_first)
    with pytest.warns(DiffUSWarning, match="CPU"):
        image = renderer(POSE).image
    assert calls == ["cuda", "cpu"]
    assert torch.equal(image, expected)


@pytest.mark.parametrize(
    "change",
    [
        {"samples": 1},
        {"samples": 50.5},
        {"seed": 10**30},
        {"elevation_planes": "many"},
        {"gain_db": float("nan")},
        {"dynamic_range_db": 0.0},
        {"width_px": 2},
    ],
)
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(DiffUSError, match=next(iter(change))):
        RenderSettings(**change)


def test_unknown_looks_settings_and_models_are_refused_with_the_choices():
    with pytest.raises(DiffUSError, match="paper"):
        look("cartoon")
    with pytest.raises(DiffUSError, match="gain_db"):
        look("clinical", loudness=3)
    with pytest.raises(DiffUSError, match="reverberation"):
        RenderSettings(propagation="magic")


def test_released_memory_comes_back_the_same():
    """What is kept between images is gone after release, and made again as it was."""
    from DiffUSLib import release_memory
    from DiffUSLib.rendering.image_formation.scatterers import _field

    renderer = Renderer(uneven_maps(), TINY, tiny_settings("clinical"))
    before = renderer(POSE).image
    assert _field.cache_info().currsize > 0
    release_memory()
    assert _field.cache_info().currsize == 0
    assert torch.equal(renderer(POSE).image, before)
