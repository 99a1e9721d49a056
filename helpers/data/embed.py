"""EMBED's open release: a balanced cohort of mammograms and the tables that count it.

`embed_tables` says which breasts are positive and negative; this module draws as many images of
either kind, so that nobody is in both, and hands them to `helpers.data.load` as the source
``embed`` of the data set ``mammography``. `helpers.data.splits.three_ways` divides them.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from helpers.data.dicom import read_dicom
from helpers.data.embed_tables import METADATA, NEGATIVE, POSITIVE, Film, read_tables
from helpers.data.imageset import ImageSet
from helpers.data.preparation import Picture
from helpers.data.registry import Item
from helpers.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

LICENCE = (
    "EMBED Research Use Agreement (non-commercial research; neither images nor networks trained "
    "on them may be published without permission)"
)
CITATION = "Jeong et al. 2023 (EMBED), doi 10.1148/ryai.220047"


def cohort(films: Sequence[Film], seed: int = 0) -> list[Film]:
    """As many negative images as positive ones, and nobody with both.

    All images of a patient with a positive breast that are not of it are left out. Negatives
    are drawn breast by breast, one of each patient, and a second one only when every patient has
    given a first: many patients say more than many films of a few. The last breast drawn may
    give some of its images only, so that the numbers are equal. Where positives are the more,
    they are drawn in the same way.

    Parameters
    ----------
    films : sequence of Film
        From `read_tables`, in any order.
    seed : int
        The same seed draws the same films.

    Returns
    -------
    list of Film
        In the order of label and id, so that an even choice keeps the balance.

    Raises
    ------
    DataError
        If a class has no image.
    """
    positives = [film for film in films if film.label == POSITIVE]
    patients = {film.patient for film in positives}
    negatives = [film for film in films if film.label == NEGATIVE and film.patient not in patients]
    if not positives or not negatives:
        raise DataError(
            f"EMBED's tables give {len(positives)} positive images and {len(negatives)} negative "
            "ones of other patients, and both kinds are needed; use the tables as published."
        )
    count, rng = min(len(positives), len(negatives)), np.random.default_rng(seed)
    drawn = _draw(positives, count, rng) + _draw(negatives, count, rng)
    return sorted(drawn, key=lambda film: (film.label, film.id))


def _draw(films: Sequence[Film], count: int, rng: np.random.Generator) -> list[Film]:
    """Draw images breast by breast, patients taking turns."""
    breasts: dict[str, dict[tuple[str, str], list[Film]]] = {}
    for film in sorted(films, key=lambda film: film.id):
        of_patient = breasts.setdefault(film.patient, {})
        of_patient.setdefault((film.exam, film.side), []).append(film)
    groups = list(breasts.values())
    turns = []
    for place, i in enumerate(rng.permutation(len(groups))):
        group = list(groups[i].values())
        turns += [(turn, place, group[j]) for turn, j in enumerate(rng.permutation(len(group)))]
    turns.sort(key=lambda turn: turn[:2])
    return [film for _, _, breast in turns for film in breast][:count]


def table1(films: Sequence[Film]) -> "pd.DataFrame":
    """Who is in a cohort, in the spirit of the paper's Table 1.

    Parameters
    ----------
    films : sequence of Film

    Returns
    -------
    pandas.DataFrame
        Rows POSITIVE, NEGATIVE and total; columns patients, exams and images. Before the cohort
        is drawn the total of patients may be less than the sum: some have breasts of both kinds.
    """
    import pandas as pd

    groups = {
        POSITIVE: [film for film in films if film.label == POSITIVE],
        NEGATIVE: [film for film in films if film.label == NEGATIVE],
        "total": list(films),
    }
    rows = {
        name: {
            "patients": len({film.patient for film in group}),
            "exams": len({(film.patient, film.exam) for film in group}),
            "images": len(group),
        }
        for name, group in groups.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def table2(parts: Mapping[str, ImageSet]) -> "pd.DataFrame":
    """Images of each class in each part, in the spirit of the paper's Table 2.

    Parameters
    ----------
    parts : mapping of str to ImageSet
        For example train, validation and test, as `helpers.data.splits.three_ways` gives them.

    Returns
    -------
    pandas.DataFrame
        A row for each part and the total; columns patients, one for each label, and images.
    """
    import pandas as pd

    found = [list(zip(part.labels, part.patients, strict=True)) for part in parts.values()]
    groups = dict(zip(parts, found, strict=True))
    groups["total"] = [pair for pairs in found for pair in pairs]
    labels = sorted({label for label, _ in groups["total"]})
    rows = {
        name: {
            "patients": len({patient for _, patient in pairs}),
            **{label: sum(other == label for other, _ in pairs) for label in labels},
            "images": len(pairs),
        }
        for name, pairs in groups.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def items(folder: Path, slices: int) -> Sequence[Item]:
    """List the cohort of the tables in a folder, as `helpers.data.registry.Source` wants it.

    Parameters
    ----------
    folder : pathlib.Path
        Holds the folders ``tables`` and ``images`` of the release.
    slices : int
        Unused; films are no volumes.

    Returns
    -------
    sequence of Item

    Raises
    ------
    DataError
        If the tables cannot be used or a film of the cohort has no file.
    """
    films = cohort(read_tables(folder))
    missing = [film for film in films if not film.path.is_file()]
    if missing:  # fewer films would be another cohort
        others = f" (nor for {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise DataError(
            f"There is no file for the film {missing[0].id}{others}, which {METADATA} lists; "
            f"download it to {missing[0].path}."
        )
    return [
        Item(film.id, film.patient, film.label, functools.partial(_picture, film)) for film in films
    ]


def _picture(film: Film) -> Picture:
    pixels, info = read_dicom(film.path)
    if info.signed:
        raise DataError(
            f"The film {film.id} holds signed pixels and mammograms of EMBED are unsigned; use the "
            "file as EMBED publishes it."
        )
    return Picture(pixels, 0.0, 2.0**info.bits - 1, info.bits)
