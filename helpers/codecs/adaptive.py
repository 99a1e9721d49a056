"""Adaptive range coding of a residual image, byte by byte, with or without context.

A byte is eight decisions: is its first bit set, given that its second, and so on. They form
a binary tree of 255 inner nodes, each an adaptive context of the range coder, so no table is
sent: encoder and decoder learn the statistics from the pixels already coded. With several
*classes* there is one tree for each level of activity among the four coded neighbours: where
they are far from 128, the value for "no difference", the next one is likely to be so too.

Taught in the chapter *Lossless by auto-encoder and delta*.
"""

import numpy as np
from numba import njit

from helpers.codecs.rangecoder import (
    DECODING,
    PENDING,
    POSITION,
    ROOM,
    STOPPED,
    as_buffer,
    close_code,
    code_bit,
    new_contexts,
    start_decoder,
    start_encoder,
    with_room,
)

CENTRE = 128  # the residual of a pixel that was predicted exactly
CLASSES = 12  # of activity, at most
_NODES = 256  # of a tree; node 0 is not used


def encode_adaptive(residual: np.ndarray, classes: int = 1) -> bytes:
    """Code a residual image.

    Parameters
    ----------
    residual : (H, W) uint8
        Differences, centred on 128.
    classes : int
        Number of activity classes, 1 to 12; 1 takes no notice of the neighbours.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If `classes` is out of range, or `residual` is no residual image.

    Examples
    --------
    >>> residual = np.full((64, 64), 128, np.uint8)
    >>> len(encode_adaptive(residual)) < 30
    True
    >>> np.array_equal(decode_adaptive(encode_adaptive(residual), (64, 64)), residual)
    True
    """
    residual, contexts = check_residual(residual), _contexts(classes)
    coder, data = start_encoder(), np.zeros(residual.size + ROOM, np.uint8)
    data = _code(coder, data, contexts, classes, residual)
    return close_code(coder, data)


def decode_adaptive(data: bytes, shape: tuple[int, int], classes: int = 1) -> np.ndarray:
    """Decode what `encode_adaptive` coded with as many classes.

    Parameters
    ----------
    data : bytes
    shape : tuple of int
        Height and width.
    classes : int

    Returns
    -------
    (H, W) uint8 array

    Raises
    ------
    ValueError
        If the data end before the last pixel or far after it, or `classes` is out of range.
    """
    contexts = _contexts(classes)
    residual = np.zeros(shape, np.uint8)
    buffer = as_buffer(data)
    coder = start_decoder(buffer)
    _code(coder, buffer, contexts, classes, residual)
    check_end(coder, buffer)
    return residual


def check_residual(residual: np.ndarray) -> np.ndarray:
    """Return a copy of a residual image in row order, or say why it is none.

    Parameters
    ----------
    residual : (H, W) uint8

    Returns
    -------
    (H, W) uint8 array

    Raises
    ------
    ValueError
        If it has another rank or dtype, or no pixels.
    """
    residual = np.asarray(residual)
    if residual.ndim != 2 or residual.dtype != np.uint8 or not residual.size:
        raise ValueError(
            "A residual image is a 2-D array of uint8 with at least one pixel, not "
            f"{residual.shape} {residual.dtype}; take the difference plus 128, modulo 256."
        )
    return np.array(residual, order="C")


def check_end(coder: np.ndarray, data: np.ndarray) -> None:
    """Make sure that the code which a range coder has read ends where its data end.

    Parameters
    ----------
    coder : (10,) int64
    data : uint8 array

    Raises
    ------
    ValueError
        If the data ended too early, or bytes are left over. The decoder looks up to four bytes
        ahead, so up to three bytes too many go unnoticed; they change no pixel.
    """
    if coder[STOPPED]:
        raise ValueError("The code ends before the last pixel; copy the stream again.")
    if coder[POSITION] != data.size:
        raise ValueError("The code holds more than the pixels asked for; copy it again.")


def _contexts(classes: int) -> np.ndarray:
    if not 1 <= classes <= CLASSES:
        raise ValueError(f"There are 1 to {CLASSES} classes of activity, not {classes}.")
    return new_contexts(classes * _NODES)


@njit(cache=True)
def _code(coder, data, contexts, classes, residual):
    """Write or read a residual image in raster order; return the buffer."""
    height, width = residual.shape
    for i in range(height):
        for j in range(width):
            if not coder[DECODING] and data.size - coder[POSITION] < ROOM + coder[PENDING]:
                data = with_room(data)
            tree = _NODES * _class(_activity(residual, i, j, width), classes) if classes > 1 else 0
            value = np.int64(residual[i, j])
            node = 1
            for place in range(7, -1, -1):
                bit = code_bit(coder, data, contexts, tree + node, value >> place & 1)
                node = 2 * node | bit
            if coder[STOPPED]:
                return data
            residual[i, j] = node - _NODES
    return data


@njit(cache=True)
def _activity(residual, i, j, width):
    """Sum of the distances from 128 of the neighbours W, N, NW and NE, as far as there are."""
    total = 0
    if j > 0:
        total += abs(np.int64(residual[i, j - 1]) - CENTRE)
    if i > 0:
        total += abs(np.int64(residual[i - 1, j]) - CENTRE)
        if j > 0:
            total += abs(np.int64(residual[i - 1, j - 1]) - CENTRE)
        if j + 1 < width:
            total += abs(np.int64(residual[i - 1, j + 1]) - CENTRE)
    return total


@njit(cache=True)
def _class(activity, classes):
    """Class of an activity; each is about half as wide again as the one below."""
    level, edge = 0, 3
    while activity >= edge and level < classes - 1:
        level += 1
        edge = edge * 3 // 2 + 1
    return level
