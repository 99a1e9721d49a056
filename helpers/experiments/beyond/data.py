"""Images for the lossless codec: of three modalities, at many scales, split by patient."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from skimage.transform import resize

from helpers.codecs.base import to_pixels
from helpers.data import ImageSet, load, splits
from helpers.data.patches import HELD_OUT
from helpers.experiments.cae_mri.data import HELD_OUT as HEADS
from helpers.experiments.ldm_mammo.task import sides_of
from helpers.experiments.lossless_delta.data import TEST

NIH_TEST = 0.25  # of all possible patients' ids


@dataclass(frozen=True)
class Source:
    """Images of one place and the views of them that a network learns from.

    Parameters
    ----------
    images : ImageSet
    views : callable
        Of an image and a random generator: what is looked at, as whole numbers from 0 up.
    pixels : int
        Of each view that are learnt, at most, drawn at random.
    """

    images: ImageSet
    views: Callable[[np.ndarray, np.random.Generator], list[np.ndarray]]
    pixels: int


def chest(part: str) -> Iterator[Source]:
    """Chest films: Kermany's at 256², and the NIH's at 256² to 1024².

    Parameters
    ----------
    part : {"train", "test"}
    """
    side = _side(part)
    yield Source(splits.by_name(load("chest-xray", source="kermany-256"), TEST)[side], _plain, 5000)
    foreign = splits.by_name(load("chest-xray", size=None, source="nih-1024"), NIH_TEST)[side]
    yield Source(foreign, _scales, 18000)


def mri(part: str) -> Iterator[Source]:
    """Brain MRI: T1 of the open pack, FLAIR and T2 of open-ms, of 8 bits and of all they have.

    Parameters
    ----------
    part : {"train", "test"}
    """
    for source in ("open-pack", "open-ms"):
        for depth in (8, 16):
            slices = load("brain-mri", source=source, depth=depth, slices=64)
            yield Source(splits.hold_out(slices, HEADS[source])[_side(part)], _halves, 7000)


def mammography(part: str) -> Iterator[Source]:
    """Mammograms: CBIS-DDSM at 256², and the open pack's films at 512² and 1024² with 8 to 16 bits.

    Parameters
    ----------
    part : {"train", "test"}
    """
    reduced = sides_of(load("mammography", None, "cbis-ddsm-256"))
    yield Source(reduced[2 if part == "test" else 0], _tissue, 3000)
    for side in (512, 1024, 2048):
        films = load("mammography", side, "open-pack", depth=16)
        yield Source(splits.hold_out(films, HELD_OUT)[_side(part)], _depths, 100_000)


MODALITIES = {"chest": chest, "mri": mri, "mammography": mammography}


def reduced(image: np.ndarray, side: int) -> np.ndarray:
    """A smaller version, bicubic with anti-aliasing, of the same pixel type.

    Parameters
    ----------
    image : (H, W) integer array
    side : int
        Rows of the result, in pixels; columns in proportion.
    """
    shape = (side, max(1, round(image.shape[1] * side / image.shape[0])))
    small = resize(image.astype(np.float64), shape, order=3, anti_aliasing=True)
    return to_pixels(small, image.dtype)


def from_zero(image: np.ndarray) -> np.ndarray:
    """Pixels less their smallest, as int64."""
    return image.astype(np.int64) - int(image.min())


def _side(part: str) -> int:
    return ("train", "test").index(part)


def _plain(image: np.ndarray, _: np.random.Generator) -> list[np.ndarray]:
    return [from_zero(image)]


def _scales(image: np.ndarray, chance: np.random.Generator) -> list[np.ndarray]:
    """The film at a quarter, at half and at a random size, and a piece of it as it is."""
    row, column = chance.integers(0, [n // 2 + 1 for n in image.shape])
    piece = image[row : row + image.shape[0] // 2, column : column + image.shape[1] // 2]
    sides = (256, 512, int(chance.integers(256, 900)))
    return [*(from_zero(reduced(image, side)) for side in sides), from_zero(piece)]


def _halves(image: np.ndarray, _: np.random.Generator) -> list[np.ndarray]:
    return [from_zero(image), from_zero(reduced(image, max(1, image.shape[0] // 2)))]


def _tissue(image: np.ndarray, _: np.random.Generator) -> list[np.ndarray]:
    """Columns that show more than background, which teaches little."""
    shown = np.flatnonzero(image.max(0) > 20)
    return [from_zero(image[:, shown[0] : shown[-1] + 1])] if shown.size > 16 else []


def _depths(image: np.ndarray, chance: np.random.Generator) -> list[np.ndarray]:
    """Where the breast is, with 16 bits and with two random depths from 8 to 14."""
    shown = np.flatnonzero(image.max(0) > image.max() // 12)
    part = image[:, shown[0] : shown[-1] + 1]
    return [
        from_zero(part),
        *(from_zero(part >> int(16 - d)) for d in chance.choice(range(8, 15), 2)),
    ]


def limited(source: Source, count: int) -> Source:
    """The same with at most `count` images."""
    return replace(source, images=source.images.spread(count))
