"""The examples of README and guides run as they stand, and the files that they name exist."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from DiffUSLib.io.frames import set_image_ijk_to_ras
from DiffUSLib.samples.phantom import head_phantom

REPOSITORY = Path(__file__).resolve().parents[2]
GUIDES = ["README.md", "CONTRIBUTING.md", *(str(p.relative_to(REPOSITORY)) for p in REPOSITORY.glob("docs/**/*.md"))]


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """A folder with head.nii.gz."""
    import SimpleITK as sitk

    folder = tmp_path_factory.mktemp("readme")
    phantom = head_phantom()
    image = sitk.GetImageFromArray(phantom.t1.voxels.numpy())
    set_image_ijk_to_ras(image, phantom.t1.ijk_to_ras.numpy(), "the phantom")
    sitk.WriteImage(image, str(folder / "head.nii.gz"))
    return folder


def example(word):
    """The Python example of the README that holds a word."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (found,) = [code for code in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL) if word in code]
    return found


@pytest.mark.slow
def test_the_python_example_runs_and_gives_a_pose_gradient(head, monkeypatch):
    monkeypatch.chdir(head)
    names = {}
    exec(example("Renderer"), names)
    assert names["rendered"].image.shape == (1, 512, 512)
    assert bool(torch.isfinite(names["motion"].grad).all())
    assert float(names["motion"].grad.abs().max()) > 0


@pytest.mark.slow
def test_the_client_of_the_readme_gets_images_from_diffus_serve(head):
    pytest.importorskip("pyigtl")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "DiffUSLib.cli", "serve", str(head / "head.nii.gz"), "--port", str(port)]
    options = {"cwd": REPOSITORY, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, **options) as server:
        try:
            told = []
            for line in server.stdout:
                told.append(line)
                if line.startswith("Serving at port"):
                    break
            assert server.poll() is None, "".join(told)
            names = {}
            exec(example("pyigtl").replace("18944", str(port)), names)
            assert names["message"].image.shape == (1, 512, 512) and names["message"].image.max() > 50
        finally:
            server.terminate()


def test_the_net_of_the_readme_learns_from_a_data_set(head, monkeypatch):
    """Two epochs on frames of the phantom: it tells label 1 better than a coin."""
    pytest.importorskip("webdataset")
    pytest.importorskip("pydantic")
    import SimpleITK as sitk

    from DiffUSLib.datasets import shards
    from DiffUSLib.datasets.recipe import read_recipe

    monkeypatch.chdir(head)
    labels = head_phantom().labels
    image = sitk.GetImageFromArray(labels.voxels.numpy().astype("uint8"))
    set_image_ijk_to_ras(image, labels.ijk_to_ras.numpy(), "the labels")
    sitk.WriteImage(image, "labels.nrrd")
    Path("recipe.yaml").write_text(
        "frames: 64\nframes_per_shard: 32\nstore: [bmode, labels]\nimage: {width_px: 64, height_px: 64, samples: 64}\n"
        "patients: [{volume: labels.nrrd, modality: labels, labels: labels.nrrd}]\n"
    )
    recipe, folder = read_recipe("recipe.yaml"), Path("frames")
    shards.begin(recipe, folder)
    for shard in range(recipe.shards):
        shards.make_shard(recipe.model_dump_json(), str(folder), shard)
    torch.manual_seed(0)
    names = {}
    exec(example("webdataset").replace("000009", "000001"), names)
    assert names["epoch"] == 1 and names["image"].shape == (8, 64, 64)
    assert float(names["loss"].detach()) < 0.9 * float(torch.log(torch.tensor(2.0)))


@pytest.mark.parametrize("guide", GUIDES)
def test_files_and_folders_that_a_guide_names_exist(guide):
    path = REPOSITORY / guide
    linked = re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8"))
    assert linked or guide != "README.md"
    for name in linked:
        assert (path.parent / name).exists(), name
