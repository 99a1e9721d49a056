"""The walk over an image, pixel by pixel, that codes it, decodes it, or only looks."""

from collections.abc import Sequence

import numpy as np
from numba import njit

from helpers.codecs.adaptive import check_end
from helpers.codecs.causal import mixing, network, scene
from helpers.codecs.causal.tables import tables
from helpers.codecs.rangecoder import (
    DECODING,
    PENDING,
    POSITION,
    ROOM,
    STOPPED,
    as_buffer,
    close_code,
    start_decoder,
    start_encoder,
    with_room,
)


def encode(values: np.ndarray, net: network.Network, heard: Sequence[bool] = mixing.ALL) -> bytes:
    """Code an image of whole numbers from 0 up.

    Parameters
    ----------
    values : (H, W) integer array
        From 0 to at most 65,535, not all of them 0.
    net : Network
    heard : sequence of bool
        Which experts of `mixing` are heard: all, but for measuring what each is worth.

    Returns
    -------
    bytes
        Without header: the decoder must be told shape and largest value.
    """
    values = np.array(values, np.uint16, order="C")
    coder, data = start_encoder(), np.zeros(values.size + 4 * ROOM, np.uint8)
    data = _code(coder, data, values, int(values.max()), *_state(values.shape[1], net, heard))
    return close_code(coder, data)


def decode(
    data: bytes,
    shape: tuple[int, int],
    top: int,
    net: network.Network,
    heard: Sequence[bool] = mixing.ALL,
) -> np.ndarray:
    """Decode what `encode` coded.

    Parameters
    ----------
    data : bytes
    shape : tuple of int
        Height and width in pixels.
    top : int
        Largest value of the image, at least 1.
    net : Network
    heard : sequence of bool
        Both the same as in `encode`.

    Returns
    -------
    (H, W) uint16 array

    Raises
    ------
    ValueError
        If the data end before the last pixel, or go on after it.
    """
    values, buffer = np.zeros(shape, np.uint16), as_buffer(data)
    coder = start_decoder(buffer)
    _code(coder, buffer, values, top, *_state(shape[1], net, heard))
    check_end(coder, buffer)
    return values


def observe(values: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the network would see of some pixels: for its training.

    Parameters
    ----------
    values : (H, W) integer array
        From 0 up.
    chosen : (H, W) bool array
        Which pixels are asked for.

    Returns
    -------
    features : (N, FEATURES) int16 array
    facts : (N, 4) int32 array
        Mean guess in 1/16 grey levels, level of the errors nearby, the pixel, and the largest
        of its image.
    """
    values = np.array(values, np.uint16, order="C")
    count = int(np.count_nonzero(chosen))
    features = np.zeros((count, scene.FEATURES), np.int16)
    facts = np.zeros((count, 4), np.int32)
    view = scene.new_scene(values.shape[1])
    _look(values, chosen, max(int(values.max()), 1), view, tables(), features, facts)
    return features, facts


def _state(width: int, net: network.Network, heard: Sequence[bool]) -> tuple:
    mixer = mixing.new_mixer(net.out.size // 3, heard)
    return scene.new_scene(width), net, mixer, tables()


@njit(cache=True)
def _code(coder, data, values, top, view, net, mixer, table):
    """Write or read an image in raster order; return the buffer."""
    height, width = values.shape
    for y in range(height):
        scene.start_row(view, y)
        for x in range(width):
            if not coder[DECODING] and data.size - coder[POSITION] < ROOM + coder[PENDING]:
                data = with_room(data)
            scene.look(view, table, x, top)
            network.evaluate(net, view.features)
            facts = view.facts
            centre = mixing.prepare(mixer.curves, mixer.bounds, table, net.out, facts, top)
            size = facts[scene.SIZE]
            value = mixing.code_value(
                coder, data, mixer, table, size, centre, top, np.int64(values[y, x])
            )
            if coder[STOPPED]:
                return data
            values[y, x] = value
            scene.keep(view, x, y, value)
    return data


@njit(cache=True)
def _look(values, chosen, top, view, table, features, facts):
    height, width = values.shape
    k = 0
    for y in range(height):
        scene.start_row(view, y)
        for x in range(width):
            scene.look(view, table, x, top)
            if chosen[y, x]:
                for i in range(view.features.size):
                    features[k, i] = np.int16(view.features[i])
                facts[k, 0] = view.facts[scene.GUESS]
                facts[k, 1] = view.facts[scene.SIZE]
                facts[k, 2] = values[y, x]
                facts[k, 3] = top
                k += 1
            scene.keep(view, x, y, np.int64(values[y, x]))
