"""The README's example runs as it stands, and its files exist."""

import re
from pathlib import Path

import torch

from DiffUSLib.io.frames import set_image_ijk_to_ras
from DiffUSLib.samples.phantom import head_phantom

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs_and_gives_a_pose_gradient(tmp_path, monkeypatch):
    import SimpleITK as sitk

    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    phantom = head_phantom()
    image = sitk.GetImageFromArray(phantom.t1.voxels.numpy())
    set_image_ijk_to_ras(image, phantom.t1.ijk_to_ras.numpy(), "the phantom")
    sitk.WriteImage(image, str(tmp_path / "head.nii.gz"))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(example, names)
    assert names["rendered"].image.shape == (1, 512, 512)
    assert bool(torch.isfinite(names["motion"].grad).all())
    assert float(names["motion"].grad.abs().max()) > 0


def test_files_and_folders_that_the_readme_names_exist():
    linked = re.findall(r"\]\(([^)#:]+)\)", README)
    assert linked
    for name in linked:
        assert (REPOSITORY / name).exists(), name
