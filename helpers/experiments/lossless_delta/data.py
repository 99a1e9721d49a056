"""Chest films for the experiment of Shanmukh (2022), split by patient."""

from helpers.data import ImageSet, load, splits

SIZE = 256  # side of the square films in pixels, as in the paper
TEST = 0.12  # of all possible ids: about a tenth of the patients of either source
FOREIGN = ("nih-1024",)  # from elsewhere: no network of that chapter learns from them


def sets(source: str = "auto") -> tuple[ImageSet, ImageSet]:
    """Training and test films that share no patient, whatever the source.

    The paper splits its films 90/10. Here the patient's id decides the side, so that the
    shipped weights, trained on one source, never meet a test patient of another.

    Parameters
    ----------
    source : str
        A source of ``helpers.data.load("chest-xray")``.

    Returns
    -------
    train, test : ImageSet
        8-bit films; no training films where the source is only tested on.
    """
    films = load("chest-xray", size=SIZE, source=source)
    if films.source in FOREIGN:
        return films.take([]), films
    return splits.by_name(films, TEST)
