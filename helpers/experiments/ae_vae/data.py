"""Mammograms for the experiment of Abdelrahman: whole films, or patches of the open pack's four.

The paper takes the 637 films of CBIS-DDSM's training part that show a mass in the oblique view
(MLO). Where all of them are at hand the official parts are the split; no woman is in both.
The open pack holds four such films of two women, both of the official test part. Cut into
overlapping patches they let a network train on one woman and be tested on the other.
"""

from functools import lru_cache

import numpy as np

from helpers.data import ImageSet, load, splits
from helpers.data.cbis_ddsm import part_of, view_of
from helpers.data.patches import HELD_OUT, cut

SIDE = 256  # of the shipped networks' films and of patches, in pixels; 1024 in the paper
PARTS = 4  # a patch is a quarter as wide as its film: at 256 the film has the paper's 1024
STEPS = 8  # from one patch to the next it is an eighth of a patch


@lru_cache(maxsize=2)
def films(source: str = "auto", side: int = SIDE) -> tuple[ImageSet, ImageSet]:
    """Whole MLO films of the official training and test parts.

    Parameters
    ----------
    source : str
        A source of ``helpers.data.load("mammography")``.
    side : int
        Of the square films in pixels.

    Returns
    -------
    train, test : ImageSet
        8-bit films, zero-padded to a square and resized by bilinear interpolation; no
        training films where the source has none, as the open pack.
    """
    found = load("mammography", size=side, source=source, resample="bilinear", keep=is_oblique)
    parts = [part_of(name) for name in found.ids]
    train, test = (
        found.take([i for i, part in enumerate(parts) if part == wanted])
        for wanted in ("train", "test")
    )
    splits.assert_disjoint(train, test)
    return train, test


def is_oblique(film: str) -> bool:
    """Whether a film, given by its id, shows the breast aslant (MLO)."""
    return view_of(film) == "MLO"


def sets(source: str = "auto", side: int = SIDE) -> tuple[ImageSet, ImageSet]:
    """What the networks learn from and what they are tested on, whatever the source.

    Parameters
    ----------
    source : str
    side : int

    Returns
    -------
    train, test : ImageSet
        Whole films; of the open pack patches instead, which share no woman either.
    """
    train, test = films(source, side)
    if len(train):
        return train, test
    whole = films(source, PARTS * side)[1]
    return splits.hold_out(cut(whole, side, max(1, side // STEPS)), HELD_OUT)


def leak(rows: list[tuple[str, str]], test: float = 0.2, draws: int = 1000, seed: int = 0) -> dict:
    """What a random split of the tables' rows puts on both sides.

    Parameters
    ----------
    rows : list of (film, patient)
        From `helpers.data.cbis_ddsm.listed`.
    test : float
        Share of the rows to test on.
    draws : int
        Random splits to average over.
    seed : int

    Returns
    -------
    dict
        rows, films, patients; tested (rows on the test side), film_in_both and
        patient_in_both (how many of these are on the training side, too, on average).
    """
    rng = np.random.default_rng(seed)
    codes = [np.unique(column, return_inverse=True)[1] for column in zip(*rows, strict=True)]
    tested = round(test * len(rows))
    both = np.zeros(2)
    for _ in range(draws):
        order = rng.permutation(len(rows))
        for at, code in enumerate(codes):
            both[at] += np.isin(code[order[:tested]], code[order[tested:]]).sum()
    film, patient = (float(value) for value in both / draws)
    return {
        "rows": len(rows),
        "films": int(codes[0].max()) + 1,
        "patients": int(codes[1].max()) + 1,
        "tested": tested,
        "film_in_both": film,
        "patient_in_both": patient,
    }
