"""Squares of a mammogram that show mostly tissue: what the two mammogram chapters cut alike."""

import numpy as np

TISSUE = 0.75  # of a square, at least, that shows the breast ...
DARK = 20  # ... whose pixels are brighter than this, in grey levels of 8 bits
HELD_OUT = ("P_00820",)  # of the open pack's two women


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
