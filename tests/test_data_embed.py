"""EMBED: the balanced cohort, its tables, its three parts, and pixels of a small tree."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from cbis_ddsm_tree import dicom
from embed_tree import films_of, finding, image, write
from hypothesis import given
from hypothesis import strategies as st

from helpers.data import ImageSet, load, splits
from helpers.data.embed import CITATION, cohort, read_tables, table1, table2
from helpers.data.embed_tables import METADATA
from helpers.data.mammography import DATASET
from helpers.errors import DataError

NAMES = ("Doe^Jane", "MRN-4711", "19610203")


@pytest.fixture
def many():
    """Twelve positive breasts; their owners and thirty others have negative ones."""
    found = []
    for i in range(12):
        found += films_of(f"ill{i}", "POSITIVE", views=("CC", "MLO", "ML"))
        found += films_of(f"ill{i}", "NEGATIVE", sides="R")
    for i in range(30):
        found += films_of(f"well{i}", "NEGATIVE", exams=1 + i % 4, sides="LR")
    return found


def test_the_cohort_is_balanced_and_nobody_is_in_both_classes(many):
    drawn = cohort(many)
    assert Counter(film.label for film in drawn) == {"POSITIVE": 36, "NEGATIVE": 36}
    patients = [{f.patient for f in drawn if f.label == name} for name in ("POSITIVE", "NEGATIVE")]
    assert not patients[0] & patients[1]
    assert len(patients[1]) == 18  # two images of a breast each: nobody is drawn twice
    assert set(drawn) <= set(many) and len(set(drawn)) == len(drawn)
    assert drawn == sorted(drawn, key=lambda film: (film.label, film.id))


def test_the_seed_draws_the_cohort_and_the_order_of_the_tables_does_not(many):
    assert cohort(many, 3) == cohort(many[::-1], 3)
    assert cohort(many, 3) != cohort(many, 4)


def test_patients_give_a_second_breast_when_all_have_given_one():
    films = films_of("ill", "POSITIVE", views="abcdefg")
    for i in range(3):
        films += films_of(f"well{i}", "NEGATIVE", exams=5)
    for seed in range(9):
        drawn = [film for film in cohort(films, seed) if film.label == "NEGATIVE"]
        breasts = Counter(patient for patient, _ in {(f.patient, f.exam) for f in drawn})
        assert len(drawn) == 7 and sorted(breasts.values()) == [1, 1, 2]


def test_where_positives_are_the_more_they_are_drawn():
    films = films_of("well", "NEGATIVE")
    for i in range(5):
        films += films_of(f"ill{i}", "POSITIVE")
    assert Counter(film.label for film in cohort(films)) == {"POSITIVE": 2, "NEGATIVE": 2}


@pytest.mark.parametrize("label", ["POSITIVE", "NEGATIVE"])
def test_a_cohort_needs_both_classes(label):
    with pytest.raises(DataError, match="both kinds are needed"):
        cohort(films_of("p1", label))


def test_the_only_negatives_of_a_positive_patient_make_no_cohort():
    with pytest.raises(DataError, match="1 positive images and 0 negative"):
        cohort(films_of("p", "POSITIVE", views=["CC"]) + films_of("p", "NEGATIVE", sides="R"))


def test_table_1_counts_patients_exams_and_images(many):
    table = table1(many)
    assert list(table.index) == ["POSITIVE", "NEGATIVE", "total"]
    assert table.loc["POSITIVE"].to_dict() == {"patients": 12, "exams": 12, "images": 36}
    assert table.loc["total", "patients"] == 42  # not 54: twelve have breasts of both kinds
    assert table.loc["total", "exams"] == 12 + sum(1 + i % 4 for i in range(30))
    assert table.loc["total", "images"] == len(many)


def as_set(films):
    return ImageSet(
        name="mammography",
        source="embed",
        images=tuple(np.full((2, 2), i % 256, np.uint8) for i in range(len(films))),
        ids=tuple(film.id for film in films),
        patients=tuple(film.patient for film in films),
        labels=tuple(film.label for film in films),
        bit_depth=8,
        licence="none",
        citation="none",
    )


def test_table_2_counts_the_images_of_each_part(many):
    parts = splits.three_ways(as_set(cohort(many)))
    table = table2(dict(zip(("train", "validation", "test"), parts, strict=True)))
    assert list(table.index) == ["train", "validation", "test", "total"]
    assert list(table.columns) == ["patients", "NEGATIVE", "POSITIVE", "images"]
    assert table.loc["total"].to_dict() == {
        "patients": 30,
        "NEGATIVE": 36,
        "POSITIVE": 36,
        "images": 72,
    }
    for name, part in zip(table.index, parts, strict=False):
        assert table.loc[name, "POSITIVE"] == part.labels.count("POSITIVE")
        assert table.loc[name, "images"] == len(part)
    assert (table.iloc[:3].sum() == table.loc["total"]).all()  # patients too: none is in two


people = st.lists(
    st.tuples(st.sampled_from("abcdefghijkl"), st.sampled_from("NP")), min_size=3, max_size=60
).filter(lambda pairs: len({patient for patient, _ in pairs}) > 2)


@given(people, st.sampled_from([(0.6, 0.2, 0.2), (0.98, 0.01, 0.01), (0.2, 0.2, 0.6)]))
def test_three_parts_share_no_patient_and_lose_no_image(pairs, shares):
    films = [replace(films_of(p, n)[0], id=f"{i}") for i, (p, n) in enumerate(pairs)]
    parts = splits.three_ways(as_set(films), shares, seed=1)
    patients = [set(part.patients) for part in parts]
    assert all(patients) and sum(map(len, patients)) == len(set.union(*patients))
    assert sorted(name for part in parts for name in part.ids) == sorted(f.id for f in films)
    assert all(list(part.ids) == sorted(part.ids, key=int) for part in parts)


@pytest.mark.parametrize("seed", range(8))
def test_three_parts_hold_each_class_in_proportion(seed):
    films = [film for i in range(70) for film in films_of(f"n{i}", "NEGATIVE")]
    films += [film for i in range(30) for film in films_of(f"p{i}", "POSITIVE")]
    parts = splits.three_ways(as_set(films), seed=seed)
    assert [len(set(part.patients)) for part in parts] == [60, 20, 20]
    for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
        positive = {name for name in part.patients if name.startswith("p")}
        assert len(positive) == pytest.approx(30 * share, abs=1)  # by chance up to 8 off
    again = splits.three_ways(as_set(films[::-1]), seed=seed)
    assert [set(part.patients) for part in again] == [set(part.patients) for part in parts]
    other = splits.three_ways(as_set(films), seed=seed + 1)
    assert set(other[0].patients) != set(parts[0].patients)


@pytest.mark.parametrize(
    "shares", [(0.6, 0.4), (0.6, 0.2, 0.3), (1.2, -0.1, -0.1), (0.5, 0.5, 0), (float("nan"),) * 3]
)
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(ValueError, match="positive and make 1"):
        splits.three_ways(as_set(films_of("a", "") + films_of("b", "") + films_of("c", "")), shares)


def test_two_patients_do_not_make_three_parts():
    with pytest.raises(ValueError, match="3 are needed"):
        splits.three_ways(as_set(films_of("a", "") + films_of("b", "")))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write a release with files of the cohort alone; its patients are in the DICOM tags."""
    monkeypatch.setenv("MEDCODEC_DATA", str(tmp_path))
    folder = tmp_path / "mammography" / "embed"
    findings = [finding("e1", asses="S", biopsy="2017-02-02"), finding("e1", "R")]
    findings += [finding("e2", "B", "B"), finding("e3", "L", "P")]
    images = [image("e1", view="CC"), image("e1", view="MLO"), image("e1", "R")]
    images += [image("e2"), image("e2", "R"), image("e3")]
    write(folder, findings, images)
    rng = np.random.default_rng(0)
    for film in cohort(read_tables(folder)):
        name, number, born = NAMES
        pixels = rng.integers(0, 4096, (40, 24)).astype(np.uint16)
        tags = {"PatientName": name, "PatientID": number, "PatientBirthDate": born}
        dicom(film.path, pixels, **tags, BitsStored=12, HighBit=11)
    return folder


def test_the_source_gives_the_cohort_in_16_bits(folder):
    films = load("mammography", 16, "embed", depth=16)
    assert films.source == "embed" and films.citation == CITATION
    assert films.labels == ("NEGATIVE", "NEGATIVE", "POSITIVE", "POSITIVE")
    assert films.patients == ("p2", "p2", "p1", "p1")
    assert films.stack().shape == (4, 16, 16) and films.stack().dtype == np.uint16
    assert films.bit_depth == 12 and 255 < films.stack().max() < 4096
    assert "BI-RADS" in films.preparation and "bicubic" in films.preparation
    assert "non-commercial" in films.licence


def test_a_large_film_is_reduced_with_averaging(folder):
    film = cohort(read_tables(folder))[0]
    stripes = np.tile(np.array([0, 4000], np.uint16), (64, 32))
    dicom(film.path, stripes, BitsStored=12, HighBit=11)
    reduced = load("mammography", 8, "embed", depth=16).images[0]
    assert abs(reduced.astype(int) - 2000).max() < 250  # picking every eighth gives 0 or 4000


def test_bigger_is_brighter_in_films_of_either_kind(folder):
    film = cohort(read_tables(folder))[0]
    dark = np.full((8, 8), 4095, np.uint16)
    tags = {"BitsStored": 12, "HighBit": 11, "PhotometricInterpretation": "MONOCHROME1"}
    dicom(film.path, dark, **tags)
    assert load("mammography", None, "embed", depth=16).images[0].max() == 0


def test_nothing_of_a_person_leaves_the_files(folder):
    films = load("mammography", 8, "embed", depth=16)
    said = repr((films.ids, films.patients, films.labels, films.preparation, films))
    assert not any(name in said for name in NAMES)
    assert "20170101" not in said  # nor the day in the path


def test_a_film_of_the_cohort_without_a_file_is_named(folder):
    films = cohort(read_tables(folder))
    films[0].path.unlink()
    with pytest.raises(DataError, match=rf"no file for the film {films[0].id}, which {METADATA}"):
        load("mammography", 8, "embed")
    films[1].path.unlink()
    with pytest.raises(DataError, match=rf"{films[0].id} \(nor for 1 more\).*download it to"):
        load("mammography", 8, "embed")


def test_a_signed_film_is_refused(folder):
    film = cohort(read_tables(folder))[0]
    dicom(film.path, np.zeros((8, 8), np.int16), PixelRepresentation=1)
    with pytest.raises(DataError, match=rf"{film.id} holds signed pixels"):
        load("mammography", 8, "embed")


def test_embed_is_taken_only_when_asked_for_and_says_how_to_get_it(folder, monkeypatch, tmp_path):
    assert not DATASET.source("embed").official
    assert load("mammography", 8, limit=1).source == "open-pack"
    folder.rename(tmp_path / "elsewhere")
    words = r"'embed'.*not on this machine.*mammography/embed.*Research Use Agreement"
    with pytest.raises(DataError, match=words):
        load("mammography", 8, "embed")
