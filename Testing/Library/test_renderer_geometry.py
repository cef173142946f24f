"""What lies where in the image, for every kind of probe and any grid."""

import numpy as np
import pytest
import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import look_at, move
from DiffUSLib.io import read_volume, write_image
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.scan_conversion import ImageGrid
from DiffUSLib.rendering.settings import RenderSettings
from Testing.Library.scenes import PROBES, oblique_affine, sphere_maps, uniform_maps

PLAIN = {
    "speckle": False, "attenuation": False, "tgc_db_cm_mhz": 0.0, "near_field": False, "interface_scatter_mm": 0.0,
    "specular_mm": 0.0, "samples": 300,
}  # fmt: skip
GRIDS = {
    "straight": ((1.0, 1.0, 1.0), (0, 0, 0), (81, 81, 81)),
    "oblique": ((1.0, 1.0, 1.0), (20, -35, 50), (91, 91, 91)),
    "oblique and anisotropic": ((0.7, 1.0, 1.4), (-15, 40, 100), (131, 91, 67)),
}
CENTER = np.array([30.0, -20.0, 45.0])


def pixel_of(point_ras, pose, grid):
    """(column, row) of a RAS position in the image."""
    return (torch.linalg.inv(pose @ grid.image_to_transducer()).numpy() @ [*point_ras, 1.0])[:2]


def bright_centroid(image):
    """(column, row) of the middle of what is clearly brighter than the brain around it."""
    excess = (image - 0.45).clamp(min=0).double()
    rows, columns = torch.meshgrid(*(torch.arange(n) for n in image.shape), indexing="ij")
    return np.array([float((excess * axis).sum() / excess.sum()) for axis in (columns, rows)])


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("aside_mm", [0.0, 8.0])
def test_a_sphere_appears_at_its_pixel(probe, grid, aside_mm):
    spacing, angles, shape = grid
    affine = oblique_affine(spacing, angles, CENTER, shape)
    entry = CENTER + np.array([5.0, -8.0, 36.0])
    pose = look_at(entry, CENTER, roll_deg=25)
    sphere = (pose.numpy() @ [aside_mm, 32.0, 0.0, 1.0])[:3]
    maps = sphere_maps(sphere, 4.0, affine, shape, inside_echogenicity=20.0)
    renderer = Renderer(maps, probe, RenderSettings(**PLAIN), "cpu")
    found = bright_centroid(renderer(pose).image[0])
    assert np.abs(found - pixel_of(sphere, pose, renderer.grid)).max() < 0.5


def test_the_marked_side_is_at_the_right_and_the_probe_at_the_top():
    affine = oblique_affine(center_ras=CENTER)
    pose = look_at(CENTER + np.array([0, 0, 36]), CENTER)
    right_of_patient = CENTER + np.array([12.0, 0.0, 10.0])  # nearer to the probe than the middle of the volume
    renderer = Renderer(
        sphere_maps(right_of_patient, 3.0, affine, (81, 81, 81), 20.0),
        PROBES["linear"],
        RenderSettings(**PLAIN),
        "cpu",
    )
    column, row = bright_centroid(renderer(pose).image[0])
    assert column > 300
    assert row < 256


def test_moving_the_transducer_moves_the_image_the_other_way():
    affine = oblique_affine(center_ras=CENTER)
    pose = look_at(CENTER + np.array([0, 0, 36]), CENTER)
    renderer = Renderer(
        sphere_maps(CENTER, 3.0, affine, (81, 81, 81), 20.0), PROBES["linear"], RenderSettings(**PLAIN), "cpu"
    )
    before, after = (bright_centroid(renderer(p).image[0]) for p in (pose, move(pose, pan=5.0, push=3.0)))
    np.testing.assert_allclose((after - before) * renderer.grid.spacing_mm, (-5.0, -3.0), atol=0.1)


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".mha"])
def test_a_written_image_lands_on_the_volume(tmp_path, ending):
    affine = oblique_affine((1, 1, 1), (20, -35, 50), CENTER, (91, 91, 91))
    pose = look_at(CENTER + np.array([5.0, -8.0, 36.0]), CENTER, 25)
    sphere = (pose.numpy() @ [6.0, 32.0, 0.0, 1.0])[:3]
    maps = sphere_maps(sphere, 4.0, affine, (91, 91, 91), 20.0)
    renderer = Renderer(maps, PROBES["curvilinear"], RenderSettings(**PLAIN), "cpu")
    path = tmp_path / f"image{ending}"
    write_image(path, renderer(pose).image[0], pose @ renderer.grid.image_to_transducer())
    import SimpleITK as sitk  # another program's view of the file

    image = sitk.ReadImage(str(path))
    column, row = bright_centroid(torch.from_numpy(sitk.GetArrayFromImage(image)[0] / 255.0))
    lps = image.TransformContinuousIndexToPhysicalPoint([column, row, 0.0])
    np.testing.assert_allclose(np.array([-1, -1, 1]) * lps, sphere, atol=0.15)
    assert read_volume(path).voxels.shape == (1, 512, 512)


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_the_mask_is_the_fan_and_outside_it_is_black(probe):
    renderer = Renderer(uniform_maps(), probe, RenderSettings(samples=64, width_px=200, height_px=160), "cpu")
    rendered = renderer(look_at((0, 0, 36), (0, 0, 0)))
    x, y = (axis.expand(160, 200).numpy() for axis in rendered.grid.pixel_centers_mm(dtype=torch.float64))
    if probe.kind == "linear":
        inside = (abs(x) <= 25) & (y >= 0) & (y <= 70)
    else:
        radius = {"curvilinear": 24.0, "sector": 0.0}[probe.kind]
        reach = np.hypot(x, y + radius)
        angle = np.degrees(np.arctan2(x, y + radius))
        inside = (reach >= radius) & (reach <= radius + 70) & (abs(angle) <= probe.field_of_view_deg / 2)
    assert (rendered.mask.numpy() == inside).mean() > 0.999
    assert float(rendered.image[0][~rendered.mask].abs().max()) == 0.0
    assert inside.any(axis=1).sum() >= 150 or inside.any(axis=0).sum() >= 190  # the fan fills the image


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_the_outline_runs_around_the_mask(probe):
    from matplotlib.path import Path

    renderer = Renderer(uniform_maps(), probe, RenderSettings(samples=64, width_px=200, height_px=160), "cpu")
    x, y = (axis.expand(160, 200).flatten() for axis in renderer.grid.pixel_centers_mm())
    inside = Path(probe.outline_mm(256)[:, :2].numpy()).contains_points(torch.stack([x, y], dim=1).numpy())
    mask = renderer(look_at((0, 0, 36), (0, 0, 0))).mask.flatten().numpy()
    assert (inside == mask).mean() > 0.99


def test_coverage_tells_when_the_probe_looks_away():
    renderer = Renderer(uniform_maps(), PROBES["curvilinear"], RenderSettings(samples=64), "cpu")
    inward, away = look_at((0, 0, 36), (0, 0, 0)), look_at((0, 0, 60), (0, 0, 99))
    coverage = renderer.coverage(torch.stack([inward, away]))
    assert float(coverage[0]) > 0.9
    assert float(coverage[1]) == 0.0
    depth_mm = renderer.grid.pixel_centers_mm()[1].flatten()
    below_the_face = renderer(away).image[0][depth_mm > 6]
    assert float(below_the_face.max()) < 0.05  # nothing but the ring-down at the face


def test_images_too_small_and_poses_of_another_shape_are_refused():
    with pytest.raises(DiffUSError, match="too small"):
        ImageGrid.around(PROBES["linear"], 3, 200)
    with pytest.raises(DiffUSError, match="4 x 4"):
        Renderer(uniform_maps(), PROBES["linear"], device="cpu")(torch.eye(3))


def test_a_changed_renderer_renders_as_a_new_one():
    """Another place, voxels, probe or look: whatever is shared, the image is that of a renderer made for it."""
    affine = oblique_affine(center_ras=CENTER)
    pose = look_at(CENTER + np.array([3.0, 0, 36]), CENTER)
    maps = sphere_maps(CENTER, 9.0, affine, (81, 81, 81), 3.0)
    other = sphere_maps(CENTER, 5.0, affine, (81, 81, 81), 0.1, sphere_values=(1.5, 0.3))
    moved = affine.clone()
    moved[:3, 3] += torch.tensor([4.0, -6.0, 3.0])
    before = Renderer(maps, PROBES["sector"], RenderSettings(samples=64), "cpu")
    shown = before(pose).image
    changes = (
        {"maps": maps.at(moved)},
        {"maps": other},
        {"maps": other.at(moved), "probe": PROBES["linear"]},
        {"settings": RenderSettings(samples=96, gain_db=6.0, width_px=300)},
    )
    for change in changes:
        wanted = {"maps": before.maps, "probe": before.probe, "settings": before.settings} | change
        changed, new = before.changed_to(**change), Renderer(**wanted, device="cpu")
        torch.testing.assert_close(changed(pose).image, new(pose).image, rtol=0, atol=0)
        torch.testing.assert_close(changed.grid.image_to_transducer(), new.grid.image_to_transducer())
    torch.testing.assert_close(before(pose).image, shown, rtol=0, atol=0)


def test_maps_at_another_place_share_their_voxels():
    maps = uniform_maps()
    moved = maps.at(oblique_affine(center_ras=CENTER))
    assert moved.has_voxels_of(maps) and moved.impedance is maps.impedance
    assert not torch.equal(moved.ijk_to_ras, maps.ijk_to_ras)
    assert not uniform_maps().has_voxels_of(maps)
