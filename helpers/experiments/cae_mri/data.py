"""Brain-MRI slices for the experiment of Baiee and Al-Assadi (2024), split by patient."""

from helpers.data import ImageSet, load, splits

SIZE = 512
HELD_OUT = {"open-pack": ("petdeface1",), "open-ms": ("patient12",)}


def sets(size: int = SIZE, source: str = "auto", seed: int = 0) -> tuple[ImageSet, ImageSet]:
    """Training and test slices that share no patient.

    Where the shipped weights know a source, its test patients are those they never saw;
    any other source is split 80/20 at random, by patient.

    Parameters
    ----------
    size : int
        Side of the square slices, in pixels; 512 in the paper.
    source : str
        A source of ``helpers.data.load("brain-mri")``.
    seed : int

    Returns
    -------
    train, test : ImageSet
        8-bit slices.
    """
    images = load("brain-mri", size=size, source=source)
    kept = HELD_OUT.get(images.source)
    if kept is None:
        return splits.by_patient(images, test=0.2, seed=seed)
    return splits.hold_out(images, kept)
