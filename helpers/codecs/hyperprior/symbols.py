"""Symbols to bits, given how wide their law is.

A symbol is what rounding left of a latent in steps, less its mean. It is coded as answers: is it 0?
which sign? is its magnitude above 1, above 2, ...? Each question has a chance for each of 112
scales. The chances begin at those measured on the training images and follow the answers of the
image at hand, the more the more of them there were.

Laws wider than eight steps are first divided by a power of two; what is left over costs its bits
in full, for within so small a part of a wide law all values are alike.
"""

from functools import cache

import numpy as np
from numba import njit

from helpers.codecs.hyperprior.integers import SCALES
from helpers.codecs.rangecoder import (
    DECODING,
    PENDING,
    POSITION,
    ROOM,
    STOPPED,
    code_chance,
    code_fair,
    with_room,
)

QUESTIONS = 16
_TOP_BITS = 20  # of what exceeds the questions
_FLOOR = 6  # no chance leaves [6, 65530] / 65536
_ONE = 1 << 16
_PATIENCE = 400  # answers after which a counter stops slowing down
_RATES = (_ONE / (np.arange(_PATIENCE + 1) + 1.6)).astype(np.int64)


def counters(chances: np.ndarray, trust: int) -> np.ndarray:
    """Counters that begin at measured chances.

    Parameters
    ----------
    chances : (112, 16) integer array
        Of a yes, in 1/65536.
    trust : int
        As how many answers the measurement counts.

    Returns
    -------
    (112, 16, 2) int64 array of chance and answers
    """
    clipped = np.clip(chances.astype(np.int64), _FLOOR, _ONE - _FLOOR)
    return np.stack([clipped, np.full_like(clipped, trust)], axis=2)


@njit(cache=True)
def shift_of(scale):
    """Bits by which a law is narrowed before the questions."""
    return max(0, scale // 8 - 6)


@njit(cache=True)
def code_symbols(coder, data, counters, values, scales):
    """Write or read int64 `values` given int64 `scales` of the same length; return the buffer."""
    for n in range(values.size):
        if not coder[DECODING] and data.size - coder[POSITION] < ROOM + coder[PENDING]:
            data = with_room(data)
        values[n] = _code(coder, data, counters[scales[n]], shift_of(scales[n]), values[n])
        if coder[STOPPED]:
            break
    return data


@njit(cache=True)
def _code(coder, data, chances, shift, value):
    size = abs(value)
    high = size >> shift
    found = 0
    while found < chances.shape[0] and _asked(coder, data, chances, found, high > found):
        found += 1
    if found == chances.shape[0]:
        found += _code_rest(coder, data, high - found)
    for bit in range(shift - 1, -1, -1):
        found = 2 * found + code_fair(coder, data, (size >> bit) & 1)
    if found and code_fair(coder, data, value < 0):
        return -found
    return found


@njit(cache=True)
def _asked(coder, data, chances, which, yes):
    chance, seen = chances[which, 0], chances[which, 1]
    yes = code_chance(coder, data, chance, np.int64(yes))
    if yes:
        chance += ((_ONE - chance) * _RATES[seen]) >> 16
    else:
        chance -= (chance * _RATES[seen]) >> 16
    chances[which, 0] = min(max(chance, _FLOOR), _ONE - _FLOOR)
    chances[which, 1] = min(seen + 1, _PATIENCE)
    return yes


@njit(cache=True)
def _code_rest(coder, data, rest):
    """Exp-Golomb code."""
    bits = 0
    while bits < _TOP_BITS and code_fair(coder, data, (rest + 1) >> (bits + 1) > 0):
        bits += 1
    found = 1
    for bit in range(bits - 1, -1, -1):
        found = 2 * found + code_fair(coder, data, ((rest + 1) >> bit) & 1)
    return found - 1


def costs(chances: np.ndarray) -> np.ndarray:
    """Bits of the magnitudes 0 to 15 under every scale, sign included.

    Parameters
    ----------
    chances : (112, 16) integer array

    Returns
    -------
    (112, 16) float64 array
        Before any adaptation; for wide laws of the magnitude's narrowed part.
    """
    yes = np.clip(chances, _FLOOR, _ONE - _FLOOR) / _ONE
    asked = np.cumsum(-np.log2(yes), axis=1)
    bits = -np.log2(1 - yes)
    bits[:, 1:] += asked[:, :-1] + 1
    return bits


def shifts(scales: np.ndarray) -> np.ndarray:
    """`shift_of` of many scales."""
    return np.maximum(0, scales // 8 - 6)


def total_bits(costs: np.ndarray, values: np.ndarray, scales: np.ndarray) -> float:
    """Bits of all symbols together, before any adaptation.

    Parameters
    ----------
    costs : (112, 16) float64 array
        From `costs`; the largest magnitude stands for those beyond.
    values, scales : int64 arrays of one shape
    """
    shift = shifts(scales)
    size = np.minimum(np.abs(values) >> shift, QUESTIONS - 1)
    return float((costs[scales, size] + shift).sum())


@cache
def normal_chances() -> np.ndarray:
    """Chances that a normal law would give, before any were measured: (112, 16) integers."""
    from math import erfc, sqrt

    table = np.empty((SCALES, QUESTIONS), np.int64)
    for scale in range(SCALES):
        width = 2.0 ** (scale / 8 - 4)
        shift = shift_of(scale)
        edges = [(2**shift * k - 0.5) / width for k in range(QUESTIONS + 1)]
        beyond = [1.0, *(erfc(edge / sqrt(2)) for edge in edges[1:])]
        for k in range(QUESTIONS):
            chance = beyond[k + 1] / beyond[k] if beyond[k] > 1e-30 else 0.05
            table[scale, k] = min(max(round(_ONE * chance), _FLOOR), _ONE - _FLOOR)
    return table
