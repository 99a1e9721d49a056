"""Squares of a mammogram that show mostly tissue: what the two mammogram chapters cut alike."""

from dataclasses import replace

import numpy as np

from helpers.data.imageset import ImageSet

TISSUE = 0.75  # of a square, at least, that shows the breast ...
DARK = 20  # ... whose pixels are brighter than this, in grey levels of 8 bits
HELD_OUT = ("P_00820",)  # of the open pack's two women
LEARNT_FROM = ("P_00173",)  # the other one, though CBIS-DDSM has her in its official test part


def corners(tissue: np.ndarray, side: int, stride: int = 1) -> np.ndarray:
    """Where the squares with enough tissue lie in a film.

    Parameters
    ----------
    tissue : (H, W) bool array
        Which pixels show the breast.
    side : int
        Of the squares, in pixels.
    stride : int
        Rows and columns are multiples of it.

    Returns
    -------
    (N, 2) int array
        Row and column of the upper left pixels; none where the film is smaller than a square.
    """
    sums = np.pad(tissue.astype(np.int64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    return stride * np.argwhere(inside[::stride, ::stride] > TISSUE * side**2)


def cut(films: ImageSet, side: int, stride: int) -> ImageSet:
    """Cut films into overlapping squares that show mostly tissue.

    Parameters
    ----------
    films : ImageSet
        8-bit films, or 16-bit ones, for which what is dark scales with their bit depth.
    side : int
        Of the squares, in pixels.
    stride : int
        From one square to the next, in pixels.

    Returns
    -------
    ImageSet
        Ids end in row and column of the upper left corner.
    """
    dark = DARK << (films.bit_depth - 8)
    found = [
        (number, row, column)
        for number, film in enumerate(films.images)
        for row, column in corners(film > dark, side, stride).tolist()
    ]
    return replace(
        films.take([number for number, _, _ in found]),
        images=tuple(
            np.ascontiguousarray(films.images[number][row : row + side, column : column + side])
            for number, row, column in found
        ),
        ids=tuple(f"{films.ids[number]}-{row}-{column}" for number, row, column in found),
        preparation=f"{films.preparation} Cut into patches of {side} x {side}, every {stride} "
        f"pixels, where {TISSUE:.0%} of a patch are brighter than {dark}.",
    )
