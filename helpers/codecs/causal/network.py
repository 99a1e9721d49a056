"""The network's weights in whole numbers, and its layers computed so that no order matters.

Weights are multiplied by a power of two, one for each unit, and rounded. Every product and every
partial sum then is a whole number below 2^24, which float32 holds exactly: it does not matter in
which order a machine adds, how many it adds at once, or whether it fuses a product and a sum. A
float network has none of this and decodes nothing on another machine.
"""

from collections import namedtuple
from collections.abc import Mapping

import numpy as np
from numba import njit

from helpers.codecs.causal.scene import FEATURES, LIMIT
from helpers.errors import DataError

EXACT = 2**24  # below it float32 holds every whole number
INPUT = 16  # steps a unit of the features,
HIDDEN = 64  # of the hidden units
CAP = 1023  # most steps a hidden unit has: 16 units
FINE = 1024  # steps a unit of the outputs
RAISED = HIDDEN // INPUT  # features join the last hidden units in their steps
_ZERO, _CAP, _ALL, _RAISED = (np.float32(value) for value in (0, CAP, np.inf, RAISED))
_FINEST = 16  # powers of two a weight is multiplied by, at most

# layers: (units, 2 + inputs) float32 arrays; the first two columns are what each sum begins with,
# and the power of two that turns it into the unit's steps, the others weights, whole numbers
Network = namedtuple("Network", "first second last hidden joined out")


def load(state: Mapping[str, np.ndarray]) -> Network:
    """Round a trained network to whole numbers.

    Parameters
    ----------
    state : mapping of str to array
        Of `helpers.models.context.ContextNet`, as ``helpers.weights.arrays`` gives it.

    Returns
    -------
    Network

    Raises
    ------
    DataError
        If these are no weights of such a network.
    """
    try:
        pairs = [(state[f"{n}.weight"], state[f"{n}.bias"]) for n in ("first", "second", "last")]
    except KeyError as error:
        raise DataError(f"The weights lack {error}; take weights of the lossless codec.") from error
    shapes = [np.shape(weight) for weight, _ in pairs]
    if not _fits(shapes, [np.shape(bias) for _, bias in pairs]):
        raise DataError(
            f"The weights have layers of {shapes}, which do not fit together or this release's "
            f"{FEATURES} features; train them again."
        )
    joined = np.full(shapes[2][1], CAP)
    joined[shapes[1][0] :] = RAISED * LIMIT
    first = _layer(*pairs[0], INPUT, np.full(FEATURES, LIMIT), HIDDEN)
    second = _layer(*pairs[1], HIDDEN, np.full(shapes[1][1], CAP), HIDDEN)
    last = _layer(*pairs[2], HIDDEN, joined, FINE)
    scratch = np.zeros(shapes[0][0], np.float32), np.zeros(shapes[2][1], np.float32)
    return Network(first, second, last, *scratch, np.zeros(shapes[2][0], np.float32))


def _fits(shapes: list[tuple], biases: list[tuple]) -> bool:
    """Whether layers of these (units, inputs) make one network."""
    pairs = zip(shapes, biases, strict=True)
    if any(len(shape) != 2 or shape[:1] != bias for shape, bias in pairs):
        return False
    (one, inputs), (two, from_one), (out, from_two) = shapes
    joined = from_one == one and from_two == two + FEATURES
    return inputs == FEATURES and joined and out > 0 and out % 3 == 0


def _layer(
    weight: np.ndarray, bias: np.ndarray, steps: int, most: np.ndarray, out: int
) -> np.ndarray:
    """Whole numbers of a layer on inputs of so many steps a unit, and at most so large."""
    weight, bias = np.asarray(weight, np.float64), np.asarray(bias, np.float64)
    power = np.full(len(weight), _FINEST)
    while True:
        # products with powers of two are exact, so every machine rounds the same numbers
        whole = np.rint(weight * 2.0 ** power[:, None])
        begin = np.rint(bias * steps * 2.0**power)
        tall = ~(np.abs(whole) @ most + np.abs(begin) < EXACT)
        if not tall.any():
            break
        power = power - tall
        if power.min() < -_FINEST:
            raise DataError("The weights hold numbers that are too large; train them again.")
    back = out / steps * 2.0**-power
    return np.column_stack([begin, back, whole]).astype(np.float32)


@njit(cache=True)
def evaluate(net, features):
    """Fill ``net.out`` with the network's outputs for one pixel, in 1/1024 of a unit."""
    joined, units = net.joined, net.second.shape[0]
    _dense(net.first, features, net.hidden, _ZERO, _CAP)
    _dense(net.second, net.hidden, joined[:units], _ZERO, _CAP)
    for i in range(features.size):
        joined[units + i] = features[i] * _RAISED
    _dense(net.last, joined, net.out, -_ALL, _ALL)


@njit(cache=True, fastmath={"reassoc"})  # in any order: the sums are exact
def _dense(layer, values, out, least, most):
    for j in range(out.size):
        row = layer[j]
        total = row[0]
        for i in range(values.size):
            total += row[i + 2] * values[i]
        out[j] = min(max(np.floor(total * row[1]), least), most)
