"""Pictures to latents and back: the half of the codec that computes in floats.

Large pictures are worked on in tiles, with so much margin that the tiles do not show.
"""

import numpy as np

from helpers.codecs.hyperprior.integers import LEVELS
from helpers.codecs.hyperprior.model import Trained
from helpers.errors import BitstreamError
from helpers.models.hyperprior.layout import BANDS, BLOCK

_TILE, _MARGIN = 64, 8  # in blocks


def blocks(shape: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the latents of an image of this shape."""
    return -(-shape[0] // BLOCK), -(-shape[1] // BLOCK)


def analysed(model: Trained, picture: np.ndarray, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Latents and hyper-latent of a picture.

    Parameters
    ----------
    model : Trained
    picture : (16 h, 16 w) float32 array
        Grey levels less 128.
    level : int

    Returns
    -------
    latents : (h, w, 256) float32 array, in grey levels
    side : (h/4, w/4, 16) int64 array, sides rounded up
    """
    import torch

    rate = torch.tensor([level / (LEVELS - 1)])
    shape = blocks(picture.shape)
    latents = np.empty((*shape, BANDS), np.float32)
    with torch.inference_mode():
        for inner, outer, kept in _tiles(shape):
            rows, columns = (slice(BLOCK * part.start, BLOCK * part.stop) for part in outer)
            piece = torch.from_numpy(np.ascontiguousarray(picture[rows, columns]))[None, None]
            found = model.network.analyse(piece, rate)[0].permute(1, 2, 0)
            latents[inner] = found.numpy()[kept]
        known = torch.from_numpy(latents.transpose(2, 0, 1))[None] / model.network.spread
        side = model.network.context.hyper_latent(known, rate)[0].permute(1, 2, 0)
    return latents, np.rint(side.numpy()).clip(-255, 255).astype(np.int64)


def synthesised(model: Trained, latents: np.ndarray, level: int) -> np.ndarray:
    """Picture of some latents.

    Parameters
    ----------
    model : Trained
    latents : (h, w, 256) float32 array
        In grey levels.
    level : int

    Returns
    -------
    (16 h, 16 w) float32 array
        Grey levels less 128.

    Raises
    ------
    BitstreamError
        If the latents, forged ones, are too large for floats.
    """
    import torch

    rate = torch.tensor([level / (LEVELS - 1)])
    shape = latents.shape[:2]
    picture = np.empty((BLOCK * shape[0], BLOCK * shape[1]), np.float32)
    with torch.inference_mode():
        for inner, outer, kept in _tiles(shape):
            piece = torch.from_numpy(np.ascontiguousarray(latents[outer].transpose(2, 0, 1)))[None]
            piece = piece.contiguous(memory_format=torch.channels_last)
            found = model.network.synthesise(piece, rate)[0, 0].numpy()
            rows, columns = (slice(BLOCK * part.start, BLOCK * part.stop) for part in inner)
            inside = tuple(slice(BLOCK * part.start, BLOCK * part.stop) for part in kept)
            picture[rows, columns] = found[inside]
    if not np.isfinite(picture).all():
        raise BitstreamError("The latents are so large that the decoder overflows on them.")
    return picture


def cosine_transform(model: Trained, picture: np.ndarray) -> np.ndarray:
    """Latents of a picture as they would be without the networks.

    Parameters
    ----------
    model : Trained
    picture : (16 h, 16 w) float32 array

    Returns
    -------
    (h, w, 256) float32 array
    """
    height, width = blocks(picture.shape)
    pieces = picture.reshape(height, BLOCK, width, BLOCK).transpose(0, 2, 1, 3)
    bands = model.network.cosines.numpy().reshape(BANDS, BLOCK**2)
    return pieces.reshape(height, width, BLOCK**2) @ bands.T


def _tiles(shape: tuple[int, int]):
    """Tiles of blocks: where they lie, the same with a margin, and the tile within the latter."""
    for top in range(0, shape[0], _TILE):
        for left in range(0, shape[1], _TILE):
            inner, outer, kept = [], [], []
            for start, size in ((top, shape[0]), (left, shape[1])):
                stop = min(start + _TILE, size)
                first, last = max(0, start - _MARGIN), min(stop + _MARGIN, size)
                inner.append(slice(start, stop))
                outer.append(slice(first, last))
                kept.append(slice(start - first, stop - first))
            yield tuple(inner), tuple(outer), tuple(kept)
