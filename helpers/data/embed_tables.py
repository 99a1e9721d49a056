"""EMBED: what its two tables say of each image; `embed` draws the cohort and reads the pixels.

The clinical table has one finding a row, the metadata table one image a row. A finding belongs
to an exam and to a side, and so does an image; through these two they meet, never through the
exam alone, which would hand the findings of one breast to the other.

The rules of Hwang and Woo (2023), for each breast of each exam:

- positive: a finding of BI-RADS 4, 5 or 6 that was biopsied on the day of the exam or up to
  `BIOPSY_DAYS` days later;
- negative: findings of BI-RADS 1 or 2 alone;
- of no part: every other breast, as one that has a finding of BI-RADS 0 or 3 and no positive one,
  a suspicious one without such a biopsy, or no row at all.

What the release leaves open, and how it is read here: a finding without a side is of both
breasts, as its own documentation has it. A biopsy is any dated procedure of the finding, by
needle or surgical; where the row says which breast it was done on, it counts for that one only.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

CLINICAL, METADATA = "EMBED_OpenData_clinical.csv", "EMBED_OpenData_metadata.csv"
POSITIVE, NEGATIVE = "POSITIVE", "NEGATIVE"
BIOPSY_DAYS = 180
BI_RADS = {"A": 0, "N": 1, "B": 2, "P": 3, "S": 4, "M": 5, "K": 6}  # letters of the column asses
UNASSESSED = ("X", "")

_KEYS = ["empi_anon", "acc_anon", "side"]  # patient, exam, side
_FINDING = ("empi_anon", "acc_anon", "study_date_anon", "side", "asses", "bside", "procdate_anon")
_IMAGE = (
    "empi_anon",
    "acc_anon",
    "anon_dicom_path",
    "FinalImageType",
    "ImageLateralityFinal",
    "ViewPosition",
    "spot_mag",
)
_SIDES = {"L": "L", "R": "R", "B": "LR", "": "LR"}
_FULL_FIELD = ("", "0", "0.0")  # spot_mag: the documentation says 0, the release leaves it empty
_PATH = re.compile(r"(?:.*/)?(cohort_\d+/.+\.dcm)")  # behind a folder of whoever made the table


@dataclass(frozen=True)
class Film:
    """One image of a breast on which the tables allow a decision.

    Parameters
    ----------
    id : str
        Patient, exam, side and view, and a number where an exam has several such images.
    patient, exam : str
        Pseudonyms of the release.
    side : {"L", "R"}
    view : str
        ``"CC"``, ``"MLO"`` or another one, ``"unknown"`` where the table is silent.
    label : {"POSITIVE", "NEGATIVE"}
    path : pathlib.Path
        Where its DICOM file belongs, whether or not it is there.
    """

    id: str
    patient: str
    exam: str
    side: str
    view: str
    label: str
    path: Path


def read_tables(folder: Path) -> list[Film]:
    """Full-field 2-D images of all breasts that are positive or negative.

    Only the tables are read, so that they can say which of the many files to download.

    Parameters
    ----------
    folder : pathlib.Path
        Holds the folders ``tables`` and ``images`` of the release.

    Returns
    -------
    list of Film
        In the order of patient, exam, side, view and path.

    Raises
    ------
    DataError
        If a table is missing, empty or another one, or holds a letter, a side, a date or a path
        that cannot be read, or the two tables have no breast in common.
    """
    labels = _labels(_read(folder / "tables" / CLINICAL, _FINDING), folder / "tables" / CLINICAL)
    images = _full_field(_read(folder / "tables" / METADATA, _IMAGE))
    rows = images.merge(labels, on=_KEYS)
    if rows.empty:
        raise DataError(
            f"No full-field 2-D image in {METADATA} is of a breast that {CLINICAL} calls positive "
            f"or negative; check that both tables in {folder / 'tables'} are of one release."
        )
    twice = rows[rows.duplicated("anon_dicom_path")]
    if len(twice):
        raise DataError(
            f"{METADATA} lists the image {Path(twice.anon_dicom_path.iloc[0]).name} for two exams, "
            "sides or views; download the table again."
        )
    rows = rows.sort_values([*_KEYS, "view", "anon_dicom_path"])
    number = rows.groupby([*_KEYS, "view"]).cumcount()
    found = zip(rows[[*_KEYS, "view", "label", "anon_dicom_path"]].values, number, strict=True)
    return [_film(folder, *values, number) for values, number in found]


def _film(
    folder: Path, patient: str, exam: str, side: str, view: str, label: str, path: str, number: int
) -> Film:
    match = _PATH.fullmatch(path)
    if match is None or ".." in match[1].split("/"):
        raise DataError(
            f"The path '{path}' of the exam {exam} in {METADATA} leads to no DICOM file below a "
            "folder cohort_1 or cohort_2; download the table again."
        )
    name = f"{patient}_{exam}_{side}_{view}" + (f"-{number + 1}" if number else "")
    return Film(name, patient, exam, side, view, label, folder / "images" / match[1])


def _labels(findings: "pd.DataFrame", table: Path) -> "pd.DataFrame":
    """One row a breast and exam that is positive or negative: `_KEYS` and ``label``."""
    _check(findings, "asses", [*BI_RADS, *UNASSESSED], table)
    _check(findings, "side", list(_SIDES), table)
    score = findings.asses.map(BI_RADS)
    suspicious = score >= 4
    findings = findings.assign(
        biopsied=suspicious & _biopsied(findings, suspicious, table), negative=score.isin([1, 2])
    )
    findings = findings.assign(side=findings.side.map(_SIDES).map(list)).explode("side")
    elsewhere = findings.bside.isin(["L", "R"]) & (findings.bside != findings.side)
    findings["biopsied"] &= ~elsewhere
    breasts = findings.groupby(_KEYS).agg({"biopsied": "any", "negative": "all"})
    breasts["label"] = breasts.biopsied.map({True: POSITIVE, False: NEGATIVE})
    return breasts[breasts.biopsied | breasts.negative].reset_index()[[*_KEYS, "label"]]


def _biopsied(findings: "pd.DataFrame", suspicious: "pd.Series", table: Path) -> "pd.Series":
    """Whether a finding was biopsied within the days that count, whatever it looked like."""
    biopsy = _dates(findings, "procdate_anon", table)
    exam = _dates(findings, "study_date_anon", table)
    undated = findings[suspicious & biopsy.notna() & exam.isna()]
    if len(undated):
        raise DataError(
            f"The exam {undated.acc_anon.iloc[0]} in {table} has a biopsy and no date of its own; "
            "download the table again."
        )
    return (biopsy - exam).dt.days.between(0, BIOPSY_DAYS)


def _dates(findings: "pd.DataFrame", column: str, table: Path) -> "pd.Series":
    """Days of a column, NaT where it is empty; hours are dropped, so that days can be counted."""
    import pandas as pd

    dates = pd.to_datetime(findings[column], format="ISO8601", errors="coerce", utc=True)
    unread = findings[dates.isna() & (findings[column] != "")]
    if len(unread):
        raise DataError(
            f"The date '{unread[column].iloc[0]}' ({column}) of the exam {unread.acc_anon.iloc[0]} "
            f"in {table} cannot be read; dates look like 2017-04-19, so download the table again."
        )
    return dates.dt.normalize()


def _check(findings: "pd.DataFrame", column: str, known: list[str], table: Path) -> None:
    """Refuse a code that the documentation of the release does not list."""
    unknown = findings[~findings[column].isin(known)]
    if len(unknown):
        raise DataError(
            f"The exam {unknown.acc_anon.iloc[0]} in {table} has '{unknown[column].iloc[0]}' in "
            f"the column {column}, which is none of {', '.join(filter(None, known))}; download "
            "the table again."
        )


def _full_field(images: "pd.DataFrame") -> "pd.DataFrame":
    """Drop synthetic, spot and magnification views: `_KEYS`, ``view`` and the path are left."""
    images = images[(images.FinalImageType == "2D") & images.spot_mag.isin(_FULL_FIELD)]
    view = images.ViewPosition.str.upper().str.replace(r"[^A-Z0-9]+", "-", regex=True)
    images = images.assign(side=images.ImageLateralityFinal, view=view.mask(view == "", "unknown"))
    return images[[*_KEYS, "view", "anon_dicom_path"]].drop_duplicates()


def _read(table: Path, columns: tuple[str, ...]) -> "pd.DataFrame":
    """The named columns of a table as text, ``""`` where a cell is empty."""
    import pandas as pd

    try:  # no automatic types: pseudonyms have 16 digits, and "NA" is not to become a number
        rows = pd.read_csv(
            table,
            dtype=str,
            keep_default_na=False,
            usecols=lambda name: name in columns,
            encoding="utf-8-sig",
        )
    except FileNotFoundError:
        raise DataError(
            f"There is no table {table}; download {CLINICAL} and {METADATA} of EMBED's open "
            "release into that folder."
        ) from None
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise DataError(
            f"The table {table} cannot be read ({' '.join(str(error).split())}); download it again."
        ) from error
    missing = [name for name in columns if name not in rows]
    if missing:
        raise DataError(
            f"The table {table} has no column '{missing[0]}', so it is not the full one that EMBED "
            "publishes under this name; download it again."
        )
    if rows.empty:
        raise DataError(f"The table {table} has no rows; download it again.")
    rows = rows.apply(lambda column: column.str.strip())
    for key in ("empi_anon", "acc_anon"):  # a table saved by way of floats has 123.0
        rows[key] = rows[key].str.removesuffix(".0")
    return rows
