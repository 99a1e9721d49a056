"""Chest films: a small copy of the official Kermany layout, and films of the NIH."""

import imagecodecs
import numpy as np
import pytest

from helpers.data import load, splits
from helpers.data.chest_xray import patient_of
from helpers.data.readers import write_image
from helpers.errors import DataError

RNG = np.random.default_rng(5)
FILMS = {
    "train/NORMAL/IM-0115-0001.jpeg": (40, 52),
    "train/NORMAL/NORMAL2-IM-0383-0001.jpeg": (44, 50),
    "train/PNEUMONIA/person1_bacteria_1.jpeg": (30, 48),
    "train/PNEUMONIA/person1_bacteria_2.jpeg": (31, 47),
    "train/PNEUMONIA/person1000_virus_1681.jpeg": (32, 46),
    "test/NORMAL/IM-0001-0001.jpeg": (45, 45),
    "test/PNEUMONIA/person1_virus_6.jpeg": (36, 48),
    "val/NORMAL/NORMAL2-IM-1427-0001.jpeg": (41, 51),
    "val/PNEUMONIA/person1946_bacteria_4874.jpeg": (33, 49),
}
COLOURED = "train/PNEUMONIA/person1000_virus_1681.jpeg"


def scene(shape):
    """Make smooth structure: JPEG keeps it to a few grey levels."""
    row, column = np.indices(shape)
    return (128 + 90 * np.sin(row / 9) * np.cos(column / 7)).astype(np.uint8)


def jpeg(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(imagecodecs.jpeg_encode(image, level=95))


@pytest.fixture(params=["chest-xray/kermany", "chest_xray"])
def root(request, tmp_path, monkeypatch):
    folder = tmp_path / request.param
    for name, shape in FILMS.items():
        image = scene(shape)
        jpeg(folder / name, np.dstack([image] * 3) if name == COLOURED else image)
    monkeypatch.setenv("MEDCODEC_DATA", str(tmp_path))
    return folder


def test_the_official_layout_comes_first(root):
    films = load("chest-xray")
    assert films.source == "kermany" and "CC BY" in films.licence and films.bit_depth == 8
    assert dict(zip(films.ids, films.patients, strict=True)) == {
        "IM-0115-0001": "IM-0115",
        "NORMAL2-IM-0383-0001": "NORMAL2-IM-0383",
        "person1_bacteria_1": "person1",
        "person1_bacteria_2": "person1",
        "person1000_virus_1681": "person1000",
        "IM-0001-0001": "IM-0001",
        "person1_virus_6": "person1",
        "NORMAL2-IM-1427-0001": "NORMAL2-IM-1427",
        "person1946_bacteria_4874": "person1946",
    }
    assert films.labels == ("NORMAL",) * 4 + ("PNEUMONIA",) * 5
    shapes = {name.rsplit("/")[-1].removesuffix(".jpeg"): shape for name, shape in FILMS.items()}
    assert {name: image.shape for name, image in zip(films.ids, films, strict=True)} == shapes
    assert "official splits are joined" in films.preparation


def test_grey_and_coloured_films_are_read_alike(root):
    films = load("chest-xray", source="kermany")
    for name, image in zip(films.ids, films, strict=True):
        assert image.dtype == np.uint8
        error = image.astype(int) - scene(image.shape)
        assert np.abs(error).max() <= 8, name
    # colour that matters becomes the luma, as in a JPEG stream
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    jpeg(root / COLOURED, red)
    films = load("chest-xray")
    luma = films.images[films.ids.index("person1000_virus_1681")]
    assert np.abs(luma.astype(int) - round(0.299 * 200)).max() <= 2


def test_films_of_different_sizes_become_one(root):
    films = load("chest-xray", size=24)
    assert films.stack().shape == (len(FILMS), 24, 24)
    assert "resampled (bicubic) to 24 x 24" in films.preparation
    film = films.images[films.ids.index("person1_bacteria_1")]  # 30 x 48: bars above and below
    assert not film[:3].any() and not film[-3:].any() and film[6:18].min() > 0


def test_a_patient_of_two_official_splits_stays_on_one_side(root):
    films = load("chest-xray", size=16)
    train, test = splits.by_patient(films, 0.5)
    splits.assert_disjoint(train, test)
    part = train if "person1" in train.patients else test
    assert {"person1_bacteria_1", "person1_bacteria_2", "person1_virus_6"} <= set(part.ids)


def test_other_sources_are_taken_only_when_asked_for(root, tmp_path):
    assert load("chest-xray", source="open-pack", limit=1).source == "open-pack"
    for name in ("kermany-256/NORMAL/IM-0001-0001.png", "nih-1024/00000001_000.png"):
        path = tmp_path / "chest-xray" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, scene((8, 8)))
    assert load("chest-xray", size=8).source == "kermany"
    assert load("chest-xray", source="kermany-256").source == "kermany-256"
    root.rename(root.with_name("elsewhere"))
    assert load("chest-xray", limit=1).source == "open-pack"


def test_a_download_without_val_is_whole(root):
    for path in sorted((root / "val").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert len(load("chest-xray")) == 7
    (root / "val").rmdir()
    assert len(load("chest-xray")) == 7


def test_what_archives_and_systems_leave_behind_is_no_film(root):
    count = len(load("chest-xray"))
    (root / ".DS_Store").write_bytes(b"\0")
    for name in (
        "__MACOSX/train/NORMAL/._IM-0115-0001.jpeg",
        "__MACOSX/train/NORMAL/IM-0115-0001.jpeg",
        "train/NORMAL/._IM-0115-0001.jpeg",
        "train/NORMAL/.DS_Store",
        ".trash/IM-0115-0001.jpeg",
        "train/.ipynb_checkpoints/IM-0115-0001.jpeg",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"no image")
    for name in FILMS:  # the archive on Kaggle holds everything twice
        jpeg(root / "chest_xray" / name, scene((8, 8)))
    (root / "README.txt").write_text("read me")
    assert len(load("chest-xray")) == count


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_missing_split_is_named(root, split):
    (root / split).rename(root.parent / "moved")
    with pytest.raises(DataError, match=rf"no film in {split}/NORMAL.*train, test and.*val"):
        load("chest-xray")


def test_a_missing_class_is_named(root):
    (root / "val" / "PNEUMONIA" / "person1946_bacteria_4874.jpeg").unlink()
    with pytest.raises(DataError, match="no film in val/PNEUMONIA"):
        load("chest-xray")


@pytest.mark.parametrize(
    "stray",
    [
        "train/COVID/IM-0009-0001.jpeg",
        "extra/NORMAL/IM-0009-0001.jpeg",
        "train/IM-0009-0001.jpeg",
        "IM-0009-0001.jpeg",
        "train/NORMAL/more/IM-0009-0001.jpeg",
        "train/normal/IM-0009-0001.jpeg",
    ],
)
def test_a_film_in_another_place_is_named(root, stray):
    jpeg(root / stray, scene((8, 8)))
    with pytest.raises(DataError, match=rf"{stray}\); expected are the folders train, test"):
        load("chest-xray")


def test_an_empty_folder_is_not_replaced_silently(root):
    root.rename(root.with_name("elsewhere"))
    root.mkdir()
    with pytest.raises(DataError, match=r"another layout \(no film in test/NORMAL\)"):
        load("chest-xray")


@pytest.mark.parametrize("name", ["NORMAL-28501-0001", "BACTERIA-7422-0001", "film1"])
def test_names_of_other_versions_are_refused(root, name):
    jpeg(root / "train" / "NORMAL" / f"{name}.jpeg", scene((8, 8)))
    with pytest.raises(DataError, match=rf"'{name}' is not named as .* version 2"):
        load("chest-xray")


@pytest.mark.parametrize(
    "stem, patient",
    [
        ("person12_virus_34", "person12"),
        ("person1372_bacteria_3498", "person1372"),
        ("IM-0429-0001-0002", "IM-0429"),
        ("NORMAL2-IM-0206-0001", "NORMAL2-IM-0206"),
        ("NORMAL2-IM-1103-0001-0001", "NORMAL2-IM-1103"),
    ],
)
def test_patients_from_official_names(stem, patient):
    assert patient_of(stem) == patient


def test_one_name_in_two_splits_gives_two_ids(root):
    jpeg(root / "test" / "NORMAL" / "IM-0115-0001.jpeg", scene((9, 9)))
    films = load("chest-xray")
    assert len(set(films.ids)) == len(films) == len(FILMS) + 1
    shapes = {name: image.shape for name, image in zip(films.ids, films, strict=True)}
    assert shapes["test/IM-0115-0001"] == (9, 9) and shapes["train/IM-0115-0001"] == (40, 52)
    assert films.patients.count("IM-0115") == 2


@pytest.mark.parametrize(
    "copy", ["train/NORMAL/IM-0115-0001.png", "train/PNEUMONIA/IM-0115-0001.jpeg"]
)
def test_one_name_twice_in_a_split_is_refused(root, copy):
    (root / copy).write_bytes((root / "train" / "NORMAL" / "IM-0115-0001.jpeg").read_bytes())
    with pytest.raises(DataError, match="'train/IM-0115-0001' is there twice"):
        load("chest-xray")


def test_a_damaged_film_is_named(root):
    path = root / "test" / "PNEUMONIA" / "person1_virus_6.jpeg"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"person1_virus_6\.jpeg cannot be decoded"):
        load("chest-xray")


@pytest.fixture
def nih(tmp_path, monkeypatch):
    folder = tmp_path / "chest-xray" / "nih-1024"
    folder.mkdir(parents=True)
    for name in ("00000165_001", "00000211_013", "00000211_014"):
        write_image(folder / f"{name}.png", RNG.integers(0, 256, (32, 32)).astype(np.uint8))
    (folder / "SOURCE.txt").write_text("where from")
    monkeypatch.setenv("MEDCODEC_DATA", str(tmp_path))
    return folder


def test_films_of_the_nih(nih):
    films = load("chest-xray", source="nih-1024")
    assert films.ids == ("00000165_001", "00000211_013", "00000211_014")
    assert films.patients == ("00000165", "00000211", "00000211")
    assert set(films.labels) == {""} and films.bit_depth == 8
    assert "attribution" in films.licence
    assert "Wang et al. 2017" in films.citation and "NIH Clinical Center" in films.citation
    assert "never JPEG" in films.preparation
    stored = imagecodecs.png_decode((nih / "00000165_001.png").read_bytes())
    np.testing.assert_array_equal(films.images[0], stored)
    assert load("chest-xray", source="nih-1024", size=16).stack().shape == (3, 16, 16)
    assert load("chest-xray", limit=1).source == "open-pack"


def test_films_of_the_nih_need_their_names(nih):
    (nih / "part").mkdir()
    (nih / "00000165_001.png").rename(nih / "part" / "00000165_001.png")
    assert len(load("chest-xray", source="nih-1024")) == 3  # as in the folders of the download
    write_image(nih / "00000165_001.png", scene((8, 8)))
    with pytest.raises(DataError, match="'00000165_001' is there twice"):
        load("chest-xray", source="nih-1024")
    (nih / "00000165_001.png").rename(nih / "person1_virus_6.png")
    with pytest.raises(DataError, match=r"'person1_virus_6' is not named as in the NIH"):
        load("chest-xray", source="nih-1024")


def test_an_empty_folder_of_the_nih_is_named(nih):
    for path in nih.iterdir():
        path.unlink()
    with pytest.raises(DataError, match="nih-1024 holds no image"):
        load("chest-xray", source="nih-1024")
    nih.rmdir()
    with pytest.raises(DataError, match=r"not on this machine.*chest-xray/nih-1024.*nihcc"):
        load("chest-xray", source="nih-1024")
