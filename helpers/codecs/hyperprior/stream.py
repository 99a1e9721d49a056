"""Latents to bytes and back: the half of the codec on whose every bit both sides must agree."""

from collections.abc import Callable

import numpy as np

from helpers.codecs.hyperprior import symbols
from helpers.codecs.hyperprior.integers import LEVELS, MEAN_BITS
from helpers.codecs.hyperprior.model import Trained
from helpers.codecs.rangecoder import (
    POSITION,
    ROOM,
    STOPPED,
    as_buffer,
    finish,
    start_decoder,
    start_encoder,
    with_room,
)
from helpers.errors import BitstreamError
from helpers.models.hyperprior.layout import SHRINK, price

TRUST = 20  # answers that the measured chances count as
# What rounding towards the mean must save in bits, in prices of the error that it adds. At 1 the
# cost of a level is least, but a coarser level saves the same bits for less error. On training
# pictures the curves were best from 2 to 2.5, alike within a tenth of a per cent on average.
AT_PRICE, MARGIN = 1.0, 2.0


def encode(
    model: Trained,
    latents: np.ndarray,
    side: np.ndarray,
    level: int,
    trust: int = TRUST,
    margin: float = MARGIN,
) -> tuple[bytes, np.ndarray]:
    """Range code of a picture's latents.

    Parameters
    ----------
    model : Trained
    latents, side : arrays
        From `helpers.codecs.hyperprior.closed_loop.refined`.
    level : int
    trust : int
        As how many answers the measured chances count; another one than `TRUST` cannot be decoded.
    margin : float
        Rounding towards the mean must save so many times the price of the error that it adds.

    Returns
    -------
    payload : bytes
    latents : (h, w, 256) float32 array
        What a decoder will make of it, in grey levels.
    """
    coder, counters = start_encoder(), symbols.counters(model.chances, trust)
    data = np.zeros(4 * ROOM, np.uint8)

    def write(found, scales):
        nonlocal data
        flat = np.ascontiguousarray(found, np.int64).reshape(-1)
        data = symbols.code_symbols(coder, data, counters, flat, scales.reshape(-1))
        return flat.reshape(found.shape)

    made = symbolise(model, latents, side, level, write, margin)
    if data.size - coder[POSITION] < 2 * ROOM:
        data = with_room(data)
    return data[: finish(coder, data)].tobytes(), made


def decode(model: Trained, payload: bytes, shape: tuple[int, int], level: int) -> np.ndarray:
    """Latents of a range code.

    Parameters
    ----------
    model : Trained
    payload : bytes
    shape : tuple of int
        Of the latents.
    level : int

    Returns
    -------
    (h, w, 256) float32 array
        In grey levels.

    Raises
    ------
    BitstreamError
        If the code ends too early or too late.
    """
    return model.context.dequantised(decode_steps(model, payload, shape, level), level)


def decode_steps(model: Trained, payload: bytes, shape: tuple[int, int], level: int) -> np.ndarray:
    """Latents of a range code as whole numbers: see `decode`, but in 2**-8 quantisation steps."""
    data = as_buffer(payload)
    coder, counters = start_decoder(data), symbols.counters(model.chances, TRUST)

    def read(scales):
        flat = np.zeros(scales.size, np.int64)
        symbols.code_symbols(coder, data, counters, flat, scales.reshape(-1))
        if coder[STOPPED]:
            raise BitstreamError("The payload ends before the picture does.")
        return flat.reshape(scales.shape)

    def code(bands, rows, columns, mean, scale):
        return read(scale)

    mean, scale = model.side
    side = read(np.broadcast_to(scale, (*_side_shape(shape), scale.size)).copy()) + mean
    values = model.context.walk(side, level, shape, code)
    if coder[POSITION] < len(payload):
        raise BitstreamError("The payload holds more bytes than the picture needs.")
    return values


def symbolise(
    model: Trained,
    latents: np.ndarray,
    side: np.ndarray,
    level: int,
    write: Callable,
    margin: float = MARGIN,
) -> np.ndarray:
    """Go through the symbols of a picture in the order of the stream.

    Parameters
    ----------
    model : Trained
    latents : (h, w, 256) float32 array
        In grey levels.
    side : (h/4, w/4, 16) int64 array
    level : int
    write : callable
        ``write(symbols, scales)`` of int64 arrays of one shape; returns the symbols.
    margin : float
        As in `encode`.

    Returns
    -------
    (h, w, 256) float32 array
        What a decoder will make of them, in grey levels.
    """
    steps = model.context.steps[level]
    values = latents / steps
    bits = symbols.costs(model.chances)
    worth = margin * price(level / (LEVELS - 1)) * steps**2

    def code(bands, rows, columns, mean, scale):
        wanted = values[rows, columns, bands] - mean / 2.0**MEAN_BITS
        return write(_thrifty(wanted, scale, bits, worth[bands]), scale)

    mean, scale = model.side
    side = write(side - mean, np.broadcast_to(scale, side.shape).copy()) + mean
    found = model.context.walk(side, level, latents.shape[:2], code)
    return model.context.dequantised(found, level)


def _thrifty(wanted, scale, bits, worth):
    """Round, or round towards the mean where that saves more bits than the error is worth."""
    nearest = np.rint(wanted)
    smaller = nearest - np.sign(nearest)
    shift = symbols.shifts(scale)
    size = np.abs(nearest).astype(np.int64) >> shift
    known = (size > 0) & (size < symbols.QUESTIONS) & (shift == 0)
    size = np.where(known, size, 1)
    saved = bits[scale, size] - bits[scale, size - 1]
    lost = worth * ((wanted - smaller) ** 2 - (wanted - nearest) ** 2)
    return np.where(known & (saved > lost), smaller, nearest).astype(np.int64)


def _side_shape(shape: tuple[int, int]) -> tuple[int, int]:
    return -(-shape[0] // SHRINK), -(-shape[1] // SHRINK)
