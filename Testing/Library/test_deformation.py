"""The deformable step: known displacements, finite differences, and what does not go together."""

import argparse
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy import ndimage

from DiffUSLib.cli import register
from DiffUSLib.cli.register_deformable import checked_landmarks, deformed
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.registration.deformation import Deformation, DeformationSettings
from DiffUSLib.registration.error_map import WarpPosterior, error_map, length_quantiles
from DiffUSLib.registration.landmark_check import check_landmarks
from DiffUSLib.steps import value_of
from Testing.Library.scenes import blobs
from Testing.Library.test_registration import poses, slices_of

RIGID = SimpleNamespace(correction_ras=torch.eye(4, dtype=torch.float64), image_scale=1.0)


def bulge(points, size_mm=3.0):
    """A displacement along (2, 1, 2) / 3 that fades away from a point beside the middle."""
    shape = np.exp(-(((points - [4.0, -3.0, 2.0]) / 22.0) ** 2).sum(-1) / 2)
    return size_mm * shape[..., None] * np.array([2.0, 1.0, 2.0]) / 3


@pytest.fixture(scope="module")
def scene():
    """A volume, and five slices of it after its tissue has moved: the volume is resampled by SciPy first."""
    volume, maps = blobs()
    size = volume.voxels.shape
    k, j, i = np.meshgrid(*[np.arange(n) for n in size], indexing="ij")
    matrix = volume.ijk_to_ras.numpy()
    ras = np.stack([i, j, k], -1) @ matrix[:3, :3].T + matrix[:3, 3]
    index = (ras + bulge(ras) - matrix[:3, 3]) @ np.linalg.inv(matrix[:3, :3]).T
    moved = ndimage.map_coordinates(volume.voxels.numpy(), np.moveaxis(index[..., ::-1], -1, 0), order=3)
    shown = Volume(torch.from_numpy(moved.astype(np.float32)), volume.ijk_to_ras)
    return volume, maps, slices_of(shown, poses(5)), slices_of(volume, poses(5))


@pytest.fixture(scope="module")
def bent(scene):
    run = Deformation(scene[0], scene[2], RIGID, DeformationSettings(device="cpu"), scene[1])
    stages = {progress.stage for progress in run.steps()}
    assert stages == {"halves", "together"}
    return run


def test_a_known_displacement_is_found(bent):
    inside = bent.fit.ends[:, ::6, 12:-12:6].reshape(-1, 3)
    before = np.linalg.norm(bulge(inside), axis=-1).mean()
    after = np.linalg.norm(bent.result.warp.displacement_mm(inside) - bulge(inside), axis=-1).mean()
    assert before > 1.5
    assert after < 0.5 * before
    assert bent.result.is_better and "better" in bent.result.sentence
    assert bent.result.folded_voxels == 0 and bent.result.least_jacobian > 0


def test_where_nothing_moved_less_than_a_millimeter_is_found(scene):
    """The image shows other physics than the renderer: some displacement always explains it better."""
    run = Deformation(scene[0], scene[3], RIGID, DeformationSettings(device="cpu"), scene[1])
    for _ in run.steps():
        pass
    assert run.result.displacement_mm[0] < 1.0


def test_the_gradient_is_that_of_finite_differences(bent):
    numbers = torch.randn(bent.numbers.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.2
    direction = bent.numbers - bent.numbers.mean()
    direction = direction / direction.norm()
    numbers.requires_grad_()
    slope = float((torch.autograd.grad(bent.fit.posterior(numbers), numbers)[0] * direction).sum())
    with torch.no_grad():
        up, down = (float(bent.fit.posterior(numbers + step * direction)) for step in (0.02, -0.02))
    assert slope == pytest.approx((up - down) / 0.04, rel=0.03)


def test_a_cavity_is_left_out(scene):
    """With a mask that covers everything, no image counts."""
    volume, maps, slices, _ = scene
    everywhere = Volume(torch.ones(volume.voxels.shape), volume.ijk_to_ras)
    run = Deformation(volume, slices, RIGID, DeformationSettings(cavity=everywhere, device="cpu"), maps)
    for _ in run.steps():
        pass
    assert run.result.displacement_mm[1] < 0.05


def test_the_error_is_least_where_images_are(bent):
    posterior = WarpPosterior(bent.fit, bent.numbers, calibration=1.0)
    inside = bent.fit.ends[:, ::8, 16:-8:8].reshape(-1, 3)
    outside = np.array(bent.fit.knots.first_ras_mm)[None] - 20.0
    prior_root = bent.fit.knots.weights(inside) @ bent.fit.prior.root
    prior = np.square(prior_root).sum(1)
    spread = posterior.spread(inside)
    assert (np.trace(spread, axis1=1, axis2=2) / 3 < 0.8 * prior).mean() > 0.8
    assert (np.linalg.eigvalsh(spread) > 0).all()
    alone = np.eye(3)[None] * bent.fit.prior.size_mm**2
    assert posterior.quantiles_mm(outside) == pytest.approx(length_quantiles(alone, (0.5, 0.9)), rel=0.05)


def test_another_view_leaves_less_error(bent):
    posterior = WarpPosterior(bent.fit, bent.numbers, calibration=1.0)
    pose = bent.slices.transducer_to_ras[2]
    inside = bent.fit.ends[2, ::8, 16:-8:8].reshape(-1, 3)
    before, after = posterior.spread(inside), posterior.spread(inside, posterior.with_view(pose))
    assert np.trace(after, axis1=1, axis2=2).mean() < 0.95 * np.trace(before, axis1=1, axis2=2).mean()


@pytest.mark.slow
def test_the_map_has_volumes_and_a_sentence(bent):
    found = value_of(error_map(bent))
    assert bool((found.p90_mm.voxels >= found.median_mm.voxels).all())
    assert found.mean_mm[1] < found.mean_mm[0]
    assert "would shrink the error most" in found.next_view


def test_quantiles_of_lengths_are_those_of_samples():
    random = np.random.default_rng(0)
    roots = random.normal(size=(4, 3, 3))
    spread = roots @ roots.transpose(0, 2, 1)
    numbers = random.normal(size=(40000, 3))
    samples = np.linalg.norm(np.einsum("pij,nj->npi", roots, numbers), axis=-1)
    assert length_quantiles(spread, (0.5, 0.9)) == pytest.approx(np.quantile(samples, (0.5, 0.9), axis=0).T, rel=0.06)


def test_landmarks_are_compared_before_and_after(bent):
    ultrasound = np.array([[0.0, 0, 0], [10, 0, 0], [0, 10, 5]])
    correction = np.eye(4)
    correction[:3, 3] = [1.0, 2.0, 2.0]
    moved = ultrasound + correction[:3, 3]
    target = moved + bent.result.warp.displacement_mm(moved)
    check = check_landmarks(ultrasound, target, correction, bent.result.warp)
    assert check.deformed == pytest.approx(np.zeros(3), abs=1e-12)
    assert check_landmarks(ultrasound, moved, correction).before == pytest.approx([3.0, 3.0, 3.0])
    assert check.limits[1] <= check.limits[0] <= check.limits[2]
    assert "3 landmarks" in check.sentence


@pytest.mark.slow
def test_the_files_of_a_deformable_registration(scene, tmp_path, capsys):
    """As `diffus register --deformable --error-map --landmarks` writes them, read by SimpleITK."""
    volume, maps, slices, _ = scene
    words = ["register", "volume.nii.gz", "sweep.igs.mha", "-o", str(tmp_path / "correction.tfm"), "--device", "cpu"]
    parser = argparse.ArgumentParser()
    register.add_parser(parser.add_subparsers())
    arguments = parser.parse_args([*words, "--deformable", "--error-map"])
    rigid = SimpleNamespace(**vars(RIGID), verdict="accept")
    warp, report = deformed(arguments, volume, slices, maps, rigid, None)
    points = np.array([[0.0, 0, 0], [8, -4, 6]])
    landmarks = checked_landmarks(arguments, (points, points + bulge(points)), rigid, warp)["landmarks"]
    assert np.mean(landmarks["deformed_mm"]) < np.mean(landmarks["before_mm"])
    names = {path.name.removeprefix("correction_") for path in tmp_path.iterdir()}
    images = {"displacement.nrrd", "jacobian.nrrd", "warped.nrrd", "error50.nrrd", "error90.nrrd"}
    assert names == images | {"warp.h5", "landmarks.png"}
    jacobian = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "correction_jacobian.nrrd")))
    assert jacobian.min() > 0 and report["deformation"]["folded_voxels"] == 0
    transform = sitk.ReadTransform(str(tmp_path / "correction_warp.h5"))
    moved = np.array(transform.TransformPoint((-8.0, 4.0, 6.0))) * [-1, -1, 1]
    assert moved == pytest.approx(points[1] + warp.displacement_mm(points[1:])[0])
    told = capsys.readouterr().out
    assert "held out" in told and "would shrink the error most" in told and "2 landmarks" in told


def test_a_rejected_correction_is_not_bent(scene, capsys):
    arguments = argparse.Namespace(deformable=True)
    rigid = SimpleNamespace(**vars(RIGID), verdict="reject")
    warp, report = deformed(arguments, *scene[:1], scene[2], scene[1], rigid, None)
    assert warp is None and "rejected" in report["deformation"]["sentence"]


@pytest.mark.parametrize("words", (["--error-map"], ["--cavity", "x.nrrd"], ["--pressure"]))
def test_options_that_need_the_deformable_step(words):
    parser = argparse.ArgumentParser()
    register.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["register", "volume.nii.gz", "sweep.igs.mha", "-o", "correction.tfm", *words])
    with pytest.raises(DiffUSError, match="needs --deformable"):
        arguments.run(arguments)


def test_lengths_must_be_above_zero():
    with pytest.raises(DiffUSError, match="size_mm"):
        DeformationSettings(size_mm=0)
