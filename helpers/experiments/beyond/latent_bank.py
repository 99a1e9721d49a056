"""Pictures beside the latents that their files hold: what a decoder learns from."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from helpers.codecs.hific import AS_TRAINED
from helpers.codecs.hyperprior.closed_loop import refined
from helpers.codecs.hyperprior.model import Trained
from helpers.codecs.hyperprior.stream import encode
from helpers.data import ImageSet
from helpers.experiments.beyond.data import reduced
from helpers.experiments.beyond.rates import padded
from helpers.models.hyperprior.layout import BLOCK
from helpers.models.hyperprior.network import UNIT
from helpers.progress import progress

CROP = 128  # pixels a side of what a decoder is shown


def at_side(images: ImageSet, side: int) -> ImageSet:
    """The same pictures with at most `side` rows."""
    return replace(
        images,
        images=tuple(
            image if image.shape[0] <= side else reduced(image, side) for image in images.images
        ),
    )


class Bank:
    """Pictures and their latents at one level, coded once.

    Parameters
    ----------
    sources : sequence of ImageSet
        Of 8 bits, at least 128 pixels a side.
    model : Trained
    level : int
    """

    def __init__(self, sources: Sequence[ImageSet], model: Trained, level: int):
        self.pairs = []
        for image in progress([image for images in sources for image in images.images], "latents"):
            picture = padded(image)
            found = refined(model, picture, level, **AS_TRAINED)
            _, latents = encode(model, *found, level, margin=AS_TRAINED["margin"])
            self.pairs.append((latents.transpose(2, 0, 1), picture / UNIT))

    def draw(self, count: int, chance: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Random crops along the grid of blocks.

        Returns
        -------
        latents : (N, 256, 8, 8) float32 tensor
            Dequantised, in grey levels.
        pictures : (N, 1, 128, 128) float32 tensor
            Grey levels less 128, by 64.
        """
        found = []
        for number in chance.integers(len(self.pairs), size=count):
            latents, picture = self.pairs[number]
            side = CROP // BLOCK
            row, column = (chance.integers(n - side + 1) for n in latents.shape[1:])
            rows, columns = slice(row, row + side), slice(column, column + side)
            pixels = (slice(BLOCK * part.start, BLOCK * part.stop) for part in (rows, columns))
            found.append((latents[:, rows, columns], picture[tuple(pixels)][None]))
        latents, crops = (torch.from_numpy(np.stack(part)) for part in zip(*found, strict=True))
        return (
            latents.contiguous(memory_format=torch.channels_last),
            crops.contiguous(memory_format=torch.channels_last),
        )

    def whole(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All pictures, one at a time: (1, 256, h, w) latents and (1, 1, 16 h, 16 w) pixels."""
        for latents, picture in self.pairs:
            yield torch.from_numpy(latents)[None], torch.from_numpy(picture)[None, None]
