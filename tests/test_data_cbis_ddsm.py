"""CBIS-DDSM: a small copy of the official download, and of the reduced films."""

import argparse
import os
from pathlib import Path

import numpy as np
import pytest
from cbis_ddsm_tree import (
    LABELS,
    ONE,
    dicom,
    pixels,
    reduced_pixels,
    write_official,
    write_reduced,
)

from helpers.data import commands, load, splits
from helpers.data.cbis_ddsm import TABLES, listed, part_of, view_of
from helpers.data.mammography import DATASET, FILMS
from helpers.errors import DataError

SHARED = Path(os.environ.get("MEDCODEC_DATA") or "no-such-folder") / "mammography/cbis-ddsm-256"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCODEC_DATA", str(tmp_path))
    write_official(tmp_path / "mammography" / "cbis-ddsm")
    return tmp_path / "mammography" / "cbis-ddsm"


@pytest.fixture
def reduced(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCODEC_DATA", str(tmp_path))
    write_reduced(tmp_path / "mammography" / "cbis-ddsm-256")
    return tmp_path / "mammography" / "cbis-ddsm-256"


def film_file(root, film=ONE):
    return next((root / "CBIS-DDSM" / film).rglob("*.dcm"))


def test_the_official_layout_comes_first(root):
    films = load("mammography", depth=16)
    assert films.source == "cbis-ddsm" and films.bit_depth == 16
    assert films.licence == "CC BY 3.0" and "10.7937/K9/TCIA.2016.7O02S9CY" in films.citation
    assert dict(zip(films.ids, films.labels, strict=True)) == LABELS
    assert films.ids == tuple(LABELS)  # by view, part, label and id
    assert films.patients == tuple("_".join(film.split("_")[1:3]) for film in LABELS)
    for film, image in zip(films.ids, films, strict=True):
        np.testing.assert_array_equal(image, pixels(film))
    assert "any mass" in films.preparation


def test_only_the_films_that_are_wanted_are_read(root):
    for path in (root / "CBIS-DDSM").glob("*_CC/**/*.dcm"):
        path.write_bytes(b"not read")
    films = load("mammography", keep=lambda film: view_of(film) == "MLO")
    assert films.ids == tuple(film for film in LABELS if view_of(film) == "MLO")
    assert load("mammography", keep=lambda film: "LEFT_MLO" in film, limit=1).ids[0] in LABELS
    with pytest.raises(ValueError, match="`keep` wants none of the images"):
        load("mammography", keep=lambda film: False)


def test_the_papers_filter_is_bilinear(root):
    both = [load("mammography", size=12, resample=name) for name in ("bicubic", "bilinear")]
    assert "resampled (bilinear) to 12 x 12" in both[1].preparation
    assert any((a != b).any() for a, b in zip(*both, strict=True))
    with pytest.raises(ValueError, match="one of bicubic, bilinear, not 'nearest'"):
        load("mammography", size=12, resample="nearest")


def test_the_tables_list_a_film_once_for_each_mass(root):
    rows = listed(root, "train", "MLO")
    assert [film for film, _ in rows].count("Mass-Training_P_00004_RIGHT_MLO") == 3
    assert {film for film, _ in rows} == {
        film for film in LABELS if view_of(film) == "MLO" and part_of(film) == "train"
    }
    assert all(patient in film for film, patient in rows)


def test_eight_bits_are_the_full_range(root):
    film = load("mammography").images[1]
    expected = np.rint(pixels(ONE) * (255 / 65535))
    assert film.dtype == np.uint8 and np.abs(film - expected).max() <= 1


def test_films_become_squares_of_one_size(root):
    films = load("mammography", size=12)
    assert films.stack().shape == (len(LABELS), 12, 12)
    assert "Zero-padded to a square and resampled (bicubic) to 12 x 12" in films.preparation
    assert not films.stack()[:, :, 0].any() and not films.stack()[:, :, -1].any()


def test_bigger_is_brighter_whatever_the_file_says(root):
    path = film_file(root)
    dicom(path, pixels(ONE), PhotometricInterpretation="MONOCHROME1")
    films = load("mammography", depth=16)
    np.testing.assert_array_equal(films.images[films.ids.index(ONE)], 65535 - pixels(ONE))


def test_an_even_choice_keeps_both_views(root):
    views = [view_of(film) for film in load("mammography", limit=3).ids]
    assert views.count("MLO") == 2


def test_a_chapter_can_choose_view_and_part(root):
    films = load("mammography", size=8)
    oblique = films.take([i for i, film in enumerate(films.ids) if view_of(film) == "MLO"])
    assert len(oblique) == 4
    parts = [
        oblique.take([i for i, film in enumerate(oblique.ids) if part_of(film) == part])
        for part in ("train", "test")
    ]
    assert [len(part) for part in parts] == [3, 1]
    splits.assert_disjoint(*parts)


@pytest.mark.parametrize("place", ["", "manifest-1534787024127/CBIS-DDSM"])
def test_films_may_lie_where_the_downloader_left_them(root, place):
    for path in sorted((root / "CBIS-DDSM").iterdir()):
        (root / place).mkdir(parents=True, exist_ok=True)
        path.rename(root / place / path.name)
    assert len(load("mammography", source="cbis-ddsm", size=8)) == len(LABELS)


def test_parts_may_come_from_two_downloads(root):
    other = root / "manifest-2" / "CBIS-DDSM"
    other.mkdir(parents=True)
    for path in (root / "CBIS-DDSM").glob("Mass-Test*"):
        path.rename(other / path.name)
    assert len(load("mammography", size=8)) == len(LABELS)


@pytest.mark.parametrize("others", [("cropped images", "ROI mask images"), ("ROI mask images",)])
@pytest.mark.parametrize("description", ["full mammogram images", "Full Mammogram Images ", None])
def test_the_full_film_is_told_from_crops_in_its_folder(root, others, description):
    path = film_file(root)
    dicom(path, pixels(ONE), description)
    for number, other in enumerate(others):  # sorted before and after the film
        dicom(path.parents[1] / f"{number}.9" / "1-1.dcm", pixels(ONE)[:5], other)
    (path.parent / "._1-1.dcm").write_bytes(b"left by another system")
    films = load("mammography", depth=16)
    np.testing.assert_array_equal(films.images[films.ids.index(ONE)], pixels(ONE))


def test_a_folder_with_crops_only_is_no_film(root):
    dicom(film_file(root), pixels(ONE), "cropped images")
    with pytest.raises(DataError, match=rf"{ONE} has only cropped images.*full mammogram images'"):
        load("mammography")


def test_a_film_that_is_there_twice_is_named(root):
    dicom(root / "manifest-1" / "CBIS-DDSM" / ONE / "1.3" / "1.4" / "1-1.dcm", pixels(ONE))
    with pytest.raises(DataError, match=rf"{ONE} is there 2 times .*manifest-1.*keep one"):
        load("mammography")


def test_a_missing_film_is_never_left_out_silently(root):
    path = film_file(root)
    path.unlink()  # its crops in the folder of the first mass are still there
    with pytest.raises(DataError, match=rf"no file for the film {ONE}, which {TABLES['train']}"):
        load("mammography", limit=1)
    path.parent.rmdir()
    for parent in list(path.parents)[1:3]:
        parent.rmdir()
    film_file(root, "Mass-Test_P_00016_LEFT_CC").unlink()
    with pytest.raises(DataError, match=r"\(nor for 1 more\).*download it to .*or take its rows"):
        load("mammography")


def test_a_damaged_film_is_named(root):
    path = film_file(root)
    path.write_bytes(b"half a file")
    with pytest.raises(DataError, match=rf"{ONE}.*1-1.dcm is not a DICOM file .*download it again"):
        load("mammography")
    dicom(path, pixels(ONE))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=rf"pixel data of .*{ONE}.*cannot be decoded"):
        load("mammography")
    dicom(path, pixels(ONE), PixelRepresentation=1)
    with pytest.raises(DataError, match=rf"{ONE} holds signed pixels"):
        load("mammography")


def test_calcification_cases_are_left_out(root):
    # P_00016 tests on masses and trains on calcifications, as some women of the real set do
    (root / "calc_case_description_train_set.csv").write_text(
        "patient_id,breast density,left or right breast\nP_00016,4,LEFT\n"
    )
    image = np.zeros((4, 4), np.uint16)
    dicom(root / "CBIS-DDSM" / "Calc-Training_P_00016_LEFT_CC" / "1.1" / "1.2" / "1-1.dcm", image)
    assert set(load("mammography", size=8).ids) == set(LABELS)


def test_reduced_films_have_the_same_ids_labels_and_patients(root, reduced):
    films = load("mammography", source="cbis-ddsm-256")
    official = load("mammography", size=16)
    assert official.source == "cbis-ddsm"
    for fact in ("ids", "labels", "patients", "licence", "citation"):
        assert getattr(films, fact) == getattr(official, fact)
    for film, image in zip(films.ids, films, strict=True):
        np.testing.assert_array_equal(image, reduced_pixels(film))
    assert "blackened outside the breast" in films.preparation
    with pytest.raises(ValueError, match="8 bits"):
        load("mammography", source="cbis-ddsm-256", depth=16)


def test_reduced_films_must_be_all_there_and_in_their_place(reduced):
    path = reduced / "train" / f"{ONE}.png"
    moved = reduced / "test" / path.name
    path.rename(moved)
    with pytest.raises(DataError, match=rf"no file for the film {ONE}, .*to .*train.*{ONE}\.png"):
        load("mammography", source="cbis-ddsm-256")
    path.write_bytes(moved.read_bytes())
    with pytest.raises(DataError, match=rf"test.{ONE}\.png is of no film that the tables"):
        load("mammography", source="cbis-ddsm-256")
    moved.unlink()
    path.write_bytes(b"half a file")
    with pytest.raises(DataError, match=rf"{ONE}\.png cannot be decoded"):
        load("mammography", source="cbis-ddsm-256")


def test_reduced_films_are_taken_only_when_asked_for(reduced):
    films = load("mammography", limit=1, size=16)
    assert films.source == "open-pack"


def test_the_open_pack_films_have_the_ids_of_the_official_test_part():
    films = [item.id for item in DATASET.source("open-pack").items(None, 1)]
    assert films == [f"Mass-Test_{patient}_{view}" for patient, view, _ in FILMS.values()]
    assert {part_of(film) for film in films} == {"test"}
    assert [view_of(film) for film in films] == ["CC", "MLO"] * 4


def test_a_source_that_is_not_here_names_the_official_layout(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCODEC_DATA", str(tmp_path))
    words = r"not on this machine.*mammography/cbis-ddsm.*7O02S9CY.*mass_case_description_train"
    for name in ("cbis-ddsm", "cbis-ddsm-256"):
        with pytest.raises(DataError, match=words):
            load("mammography", source=name)


def test_the_command_line_lists_and_checks(root, reduced, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MEDCODEC_CACHE", str(tmp_path / "cache"))
    parser = argparse.ArgumentParser()
    commands.add_arguments(parser.add_subparsers())

    def run(word):
        args = parser.parse_args(["data", word])
        return args.run(args), capsys.readouterr().out

    code, said = run("list")
    assert code == 0 and "cbis-ddsm    here" in said and "cbis-ddsm-256 here" in said
    assert "'mammography/cbis-ddsm'" in said
    code, said = run("check")
    assert code == 0
    assert "mammography/cbis-ddsm: 6 images of 3 patients" in said
    assert "mammography/cbis-ddsm-256: 6 images of 3 patients" in said
    film_file(root).unlink()
    code, said = run("check")
    assert code == 1 and f"mammography/cbis-ddsm: There is no file for the film {ONE}" in said


@pytest.mark.skipif(not SHARED.is_dir(), reason="MEDCODEC_DATA has no mammography/cbis-ddsm-256")
def test_real_reduced_films():
    films = load("mammography", source="cbis-ddsm-256", limit=40)
    assert films.stack().shape == (40, 256, 256) and films.stack().dtype == np.uint8
    assert [view_of(film) for film in films.ids].count("MLO") in (21, 22)  # 849 of 1,592
    assert {part_of(film) for film in films.ids} == {"train", "test"}
    assert all(image.std() > 10 for image in films)
