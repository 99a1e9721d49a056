"""CBIS-DDSM: what its tables list, and what a film's id says; `mammography` reads the pixels.

Two tables, one for each official part, list one mass a row; a film that shows several has
several rows and is one film here. The calcification cases are left out: some of their women,
and even some of their films, are mass cases too, now and then in the other official part.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from helpers.errors import DataError

TABLES = {
    "train": "mass_case_description_train_set.csv",
    "test": "mass_case_description_test_set.csv",
}
PATHOLOGIES = {
    "MALIGNANT": "MALIGNANT",
    "BENIGN": "BENIGN",
    "BENIGN_WITHOUT_CALLBACK": "BENIGN",  # no further examination was needed
}
LICENCE = "CC BY 3.0"
CITATION = "Sawyer-Lee et al. 2016 (CBIS-DDSM), doi 10.7937/K9/TCIA.2016.7O02S9CY"

_COLUMNS = (
    "patient_id",
    "left or right breast",
    "image view",
    "abnormality id",
    "abnormality type",
    "pathology",
    "image file path",
)
_PREFIXES = {"train": "Mass-Training", "test": "Mass-Test"}
_FILM = re.compile(r"(Mass-Training|Mass-Test)_(P_\d{5})_(?:LEFT|RIGHT)_(CC|MLO)")


@dataclass(frozen=True)
class Film:
    """One mammogram of the tables.

    Parameters
    ----------
    id : str
        Part, woman, side and view, for example ``"Mass-Training_P_00001_LEFT_MLO"``.
    patient : str
        Public pseudonym, for example ``"P_00001"``.
    part : {"train", "test"}
    label : {"BENIGN", "MALIGNANT"}
        Malignant where any mass on the film is.
    """

    id: str
    patient: str
    part: str
    label: str


def view_of(film: str) -> str:
    """View of a film: from above (CC, craniocaudal) or aslant (MLO, mediolateral oblique).

    Parameters
    ----------
    film : str
        Its id, from any source of CBIS-DDSM in the data set ``mammography``.

    Returns
    -------
    {"CC", "MLO"}

    Raises
    ------
    ValueError
        If it is no id of such a film.
    """
    return _parts_of_id(film)[3]


def part_of(film: str) -> str:
    """Official part that a film belongs to; no woman is in both.

    Parameters
    ----------
    film : str
        Its id, from any source of CBIS-DDSM in the data set ``mammography``.

    Returns
    -------
    {"train", "test"}

    Raises
    ------
    ValueError
        If it is no id of such a film.
    """
    return "train" if _parts_of_id(film)[1] == _PREFIXES["train"] else "test"


def read_tables(folder: Path) -> list[Film]:
    """Films that the two tables in a folder list, one for each woman, side and view.

    Parameters
    ----------
    folder : pathlib.Path

    Returns
    -------
    list of Film
        In the order of view, part, label and id, so that an even choice keeps their shares.

    Raises
    ------
    DataError
        If a table is missing or another one, a row contradicts itself or is there twice, or a
        woman is in both parts.
    """
    films = [film for part, name in TABLES.items() for film in _films(folder / name, part)]
    parts: dict[str, str] = {}
    for film in films:
        if parts.setdefault(film.patient, film.part) != film.part:
            raise DataError(
                f"The patient {film.patient} is in both tables of {folder}, which share none as "
                f"published; download {' and '.join(TABLES.values())} again."
            )
    return sorted(films, key=lambda film: (view_of(film.id), film.part, film.label, film.id))


def listed(folder: Path, part: str, view: str) -> list[tuple[str, str]]:
    """Rows of one table, as who takes each for an image reads it: a film once for each mass.

    Parameters
    ----------
    folder : pathlib.Path
    part : {"train", "test"}
    view : {"CC", "MLO"}

    Returns
    -------
    list of (film, patient)
        In the table's order; some films several times.

    Raises
    ------
    DataError
        If the table is missing or another one.
    """
    rows = _rows(folder / TABLES[part])
    return [(_film_of(row), row["patient_id"]) for _, row in rows if row["image view"] == view]


def _parts_of_id(film: str) -> re.Match:
    match = _FILM.fullmatch(film)
    if match is None:
        raise ValueError(
            f"'{film}' is no film of CBIS-DDSM; ids look like Mass-Training_P_00001_LEFT_MLO."
        )
    return match


def _films(table: Path, part: str) -> list[Film]:
    """Merge the rows of one table, a mass each, into films."""
    films: dict[str, Film] = {}
    seen = set()
    for line, row in _rows(table):
        film, patient, mass = _film_of(row), row["patient_id"], row["abnormality id"]
        problem = _problem(row, part)
        if not problem and (film, mass) in seen:
            problem = f"the mass {mass} of {film} is there twice"
        if problem:
            raise DataError(f"{table}, line {line}: {problem}; download the table again.")
        seen.add((film, mass))
        label = PATHOLOGIES[row["pathology"]]
        if film not in films or label == "MALIGNANT":
            films[film] = Film(film, patient, part, label)
    return list(films.values())


def _film_of(row: dict[str, str]) -> str:
    """Id of a row's film: the folder in its path, the only part of it that downloads keep."""
    return row["image file path"].split("/")[0]


def _problem(row: dict[str, str], part: str) -> str:
    """What is wrong with a row, ``""`` where nothing is."""
    film = _film_of(row)
    where = (row["patient_id"], row["left or right breast"], row["image view"])
    named = "_".join([_PREFIXES[part], *where])
    if film != named or not _FILM.fullmatch(film):
        return f"its path leads to '{film}', and its other columns to '{named}'"
    if row["abnormality type"] != "mass":
        return f"the abnormality '{row['abnormality type']}' is no mass"
    if row["pathology"] not in PATHOLOGIES:
        return f"the pathology '{row['pathology']}' is none of {', '.join(PATHOLOGIES)}"
    return ""


def _rows(table: Path) -> list[tuple[int, dict[str, str]]]:
    """Rows of a table, each with the line it ends on (paths may hold line breaks)."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            places = _places(next(reader, []), table)
            rows = [
                (reader.line_num, {name: _cell(cells, at) for name, at in places.items()})
                for cells in reader
                if cells
            ]
    except FileNotFoundError:
        raise DataError(
            f"There is no table {table}; download {' and '.join(TABLES.values())} from The "
            "Cancer Imaging Archive into that folder."
        ) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"The table {table} cannot be read ({error}); download it again."
        ) from error
    if not rows:
        raise DataError(f"The table {table} lists no film; download it again.")
    return rows


def _places(header: list[str], table: Path) -> dict[str, int]:
    """Where each column stands; some copies write their names with underscores."""
    spelt = [name.strip().replace("_", " ") for name in header]
    missing = [name for name in _COLUMNS if name.replace("_", " ") not in spelt]
    if missing:
        raise DataError(
            f"The table {table} has no column '{missing[0]}', so it is not the one that The "
            "Cancer Imaging Archive publishes under this name; download it again."
        )
    return {name: spelt.index(name.replace("_", " ")) for name in _COLUMNS}


def _cell(cells: list[str], place: int) -> str:
    return cells[place].strip() if place < len(cells) else ""
