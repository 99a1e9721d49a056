"""Coding of quantised wavelet bands: each coefficient in the light of those around it.

A coefficient is likely to be large where its coded neighbours and its *parent*, the
coefficient of the same place one scale coarser, are large. Their weighted sum, cut into a few
classes, picks the adaptive context under which the coefficient is coded: zero or not, then
sign, then magnitude in unary, then, for the rare giants, an exponential Golomb code.
"""

import numpy as np
from numba import njit

from helpers.codecs.rangecoder import (
    DECODING,
    LIMIT,
    PENDING,
    POSITION,
    ROOM,
    STOPPED,
    code_bit,
    code_fair,
    with_room,
)

_CLASSES = 13  # of neighbourhood activity
_PARENTS = 3
_UNARY = 14  # magnitudes above go to the exponential Golomb code
_GOLOMB = 24  # its longest prefix: magnitudes stay below 2^24
_ZERO, _MORE = 0, _CLASSES * _PARENTS
_GIANT = _MORE + _CLASSES * _UNARY
CONTEXTS = _GIANT + _GOLOMB + 1  # of one kind of band


@njit(cache=True)
def code_band(coder, data, contexts, first, band, parent):
    """Write or read one band of quantised coefficients in raster order.

    Parameters
    ----------
    coder, data
        Registers and buffer of the range coder; its direction is this function's.
    contexts : (N, 2) int64
        Adaptive contexts; this band uses `CONTEXTS` of them from `first` on.
    first : int
    band : (h, w) int32
        Coefficients, magnitudes below 2**24; filled in when reading.
    parent : (h', w') int32
        The next coarser band of the same direction, at least (ceil(h/2), ceil(w/2));
        (0, 0) where there is none.

    Returns
    -------
    uint8 array
        The buffer, which may have grown.
    """
    height, width = band.shape
    for i in range(height):
        if coder[LIMIT] and coder[POSITION] > coder[LIMIT]:
            coder[STOPPED] = 1
            return data
        for j in range(width):
            if not coder[DECODING] and data.size - coder[POSITION] < ROOM + coder[PENDING]:
                data = with_room(data)
            level = _class(_activity(band, i, j, width))
            above = 0
            if parent.size:
                above = min(abs(parent[i >> 1, j >> 1]), _PARENTS - 1)
            band[i, j] = _code_value(coder, data, contexts, first, level, above, band[i, j])
            if coder[STOPPED]:
                return data
    return data


@njit(cache=True)
def _activity(band, i, j, width):
    """Weighted sum of the magnitudes of the six coded neighbours, weights adding to 16."""
    total = 0
    if j > 0:
        total += 5 * abs(band[i, j - 1])
        if j > 1:
            total += abs(band[i, j - 2])
    if i > 0:
        total += 5 * abs(band[i - 1, j])
        if j > 0:
            total += 2 * abs(band[i - 1, j - 1])
        if j + 1 < width:
            total += 2 * abs(band[i - 1, j + 1])
        if i > 1:
            total += abs(band[i - 2, j])
    return total


@njit(cache=True)
def _class(activity):
    """Class of an activity: fine steps near 0, powers of two further up."""
    if activity < 3:
        return activity
    if activity < 5:
        return 3
    if activity < 8:
        return 4
    level, edge = 5, 12
    while activity >= edge and level < _CLASSES - 1:
        level += 1
        edge = edge * 3 // 2 + 1
    return level


@njit(cache=True)
def _code_value(coder, data, contexts, first, level, above, value):
    which = first + _ZERO + level * _PARENTS + above
    if not code_bit(coder, data, contexts, which, np.int64(value != 0)):
        return 0
    negative = code_fair(coder, data, np.int64(value < 0))
    size, magnitude = abs(value), 1
    while magnitude <= _UNARY:
        which = first + _MORE + level * _UNARY + magnitude - 1
        if not code_bit(coder, data, contexts, which, np.int64(size > magnitude)):
            return -magnitude if negative else magnitude
        magnitude += 1
    # Exponential Golomb: the number of bits of what is left, in unary, then the bits.
    rest, bits = size - _UNARY, 0
    while bits < _GOLOMB and code_bit(
        coder, data, contexts, first + _GIANT + bits, np.int64(rest >> (bits + 1) != 0)
    ):
        bits += 1
    left = 1
    for k in range(bits - 1, -1, -1):
        left = 2 * left | code_fair(coder, data, (rest >> k) & 1)
    magnitude = left + _UNARY
    return -magnitude if negative else magnitude
