"""Every real volume renders, and its anatomy is seen as ultrasound shows it."""

import pytest
import torch

from DiffUSLib.acoustics import acoustic_maps
from DiffUSLib.geometry.pose import look_at
from DiffUSLib.io import read_volume
from DiffUSLib.probes.placement import default_pose
from DiffUSLib.probes.probe import load_probe
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import look

VOLUMES = {
    "hanke_T1w_1mm_u8.nii.gz": ("t1", "craniotomy_curvilinear"),
    "du7294_t1c.nii.gz": ("t1c", "craniotomy_curvilinear"),
    "du7294_t2.nii.gz": ("t2", "burr_hole_sector"),
    "mni_icbm152_t1.nii.gz": ("t1", "endocavity"),
    "ts_example_ct.nii.gz": ("ct", "abdominal_curvilinear"),
    "ts_example_ct_sm.nii.gz": ("ct", "cardiac_phased"),
    "ts_example_seg.nii.gz": ("labels", "abdominal_curvilinear"),
    "spl_abd_seg.nrrd": ("labels", "abdominal_curvilinear"),
    "synthseg_training_seg_01.nii.gz": ("labels", "linear_high_frequency"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", VOLUMES)
@pytest.mark.parametrize("look_name", ["clinical", "paper"])
def test_every_real_volume_renders(shared_data, name, look_name):
    modality, probe = VOLUMES[name]
    maps = acoustic_maps(read_volume(shared_data / name))
    assert maps.modality == modality
    assert float(maps.impedance.min()) > 0
    renderer = Renderer(maps, load_probe(probe), look(look_name, samples=200), "cpu")
    pose = default_pose(maps).requires_grad_()
    rendered = renderer(pose)
    inside = rendered.image[0][rendered.mask]
    assert bool(torch.isfinite(inside).all())
    # Neither black nor saturated, and with structure. The paper's look shows interfaces alone.
    assert (0.05 if look_name == "clinical" else 0.0) < inside.mean().item() < 0.6
    assert inside.std().item() > 0.03
    rendered.image.mean().backward()
    assert bool(torch.isfinite(pose.grad).all())
    assert float(pose.grad[:3].abs().max()) > 0


@pytest.mark.slow
def test_ventricles_are_black_and_brain_is_not(shared_data):
    maps = acoustic_maps(read_volume(shared_data / "mni_icbm152_t1.nii.gz"))
    pose = look_at((48, -5, 62), (0, -10, 5))
    renderer = Renderer(maps, load_probe("craniotomy_curvilinear"), look("clinical"), "cpu")
    image, to_ras = renderer(pose).image[0], pose @ renderer.grid.image_to_transducer()

    def gray(*ras):
        """Mean gray about the pixel nearest to a position less than 2 mm off the image plane."""
        column, row, off_plane = (torch.linalg.inv(to_ras) @ torch.tensor([*ras, 1.0], dtype=torch.float64))[
            :3
        ].tolist()
        assert abs(off_plane) < 2.0
        return image[round(row) - 4 : round(row) + 4, round(column) - 4 : round(column) + 4].mean().item()

    # In MNI space: the right lateral ventricle, and the white matter above it.
    assert gray(10.5, -8.4, 22.5) < 0.5 * gray(28.0, -8.0, 38.0)
