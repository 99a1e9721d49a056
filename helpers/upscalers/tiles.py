"""Enlarging an image in tiles that overlap, so that memory depends on the tile alone."""

from collections.abc import Callable

import numpy as np

LEAST_OVERLAP = 8

# part of an image and where it begins, in pixels from top and left -> it with twice the sides
Doubler = Callable[[np.ndarray, int, int], np.ndarray]


def doubled(
    image: np.ndarray,
    double: Doubler,
    tile: int,
    overlap: int,
    grid: int = 1,
) -> np.ndarray:
    """Double the sides of an image tile by tile and blend the tiles where they overlap.

    The outer quarter of an overlap, where a tile lacks its surroundings, counts for nothing;
    over the next half its weight rises from 0 to 1.

    Parameters
    ----------
    image : (H, W) float32 array
    double : Doubler
        Called as ``double(part, top, left)``.
    tile : int
        Side of a tile in pixels of `image`; an image no larger is one tile.
    overlap : int
        Pixels that neighbours share at least.
    grid : int
        Tiles begin at its multiples.

    Returns
    -------
    (2 H, 2 W) float32 array

    Raises
    ------
    ValueError
        If the overlap is too small, or tiles are too small for it.
    """
    stride = (tile - overlap) // grid * grid
    if overlap < LEAST_OVERLAP or stride < overlap:
        raise ValueError(
            f"Tiles of {tile} pixels that overlap by {overlap} do not work; overlap by at least "
            f"{LEAST_OVERLAP} and make tiles of at least {2 * max(overlap, LEAST_OVERLAP) + grid}."
        )
    rows, columns = (spans(side, tile, stride, grid) for side in image.shape)
    total = np.zeros([2 * side for side in image.shape], np.float32)
    weight = np.zeros_like(total)
    for top, bottom in rows:
        down = _ramp(top, bottom, image.shape[0], overlap)
        for left, right in columns:
            share = np.outer(down, _ramp(left, right, image.shape[1], overlap))
            window = slice(2 * top, 2 * bottom), slice(2 * left, 2 * right)
            part = np.ascontiguousarray(image[top:bottom, left:right])
            total[window] += share * double(part, top, left)
            weight[window] += share
    return total / weight


def spans(side: int, tile: int, stride: int, grid: int) -> list[tuple[int, int]]:
    """Begin and end of every tile along one axis.

    The last tile ends with the image, begins on the grid, and may be shorter than the others
    by less than `grid` pixels.
    """
    if side <= tile:
        return [(0, side)]
    last = -(-(side - tile) // grid) * grid
    return [(begin, begin + tile) for begin in range(0, last, stride)] + [(last, side)]


def from_noise(
    field: Callable, draw: Callable, grid: int, cell: int
) -> Callable[[tuple[int, int], int], Doubler]:
    """Let all tiles of an image begin with their parts of one field of noise.

    Where tiles overlap, they then draw nearly the same picture.

    Parameters
    ----------
    field : callable
        ``field(height, width, seed)`` returns the noise, (channels, h, w), of an image whose
        sides are padded to multiples of `grid`.
    draw : callable
        ``draw(tile, noise, seed)`` returns a tile with twice the sides.
    grid, cell : int
        Pixels to whose multiples sides are padded, and on a side of one place of the noise.

    Returns
    -------
    callable
        ``start(sides, seed)`` returns the `Doubler` for one image.
    """

    def start(sides: tuple[int, int], seed: int) -> Doubler:
        whole = field(*sides, seed)

        def double(tile: np.ndarray, top: int, left: int) -> np.ndarray:
            height, width = (-(-side // grid) * grid // cell for side in tile.shape)
            top, left = top // cell, left // cell
            return draw(tile, whole[:, top : top + height, left : left + width], seed)

        return double

    return start


def _ramp(begin: int, end: int, side: int, overlap: int) -> np.ndarray:
    """Weights of a tile's large pixels along one axis, lower at ends inside of the image."""
    depth = (np.arange(2 * (end - begin), dtype=np.float32) + 0.5) / 2
    result = np.ones_like(depth)
    for inside, far in ((begin > 0, depth), (end < side, depth[::-1])):
        if inside:
            result *= np.clip((far - overlap / 4) / (overlap / 2), 0, 1)
    return result
