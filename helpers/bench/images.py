"""The images of a benchmark: a folder of the reader's own, or what the book tests on."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers.data import ImageSet, load, splits
from helpers.data.folders import quotas, read_folder
from helpers.data.patches import HELD_OUT, cut
from helpers.experiments import cards
from helpers.experiments.cae_mri.data import HELD_OUT as HEADS
from helpers.experiments.lossless_delta.data import TEST

PATCH = 512  # side of a square of a mammogram, in pixels


@dataclass(frozen=True)
class Images:
    """Images and where they are from.

    Parameters
    ----------
    source : str
        For the caption of a table.
    pixels : sequence of (H, W) uint8, uint16 or int16 arrays
    sets : tuple of dict
        What `helpers.experiments.cards.facts` says of the book's own sets.
    refused : tuple of str
        One sentence for each file that could not be read.
    """

    source: str
    pixels: Sequence[np.ndarray]
    sets: tuple[dict, ...] = ()
    refused: tuple[str, ...] = ()

    def facts(self) -> dict:
        """Describe them for JSON, without the names of files, which may name a patient."""
        return {
            "source": self.source,
            "count": len(self.pixels),
            "pixels": sum(image.size for image in self.pixels),
            "dtypes": dict(Counter(image.dtype.name for image in self.pixels)),
            "unreadable": len(self.refused),
            "sets": list(self.sets),
        }


def folder(path: Path, count: int) -> Images:
    """At most `count` images of a folder; see `helpers.data.folders.read_folder`.

    Parameters
    ----------
    path : pathlib.Path
    count : int
    """
    pixels, refused = read_folder(path, count)
    return Images(f"the folder {path.resolve().name}", pixels, refused=tuple(refused))


def brains(count: int) -> Images:
    """At most `count` 8-bit slices of the brain MRI's test patients.

    Parameters
    ----------
    count : int
    """
    _, test = splits.by_patient(load("brain-mri"), test=0.2, seed=0)
    return _of([test.spread(count)])


def held_out(count: int) -> Images:
    """At most `count` images of the open pack that no network of the book learns from.

    As many brain slices (16 bit), chest films (8 bit) and squares of mammograms (16 bit).

    Parameters
    ----------
    count : int
    """
    pack = {"source": "open-pack"}
    _, heads = splits.hold_out(load("brain-mri", depth=16, **pack), HEADS["open-pack"])
    _, chests = splits.by_name(load("chest-xray", **pack), TEST)
    films = load(
        "mammography", depth=16, keep=lambda film: any(who in film for who in HELD_OUT), **pack
    )
    return _shared([heads, chests, cut(films, PATCH, PATCH)], count)


def unseen(count: int) -> Images:
    """At most `count` images of 8 bits that no network of the book learns from.

    As many brain slices, chest films (224² ones) and mammograms (512²).

    Parameters
    ----------
    count : int
    """
    pack = {"source": "open-pack"}
    _, heads = splits.hold_out(load("brain-mri", **pack), HEADS["open-pack"])
    _, chests = splits.by_name(load("chest-xray", **pack), TEST)
    _, films = splits.hold_out(load("mammography", 512, **pack), HELD_OUT)
    return _shared([heads, chests, films], count)


def _shared(sets: list[ImageSet], count: int) -> Images:
    """So many images, shared out over the sets as evenly as what they hold allows."""
    shares = quotas([len(images) for images in sets], count)
    return _of([images.spread(share) for images, share in zip(sets, shares, strict=True) if share])


def _of(sets: list[ImageSet]) -> Images:
    names = ", ".join(f"{images.name} ({images.source})" for images in sets)
    pixels = [image for images in sets for image in images]
    return Images(names, pixels, tuple(cards.facts(images) for images in sets))
