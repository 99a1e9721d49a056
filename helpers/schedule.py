"""How long, how and how fast a network is trained, for both frameworks."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Schedule:
    """How long and how a network is trained.

    Parameters
    ----------
    epochs : int
    batch : int
        Images a step; the last step of an epoch may hold fewer.
    learning_rate : float
        Of Adam, constant.
    seed : int
        Seeds the initial weights and, with the epoch's number, each shuffle.
    measure_every : int
        Epochs between two measurements on held-out images.
    checkpoint_every : int
        Epochs between two checkpoints, where a folder for them is given.
    minutes : float or None
        Stop after the epoch in which this much time has passed.
    augment : bool
        Train on random views (`helpers.augment`) instead of the images; `helpers.train` only.
    """

    epochs: int
    batch: int = 8
    learning_rate: float = 1e-4
    seed: int = 0
    measure_every: int = 10
    checkpoint_every: int = 50
    minutes: float | None = None
    augment: bool = False


def describe(schedule: Schedule) -> dict:
    """Return the schedule as plain values, for a card."""
    return asdict(schedule)


def throughput(history: "pd.DataFrame", images: int) -> float:
    """Training speed in images a second: the median epoch, so that compiling does not count.

    Parameters
    ----------
    history : pandas.DataFrame
        As the `fit` functions return it.
    images : int
        Images an epoch.
    """
    return images / history["seconds"].median()
