"""Pictures of 8 bits that the lossy codec learns from: of three modalities, at many sizes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from helpers.data import ImageSet, load, splits
from helpers.data.patches import HELD_OUT
from helpers.experiments.beyond.data import NIH_TEST, reduced
from helpers.experiments.cae_mri.data import HELD_OUT as HEADS
from helpers.experiments.ldm_mammo.task import sides_of
from helpers.experiments.lossless_delta.data import TEST
from helpers.models.hyperprior.layout import MIDDLE
from helpers.progress import progress

CROP = 192  # pixels a side of what the network is shown
TUMOURS_TEST = ("fold4",)  # of the figshare slices, whose patients are known by their fold only
USUAL = (256, 320, 384, 512)  # sides at which pictures are looked at most
VIEWS = 10  # smaller versions of a large picture
ALTERED = 0.3  # share of batches whose grey levels are stretched and bent


@dataclass(frozen=True)
class Album:
    """Pictures of one place.

    Parameters
    ----------
    images : ImageSet
        Of 8 bits.
    share : float
        Of all crops.
    smallest : int
        Rows to which a picture is reduced at most.
    """

    images: ImageSet
    share: float
    smallest: int


def albums(part: str, limit: int | None = None) -> list[Album]:
    """Pictures by place.

    Parameters
    ----------
    part : {"train", "test"}
        No patient is in both.
    limit : int, optional
        At most this many pictures an album.
    """
    side = ("train", "test").index(part)
    kermany = splits.by_name(load("chest-xray", source="kermany-256"), TEST)[side]
    nih = splits.by_name(load("chest-xray", size=None, source="nih-1024"), NIH_TEST)[side]
    lesions = load("brain-mri", source="open-ms", depth=8, slices=64)
    tumours = splits.hold_out(load("brain-mri", size=None, source="figshare"), TUMOURS_TEST)[side]
    reduced_films = sides_of(load("mammography", None, "cbis-ddsm-256"))[2 if side else 0]
    heads, films = of_the_pack(part)
    found = [
        Album(kermany, 0.25, 200),
        Album(nih, 0.33, 224),
        heads,
        Album(splits.hold_out(lesions, HEADS["open-ms"])[side], 0.14, 200),
        Album(tumours, 0.05, 224),
        Album(reduced_films, 0.04, 200),
        films,
    ]
    return [replace(album, images=album.images.spread(limit)) for album in found]


def of_the_pack(part: str) -> list[Album]:
    """Those of the albums that come from the open pack: heads and mammograms.

    Parameters
    ----------
    part : {"train", "test"}
    """
    side = ("train", "test").index(part)
    heads = load("brain-mri", source="open-pack", depth=8, slices=64)
    films = load("mammography", 1024, "open-pack", depth=8)
    return [
        Album(splits.hold_out(heads, HEADS["open-pack"])[side], 0.16, 200),
        Album(splits.hold_out(films, HELD_OUT)[side], 0.03, 256),
    ]


class Crops:
    """Endless random crops.

    Parameters
    ----------
    places : list of Album
    batch : int
    seed : int
    """

    def __init__(self, places: list[Album], batch: int, seed: int):
        self.batch = batch
        self.chance = np.random.default_rng(seed)
        self.views = [
            [
                _views(image, album.smallest, self.chance)
                for image in progress(list(album.images), "sizes")
            ]
            for album in places
        ]
        shares = np.array([album.share for album in places])
        self.shares = shares / shares.sum()

    def __iter__(self) -> Iterator[Tensor]:
        """Yield (N, 1, 192, 192) float32 batches of grey levels less 128, channels last."""
        while True:
            crops = np.stack([self._crop() for _ in range(self.batch)]).astype(np.float32)
            if self.chance.random() < ALTERED:
                bent = (crops / 255) ** self.chance.uniform(0.7, 1.4)
                crops = np.rint(bent * 255 * self.chance.uniform(0.6, 1.3)).clip(0, 255)
            batch = torch.from_numpy(crops.astype(np.float32))[:, None] - MIDDLE
            yield batch.contiguous(memory_format=torch.channels_last)

    def _crop(self) -> np.ndarray:
        pictures = self.views[self.chance.choice(len(self.views), p=self.shares)]
        views = pictures[self.chance.integers(len(pictures))]
        image = views[self.chance.integers(len(views))]
        missing = [(0, max(0, CROP - side)) for side in image.shape]
        image = np.pad(image, missing, mode="edge")
        row, column = (self.chance.integers(side - CROP + 1) for side in image.shape)
        crop = image[row : row + CROP, column : column + CROP]
        crop = np.rot90(crop, self.chance.integers(4))
        return crop.T if self.chance.random() < 0.5 else crop


def _views(image: np.ndarray, smallest: int, chance: np.random.Generator) -> list[np.ndarray]:
    """A picture as it is, and smaller: large ones at the usual sides and some others."""
    rows = image.shape[0]
    if rows < 2 * smallest:
        sides = [int(chance.integers(smallest, rows))] if rows > smallest else []
        return [image, image] + [reduced(image, side) for side in sides]
    usual = [side for side in USUAL if side < rows]
    others = np.exp(chance.uniform(np.log(smallest), np.log(rows), VIEWS - len(usual) - 2))
    sides = [*usual, *usual[:2], *others.astype(int).tolist()]
    return [image] + [reduced(image, side) for side in sides]
