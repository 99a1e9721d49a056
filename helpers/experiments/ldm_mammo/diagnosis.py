"""The paper's own task, where films with a diagnosis are at hand: benign against malignant."""

from helpers.data import ImageSet, load, splits
from helpers.errors import DataError
from helpers.experiments.ldm_mammo.task import FILM_SIDE, sides_of

POSITIVE = {"embed": "POSITIVE", "cbis-ddsm": "MALIGNANT", "cbis-ddsm-256": "MALIGNANT"}


def parts(
    source: str, seed: int = 0, limit: int | None = None
) -> tuple[ImageSet, ImageSet, ImageSet]:
    """Whole films to train, to choose by and to test on, no woman in two of them.

    EMBED's cohort is split 60:20:20 as in the paper. CBIS-DDSM has an official test part; a
    quarter of the women of its training part validate.

    Parameters
    ----------
    source : {"embed", "cbis-ddsm", "cbis-ddsm-256"}
    seed : int
        Of the split.
    limit : int, optional
        At most this many films, spread evenly over the source.

    Returns
    -------
    train, validation, test : ImageSet
        Of 1024 x 1024, 16 bits, as in the paper, or as the source has them where it is reduced
        to 256 x 256. ``POSITIVE[source]`` names the positive label.

    Raises
    ------
    DataError
        If the source has no diagnoses to speak of.
    """
    if source not in POSITIVE:
        raise DataError(
            f"The films of '{source}' are too few for a diagnosis task; take one of "
            f"{', '.join(POSITIVE)}, or simulated lesions (helpers.experiments.ldm_mammo.task)."
        )
    reduced = source.endswith("-256")
    side, depth = (None, 8) if reduced else (FILM_SIDE, 16)
    films = load("mammography", side, source, depth=depth, limit=limit)
    if source == "embed":
        return splits.three_ways(films, seed=seed)
    return sides_of(films, seed)
