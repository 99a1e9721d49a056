"""The default diagnosis task: find a simulated lesion in a patch of real tissue.

The open pack has eight films of two women, too few to tell benign from malignant. Half of the
patches cut from them get a lesion of `helpers.experiments.ldm_mammo.lesions`; an observer says
which. Every film of the pack shows a real mass somewhere, which belongs to the tissue here and
may lie in a patch of either class.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np

from helpers.data import ImageSet, load, splits
from helpers.data.cbis_ddsm import part_of
from helpers.data.patches import DARK, HELD_OUT, LEARNT_FROM, TISSUE, corners
from helpers.errors import DataError
from helpers.experiments.ldm_mammo.lesions import (
    ABSENT,
    CLUSTER,
    KINDS,
    MASS,
    PRESENT,
    SPICULATED,
    Lesion,
    insert,
)

FILM_SIDE = 1024  # of the square films the patches are cut from, in pixels, as in the paper
# A film of 18 x 24 cm is 24 cm high, a little less inside its border, and the files state no
# pixel size. The open pack's scans have 4,432 to 4,736 rows; DDSM's own headers give 0.05 mm a
# pixel for scans of that height (Lumisys), 222 to 237 mm. Padded to a square, about:
PIXEL_MM = 230 / FILM_SIDE
SHARES = (0.6, 0.2, 0.2)  # train, validation, test, as in the paper
DIAMETER_MM = {MASS: (5, 15), SPICULATED: (5, 15), CLUSTER: (5, 10)}
# Tuned on the training woman alone, so that `observer.observer_auc` is about 0.9 there.
CONTRAST = {MASS: (0.09, 0.18), SPICULATED: (0.055, 0.11), CLUSTER: (0.017, 0.03)}
SMALLEST = 128  # a patch's side that holds the largest lesion
_TRIES = 2000  # places tried for one lesion
_REDUCED = "cbis-ddsm-256"


@dataclass(frozen=True)
class Task:
    """Patches to train, to choose by, and to test on, and what is known of each.

    Parameters
    ----------
    train, validation, test : ImageSet
        Labels "LESION" and "NONE", as many of one as of the other.
    lesions : mapping of str to Lesion
        By the patches' ids. Of a patch without a lesion, the place and shape at which it
        could have had one, with contrast 0: there an observer must look, too.
    pixel_mm : float
        Side of a pixel in mm, about.
    """

    train: ImageSet
    validation: ImageSet
    test: ImageSet
    lesions: Mapping[str, Lesion]
    pixel_mm: float


def detection(
    source: str = "auto",
    side: int = 256,
    count: int = 500,
    seed: int = 0,
    *,
    strength: float = 1.0,
    depth: int = 16,
    films: int = 120,
) -> Task:
    """Patches of real tissue, half of them with a simulated lesion.

    Women are never on two sides. Of the open pack's two, one is tested on; of the other, one
    breast trains and the other one chooses the best epoch, for want of a third woman.

    Parameters
    ----------
    source : str
        A source of ``helpers.data.load("mammography")`` with films larger than 1024 pixels.
    side : int
        Of the patches, 128 to 1024 pixels.
    count : int
        Patches of all three sides together, shared 60:20:20; at least 10.
    seed : int
        Of places, shapes and contrasts, and of the split where women are many.
    strength : float
        Multiplies all contrasts, above 0. At 1 a linear observer who knows place and shape
        is right in about 9 of 10 comparisons; who must search needs more.
    depth : {8, 16}
        Bits of a pixel; 16 as in the paper.
    films : int
        At most this many, spread evenly over the source; each takes about a second to read.

    Returns
    -------
    Task

    Raises
    ------
    ValueError
        If an argument is out of range, or the source's films are too small.
    DataError
        If the source is not at hand, or its films leave no room for the patches.
    """
    if source == _REDUCED:
        raise ValueError(
            f"The films of {_REDUCED} are too small to show micro-calcifications; take "
            "'open-pack' or 'cbis-ddsm'."
        )
    if not SMALLEST <= side <= FILM_SIDE:
        raise ValueError(f"Patches have a side of {SMALLEST} to {FILM_SIDE} pixels, not {side}.")
    if count < 10 or not strength > 0:
        raise ValueError(
            f"A task needs at least 10 patches and a strength above 0, not {count} and {strength}."
        )
    lesions: dict[str, Lesion] = {}
    sides = []
    for number, part in enumerate(sides_of(whole_films(str(source), depth, films), seed)):
        rng = np.random.default_rng([seed, number])
        wanted = max(2, 2 * round(count * SHARES[number] / 2))
        patches, found = _patches(part, side, wanted, strength, rng)
        lesions |= found
        sides.append(patches)
    return Task(*sides, lesions, PIXEL_MM)


@lru_cache(maxsize=1)
def whole_films(source: str, depth: int = 16, limit: int = 120) -> ImageSet:
    """Films of a source, padded to a square and reduced to 1024 x 1024.

    Parameters
    ----------
    source : str
    depth : {8, 16}
    limit : int
        At most this many, spread evenly over the set.

    Returns
    -------
    ImageSet
    """
    return load("mammography", FILM_SIDE, source, depth=depth, limit=limit)


def sides_of(films: ImageSet, seed: int = 0) -> tuple[ImageSet, ImageSet, ImageSet]:
    """Split films into those to train, to validate and to test on, by woman.

    Where the films are of both official parts, the test part is tested on, without the woman of
    the open pack that the upscalers learn from: her films are on no side. Of other films a fifth
    of the women are; of the open pack's two, the one all chapters hold out. A quarter of the
    rest validates, or the right breast where the rest is one woman.

    Parameters
    ----------
    films : ImageSet
        With ids of CBIS-DDSM.
    seed : int

    Returns
    -------
    train, validation, test : ImageSet

    Raises
    ------
    ValueError
        If there are not two women.
    DataError
        If the only woman to train on has films of one breast.
    """
    women = set(films.patients)
    tested = {
        who for who, name in zip(films.patients, films.ids, strict=True) if part_of(name) == "test"
    }
    if len(women) == 2 and women & set(HELD_OUT):
        rest, test = splits.hold_out(films, HELD_OUT)
    elif tested and tested != women:
        rest, test = splits.hold_out(films, tested)
        test = test.take([k for k, who in enumerate(test.patients) if who not in LEARNT_FROM])
    else:
        rest, test = splits.by_patient(films, SHARES[2], seed)
    if len(set(rest.patients)) > 1:
        train, validation = splits.by_patient(rest, SHARES[1] / (1 - SHARES[2]), seed)
        splits.assert_disjoint(train, validation, test)
        return train, validation, test
    right = [i for i, name in enumerate(rest.ids) if "_RIGHT_" in name]
    left = [i for i in range(len(rest)) if i not in right]
    if not left or not right:
        raise DataError(
            f"The films of {rest.patients[0]}, the only woman to train on, show one breast, and "
            "one must train and the other validate; take a source with films of both."
        )
    return rest.take(left), rest.take(right), test


def _patches(
    films: ImageSet, side: int, count: int, strength: float, rng: np.random.Generator
) -> tuple[ImageSet, dict[str, Lesion]]:
    """Cut patches from films and give every second one a lesion.

    A pair, one patch with a lesion and one without, is cut from one film, for one kind, and
    both places are chosen alike, so that neither film nor place gives the class away.
    """
    top = 2**films.bit_depth - 1
    levels = DARK * top / 255, top
    places = [corners(film > levels[0], side) for film in films]
    usable = [number for number, found in enumerate(places) if len(found)]
    if not usable:
        raise DataError(
            f"No film of {', '.join(sorted(set(films.patients)))} has a square of {side} pixels "
            f"that shows {TISSUE:.0%} tissue; ask for a smaller side."
        )
    cycle = math.lcm(len(usable), len(KINDS))  # after it, every film has met every kind, or
    rows = []  # meets another one
    for number in range(count):
        pair, present = divmod(number, 2)
        film, kind = usable[pair % len(usable)], KINDS[(pair + pair // cycle) % len(KINDS)]
        image = films.images[film]
        row, column, lesion, changed = _placed(
            image, places[film], side, levels, partial(_lesion, kind, side, strength, rng), rng
        )
        if not present:
            lesion = replace(lesion, contrast=0.0)
            changed = image[row : row + side, column : column + side].copy()
        name = f"{films.ids[film]}-{row}-{column}-{number}"
        rows.append((film, name, PRESENT if present else ABSENT, lesion, changed))
    rows = [rows[i] for i in rng.permutation(count)]  # an even choice must not meet one class
    made = replace(
        films.take([film for film, *_ in rows]),
        ids=tuple(name for _, name, *_ in rows),
        labels=tuple(label for _, _, label, *_ in rows),
        images=tuple(image for *_, image in rows),
        preparation=f"{films.preparation} Cut into patches of {side} x {side} that show at least "
        f"{TISSUE:.0%} tissue; half of them got a simulated lesion.",
    )
    return made, {name: lesion for _, name, _, lesion, _ in rows}


def _placed(
    film: np.ndarray,
    places: np.ndarray,
    side: int,
    levels: tuple[float, int],
    draw: Callable[[], Lesion],
    rng: np.random.Generator,
) -> tuple[int, int, Lesion, np.ndarray]:
    """Draw a patch, and a lesion in its tissue that keeps below the film's brightest level."""
    dark, top = levels
    for _ in range(_TRIES):
        row, column = (int(place) for place in rng.choice(places))
        patch = film[row : row + side, column : column + side]
        lesion = draw()
        if not (patch[lesion.box(patch.shape)] > dark).all():
            continue
        try:
            changed = insert(patch, lesion, PIXEL_MM)
        except ValueError:  # beyond the dtype's range
            continue
        if changed.max() <= top:
            return row, column, lesion, changed
    raise DataError(
        f"No place for a lesion was found in {_TRIES} tries; ask for larger patches or less "
        "strength."
    )


def _lesion(kind: str, side: int, strength: float, rng: np.random.Generator) -> Lesion:
    """Draw a lesion whose reach lies inside a patch."""
    radius = rng.uniform(*DIAMETER_MM[kind]) / 2 / PIXEL_MM
    contrast = strength * rng.uniform(*CONTRAST[kind])
    shape = int(rng.integers(2**31))
    margin = Lesion(kind, 0, 0, radius, contrast, shape).reach
    row, column = rng.uniform(margin, side - 1 - margin, 2)
    return Lesion(kind, float(row), float(column), float(radius), float(contrast), shape)
