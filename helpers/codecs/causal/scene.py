"""What the codec sees of the pixels before the next one, as whole numbers for the network.

A few rows are kept, with margins, of three planes: the pixels and what two local linear guesses
(`squares`) missed them by. Around the next pixel the *scene* gives their mean guess, the size of
the errors nearby, and the neighbours in units of that size: what a network sees then looks alike
in an 8-bit radiograph and a 16-bit mammogram.

Grey levels count from the image's smallest, and planes and guesses are in sixteenths of one.
"""

from collections import namedtuple

import numpy as np
from numba import njit

from helpers.codecs.causal.squares import learn, new_squares, predict
from helpers.codecs.causal.squares import start_row as start_squares
from helpers.codecs.causal.tables import LEVEL, LEVELS, RECIPROCAL, SMALL

MARGIN = 5  # pixels that a neighbour lies away at most
NEIGHBOURS = 24  # that the network sees
FEATURES = NEIGHBOURS + 18
LIMIT = 511  # of a feature; 16 are one size of the errors nearby
MANY, FEW = 14, 6  # neighbours of the two linear guesses,
SLOW, FAST = 0.87, 0.8  # and what their samples count, a pixel further off
PIXELS, ERRORS, OTHERS = range(3)  # planes: the pixels, and both guesses' errors
# what `facts` holds of the next pixel
GUESS, SIZE, FIRST, SECOND, RESTLESS, MIDDLE = range(6)

Scene = namedtuple("Scene", "planes near offsets features facts sums1 work1 sums2 work2")


def offsets(count: int) -> np.ndarray:
    """Rows and columns of the nearest neighbours that are coded before a pixel.

    Parameters
    ----------
    count : int

    Returns
    -------
    (count, 2) int64 array
        Nearest first: W, N, NW, NE, WW, NN, ...
    """
    reach = range(-MARGIN, MARGIN + 1)
    found = [(dy, dx) for dy in range(-MARGIN, 1) for dx in reach if dy < 0 or dx < 0]
    found.sort(key=lambda place: (place[0] ** 2 + place[1] ** 2, -place[0], place[1]))
    return np.array(found[:count])


def new_scene(width: int) -> Scene:
    """A scene that has seen nothing, for images of this width.

    Parameters
    ----------
    width : int
        In pixels.
    """
    return Scene(
        np.zeros((3, MARGIN + 1, width + 2 * MARGIN), np.int64),
        np.zeros(MANY),
        offsets(NEIGHBOURS),
        np.zeros(FEATURES, np.float32),
        np.zeros(6, np.int64),
        *new_squares(MANY, width),
        *new_squares(FEW, width),
    )


@njit(cache=True)
def start_row(scene, y):
    """Move the planes a row up, and fill the margins of the row before."""
    planes = scene.planes
    _, high, wide = planes.shape
    if y > 0:
        edge = wide - MARGIN
        planes[PIXELS, high - 1, edge:] = planes[PIXELS, high - 1, edge - 1]
        planes[:, : high - 1] = planes[:, 1:].copy()
        planes[:, high - 1, :MARGIN] = 0
        planes[PIXELS, high - 1, :MARGIN] = planes[PIXELS, high - 2, MARGIN]
    start_squares(scene.sums1, SLOW)
    start_squares(scene.sums2, FAST)


@njit(cache=True)
def look(scene, table, x, top):
    """Fill ``scene.features`` and ``scene.facts`` for the pixel in column x; `top` is the span."""
    pixels, near, facts, places = scene.planes[PIXELS], scene.near, scene.facts, scene.offsets
    y, x0 = pixels.shape[0] - 1, x + MARGIN
    west, north = pixels[y, x0 - 1], pixels[y - 1, x0]
    north_west, north_east = pixels[y - 1, x0 - 1], pixels[y - 1, x0 + 1]
    middle = (2 * west + 2 * north + north_east - north_west) >> 2
    for i in range(MANY):
        near[i] = (pixels[y + places[i, 0], x0 + places[i, 1]] - middle) * 0.0625
    low = min(min(west, north), min(north_west, north_east))
    high = max(max(west, north), max(north_west, north_east))
    room = high - low + 32
    low, high = max(low - room, 0), min(high + room, 16 * top)
    facts[MIDDLE] = middle
    facts[RESTLESS] = abs(west - north_west) + abs(north - north_west) + abs(north - north_east)
    first = predict(scene.sums1, scene.work1, MANY, x, near)
    second = predict(scene.sums2, scene.work2, FEW, x, near)
    facts[FIRST] = min(max(middle + np.int64(np.floor(16.0 * first + 0.5)), low), high)
    facts[SECOND] = min(max(middle + np.int64(np.floor(16.0 * second + 0.5)), low), high)
    facts[GUESS] = (facts[FIRST] + facts[SECOND]) >> 1
    describe(scene.planes, facts, scene.features, places, table, x0, top)


@njit(cache=True)
def describe(planes, facts, out, places, table, x, top):
    """Features of a pixel: neighbours and errors in units of the errors nearby."""
    pixels, e, other = planes[PIXELS], planes[ERRORS], planes[OTHERS]
    y, guess = pixels.shape[0] - 1, facts[GUESS]
    close = 2 * (abs(e[y, x - 1]) + abs(e[y - 1, x])) + abs(e[y - 1, x - 1]) + abs(e[y - 1, x + 1])
    middle = close + abs(e[y, x - 2]) + abs(e[y - 2, x]) + abs(e[y - 1, x - 2])
    middle += abs(e[y - 1, x + 2]) + abs(e[y - 2, x - 1]) + abs(e[y - 2, x + 1])
    wide = middle + abs(e[y, x - 3])
    for dx in range(-3, 4):
        wide += abs(e[y - 3, x + dx])
    wide += abs(e[y - 1, x - 3]) + abs(e[y - 1, x + 3]) + abs(e[y - 2, x - 3])
    wide += abs(e[y - 2, x + 3]) + abs(e[y - 2, x - 2]) + abs(e[y - 2, x + 2])
    fast = 2 * (abs(other[y, x - 1]) + abs(other[y - 1, x]))
    fast += abs(other[y - 1, x - 1]) + abs(other[y - 1, x + 1])
    size = level(table, (4 * middle + 2 * wide) // 100 + 2)  # 48 % near, 52 % wide
    facts[SIZE] = size
    scale = table[RECIPROCAL + size]
    for i in range(NEIGHBOURS):
        out[i] = _unit(pixels[y + places[i, 0], x + places[i, 1]] - guess, scale)
    west, north, corner = pixels[y, x - 1], pixels[y - 1, x], pixels[y - 1, x - 1]
    median = max(min(west, north), min(max(west, north), west + north - corner))
    k = NEIGHBOURS
    out[k] = _unit(2 * (facts[FIRST] - facts[SECOND]), scale)
    out[k + 1] = _unit(median - guess, scale)
    out[k + 2] = _unit(e[y, x - 1], scale)
    out[k + 3] = _unit(e[y - 1, x], scale)
    out[k + 4] = _unit(e[y - 1, x - 1], scale)
    out[k + 5] = _unit(e[y - 1, x + 1], scale)
    out[k + 6] = _unit(e[y, x - 2], scale)
    out[k + 7] = _unit(e[y - 2, x], scale)
    out[k + 8] = _unit(other[y, x - 1], scale)
    out[k + 9] = _unit(other[y - 1, x], scale)
    restless = facts[RESTLESS] + abs(west - pixels[y, x - 2]) + abs(north - pixels[y - 2, x])
    out[k + 10] = size - 40
    out[k + 11] = 2 * (level(table, close // 6 + 2) - size)
    out[k + 12] = 2 * (level(table, wide // 26 + 2) - size)
    out[k + 13] = 2 * (level(table, fast // 6 + 2) - size)
    out[k + 14] = 2 * (level(table, restless // 5 + 2) - size)
    out[k + 15] = 2 * (level(table, abs(e[y, x - 1]) + 2) - size)
    out[k + 16] = 2 * (level(table, abs(e[y - 1, x]) + 2) - size)
    out[k + 17] = guess * 127 // (8 * top) - 127  # -127 is black, 127 white


@njit(cache=True)
def keep(scene, x, y, value):
    """Take in the pixel of column x, now that it is known."""
    planes, facts = scene.planes, scene.facts
    last, x0 = planes.shape[1] - 1, x + MARGIN
    pixel = 16 * value
    planes[PIXELS, last, x0] = pixel
    planes[ERRORS, last, x0] = pixel - facts[FIRST]
    planes[OTHERS, last, x0] = pixel - facts[SECOND]
    if y == 0:  # nothing is above the first row: what lies to the left stands in for it
        planes[PIXELS, : last if x else last + 1, x0 if x else 0 : x0 + MARGIN + 1] = pixel
    relative = (pixel - facts[MIDDLE]) * 0.0625
    restless = facts[RESTLESS] * 0.0625
    learn(scene.sums1, scene.work1, MANY, SLOW, x, scene.near, relative, restless)
    learn(scene.sums2, scene.work2, FEW, FAST, x, scene.near, relative, restless)


@njit(cache=True)
def level(table, error):
    """Level of an error in 1/16 grey levels: its logarithm, 8 to the octave."""
    octaves = 0
    while error >= SMALL:
        error >>= 1
        octaves += 8
    return min(table[LEVEL + error] + octaves, LEVELS - 1)


@njit(cache=True)
def _unit(difference, scale):
    """A difference of grey levels in sixteenths of the errors' size, within the limits."""
    return min(max((difference * scale + (1 << 19)) >> 20, -LIMIT), LIMIT)
