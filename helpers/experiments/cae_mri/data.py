"""Brain-MRI slices for the experiment of Baiee and Al-Assadi (2024), split by patient."""

from helpers.data import ImageSet, load, splits

SIZE = 512
SLICES = 64  # at most, of each volume: every one between the depths that are shown
HELD_OUT = {"open-pack": ("petdeface1",), "open-ms": ("patient12",)}


def sets(
    size: int = SIZE, source: str = "auto", seed: int = 0, split: str = "patient"
) -> tuple[ImageSet, ImageSet]:
    """Training and test slices that share no patient, unless asked to.

    Where the shipped weights know a source, its test patients are those they never saw;
    any other source is split 80/20 at random, by patient.

    Parameters
    ----------
    size : int
        Side of the square slices, in pixels; 512 in the paper.
    source : str
        A source of ``helpers.data.load("brain-mri")``.
    seed : int
    split : {"patient", "slice"}
        "slice" draws 80/20 over slices, as when nobody asks whose they are: it shows what
        that does to the result.

    Returns
    -------
    train, test : ImageSet
        8-bit slices.
    """
    images = load("brain-mri", size=size, source=source, slices=SLICES)
    if split == "slice":
        return splits.by_image(images, test=0.2, seed=seed)
    kept = HELD_OUT.get(images.source)
    if kept is None:
        return splits.by_patient(images, test=0.2, seed=seed)
    return splits.hold_out(images, kept)
