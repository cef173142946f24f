"""Attenuation, shadows, resolution and speckle against what physics says of simple scenes."""

import math

import numpy as np
import pytest
import torch

from DiffUSLib.acoustics import tissue
from DiffUSLib.geometry.pose import look_at, move
from DiffUSLib.probes.probe import Probe
from DiffUSLib.rendering.image_formation.artifacts import paper_blur, paper_speckle
from DiffUSLib.rendering.image_formation.display import log_compress
from DiffUSLib.rendering.image_formation.point_spread import lateral_sigma_mm
from DiffUSLib.rendering.image_formation.scatterers import scatterers
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import RenderSettings
from Testing.Library.scenes import PROBES, uniform_maps

LINEAR = PROBES["linear"]
POSE = look_at((0, 0, 40), (0, 0, 0))
BRAIN_ONLY = {"near_field": False, "interface_scatter_mm": 0.0, "specular_mm": 0.0}


def brain_with(slab=None, values=None):
    """Brain in which the voxels `slab` (K, J, I slices; the probe of POSE looks down along K) are something else."""
    maps = uniform_maps()
    if slab:
        for grid, value in zip((maps.impedance, maps.attenuation, maps.echogenicity), values, strict=True):
            grid[slab] = value
    return maps


def as_values(name):
    row = tissue(name)
    return row.impedance_mrayl, row.attenuation_db_cm_mhz, row.echogenicity


def level_db(maps, settings, lines, samples):
    power = Renderer(maps, LINEAR, settings, "cpu").scan_lines(POSE).power[0]
    return 10 * math.log10(float(power[lines, samples].mean()))


def test_uniform_tissue_fades_by_its_attenuation():
    settings = RenderSettings(speckle=False, point_spread=False, tgc_db_cm_mhz=0.0, samples=350, **BRAIN_ONLY)
    power = Renderer(uniform_maps(), LINEAR, settings, "cpu").scan_lines(POSE).power[0, 96]
    depth_cm = (np.arange(350) + 0.5) * 0.02
    slope, start = np.polyfit(depth_cm[10:300], 10 * np.log10(power[10:300].numpy()), 1)
    assert slope == pytest.approx(-2 * 0.6 * 5.0, rel=1e-3)  # both ways, dB/cm/MHz, MHz
    assert start == pytest.approx(0.0, abs=0.05)


def test_time_gain_compensation_undoes_the_attenuation_it_is_set_to():
    settings = RenderSettings(speckle=False, point_spread=False, tgc_db_cm_mhz=0.6, samples=350, **BRAIN_ONLY)
    power = Renderer(uniform_maps(), LINEAR, settings, "cpu").scan_lines(POSE).power[0, 96, 10:300]
    np.testing.assert_allclose(power.numpy(), 1.0, rtol=0.01)


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
@pytest.mark.parametrize("tilt_deg", [0, 35, 70, 90])
def test_rough_interfaces_scatter_by_the_steepness_of_impedance(probe, tilt_deg):
    # ln Z rises by 0.004 per mm along a direction in the image plane: the strength is half of that at any angle.
    maps = uniform_maps(values=(1.6, 0.0, 0.0))
    angle = math.radians(tilt_deg)
    k, _, i = np.meshgrid(*[np.arange(81) - 40.0] * 3, indexing="ij")
    maps.impedance.copy_(torch.from_numpy(1.6 * np.exp(0.004 * (math.sin(angle) * i + math.cos(angle) * k))))
    only = {"backscatter": False, "specular_mm": 0.0, "near_field": False, "attenuation": False, "speckle": False}
    settings = RenderSettings(point_spread=False, interface_scatter_mm=300.0, **only)
    lines = Renderer(maps, probe, settings, "cpu").scan_lines(look_at((0, 0, 38), (0, 0, 0)))
    np.testing.assert_allclose(lines.power[0, 80:112, 60:340].sqrt().numpy(), 300.0 * 0.004 / 2, rtol=0.02)


def test_strong_interfaces_alone_weaken_what_lies_behind():
    # A slab of bone that absorbs nothing: both ways across two interfaces leave (1 - s^2)^2.
    slab = (slice(50, 60), slice(None), slice(0, 40))
    maps = brain_with(slab, (5.6, 0.6, 1.0))
    settings = RenderSettings(samples=70, speckle=False, attenuation=False, point_spread=False, **BRAIN_ONLY)
    power = Renderer(maps, LINEAR, settings, "cpu").scan_lines(POSE).power[0]
    s = (5.6 - 1.6) / (5.6 + 1.6)  # samples are a voxel apart and fall on voxels, so the steps stay sharp
    assert float(power[20, 50:].mean().sqrt()) == pytest.approx((1 - s * s) ** 2, rel=0.02)
    assert float(power[170, 50:].mean().sqrt()) == pytest.approx(1.0, rel=0.02)


def test_mirror_like_echoes_are_attenuated_on_both_ways():
    maps = uniform_maps(values=(1.6, 0.5, 0.0))
    maps.impedance[:30] = 1.7  # the interface lies 50 to 51 mm below the face
    peaks = []
    for attenuation in (True, False):
        settings = RenderSettings(attenuation=attenuation, tgc_db_cm_mhz=0.0, speckle=False, point_spread=False,
            near_field=False, interface_scatter_mm=0.0,
        )  # fmt: skip
        peaks.append(float(Renderer(maps, LINEAR, settings, "cpu").scan_lines(POSE).power[0, 96].max()))
    assert 10 * math.log10(peaks[0] / peaks[1]) == pytest.approx(-2 * 0.5 * 5.0 * 5.05, abs=0.5)


def test_without_attenuation_nothing_is_compensated():
    settings = RenderSettings(attenuation=False, speckle=False, point_spread=False, **BRAIN_ONLY)
    power = Renderer(uniform_maps(), LINEAR, settings, "cpu").scan_lines(POSE).power[0, 96, 10:340]
    np.testing.assert_allclose(power.numpy(), 1.0, rtol=1e-4)


def test_the_transducer_rings_down_in_the_first_millimeters():
    with_it, without = (
        Renderer(uniform_maps(), LINEAR, RenderSettings(speckle=False, near_field=near_field), "cpu")
        .scan_lines(POSE)
        .power[0, 96]
        for near_field in (True, False)
    )
    assert float(with_it[:4].mean()) > 5 * float(without[:4].mean())
    np.testing.assert_allclose(with_it[60:], without[60:], rtol=1e-3)  # 10 mm and deeper


def test_gray_is_linear_in_decibels():
    power = torch.tensor([1.0, 10.0, 100.0])
    gray = log_compress(power, gain_db=0.0, dynamic_range_db=60.0)
    np.testing.assert_allclose(gray.diff(), 10 / 60, rtol=1e-5)
    np.testing.assert_allclose(log_compress(power, 6.0, 60.0) - gray, 0.1, rtol=1e-5)
    assert float(log_compress(power * 1e9, 0.0, 60.0).max()) == 1.0


@pytest.mark.parametrize("sites", [16, 32, 48])
def test_scatterers_do_not_repeat_within_an_image(sites):
    place = torch.rand(4000, 3, generator=torch.Generator().manual_seed(1)) * 90
    for axis in range(3):
        moved = place.clone()
        moved[:, axis] += sites
        assert abs(correlation(scatterers(place, 0)[0], scatterers(moved, 0)[0])) < 0.08


@pytest.mark.parametrize("material", ["cortical bone", "air"])
def test_bone_and_air_cast_a_shadow(material):
    slab = (slice(58, 64), slice(None), slice(0, 40))
    settings = RenderSettings(**BRAIN_ONLY)
    maps = brain_with(slab, as_values(material))
    behind, beside = (level_db(maps, settings, lines, slice(200, 300)) for lines in (slice(0, 60), slice(130, 190)))
    assert behind < beside - 30


def test_fluid_is_black_and_brightens_what_lies_behind():
    slab = (slice(45, 60), slice(None), slice(0, 40))
    maps = brain_with(slab, as_values("cerebrospinal fluid"))
    settings = RenderSettings(**BRAIN_ONLY)
    fluid, beside = (level_db(maps, settings, lines, slice(130, 190)) for lines in (slice(0, 60), slice(130, 190)))
    behind, level = (level_db(maps, settings, lines, slice(240, 300)) for lines in (slice(0, 60), slice(130, 190)))
    assert fluid < beside - 20
    assert behind - level == pytest.approx(2 * (0.6 - 0.009) * 5.0 * 1.5, abs=1.5)  # 1.5 cm without brain's loss


@pytest.mark.parametrize("incidence_deg", [0, 30, 60])
def test_a_smooth_interface_fades_with_the_cosine_of_incidence(incidence_deg):
    maps = uniform_maps((121, 121, 121), values=(1.6, 0.0, 0.0))
    normal = np.array([math.sin(math.radians(incidence_deg)), 0.0, math.cos(math.radians(incidence_deg))])
    k, _, i = np.meshgrid(*[np.arange(121) - 60.0] * 3, indexing="ij")
    maps.impedance.copy_(torch.from_numpy(1.6 + 0.02 * np.tanh((k * normal[2] + i * normal[0]) / 3.0)))
    settings = RenderSettings(near_field=False, interface_scatter_mm=0.0, speckle=False, tgc_db_cm_mhz=0.0)
    lines = Renderer(maps, LINEAR, settings, "cpu").scan_lines(look_at((0, 0, 30), (0, 0, 0)))
    peak = float(lines.power[0, 96].max().sqrt())
    # The steepest change of impedance met along the beam is that along the normal times the cosine.
    expected = settings.specular_mm * (0.02 / 3.0) / (2 * 1.6) * math.cos(math.radians(incidence_deg))
    assert peak == pytest.approx(expected, rel=0.1)


def test_resolution_at_the_focus_is_that_of_diffraction():
    # A wire at the focus, speckle off: the lateral width of the echo is wavelength x F-number, divided by sqrt(2) for
    # sending and receiving (Gaussian beams); the axial one is half the pulse.
    probe = Probe("fine", "linear", 60.0, 3.0, width_mm=40.0, lines=401, aperture_mm=15.0, focus_mm=30.0, cycles=3.0)
    maps = uniform_maps((161, 21, 161), oblique(0.25, (161, 21, 161)), (1.6, 0.0, 0.0))
    maps.echogenicity[80, :, 80] = 1.0
    settings = RenderSettings(speckle=False, tgc_db_cm_mhz=0.0, samples=1200, **BRAIN_ONLY)
    power = Renderer(maps, probe, settings, "cpu").scan_lines(look_at((0, 0, 30), (0, 0, 0))).power[0]
    wavelength = 1.54 / 3.0
    wire_mm = 0.25 * math.sqrt(2 / 12) * 2.355  # the wire itself has the width of a voxel
    row = power.sum(dim=0).argmax()
    assert fwhm(power[:, row], 0.1) == pytest.approx(math.hypot(wavelength * 2.0 / math.sqrt(2), wire_mm), rel=0.07)
    assert fwhm(power[200], 0.05) == pytest.approx(math.hypot(3.0 * wavelength / 2, wire_mm), rel=0.07)


def test_a_beam_spreads_beyond_its_focus_as_a_gaussian_beam():
    # Far beyond the focus a Gaussian beam opens by wavelength / (pi x waist radius); an aperture as wide as its
    # distance keeps the receiving beam far wider, so that the transmitted one alone sets the width.
    probe = Probe("wide open", "linear", 900.0, 3.0, width_mm=40.0, aperture_mm=1.0, focus_mm=10.0)
    waist_fwhm = 1.54 / 3.0 * 10.0  # wavelength x F-number
    waist_radius = waist_fwhm / math.sqrt(2 * math.log(2))
    opening = 1.54 / 3.0 / (math.pi * waist_radius) * math.sqrt(2 * math.log(2))  # FWHM per mm of depth
    depth = torch.tensor([600.0, 900.0], dtype=torch.float64)
    fwhm_mm = lateral_sigma_mm(probe, depth) * 2 * math.sqrt(2 * math.log(2))
    received = 1.54 / 3.0 * depth  # F-number = depth / aperture
    sent = 1 / (fwhm_mm.square().reciprocal() - received.square().reciprocal()).sqrt()
    np.testing.assert_allclose(sent, opening * depth, rtol=0.02)


def oblique(spacing, shape):
    from Testing.Library.scenes import oblique_affine

    return oblique_affine((spacing,) * 3, shape=shape)


def fwhm(power, step_mm):
    """Full width at half maximum of an amplitude profile from its second moment (Gaussian)."""
    # The blur acts on power here, so the width of the power profile is that of a Gaussian of sigma / sqrt(2).
    weight = power.double() / power.sum()
    position = torch.arange(len(power)) * step_mm
    variance = float((weight * position.square()).sum() - (weight * position).sum() ** 2)
    return math.sqrt(2 * variance) * 2.355


@pytest.mark.parametrize("planes", [1, 5])
@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_speckle_is_fully_developed_and_keeps_the_mean_brightness(probe, planes):
    settings = RenderSettings(attenuation=False, elevation_planes=planes, **BRAIN_ONLY)
    shape = (161, 21, 121)
    renderer = Renderer(uniform_maps(shape, oblique(1.0, shape)), probe, settings, "cpu")
    poses = torch.stack([look_at((x, y, 50), (x, y, 0)) for x in (-15, 0, 15) for y in (-6, -3, 0, 3, 6)])
    power = renderer.scan_lines(poses).power[:, 20:-20]  # away from the fading edges
    for first in (60, 180, 300):
        part = power[..., first : first + 80]
        envelope = part.sqrt()
        assert float(envelope.mean() / envelope.std()) == pytest.approx(1.91, abs=0.08)
        assert 10 * math.log10(float(part.mean())) == pytest.approx(0.0, abs=0.7)


def correlation(first, second):
    return float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])


def test_speckle_stays_in_the_tissue_when_the_probe_moves():
    renderer = Renderer(uniform_maps(), LINEAR, RenderSettings(**BRAIN_ONLY), "cpu")
    step_px = 40
    moved = move(POSE, pan=step_px * renderer.grid.spacing_mm)
    before, after = (renderer(pose).image[0][60:400, 130:380] for pose in (POSE, moved))
    assert correlation(before[:, step_px:], after[:, :-step_px]) > 0.9
    assert abs(correlation(before, after)) < 0.15


def test_seeds_make_other_tissue_and_the_same_seed_the_same():
    images = [
        Renderer(uniform_maps(), LINEAR, RenderSettings(seed=seed, **BRAIN_ONLY), "cpu")(POSE).image[0][
            60:400, 130:380
        ]
        for seed in (0, 1, 0)
    ]
    assert abs(correlation(images[0], images[1])) < 0.1
    assert torch.equal(images[0], images[2])


@pytest.mark.parametrize("sheet", [slice(43, 44), slice(37, 38)], ids=["one side", "other side"])
def test_a_thick_beam_averages_across_the_image_plane(sheet):
    # A bright sheet 2 mm off the plane is outside a thin beam and inside a thick one.
    maps = brain_with((slice(None), sheet, slice(None)), (1.6, 0.6, 30.0))
    wide = Probe("wide", "linear", 70.0, 5.0, width_mm=50.0, elevation_aperture_mm=3.0)
    settings = [RenderSettings(speckle=False, elevation_planes=planes, **BRAIN_ONLY) for planes in (1, 7)]
    thin, thick = (
        float(Renderer(maps, wide, one, "cpu").scan_lines(POSE).power[0, 96, 150:200].mean()) for one in settings
    )
    assert thick > 3 * thin


def test_the_papers_speckle_has_the_papers_strength():
    lines = torch.ones(20000, 40, dtype=torch.float64)
    noisy = paper_speckle(lines, seed=1)
    u = np.linspace(0, 1, 40)
    per_ray = (noisy / noisy.mean(dim=0)).std(dim=0).numpy()
    np.testing.assert_allclose(per_ray, 0.15 * (1 + u**1.5), rtol=0.05)
    common = noisy.mean(dim=0).numpy() - 1  # what all rays share
    assert 0.4 < common.std() / np.sqrt(np.mean((0.01 * (1 + u**2)) ** 2)) < 1.7
    assert float(paper_speckle(lines * 1e-3, 2).min()) >= 0.0


def test_the_papers_blur_grows_to_four_rays():
    lines = torch.zeros(101, 11, dtype=torch.float64)
    lines[50] = 1.0
    blurred = paper_blur(lines)
    ray = torch.arange(101, dtype=torch.float64) - 50
    sigma = (blurred * ray.square()[:, None]).sum(dim=0).sqrt().numpy()
    resolved = slice(2, None)  # a Gaussian narrower than a ray cannot be seen in samples
    np.testing.assert_allclose(sigma[resolved], 4 * np.linspace(0, 1, 11)[resolved], atol=0.08)
    np.testing.assert_allclose(blurred.sum(dim=0), 1.0)


@pytest.mark.parametrize(("settings", "least"), [({"elevation_planes": 3}, 6), ({"propagation": "reverberation"}, 42)])
def test_an_image_can_be_ended_between_its_parts(settings, least):
    """Three planes, each for tissue and for scatterers; or 40 steps in time, and one plane."""
    maps = uniform_maps()
    renderer = Renderer(maps, LINEAR, RenderSettings(samples=40, width_px=32, height_px=32, **settings))
    pauses = []
    image = renderer.with_pause(lambda: pauses.append(1))(POSE).image
    assert torch.equal(image, renderer(POSE).image)
    assert len(pauses) == least

    def stop():
        if len(pauses) == least + 3:
            raise KeyError
        pauses.append(1)

    with pytest.raises(KeyError):
        renderer.with_pause(stop)(POSE)
