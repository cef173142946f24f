"""Tissues found together with the pose, on images rendered with other tissues than the maps say."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from DiffUSLib.acoustics import AcousticMaps, Anchor, tissue, train_network
from DiffUSLib.acoustics.curves import interpolate
from DiffUSLib.errors import DiffUSError
from DiffUSLib.probes.probe import Probe
from DiffUSLib.registration import Alignment, RegistrationSettings, UltrasoundSlices, register, registration_report
from DiffUSLib.registration.features import crop, low_pass, smoothed
from DiffUSLib.registration.objective import Objective, Scale
from DiffUSLib.registration.tissue_refinement import TissueObjective, tissue_shares
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import look
from DiffUSLib.steps import value_of
from Testing.Library.scenes import blobs

PROBE = Probe("test", "curvilinear", 50.0, 4.0, field_of_view_deg=60.0, radius_mm=10.0)
ANCHORS = tuple(
    Anchor(name, intensity, 3.0)
    for name, intensity in (("cerebrospinal fluid", 30.0), ("gray matter", 80.0), ("white matter", 140.0))
)
DARK_GRAY_MATTER = (ANCHORS[0], replace(ANCHORS[1], impedance_mrayl=ANCHORS[1].impedance - 0.03), ANCHORS[2])


@pytest.fixture(scope="module")
def volume():
    return blobs(110)[0]


def maps_of(volume, anchors):
    """Straight lines between the anchors; larger than the fans, so that no border of the volume echoes."""
    intensities = [anchor.intensity for anchor in anchors]
    impedance = interpolate(volume.voxels, intensities, [anchor.impedance for anchor in anchors])
    attenuation = interpolate(volume.voxels, intensities, [0.0, 0.6, 0.6])
    echogenicity = interpolate(volume.voxels, intensities, [0.05, 0.5, 1.0])
    network = train_network(anchors)
    return AcousticMaps(
        impedance, attenuation, echogenicity, volume.ijk_to_ras, tissue("water"), "t1", ("made up",), network
    )


@pytest.fixture(scope="module")
def slices(volume):
    """Two slices of a patient whose gray matter has a lower impedance than literature says."""
    settings = look("clinical", near_field=False, width_px=200, height_px=200)
    renderer = Renderer(maps_of(volume, DARK_GRAY_MATTER), PROBE, settings, device="cpu")
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[1, :3, :3] = Rotation.from_euler("yx", [50, 16], degrees=True).as_matrix()
    poses[:, :3, 3] = -poses[:, :3, 1] * 25
    with torch.no_grad():
        rendered = renderer(torch.from_numpy(poses))
    matrix = renderer.grid.image_to_transducer().numpy()
    return UltrasoundSlices(rendered.image.numpy(), rendered.mask.numpy(), matrix, torch.from_numpy(poses), PROBE)


@pytest.fixture(scope="module")
def together(volume, slices):
    scale = Scale(1.0, 0.7, 24, 32, (7, 9))
    anatomy = crop(volume, maps_of(volume, ANCHORS), slices.centers_ras_mm, margin_mm=45)
    smooth = value_of(smoothed(anatomy, scale.volume_mm))
    center, prior = slices.centers_ras_mm.mean(0), torch.full((7,), 5.0)
    objective = Objective(smooth, slices, scale, center, prior, torch.device("cpu"))
    shares = value_of(tissue_shares(anatomy, scale.volume_mm))
    return TissueObjective(objective, smooth, shares, ANCHORS), anatomy, scale


def test_gradient_to_pose_tissues_and_gain_equals_finite_differences(together):
    objective = together[0]
    start = torch.tensor([0.6, -0.4, 0.5, 0.7, -0.3, 0.8, 0.4, 0.004, -0.003, 0.005, 1.0])

    def value(vector):
        return objective.posterior(vector[:7], vector[7:10], vector[10])

    start.requires_grad_()
    (gradient,) = torch.autograd.grad(value(start), start)
    for index, step in enumerate([0.02] * 7 + [1e-3] * 3 + [0.2]):
        shift = torch.zeros(11)
        shift[index] = step
        with torch.no_grad():
            numeric = float((value(start + shift) - value(start - shift)) / (2 * step))
        # The trilinear volume has kinks between voxels, which a difference straddles.
        assert numeric == pytest.approx(float(gradient[index]), rel=0.15, abs=0.05 * float(gradient.abs()[:7].max()))


def test_impedance_follows_the_anchors_as_if_made_anew(together, volume):
    objective, anatomy, scale = together
    changed = objective.impedance(torch.tensor([0.0, -0.03, 0.0]))
    anew = crop(volume, maps_of(volume, DARK_GRAY_MATTER), torch.zeros(1, 3, dtype=torch.float64), margin_mm=200)
    first = (torch.linalg.inv(anew.maps.ijk_to_ras) @ anatomy.maps.ijk_to_ras[:, 3])[:3].round().int().tolist()
    i, j, k = first
    expected = low_pass(anew.maps.impedance, anew.volume.spacing_mm, scale.volume_mm)
    size = changed.shape
    expected = expected[k : k + size[0], j : j + size[1], i : i + size[2]]
    inner = (slice(5, -5),) * 3
    assert changed[inner].numpy() == pytest.approx(expected[inner].numpy(), abs=2e-5)


@pytest.fixture(scope="module")
def results(volume, slices):
    error = np.eye(4)
    error[:3, :3] = Rotation.from_rotvec([0.03, 0.04, -0.03]).as_matrix()
    error[:3, 3] = [2.0, -1.5, 1.5]
    wrong = replace(slices, transducer_to_ras=torch.from_numpy(error) @ slices.transducer_to_ras)
    maps = maps_of(volume, ANCHORS)
    both = [register(volume, wrong, RegistrationSettings(device="cpu", refine_tissue=r), maps) for r in (False, True)]
    points = slices.centers_ras_mm.numpy()
    left = []
    for result in both:
        matrix = result.correction_ras.numpy() @ error
        left.append(np.linalg.norm(points @ matrix[:3, :3].T + matrix[:3, 3] - points, axis=1).mean())
    return both, left


@pytest.mark.slow
def test_tissues_move_toward_the_truth_and_the_pose_gets_no_worse(results):
    (plain, refined), (before, after) = results
    assert plain.tissue is None
    assert refined.tissue.posterior > refined.tissue.posterior_before + 5
    assert after < max(before, 0.2)
    # Images tell how much white and gray matter differ, not how much both weigh.
    gray, white = (anchor.impedance for anchor in refined.tissue.anchors[1:])
    literature, truth = (a[2].impedance - a[1].impedance for a in (ANCHORS, DARK_GRAY_MATTER))
    assert abs(white - gray - truth) < 0.4 * abs(literature - truth)
    # Black in these images is 15 dB below white matter; the features assume 30 dB.
    assert -22 < refined.tissue.gain_db < -8


def test_report_tells_the_refined_anchors(results):
    report = registration_report(results[0][1], [0, 1])["tissue"]
    assert [anchor["tissue"] for anchor in report["anchors"]] == [anchor.tissue for anchor in ANCHORS]
    assert report["anchors"][1]["impedance_mrayl"] == results[0][1].tissue.anchors[1].impedance
    plain = results[0][0]
    assert "tissue" not in registration_report(plain, [0, 1])
    alone = replace(plain, evidence=replace(plain.evidence, margin=math.inf), competitor_ras=None)
    assert '"margin_sigmas": null' in json.dumps(registration_report(alone, [0]), allow_nan=False)


def test_tissues_of_other_modalities_are_not_refined(volume, slices):
    maps = replace(maps_of(volume, ANCHORS), network=None, modality="ct")
    with pytest.raises(DiffUSError, match="for an MRI only"):
        Alignment(volume, slices, RegistrationSettings(device="cpu", refine_tissue=True), maps)
