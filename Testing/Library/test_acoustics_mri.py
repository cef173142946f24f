"""MRI: anchors against tissue probability maps and known classes, the network, the modality."""

import numpy as np
import pytest
import SimpleITK
import torch

from DiffUSLib.acoustics import (
    Anchor,
    acoustic_maps,
    detect_modality,
    maps_from_mri,
    measure_anchors,
    tissue,
    train_network,
)
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.samples.phantom import head_phantom

ANCHORS = (
    Anchor("cerebrospinal fluid", 20.0, 4.0),
    Anchor("gray matter", 70.0, 6.0),
    Anchor("white matter", 100.0, 5.0),
)


def read(path):
    image = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(path)), "RAS")
    return Volume(torch.from_numpy(SimpleITK.GetArrayFromImage(image)), torch.eye(4), path.name)


@pytest.fixture(scope="module")
def phantom():
    return head_phantom(2.0)


@pytest.fixture(scope="module")
def template():
    """MNI152 T1 of nilearn with its gray and white matter probabilities."""
    datasets = pytest.importorskip("nilearn.datasets", reason="nilearn is not installed")
    images = (
        datasets.load_mni152_template(resolution=2),
        datasets.load_mni152_gm_template(resolution=2),
        datasets.load_mni152_wm_template(resolution=2),
    )
    arrays = [np.ascontiguousarray(np.asarray(image.dataobj, dtype=np.float32).transpose(2, 1, 0)) for image in images]
    return Volume(torch.from_numpy(arrays[0]), torch.from_numpy(images[0].affine), "MNI152"), arrays[1], arrays[2]


def test_anchors_agree_with_tissue_probability_maps(template):
    volume, gray, white = template
    fluid_anchor, gray_anchor, white_anchor = measure_anchors(volume, "t1")
    intensities = volume.voxels.numpy()
    assert gray_anchor.intensity == pytest.approx(np.median(intensities[gray > 0.9]), rel=0.06)
    assert white_anchor.intensity == pytest.approx(np.median(intensities[white > 0.9]), rel=0.06)
    assert fluid_anchor.intensity < 0.6 * gray_anchor.intensity


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "modality", "order"),
    [
        ("hanke_T1w_1mm_u8.nii.gz", "t1", ["cerebrospinal fluid", "gray matter", "white matter"]),
        ("mni_icbm152_t1.nii.gz", "t1", ["cerebrospinal fluid", "gray matter", "white matter"]),
        ("du7294_t1c.nii.gz", "t1c", ["cerebrospinal fluid", "gray matter", "white matter", "tumor"]),
        ("du7294_t2.nii.gz", "t2", ["white matter", "gray matter", "edema", "cerebrospinal fluid"]),
    ],
)
def test_real_volumes(shared_data, name, modality, order):
    volume = read(shared_data / name)
    assert detect_modality(volume).modality == modality
    anchors = measure_anchors(volume, modality)
    assert [anchor.tissue for anchor in anchors] == order
    assert np.all(np.diff([anchor.intensity for anchor in anchors]) > 0)
    maps = maps_from_mri(volume, modality, anchors=anchors)
    assert float(maps.impedance.min()) > 0
    assert float(maps.impedance.max()) < 6
    # Real brains are more matter than fluid, and corners of the grid are outside of the head.
    in_brain = maps.impedance[maps.impedance != maps.impedance[0, 0, 0]]
    assert 1.55 < float(in_brain.median()) < 1.65
    assert float(maps.impedance[-1, 0, 0]) == pytest.approx(tissue("water").impedance_mrayl)


@pytest.mark.slow
def test_t1_and_t2_of_one_brain_agree_where_the_ventricles_are(shared_data):
    t1 = maps_from_mri(read(shared_data / "du7294_t1c.nii.gz"), "t1c")
    t2_volume = read(shared_data / "du7294_t2.nii.gz")
    t2 = maps_from_mri(t2_volume, "t2")
    ventricle = t2_volume.voxels > 2000
    assert float(t1.echogenicity[ventricle].median()) < 0.1
    assert float(t2.echogenicity[ventricle].median()) < 0.2


def test_phantom_anchors_are_its_intensities(phantom):
    fluid, gray, white = measure_anchors(phantom.t1, "t1")
    t1, labels = phantom.t1.voxels, phantom.labels.voxels
    assert gray.intensity == pytest.approx(float(t1[labels == 3].median()), rel=0.05)
    assert white.intensity == pytest.approx(float(t1[labels == 2].median()), rel=0.05)
    assert fluid.intensity == pytest.approx(float(t1[labels == 4].median()), rel=0.15)


@pytest.mark.parametrize("slices", [1, 8])
def test_fat_beside_a_piece_of_brain_is_no_white_matter(phantom, slices):
    """A fifth of the image is bright fat behind a dark line, as scalp in a small cut of a head."""
    labels = phantom.labels.voxels[30 : 30 + slices, 10:80, 20:60]
    cut = phantom.t1.voxels[30 : 30 + slices, 10:80, 20:60].clone()
    cut[..., :7], cut[..., 7:9] = 420.0 + 20 * torch.rand(cut[..., :7].shape), 8.0
    fluid, gray, white = measure_anchors(Volume(cut, phantom.t1.ijk_to_ras), "t1")
    inside = torch.ones_like(cut, dtype=torch.bool)
    inside[..., :9] = False
    assert gray.intensity == pytest.approx(float(cut[(labels == 3) & inside].median()), rel=0.08)
    assert white.intensity == pytest.approx(float(cut[(labels == 2) & inside].median()), rel=0.08)
    assert fluid.intensity < 0.6 * white.intensity


def test_anchors_of_what_shows_no_three_tissues_are_refused(phantom):
    """White matter alone, with noise: three classes would be three parts of its peak."""
    noise = torch.randn(phantom.t1.voxels.shape, generator=torch.Generator().manual_seed(0))
    flat = torch.where(phantom.t1.voxels > 60, 180 + 8 * noise, 3.0)
    with pytest.raises(DiffUSError, match="give the anchors"):
        measure_anchors(Volume(flat, phantom.t1.ijk_to_ras), "t1")


@pytest.mark.slow
def test_whole_head(phantom):
    maps = acoustic_maps(phantom.t1)
    labels = phantom.labels.voxels
    assert maps.modality == "t1c"
    assert float(maps.impedance[labels == 515].median()) > 4.0  # skull
    assert float(maps.echogenicity[labels == 4].median()) < 0.1  # ventricles
    assert float(maps.echogenicity[labels == 57].median()) > 1.4  # enhancing tumor
    assert float(maps.echogenicity[labels == 3].median()) < float(maps.echogenicity[labels == 2].median())
    assert float(maps.impedance[labels == 2].median()) == pytest.approx(
        tissue("white matter").impedance_mrayl, rel=0.01
    )
    assert any("bone and air alike" in note for note in maps.notes)


@pytest.mark.slow
def test_maps_are_differentiable_to_voxels(phantom):
    voxels = phantom.t1.voxels.clone().requires_grad_()
    maps_from_mri(Volume(voxels, phantom.t1.ijk_to_ras), "t1", anchors=ANCHORS).impedance.sum().backward()
    assert bool(torch.isfinite(voxels.grad).all())
    assert float(voxels.grad.abs().max()) > 0


def test_network_meets_its_anchors_and_stays_between_them():
    network = train_network(ANCHORS)
    at_anchors = network(torch.tensor([anchor.intensity for anchor in ANCHORS]))
    for row, anchor in zip(at_anchors, ANCHORS, strict=True):
        known = tissue(anchor.tissue)
        assert float(row[0]) == pytest.approx(known.impedance_mrayl, abs=0.003)
        assert float(row[2]) == pytest.approx(known.echogenicity, abs=0.05)
    z = network.curve(torch.linspace(-1e4, 1e4, 5001))
    assert tissue("csf").impedance_mrayl - 1e-5 <= float(z.min())
    assert float(z.max()) <= tissue("white matter").impedance_mrayl + 1e-5
    inner = network.curve(torch.linspace(20.0, 100.0, 500))
    assert float(inner.diff().min()) > -0.001


def test_same_seed_same_weights_and_global_random_state_untouched():
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first, second, other = train_network(ANCHORS, 3), train_network(ANCHORS, 3), train_network(ANCHORS, 4)
    assert torch.equal(state, torch.random.get_rng_state())
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def test_anchors_at_one_intensity():
    with pytest.raises(DiffUSError, match="intensity of its own"):
        train_network((Anchor("csf", 5.0, 1.0), Anchor("white matter", 5.0, 1.0)))


def test_impedance_of_an_anchor_may_be_given_by_hand():
    network = train_network((*ANCHORS[:2], Anchor("white matter", 100.0, 5.0, impedance_mrayl=1.9)))
    assert float(network.curve(torch.tensor(100.0))) == pytest.approx(1.9, abs=0.005)
    assert float(network.curve(torch.tensor(70.0))) == pytest.approx(tissue("gray matter").impedance_mrayl, abs=0.005)
    with pytest.raises(DiffUSError, match="impedance above zero"):
        Anchor("white matter", 100.0, 5.0, impedance_mrayl=-1.0)


def test_maps_hold_the_curve_that_they_came_from(phantom):
    """Where the phantom is white matter, the map has the curve's value at white matter's intensity."""
    maps = maps_from_mri(phantom.t1, "t1", anchors=ANCHORS)
    assert maps.network.anchors == ANCHORS
    white = ANCHORS[-1]
    at_white = (phantom.t1.voxels - white.intensity).abs() < 1
    expected = float(maps.network.curve(torch.tensor(white.intensity)))
    assert float(maps.impedance[at_white].median()) == pytest.approx(expected, abs=0.01)


def test_edited_anchor_changes_the_map(phantom):
    edited = (*ANCHORS[:2], Anchor("white matter", 150.0, 5.0))
    first = maps_from_mri(phantom.t1, "t1", anchors=ANCHORS).impedance
    second = maps_from_mri(phantom.t1, "t1", anchors=edited).impedance
    assert not torch.equal(first, second)


def test_labels_and_ct_are_told_apart(phantom, shared_data):
    assert detect_modality(phantom.ct).modality == "ct"
    assert detect_modality(phantom.labels).modality == "labels"
    for name in ("synthseg_training_seg_01.nii.gz", "ts_example_seg.nii.gz", "spl_abd_seg.nrrd"):
        assert detect_modality(read(shared_data / name)).modality == "labels"
    for name in ("ts_example_ct.nii.gz", "ts_example_ct_sm.nii.gz"):
        assert detect_modality(read(shared_data / name)).modality == "ct"


def test_unknown_modality_names_the_known(phantom):
    with pytest.raises(DiffUSError, match="t1c"):
        acoustic_maps(phantom.t1, "pet")
    with pytest.raises(DiffUSError, match="t1c"):
        maps_from_mri(phantom.t1, "ct")


def test_option_of_another_modality(phantom):
    with pytest.raises(DiffUSError, match="calibration"):
        acoustic_maps(phantom.t1, "t1", calibration="ge_120kvp_bone")


@pytest.mark.parametrize("modality", ["auto", "ct", "t1", "t1c", "t2", "labels"])
def test_constant_volume(modality):
    with pytest.raises(DiffUSError, match="constant"):
        acoustic_maps(Volume(torch.ones(8, 8, 8), torch.eye(4)), modality)


def test_single_bright_voxel_is_no_head():
    voxels = torch.zeros(40, 40, 40)
    voxels[20, 20, 20] = 1.0
    with pytest.raises(DiffUSError, match=r"choose|check|give"):
        maps_from_mri(Volume(voxels, torch.eye(4)), "t1")
