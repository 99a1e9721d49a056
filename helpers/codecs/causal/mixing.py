"""From guesses to bits: a tree of yes-or-no decisions whose chances experts agree on.

A pixel is coded as answers. Is it below the middle? Is it further away than a step, than two, four,
eight? In which half of what is left? Three experts say how likely each answer is: the network's
mixture of logistic curves and a single curve around each of the two linear guesses. A fourth one
counts how often the answer was yes where the errors were as large. Their logits are added with
weights that follow, after every answer, the gradient of its cost (Mahoney 2005, in PAQ). So the
codec trusts the network where it knows the material and the others where it does not.

All of it in 64-bit integers: chances are 1/65536, logits 1/256 nat.
"""

from collections import namedtuple
from collections.abc import Sequence

import numpy as np
from numba import njit

from helpers.codecs.causal.network import FINE
from helpers.codecs.causal.scene import FIRST, GUESS, SECOND, SIZE
from helpers.codecs.causal.tables import (
    BASE,
    CHANCE,
    EXPONENTIAL,
    GROUND,
    HEIGHT,
    LEVELS,
    LOGISTIC,
    LOGIT,
    LOGIT_BITS,
    LOGITS,
    LOWEST,
    PHASE,
    SCALES,
    SHARES,
    SLOPE,
    SLOPES,
    SPAN,
    STEEP,
    UNIT,
    WIDTH,
)
from helpers.codecs.rangecoder import STOPPED, code_chance

EXPERTS = 5  # the network, two linear guesses, the counter, and a constant
ALL = (True,) * EXPERTS
NODES = 64  # of the tree of decisions that are told from each other
PHASES = 8
RATE = 17  # learning rate: 2^-17 of error times logit
CONSTANT = 77  # the last expert's logit
_POINT = 15  # bits after the point of an argument of the logistic curve
_CELL = _POINT - 5  # and of it within a cell of its table, 32 to the unit
_EDGE = SPAN << _POINT
_WEIGHT = 12  # bits of an expert's whole mixture
_PATIENCE = 255  # answers after which a counter stops slowing down
_WALK, _SIDES = 12, 32  # steps that have a node each; where the nodes of the halving begin
_MEAN, _STEEPNESS, _SHARE = range(3)  # of a curve
_START, _END, _AT = range(3)  # of an expert's curves: below the pixel's range, above, at the cut

# weights: (nodes * phases, experts); counters: (nodes * levels, 2), chance and answers;
# curves: (components + 2, 3), the last two those of the linear guesses; bounds: (3, 3); heard: (5,)
Mixer = namedtuple("Mixer", "weights counters curves bounds logits heard")


def new_mixer(components: int, heard: Sequence[bool] = ALL) -> Mixer:
    """A mixer that trusts the network and nobody else yet.

    Parameters
    ----------
    components : int
        Of the network's mixture.
    heard : sequence of bool
        Whose weights may move. The network's begins at 1 and all others at 0, so an expert that
        is not heard says nothing, and the network, where it is not, always the same.
    """
    weights = np.zeros((NODES * PHASES, EXPERTS), np.int64)
    weights[:, 0] = 1 << 16
    counters = np.zeros((NODES * LEVELS, 2), np.int64)
    counters[:, 0] = 1 << 15
    curves = np.zeros((components + 2, 3), np.int64)
    curves[-2:, _SHARE] = 1 << _WEIGHT
    bounds, logits = np.zeros((3, 3), np.int64), np.zeros(EXPERTS, np.int64)
    return Mixer(weights, counters, curves, bounds, logits, np.array(heard, np.int64))


@njit(cache=True)
def prepare(curves, bounds, table, out, facts, top):
    """Turn the network's outputs into curves; return the middle of the tree, a pixel value."""
    count = out.size // 3
    size = facts[SIZE]
    best = np.int64(out[0])
    for k in range(1, count):
        best = max(best, np.int64(out[k]))
    total, mean = 0, 0
    for k in range(count):
        step = (best - np.int64(out[k])) * GROUND // FINE
        share = table[EXPONENTIAL + step] if step < SHARES else 0
        place = 16 * facts[GUESS] + ((np.int64(out[count + k]) * table[UNIT + size]) >> 10)
        place = min(max(place, -(16 << 8)), (top + 16) << 8)
        slope = table[BASE + size] + np.int64(out[2 * count + k]) * SLOPES // FINE
        slope = min(max(slope - LOWEST * SLOPES, 0), SCALES - 1)
        curves[k, _MEAN], curves[k, _STEEPNESS] = place, table[STEEP + slope]
        curves[k, _SHARE] = share
        total += share
        mean += share * place
    curves[count, _MEAN], curves[count + 1, _MEAN] = 16 * facts[FIRST], 16 * facts[SECOND]
    curves[count, _STEEPNESS] = table[SLOPE + size]
    curves[count + 1, _STEEPNESS] = table[SLOPE + size] * 5 // 6
    ground = (top + 1) * _ground(top)
    for expert in range(3):
        bounds[expert, _START] = 0
        bounds[expert, _END] = ((1 << _WEIGHT) << HEIGHT) + ground
    bounds[0, _END] = (total << HEIGHT) + ground
    return min(max((mean // total + 128) >> 8, 1), top)


@njit(cache=True)
def code_value(coder, data, mixer, table, size, centre, top, value):
    """Write or read a pixel of 0 to `top`, at least 1, given the `centre` of `prepare`."""
    weights, counters, curves = mixer.weights, mixer.counters, mixer.curves
    bounds, logits, heard = mixer.bounds, mixer.logits, mixer.heard
    phase, step = table[PHASE + size], 1 << table[WIDTH + size]
    low, high = 0, top + 1  # the pixel is at least low and below high
    cut, node, walked, side, distance, halved = centre, 0, 0, 0, 0, -1
    while high - low > 1:
        _weigh(curves, bounds, table, cut, _ground(top))
        below = _decide(
            coder,
            data,
            weights[node * PHASES + phase],
            counters[node * LEVELS + size],
            bounds,
            logits,
            heard,
            table,
            value < cut,
        )
        if coder[STOPPED]:
            return low
        if below:
            high = cut
        else:
            low = cut
        if node == 0:
            side = -1 if below else 1
        elif halved >= 0:
            halved += 1
        elif below == (side > 0):
            halved = 0
        else:
            step = 2 * step if walked > 0 else step
            walked += 1
        if halved < 0:
            distance += step
            cut = centre + side * distance
            node = 1 + 2 * min(walked, _WALK) + (side > 0)
            if cut <= low or cut >= high:
                halved = 0
        if halved >= 0:
            cut = (low + high) >> 1
            node = _SIDES + min(halved, NODES - _SIDES - 1)
    return low


@njit(cache=True)
def _decide(coder, data, weights, counter, bounds, logits, heard, table, below):
    """Write or read whether the pixel is below the cut; let the experts learn from it."""
    for expert in range(3):
        start = bounds[expert, _START]
        share = ((bounds[expert, _AT] - start) << LOGIT_BITS) // (bounds[expert, _END] - start)
        logits[expert] = table[LOGIT + min(max(share, 0), (1 << LOGIT_BITS) - 1)]
    chance, seen = counter[0], counter[1]
    logits[3] = table[LOGIT + (chance >> (16 - LOGIT_BITS))] if seen else 0
    logits[4] = CONSTANT
    total = 0
    for e in range(EXPERTS):
        total += weights[e] * logits[e]
    mixed = table[CHANCE + LOGITS + min(max(total >> 16, -LOGITS), LOGITS)]
    below = code_chance(coder, data, mixed, below)
    target = 65535 if below else 0
    error = target - mixed
    for e in range(EXPERTS):
        weights[e] += heard[e] * ((error * logits[e]) >> RATE)
    counter[0] = chance + (target - chance) // (min(seen, _PATIENCE) + 2)
    counter[1] = seen + 1
    for expert in range(3):
        bounds[expert, _END if below else _START] = bounds[expert, _AT]
    return below


@njit(cache=True)
def _ground(top):
    """What every value is given beforehand: no answer is impossible, however far off."""
    return max(1, (1 << (HEIGHT + _WEIGHT - 20)) // (top + 1))


@njit(cache=True)
def _weigh(curves, bounds, table, cut, ground):
    """Share of each expert's curves below `cut`, of a total of about 2^36."""
    place = (2 * cut - 1) * 128  # half a grey level below the cut, in 1/256
    count = curves.shape[0] - 2
    bounds[0, _AT] = cut * ground
    for k in range(count + 2):
        at = ((place - curves[k, _MEAN]) * curves[k, _STEEPNESS]) >> 16
        at = min(max(at, -_EDGE + 1), _EDGE - 1) + _EDGE
        i = LOGISTIC + (at >> _CELL)
        here = table[i]
        value = here + (((table[i + 1] - here) * (at & ((1 << _CELL) - 1))) >> _CELL)
        if k < count:
            bounds[0, _AT] += curves[k, _SHARE] * value
        else:
            bounds[1 + k - count, _AT] = cut * ground + (value << _WEIGHT)
