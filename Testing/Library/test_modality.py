"""What a volume is: recognized whatever its offset, scale, background and field of view, or refused in words."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from DiffUSLib.acoustics import acoustic_maps, detect_modality, maps_from_ct, maps_from_mri, measure_anchors
from DiffUSLib.acoustics.head import find_head
from DiffUSLib.acoustics.label_signs import label_signs
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.samples.phantom import head_phantom

# Label of the phantom -> signal. 0 air, 2 white, 3 gray, 24 and 4 fluid, 515 bone, 125 fat.
_OTHERS = {57: 200, 77: 190, 31: 120, 98: 90, 30: 60, 118: 90, 125: 160, 515: 8, 516: 40}
_SIGNALS = {
    "flair": {0: 3, 2: 100, 3: 130, 24: 25, 4: 20} | _OTHERS,
    "t2": {0: 3, 2: 90, 3: 135, 24: 330, 4: 330} | _OTHERS,
    "pd": {0: 3, 2: 150, 3: 190, 24: 212, 4: 212, 515: 20} | _OTHERS,
}


@pytest.fixture(scope="module")
def phantom():
    return head_phantom(2.5)


def mri(phantom, contrast):
    labels = phantom.labels.voxels.numpy()
    known = _SIGNALS[contrast]
    signal = np.vectorize(known.get)(labels).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 4, labels.shape)
    return np.abs(ndimage.gaussian_filter(signal, 0.5) + noise)


def brain_mask(phantom):
    mask = np.isin(phantom.labels.voxels.numpy(), [2, 3, 24, 4, 57, 77, 31, 98, 30])
    return ndimage.binary_erosion(mask)


def volume(array, phantom, dtype=torch.float32):
    return Volume(torch.as_tensor(np.ascontiguousarray(array)).to(dtype), phantom.t1.ijk_to_ras, "this one")


def modality(array, phantom):
    return detect_modality(volume(array, phantom)).modality


def refusal(array, phantom):
    with pytest.raises(DiffUSError) as caught:
        detect_modality(volume(array, phantom))
    return str(caught.value)


@pytest.mark.parametrize(
    "slope, offset",
    [(5.0, -1000.0), *(pytest.param(*pair, marks=pytest.mark.slow) for pair in ((1e-3, 0), (1, -160), (1e6, 1024)))],
)
def test_a_head_is_an_mri_at_any_offset_and_scale(phantom, slope, offset):
    assert modality(phantom.t1.voxels.numpy().astype(np.float64) * slope + offset, phantom) in ("t1", "t1c")


def test_a_few_voxels_below_any_hu_make_no_ct(phantom):
    array = phantom.t1.voxels.numpy() * 12.0
    array.reshape(-1)[:20] = -900.0  # overshoot of a resampling kernel
    assert modality(array, phantom) in ("t1", "t1c")


@pytest.fixture(scope="module")
def stripped(phantom):
    """The brain of the T1 in zeros, and its maps."""
    array = phantom.t1.voxels.numpy().round() * brain_mask(phantom)
    return array, acoustic_maps(volume(array, phantom))


@pytest.mark.slow
@pytest.mark.parametrize("background", [-1000.0, -1.0])
def test_anchors_do_not_depend_on_the_background_that_was_set(phantom, stripped, background):
    inside, (array, reference) = brain_mask(phantom), stripped
    maps = acoustic_maps(volume(np.where(inside, array, background), phantom))
    assert maps.modality == reference.modality
    assert maps.decision.skull == reference.decision.skull == "stripped"
    for one, other in zip(maps.decision.anchors, reference.decision.anchors, strict=True):
        assert one.intensity == pytest.approx(other.intensity, abs=4.0)
    assert float((maps.impedance - reference.impedance)[torch.from_numpy(inside)].abs().mean()) < 0.005


@pytest.mark.slow
def test_z_scores_in_a_mask_of_zeros(phantom):
    inside = brain_mask(phantom)
    t1 = phantom.t1.voxels.numpy()
    mean, spread = t1[inside].mean(), t1[inside].std()
    scored = volume(np.where(inside, (t1 - mean) / spread, 0.0), phantom)
    assert detect_modality(scored).modality in ("t1", "t1c")
    intensities = {anchor.tissue: anchor.intensity * spread + mean for anchor in measure_anchors(scored, "t1")}
    assert intensities["white matter"] == pytest.approx(190, rel=0.08)
    assert intensities["gray matter"] == pytest.approx(135, rel=0.08)


@pytest.fixture(scope="module")
def flair_maps(phantom):
    return acoustic_maps(volume(mri(phantom, "flair"), phantom))


def check_contrast(maps, phantom, contrast):
    assert maps.modality == contrast
    labels, known = phantom.labels.voxels, _SIGNALS[contrast]
    intensities = {anchor.tissue: anchor.intensity for anchor in maps.decision.anchors}
    for tissue, label in (("cerebrospinal fluid", 4), ("gray matter", 3), ("white matter", 2)):
        assert intensities[tissue] == pytest.approx(known[label], abs=20)
    assert float(maps.echogenicity[labels == 4].median()) < 0.4
    assert float(maps.impedance[labels == 515].median()) > 2.2  # thin at 2.5 mm


def test_flair_is_told_and_mapped(phantom, flair_maps):
    check_contrast(flair_maps, phantom, "flair")


@pytest.mark.slow
def test_t2_is_told_and_mapped(phantom):
    check_contrast(acoustic_maps(volume(mri(phantom, "t2"), phantom)), phantom, "t2")


def test_proton_density_is_refused_by_name(phantom):
    assert "proton density" in refusal(mri(phantom, "pd"), phantom)
    with pytest.raises(DiffUSError, match="proton density"):
        maps_from_mri(phantom.t1, "pd")


@pytest.mark.parametrize("low, high", [(-160, 240), (-100, 1000), (-1000, 1000), (-1024, 3071), (-200, 300)])
def test_clipped_ct_is_ct(phantom, low, high):
    assert modality(phantom.ct.voxels.numpy().round().clip(low, high), phantom) == "ct"


def test_ct_without_noise_or_with_padding_is_ct(phantom):
    ct = phantom.ct.voxels.numpy()
    assert modality(ndimage.median_filter(ct, 3).round(), phantom) == "ct"
    padded = ct.copy()
    padded[:, :12], padded[:, -12:] = -3024, -3024
    assert modality(padded, phantom) == "ct"


@pytest.mark.parametrize("slope, offset", [(1.0, 1024.0), (1.0, 1000.0), (20.0, 20000.0), (2e-5, 0.02)])
def test_ct_without_hu_is_refused_with_its_likely_rescaling(phantom, slope, offset):
    hu = phantom.ct.voxels.numpy().clip(-1000, 2000)
    stored = hu * slope + offset
    words = refusal(stored, phantom)
    given = tuple(map(float, words.split("the rescaling ")[1].split(", or")[0].split(",")))
    maps = maps_from_ct(volume(stored, phantom, torch.float64), rescaling=given)
    soft = phantom.labels.voxels == 3
    reference = maps_from_ct(phantom.ct)
    assert maps.decision.rescaling == given
    assert float((maps.impedance - reference.impedance)[soft].median()) == pytest.approx(0, abs=0.06)


def test_a_block_of_a_ct_with_little_air_is_ct(phantom):
    ct = phantom.ct.voxels.numpy()
    k, j, i = ct.shape
    block = ct[k // 5 : -(k // 5), j // 4 : -(j // 4), i // 4 : -(i // 4)]
    assert modality(block, phantom) == "ct"
    assert modality(np.where(ct < -940, -2048, ct), phantom) == "ct"


@pytest.mark.parametrize("shift", [1000, 1024])
def test_the_shift_of_a_body_of_fat_with_padding(shift):
    """Made of slabs: half of the body is fat, the rest muscle; the room is air and padding."""
    random = np.random.default_rng(0)
    hu = np.full((40, 40, 60), -1000.0)
    hu[:, :, 15:30], hu[:, :, 30:45], hu[:, :, 43:45] = -95.0, 55.0, 700.0
    hu += ndimage.gaussian_filter(random.normal(0, 30, hu.shape), 0.5)
    hu[:4], hu[-4:] = -3024.0, -3024.0
    stored = (hu.round() + shift).clip(0)
    with pytest.raises(DiffUSError, match=rf"with the rescaling 1,-{shift}\b"):
        detect_modality(Volume(torch.from_numpy(stored), torch.eye(4)))


def test_windowed_ct_probabilities_and_blur_are_refused(phantom):
    ct = phantom.ct.voxels.numpy()
    assert "windowed" in refusal(((ct.clip(-160, 240) + 160) / 400 * 255).round(), phantom)
    gray = (phantom.labels.voxels.numpy() == 3).astype(np.float32)
    assert "probability" in refusal(ndimage.gaussian_filter(gray, 0.3).clip(0, 1), phantom)
    pet = np.isin(phantom.labels.voxels.numpy(), [3, 31]) * 40.0 + (phantom.labels.voxels.numpy() == 2) * 11.0
    assert "PET" in refusal(ndimage.gaussian_filter(pet, 2.0), phantom)


@pytest.mark.parametrize("draw", ["normal", "gamma"])
@pytest.mark.parametrize("where", ["everywhere", "brain"])
def test_noise_is_refused(phantom, draw, where):
    """White noise without skew had its brightest part taken for the fluid of a T2; with skew, too."""
    random = np.random.default_rng(0)
    shape = phantom.t1.voxels.shape
    noise = random.normal(100, 20, shape) if draw == "normal" else random.gamma(10.0, 10.0, shape)
    words = refusal(noise if where == "everywhere" else noise * brain_mask(phantom), phantom)
    assert "as in noise" in words or "no head" in words


def test_smooth_noise_is_refused(phantom):
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=phantom.t1.voxels.shape), 1.0)
    assert "does not show fluid" in refusal(100 + 20 * noise / noise.std(), phantom)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_is_asked_for(phantom, axis):
    """The coronal slice of a FLAIR was once taken for T1."""
    array = mri(phantom, "flair")
    words = refusal(np.take(array, [array.shape[axis] // 2], axis), phantom)
    assert "single slice" in words or "no head" in words


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_in_whole_numbers_is_no_label_map(phantom, axis):
    array = phantom.t1.voxels.numpy().round() * 7
    middle = array.shape[axis] // 2
    assert label_signs(volume(np.take(array, [middle], axis), phantom)).confidence == 0
    labels = phantom.labels.voxels.numpy()
    assert label_signs(volume(np.take(labels, [middle], axis), phantom)).confidence > 0.5


def test_fractional_labels_are_told(phantom):
    labels = phantom.labels.voxels.numpy()
    classes = np.select([labels == 2, labels == 3, np.isin(labels, [4, 24])], [3, 2, 1], 0)
    assert modality(classes, phantom) == "labels"
    assert "whole numbers" in refusal(classes / 3.0, phantom)
    assert modality(labels * np.float32(0.99999), phantom) == "labels"
    thin = np.indices(labels.shape).sum(axis=0) % 9  # nine numbers, of which no neighbors share one
    assert modality(thin, phantom) == "labels"


@pytest.mark.parametrize(
    "part", [np.s_[30:50], np.s_[:, :, 36:], np.s_[25:, 20:70, 36:]], ids=["slab", "half", "half without its back"]
)
def test_the_skull_is_seen_in_parts_of_a_head(phantom, part):
    assert find_head(Volume(phantom.t1.voxels[part], phantom.t1.ijk_to_ras)).whole_head


def test_the_skull_of_a_newborn_is_seen(phantom):
    small = phantom.t1.ijk_to_ras.clone()
    small[:3] *= 0.72
    assert find_head(Volume(phantom.t1.voxels, small)).whole_head


def test_a_stripped_brain_has_no_skull(phantom):
    assert not find_head(volume(phantom.t1.voxels.numpy() * brain_mask(phantom), phantom)).whole_head


def test_the_decision_is_said_and_reported(phantom, flair_maps):
    decision = flair_maps.decision
    first, second = decision.sentences()
    assert "FLAIR (confidence" in first and "skull present" in second and "white matter" in second
    assert flair_maps.notes[:2] == (first, second)
    report = decision.report()
    assert report["modality"] == "flair" and report["skull"] == "present" and not report["modality_given"]
    assert [anchor["tissue"] for anchor in report["anchors"]] == [anchor.tissue for anchor in decision.anchors]
    given = acoustic_maps(phantom.ct, "ct").decision
    assert given.confidence is None and "as asked" in given.sentences()[0]
