"""Looks: what they do to images, as files, and fitted to frames whose look is known."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from DiffUSLib.acoustics import Anchor
from DiffUSLib.acoustics.tissue_axis import TissueAxis, mri_axis
from DiffUSLib.acoustics.tissue_curves import TissueCurves, with_curves
from DiffUSLib.appearance import Appearance, appearance_names, fit_appearance, fitted, load_appearance, save_appearance
from DiffUSLib.appearance.expected import expected_gray
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import look_at
from DiffUSLib.probes.probe import Probe
from DiffUSLib.rendering.receiver import Receiver
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import RenderSettings, look
from DiffUSLib.ultrasound.observation import UltrasoundSlices
from Testing.Library.scenes import PROBES, blobs, uniform_maps

POSE = look_at((0, 0, 40), (0, 0, 0))
QUIET = {"speckle": False, "near_field": False, "point_spread": False, "attenuation": False, "clutter": False}
CURVES = TissueCurves((0.0, 1.0, 2.0), (-20.0, 10.0, 0.0), (1.52, 1.59, 1.6))
PROBE = Probe("small", "curvilinear", 50.0, 5.0, field_of_view_deg=60.0, radius_mm=20.0, lines=128)


def level_db(receiver, lines=slice(None), samples=slice(None)):
    settings = RenderSettings(receiver=receiver, **QUIET)
    power = Renderer(uniform_maps(), PROBES["linear"], settings, "cpu").scan_lines(POSE).power[0]
    return 10 * np.log10(power[lines, samples].numpy())


def test_gain_curves_brighten_by_their_decibels():
    plain = level_db(Receiver(), 96)
    deep = level_db(Receiver(depth_gain_db=(0.0, 10.0, -5.0), depth_gain_reach_mm=70.0), 96)
    depth = (np.arange(400) + 0.5) * 70 / 400
    np.testing.assert_allclose(deep - plain, np.interp(depth, [0, 35, 70], [0, 10, -5]), atol=1e-3)
    sides = level_db(Receiver(line_gain_db=(-20.0, 0.0, -10.0)), slice(None), 200)
    np.testing.assert_allclose(
        sides - level_db(Receiver(), slice(None), 200), np.interp(np.linspace(0, 1, 192), [0, 0.5, 1], [-20, 0, -10]),
        atol=1e-3,
    )  # fmt: skip


def test_clutter_fills_a_shadow_to_its_level():
    maps = uniform_maps()
    maps.echogenicity[:, :, :40] = 0.0  # one half is anechoic
    settings = RenderSettings(receiver=Receiver(clutter_db=-20.0), **{**QUIET, "clutter": True})
    power = Renderer(maps, PROBES["linear"], settings, "cpu").scan_lines(POSE).power[0, :, 200]
    dark, bright = float(power[10]), float(power[180])
    assert 10 * np.log10(dark / bright) == pytest.approx(-23.0, abs=0.5)  # 20 dB below the mean of both halves


@pytest.mark.parametrize("looks", [1.0, 1.5, 2.0, 3.0])
def test_looks_average_speckle(looks):
    settings = RenderSettings(
        attenuation=False, near_field=False, interface_scatter_mm=0.0, specular_mm=0.0, receiver=Receiver(looks=looks)
    )
    poses = torch.stack([look_at((x, y, 40), (x, y, 0)) for x in (-10, 0, 10) for y in (-6, 0, 6)])
    power = Renderer(uniform_maps(), PROBES["linear"], settings, "cpu").scan_lines(poses).power[:, 20:-20, 60:300]
    assert float(power.mean().square() / power.var()) == pytest.approx(looks, rel=0.15)  # exponential: 1


def test_the_time_gain_makes_up_for_tissue_and_not_for_gel_in_front_of_it():
    maps = uniform_maps()
    maps.attenuation[55:], maps.echogenicity[55:] = 0.002, 0.0  # 2.5 cm of gel
    power = Renderer(maps, PROBES["linear"], RenderSettings(**{**QUIET, "attenuation": True}), "cpu")
    level = 10 * np.log10(power.scan_lines(POSE).power[0, 96].numpy())
    np.testing.assert_allclose(level[170:370], 0.0, atol=0.3)  # 30 mm and deeper


def test_expected_gray_is_the_mean_of_speckle():
    generator = torch.Generator().manual_seed(0)
    for level in (-30.0, -12.0, 0.0, 20.0, 50.0):
        power = 10 ** (level / 10) * torch.empty(200_000).exponential_(generator=generator)
        shown = (10 * torch.log10(power) / 60 + 0.25).clamp(0, 1)
        mean = expected_gray(torch.tensor(10 ** (level / 10)), 60.0)
        assert float(mean) == pytest.approx(float(shown.mean()), abs=0.012)


def test_curves_replace_tissues_where_the_axis_knows_them():
    _, maps = blobs(12)
    places = torch.linspace(-1, 3, 12**3).reshape(12, 12, 12)
    places[0] = float("nan")
    changed = with_curves(replace(maps, axis=TissueAxis("mri", places)), {"mri": CURVES})
    amplitudes = [10 ** (db / 20) for db in CURVES.echogenicity_db]
    expected = np.interp(places[1:], CURVES.positions, amplitudes)
    np.testing.assert_allclose(changed.echogenicity[1:], expected, rtol=1e-4)
    assert torch.equal(changed.echogenicity[0], maps.echogenicity[0])
    assert torch.equal(changed.attenuation, maps.attenuation)
    names = ("liver", "fat", "blood")
    labels = replace(maps, axis=TissueAxis("labels", torch.arange(12**3).reshape(12, 12, 12) % 3.0, names))
    changed = with_curves(labels, {"labels": TissueCurves(("blood", "kidney"), (-6.0, 0.0))})
    blood = labels.axis.positions == 2
    np.testing.assert_allclose(changed.echogenicity[blood], 10 ** (-6 / 20), rtol=1e-5)
    assert torch.equal(changed.echogenicity[~blood], maps.echogenicity[~blood])


def test_the_axis_of_t1_and_t2_runs_from_fluid_to_white_matter():
    voxels = torch.tensor([[[20.0, 60.0, 80.0, 140.0]]])
    names = ("cerebrospinal fluid", "gray matter", "white matter")
    everywhere = torch.ones_like(voxels, dtype=torch.bool)
    t1 = mri_axis(voxels, tuple(map(Anchor, names, (20, 60, 80), (3, 3, 3))), everywhere)
    np.testing.assert_allclose(t1.positions, [[[0, 1, 2, 3]]])
    t2 = mri_axis(voxels, tuple(map(Anchor, names, (140, 80, 60), (3, 3, 3))), everywhere)
    np.testing.assert_allclose(t2.positions, [[[2, 2, 1, 0]]])
    assert mri_axis(voxels, (Anchor("gray matter", 60, 3), Anchor("white matter", 80, 3)), everywhere) is None


def test_gradients_reach_every_part():
    _, maps = blobs(24)
    maps = replace(maps, axis=TissueAxis("mri", maps.echogenicity * 2))
    values = {
        "echogenicity": torch.tensor([-20.0, 10.0, 0.0], dtype=torch.float64),
        "impedance": torch.tensor([1.52, 1.59, 1.6], dtype=torch.float64),
        "interface": torch.tensor(200.0, dtype=torch.float64),
        "specular": torch.tensor(50.0, dtype=torch.float64),
        "range": torch.tensor(60.0, dtype=torch.float64),
        "gain": torch.tensor(-3.0, dtype=torch.float64),
        "depth": torch.tensor([0.0, 4.0, -2.0], dtype=torch.float64),
        "lines": torch.tensor([-4.0, 0.0, -5.0], dtype=torch.float64),
        "gamma": torch.tensor(1.2, dtype=torch.float64),
        "clutter": torch.tensor(-15.0, dtype=torch.float64),
        "axial": torch.tensor(1.1, dtype=torch.float64),
        "lateral": torch.tensor(1.3, dtype=torch.float64),
        "growth": torch.tensor(0.1, dtype=torch.float64),
        "smoothing": torch.tensor(0.5, dtype=torch.float64),
        "ring": torch.tensor(3.0, dtype=torch.float64),
    }  # fmt: skip
    pixels = torch.rand(40, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def shown(values):
        receiver = Receiver(
            values["gain"], values["depth"], 20.0, values["lines"], values["gamma"], values["axial"],
            values["lateral"], values["growth"], values["smoothing"], 1.5, values["clutter"], values["ring"],
        )  # fmt: skip
        curves = {"mri": TissueCurves((0.0, 1.0, 2.0), values["echogenicity"], values["impedance"])}
        appearance = Appearance("x", curves, values["interface"], values["specular"], values["range"], receiver)
        settings = appearance.settings(RenderSettings(samples=50, width_px=8, height_px=8))
        probe = Probe("tiny", "linear", 20.0, 3.0, width_mm=14.0, lines=40)
        lines = Renderer(maps, probe, settings, "cpu", torch.float64).scan_lines(look_at((0, 0, 10), (0, 0, 0)))
        return (lines.gray[0] * pixels).sum()

    for value in values.values():
        value.requires_grad_(True)
    shown(values).backward()
    for name, value in values.items():
        step = 1e-4 * (1 + float(value.detach().abs().max()))
        along = torch.ones_like(value.detach())
        with torch.no_grad():
            difference = shown({**values, name: value + step * along}) - shown({**values, name: value - step * along})
        assert float(value.grad.sum()) == pytest.approx(float(difference) / (2 * step), rel=0.02, abs=1e-6), name


def test_looks_survive_files(tmp_path):
    receiver = Receiver(gain_db=-3.0, depth_gain_db=(0.0, 1.0), line_gain_db=(-5.0, 0.0, -5.0), looks=2.0)
    written = Appearance("mine", {"mri": CURVES}, 120.0, 30.0, 70.0, receiver, "a phantom")
    save_appearance(written, tmp_path / "look.json")
    assert load_appearance(tmp_path / "look.json") == written
    for name in appearance_names():
        shipped = load_appearance(name)
        assert Appearance.from_json(shipped.to_json()) == replace(shipped)
    assert load_appearance("clinical").settings() == look("clinical")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content.update(version=7), "version 7"),
        (lambda content: content.update(format="other"), "no look"),
        (lambda content: content.update(dynamic_range_db=5000), "dynamic_range_db is 5000"),
        (lambda content: content["receiver"].update(gamma=-1), "gamma is -1"),
        (lambda content: content["receiver"].update(line_gain_db=[900, 0]), "line_gain_db"),
        (lambda content: content["receiver"].update(warp=1), "unknown fields warp"),
        (lambda content: content["curves"].update(pet={"positions": [0, 1]}), "'pet'"),
        (lambda content: content["curves"]["mri"].update(echogenicity_db=[1.0]), "1 values for 3 positions"),
        (lambda content: content["curves"]["mri"].update(positions=[0, 2, 1]), "increasing"),
        (lambda content: content.update(curves=[1]), "curves"),
        (lambda content: content.pop("name"), "missing"),
    ],
)
def test_a_bad_look_file_is_refused_in_a_sentence(tmp_path, change, said):
    content = json.loads(Appearance("mine", {"mri": CURVES}).to_json())
    change(content)
    (tmp_path / "bad.json").write_text(json.dumps(content))
    with pytest.raises(DiffUSError, match=said):
        load_appearance(tmp_path / "bad.json")


def test_what_is_no_look_is_refused(tmp_path):
    (tmp_path / "text.json").write_text("{")
    for name, said in (
        ("nothing", "unknown"),
        (tmp_path / "none.json", "does not exist"),
        (tmp_path / "text.json", "JSON"),
    ):
        with pytest.raises(DiffUSError, match=said):
            load_appearance(name)


def frames_of(seed, settings):
    """Frames of made-up tissue as a scanner with these settings shows it, and the maps of that tissue."""
    _, maps = blobs(64, seed)
    maps = replace(maps, axis=TissueAxis("mri", (maps.impedance - 1.5) * 12))
    poses = torch.stack([look_at((0, y, 30), (0, y, 0)) for y in (-4.0, 4.0)])
    renderer = Renderer(maps, PROBE, replace(settings, width_px=200, height_px=200), "cpu")
    rendered = renderer(poses)
    images = (rendered.image * 255).round().numpy()
    to_transducer = renderer.grid.image_to_transducer().numpy()
    return UltrasoundSlices(images, rendered.mask.numpy(), to_transducer, poses, PROBE), maps


@pytest.fixture(scope="module")
def matched():
    """A look whose tissues are inverted and whose sides are dark, and what a fit to its frames makes of it."""
    truth = Appearance(
        "truth",
        {"mri": TissueCurves((0.0, 1.0, 2.0), (12.0, -2.0, -12.0), (1.55, 1.56, 1.6))},
        60.0, 20.0, 55.0, Receiver(gain_db=4.0, line_gain_db=(-15.0, 0.0, 0.0), depth_gain_db=(0.0, 6.0)),
    )  # fmt: skip
    slices, maps = frames_of(0, truth.settings())
    return truth, slices, maps, fitted(fit_appearance(slices.subset([0]), maps))


def test_a_fit_finds_the_look_of_a_frame_and_it_holds_on_another(matched):
    truth, slices, maps, result = matched
    assert result.likeness > 0.9 > result.likeness_before + 0.2
    assert result.explains
    quiet = RenderSettings(speckle=False, width_px=200, height_px=200)
    pose = slices.transducer_to_ras[1]
    shown, wanted = (Renderer(maps, PROBE, one.settings(quiet), "cpu")(pose) for one in (result.appearance, truth))
    inside = shown.mask
    assert float(torch.corrcoef(torch.stack([shown.image[0][inside], wanted.image[0][inside]]))[0, 1]) > 0.9


def test_a_fit_says_that_another_anatomy_does_not_explain_the_frame(matched):
    _, slices, _, _ = matched
    _, other = frames_of(7, look("clinical"))
    result = fitted(fit_appearance(slices.subset([0]), other))
    assert not result.explains
    with pytest.raises(DiffUSError, match="does not explain"):
        result.check()


def test_a_fit_refuses_a_volume_elsewhere_and_one_without_tissues(matched):
    _, slices, maps, _ = matched
    moved = maps.ijk_to_ras.clone()
    moved[:3, 3] += 500
    with pytest.raises(DiffUSError, match="of the ultrasound fan lies in the volume"):
        next(fit_appearance(slices, maps.at(moved)))
    with pytest.raises(DiffUSError, match="cannot be told apart"):
        next(fit_appearance(slices, replace(maps, axis=None)))


def test_a_look_does_not_wait_for_what_fits_looks():
    """The module takes looks on its main thread; SciPy's statistics take a second or more to import."""
    code = (
        "import sys, DiffUSLib; DiffUSLib.load_appearance('clinical');"
        "print([name for name in ('scipy.stats', 'scipy.signal', 'scipy.optimize') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"
