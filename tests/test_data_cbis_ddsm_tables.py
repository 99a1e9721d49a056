"""The tables of CBIS-DDSM: films from rows, what ids say, and tables that are wrong."""

import os
from pathlib import Path

import pytest
from cbis_ddsm_tree import COLUMNS, LABELS, MASSES, ONE, write_tables

from helpers.data.cbis_ddsm import TABLES, part_of, read_tables, view_of
from helpers.data.mammography import DATASET
from helpers.errors import DataError

SHARED = Path(os.environ.get("MEDCODEC_DATA") or "no-such-folder") / "mammography/cbis-ddsm-256"


@pytest.fixture
def folder(tmp_path):
    write_tables(tmp_path)
    return tmp_path


def edit(path, old, new, count=1):
    """Change a file's text, and make sure that there was something to change."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, count), encoding="utf-8")


@pytest.mark.parametrize("gap", [" ", "_"])
def test_a_film_is_listed_once_however_many_masses_it_shows(tmp_path, gap):
    write_tables(tmp_path, columns=[name.replace(" ", gap) for name in COLUMNS])
    films = read_tables(tmp_path)
    assert {film.id: film.label for film in films} == LABELS
    assert [film.id for film in films] == list(LABELS)  # by view, part, label and id
    assert all(film.part == part_of(film.id) for film in films)
    assert {film.patient for film in films} == {"P_00001", "P_00004", "P_00016"}


@pytest.mark.parametrize("order", [1, -1])
def test_one_malignant_mass_makes_a_film_malignant(tmp_path, order):
    write_tables(tmp_path, MASSES[::order])
    assert {film.id: film.label for film in read_tables(tmp_path)} == LABELS


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_missing_table_is_named(folder, part):
    (folder / TABLES[part]).unlink()
    with pytest.raises(DataError, match=rf"no table .*{TABLES[part]}; download"):
        read_tables(folder)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("image file path", "path", "no column 'image file path'"),
        ("patient_id", "patient", "no column 'patient_id'"),
        (",pathology", ",outcome", "no column 'pathology'"),
        ("P_00001,3,LEFT,CC", "P_00001,3,RIGHT,CC", "line 3: its path leads to"),
        ("P_00001,3", "P_00002,3", "other columns to 'Mass-Training_P_00002_LEFT_CC'"),
        ("CC/1.3.6.1", "CC_1/1.3.6.1", "its path leads to 'Mass-Training_P_00001_LEFT_CC_1'"),
        ("Mass-Training_P_00001_LEFT_CC/", "../", r"its path leads to '\.\.'"),
        ("MALIGNANT", "UNPROVEN", "pathology 'UNPROVEN' is none of MALIGNANT, BENIGN"),
        (",mass,", ",calcification,", "abnormality 'calcification' is no mass"),
        ("P_00004,3,RIGHT,MLO,2", "P_00004,3,RIGHT,MLO,1", "the mass 1 of .*MLO is there twice"),
        ("Mass-Training_P_00001", "Mass-Test_P_00001", "its path leads to 'Mass-Test_P_00001"),
    ],
)
def test_a_wrong_table_is_told(folder, old, new, message):
    edit(folder / TABLES["train"], old, new)
    with pytest.raises(DataError, match=rf"{TABLES['train']}.*{message}.*download .* again"):
        read_tables(folder)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "no column 'patient_id'"),
        (",".join(COLUMNS).encode(), "lists no film"),
        ((",".join(COLUMNS) + "\nP_00001,3\n").encode(), "line 2: its path leads to ''"),
        (b"\xff\xfe\x00patient_id", "cannot be read"),
        (b"PK\x03\x04\x00", "no column|cannot be read"),
    ],
)
def test_another_file_is_no_table(folder, content, message):
    (folder / TABLES["test"]).write_bytes(content)
    with pytest.raises(DataError, match=rf"{TABLES['test']}.*({message}).*again"):
        read_tables(folder)


def test_tables_as_spreadsheets_write_them(folder):
    path = folder / TABLES["train"]
    path.write_text("\ufeff" + path.read_text() + "\n\n", encoding="utf-8", newline="\r\n")
    assert len(read_tables(folder)) == len(LABELS)


def test_no_woman_may_be_in_both_parts(folder):
    both = ("test", "P_00001", "RIGHT", "CC", 1, "BENIGN")
    write_tables(folder, [*MASSES, both])
    with pytest.raises(DataError, match=r"patient P_00001 is in both tables"):
        read_tables(folder)


@pytest.mark.parametrize("name", ["P_00001", "Calc-Test_P_00038_LEFT_CC", f"{ONE}_1", "csi1-z100"])
def test_other_names_have_neither_view_nor_part(name):
    for ask in (view_of, part_of):
        with pytest.raises(ValueError, match=f"'{name}' is no film of CBIS-DDSM"):
            ask(name)


@pytest.mark.skipif(not SHARED.is_dir(), reason="MEDCODEC_DATA has no mammography/cbis-ddsm-256")
def test_the_real_tables():
    films = read_tables(SHARED)
    assert len(films) == 1592 and len({film.id for film in films}) == 1592
    assert sum(view_of(film.id) == "MLO" for film in films) == 849
    train, test = ({film.patient for film in films if film.part == part} for part in TABLES)
    assert (len(train), len(test)) == (691, 201) and not train & test
    assert all(part_of(film.id) == film.part for film in films)
    tested = {film.id for film in films if film.part == "test"}
    assert {item.id for item in DATASET.source("open-pack").items(None, 1)} <= tested
