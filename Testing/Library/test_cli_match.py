"""`diffus match`, `diffus compare` and `--look` on made-up frames."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from DiffUSLib.appearance import load_appearance, save_appearance
from DiffUSLib.cli import main
from DiffUSLib.geometry.pose import look_at
from DiffUSLib.probes.probe import Probe
from DiffUSLib.rendering.receiver import Receiver
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import look
from Testing.Library.scenes import uniform_maps

PROBE = Probe("small", "curvilinear", 60.0, 5.0, field_of_view_deg=60.0, radius_mm=20.0)


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A frame of even tissue with a darker left side, and the size of its pixels in mm."""
    receiver = Receiver(gain_db=14.0, line_gain_db=(-12.0, 0.0, 0.0), smoothing_mm=0.4)
    settings = replace(look("clinical", width_px=300, height_px=300, near_field=False), receiver=receiver)
    renderer = Renderer(uniform_maps(), PROBE, settings, "cpu")
    image = renderer(look_at((0, 0, 38), (0, 0, 0))).image[0].numpy()
    path = tmp_path_factory.mktemp("frames") / "frame.png"
    Image.fromarray(np.pad((image * 255).astype(np.uint8), 6)).save(path)
    return path, renderer.grid.spacing_mm


def test_a_look_is_matched_to_a_frame_alone(picture, tmp_path):
    path, spacing = picture
    output = tmp_path / "look.json"
    assert main(["match", str(path), "--spacing", f"{spacing:.4f}", "-o", str(output)]) == 0
    lines = load_appearance(output).receiver.line_gain_db
    assert lines[0] < lines[len(lines) // 2] - 5 and abs(lines[-2] - lines[len(lines) // 2]) < 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda pixels: np.full_like(pixels, 7), "constant"),
        (lambda pixels: np.stack([pixels, pixels // 2, 255 - pixels], -1), "have a color"),
        (lambda pixels: np.random.default_rng(0).integers(0, 255, pixels.shape, np.uint8), "no fan was found"),
    ],
    ids=["constant", "doppler", "no fan"],
)
def test_frames_that_show_nothing_are_refused(picture, tmp_path, capsys, change, said):
    path, spacing = picture
    bad = tmp_path / "bad.png"
    Image.fromarray(change(np.asarray(Image.open(path)))).save(bad)
    assert main(["match", str(bad), "--spacing", f"{spacing:.4f}", "-o", str(tmp_path / "look.json")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "look.json").exists()


def test_pictures_need_the_size_of_their_pixels(picture, tmp_path, capsys):
    assert main(["match", str(picture[0]), "-o", str(tmp_path / "look.json")]) == 2
    assert "--spacing" in capsys.readouterr().err


def test_compare_tells_the_rows_of_table_one(picture, tmp_path, capsys):
    path, spacing = picture
    slice_ = torch.rand(312, 312, generator=torch.Generator().manual_seed(0)).numpy()
    slice_ = 60 + 20 * (np.indices(slice_.shape).sum(0) // 40 % 3) + 4 * slice_
    disc = np.hypot(*(np.indices(slice_.shape) - 156)) < 150
    Image.fromarray((slice_ * disc).astype(np.uint8)).save(tmp_path / "mri.png")
    table = tmp_path / "table.csv"
    arguments = ["compare", str(tmp_path / "mri.png"), str(path), "--spacing", f"{spacing:.4f}", "--modality", "t1"]
    code = main([*arguments, "--look", "craniotomy", "--table", str(table), "-o", str(tmp_path / "picture.png")])
    assert code == 0, capsys.readouterr().err
    rows = table.read_text().splitlines()
    assert rows[0] == "row,ncc,ssim,mse,mae"
    names = [row.split(",")[0] for row in rows[1:]]
    assert {"T1", "gradient magnitude", "+ impedance", "default look", "craniotomy"} <= set(names)
    assert (tmp_path / "picture.png").is_file()


def test_an_unknown_look_is_refused(tmp_path, capsys):
    assert main(["render", "none.nrrd", "-o", str(tmp_path / "a.png"), "--look", "nothing"]) == 2
    assert "the look 'nothing' is unknown" in capsys.readouterr().err
    save_appearance(load_appearance("craniotomy"), tmp_path / "mine.json")
    assert main(["render", "none.nrrd", "-o", str(tmp_path / "a.png"), "--look", str(tmp_path / "mine.json")]) == 2
    assert "none.nrrd" in capsys.readouterr().err  # the look was read, the volume is missing
