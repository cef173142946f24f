"""Tissue table and label maps: real segmentations, mapping files, mistakes."""

import json

import pytest
import SimpleITK
import torch

from DiffUSLib.acoustics import maps_from_labels, tissue, tissue_names
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume


def labels(*values):
    return Volume(torch.tensor(values).reshape(1, 1, -1), torch.eye(4))


def read(path):
    return Volume(
        torch.from_numpy(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))), torch.eye(4), path.name
    )


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),  # Z in MRayl as published
    [
        ("water", 1.48, 1.53),
        ("CSF", 1.50, 1.54),
        ("grey matter", 1.57, 1.61),
        ("white_matter", 1.58, 1.62),
        ("blood", 1.64, 1.68),
        ("fat", 1.29, 1.40),
        ("muscle", 1.64, 1.70),
        ("liver", 1.64, 1.69),
        ("Left Kidney", 1.63, 1.67),
        ("skull", 5.3, 6.0),
        ("trabecular bone", 2.5, 4.0),
        ("air", 0.0003, 0.0005),
        ("tumour", 1.61, 1.65),
    ],
)
def test_published_impedances(name, lowest, highest):
    assert lowest < tissue(name).impedance_mrayl < highest


def test_every_tissue_has_a_source():
    assert all(tissue(name).source for name in tissue_names())


def test_unknown_tissue_names_close_ones():
    with pytest.raises(DiffUSError, match="white matter"):
        tissue("wite matter")


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("synthseg_training_seg_01.nii.gz", "freesurfer"),
        ("ts_example_seg.nii.gz", "totalsegmentator"),
        ("spl_abd_seg.nrrd", "spl_abdomen"),
    ],
)
def test_real_label_maps_are_known(shared_data, name, chosen):
    maps = maps_from_labels(read(shared_data / name))
    assert chosen in maps.notes[0]
    assert bool((maps.impedance > 0).all())


def test_totalsegmentator_labels_fit_the_ct_they_were_drawn_on(shared_data):
    segmentation = read(shared_data / "ts_example_seg.nii.gz")
    hu = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(shared_data / "ts_example_ct_sm.nii.gz")))
    maps = maps_from_labels(segmentation)
    median = {
        name: float(
            torch.from_numpy(hu).double()[maps.impedance == torch.tensor(tissue(name).impedance_mrayl)].median()
        )
        for name in ("lung", "liver", "cortical bone", "spleen")
    }
    assert median["lung"] < -600 < 0 < median["spleen"] < 80 < median["cortical bone"]
    assert 30 < median["liver"] < 80


def test_dictionary_and_files_agree(tmp_path):
    table = {1: "csf", 2: "white matter", 7: "tumor"}
    (tmp_path / "a.csv").write_text("label, tissue\n1, csf\n2, white matter\n7, tumor\n")
    (tmp_path / "a.json").write_text(json.dumps({str(k): v for k, v in table.items()}))
    volume = labels(0, 1, 2, 7, 2)
    expected = [tissue(name).impedance_mrayl for name in ("water", "csf", "white matter", "tumor", "white matter")]
    for mapping in (table, tmp_path / "a.csv", str(tmp_path / "a.json")):
        assert maps_from_labels(volume, mapping).impedance.flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "number,name\n1,csf\n", "label,tissue"),
        ("a.csv", "label,tissue\n", "no lines"),
        ("a.csv", "label,tissue\n1\n", "line 2"),
        ("a.csv", "label,tissue\nx,csf\n", "whole number"),
        ("a.csv", "label,tissue\n1,cheese\n", "cheese"),
        ("a.csv", "label,tissue\n1,csf\n1,fat\n", "two tissues"),
        ("a.json", "{", "line 1"),
        ("a.json", "[1, 2]", "JSON object"),
    ],
)
def test_corrupted_mapping(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(DiffUSError, match=said):
        maps_from_labels(labels(0, 1), tmp_path / name)


def test_mapping_that_is_no_text(tmp_path):
    (tmp_path / "a.csv").write_bytes(bytes(range(128, 256)))
    with pytest.raises(DiffUSError, match="not a text file"):
        maps_from_labels(labels(0, 1), tmp_path / "a.csv")


def test_missing_mapping():
    with pytest.raises(DiffUSError, match="freesurfer"):
        maps_from_labels(labels(0, 1), "nowhere.csv")


def test_unknown_labels_are_listed():
    with pytest.raises(DiffUSError, match="5, 9"):
        maps_from_labels(labels(0, 1, 5, 9), {1: "csf"})


def test_no_shipped_set_fits():
    with pytest.raises(DiffUSError, match="99999"):
        maps_from_labels(labels(0, 2, 3, 99999))


def test_several_shipped_sets_fit():
    with pytest.raises(DiffUSError, match="several"):
        maps_from_labels(labels(0, 3, 4))


def test_fractions_are_no_labels():
    with pytest.raises(DiffUSError, match="whole numbers"):
        maps_from_labels(labels(0.0, 0.5), "freesurfer")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((0, 1), "mask"),
        ((0, 255), "mask: it has the label 255"),
        ((0, 1, 2, 4), "BraTS"),
        ((0, 1, 2, 3), "fast"),
        ((0, 110, 116), "too few"),
        ((0, 2001, 2002, 2003), "of the cortex in FreeSurfer, without"),
        (tuple(range(1000, 1012)), "of the cortex in FreeSurfer, without"),
    ],
)
def test_masks_and_small_sets_are_not_read_as_anatomy(values, said):
    with pytest.raises(DiffUSError, match=said):
        maps_from_labels(labels(*values))


def test_fast_by_name_and_wmparc_by_its_numbers():
    maps = maps_from_labels(labels(0, 1, 2, 3), "fast")
    assert maps.decision.label_set == "fast"
    assert float(maps.impedance[0, 0, 3]) == pytest.approx(tissue("white matter").impedance_mrayl)
    maps = maps_from_labels(labels(0, 4, 1012, 2012, 3012, 4012, 5001))
    assert maps.decision.label_set == "freesurfer"
    assert float(maps.impedance[0, 0, 4]) == pytest.approx(tissue("white matter").impedance_mrayl)
