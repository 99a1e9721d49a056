"""Tables of the lossless codec: logarithms, exponentials and the logistic curve, in integers.

Made with decimal arithmetic, whose functions are rounded correctly by definition: a library's
`exp` may differ in its last bit from one machine to the next, and one entry that differs spoils
every stream. All tables lie in one array, each from its offset on, because the compiled loops pass
one array about faster than ten.
"""

from decimal import Decimal, localcontext
from functools import lru_cache

import numpy as np

LEVELS = 160  # of the size of errors, 8 to the octave, from 1/16 grey level up
SMALL = 4096  # errors below it, in 1/16 grey levels, have their level tabled
SPAN = 12  # the logistic curve is tabled from -12 to 12 ...
CELLS = 32  # ... in as many steps a unit, and linear between them
HEIGHT = 24  # bits of the logistic curve's values
GROUND = 64  # steps a nat of the mixture's weights
SLOPES = 32  # steps a nat of the logarithm of the scales
LOWEST = -4  # the smallest of them, in nats: 0.018 grey levels
STRETCH = 256  # steps a nat of a logit
LOGIT_BITS = 14  # a probability's bits that its logit is looked up by
LOGITS = 3072  # a logit is between minus and plus as many steps
SHARES, SCALES = SPAN * GROUND, 16 * SLOPES

_SIZES = {
    "LEVEL": SMALL,  # level of a small error
    "RECIPROCAL": LEVELS,  # 2^24 / (error + 1)
    "UNIT": LEVELS,  # error in 1/256 grey levels
    "WIDTH": LEVELS,  # log2 of the step in which a tree of decisions walks from its middle
    "PHASE": LEVELS,  # how the error lies within that step
    "SLOPE": LEVELS,  # of the logistic curve around a linear guess
    "BASE": LEVELS,  # logarithm of the scale that the network corrects
    "LOGISTIC": 2 * SPAN * CELLS + 1,
    "EXPONENTIAL": SHARES,  # weights of the mixture
    "STEEP": SCALES,  # reciprocal scales
    "LOGIT": 1 << LOGIT_BITS,  # of a probability
    "CHANCE": 2 * LOGITS + 1,  # and back
}
_ENDS = np.cumsum(list(_SIZES.values())).tolist()
LEVEL, RECIPROCAL, UNIT, WIDTH, PHASE, SLOPE = (0, *_ENDS[:5])
BASE, LOGISTIC, EXPONENTIAL, STEEP, LOGIT, CHANCE = _ENDS[5:-1]


@lru_cache(maxsize=1)
def tables() -> np.ndarray:
    """All tables of the codec, the same on every machine.

    Returns
    -------
    (N,) int64 array
        ``tables()[LOGIT + p]`` is the logit of the probability p, and so on.
    """
    with localcontext() as context:
        context.prec = 30
        found = [value for name in _SIZES for value in _MAKERS[name]()]
        whole = [int(value.to_integral_value("ROUND_HALF_EVEN")) for value in found]
    return np.array(whole, np.int64)


def _errors() -> list[Decimal]:
    """Errors of the levels, in 1/16 grey levels."""
    return [Decimal(2) ** (Decimal(q) / 8) for q in range(LEVELS)]


def _level() -> list[Decimal]:
    """Nearest level of each small error, by its logarithm."""
    edges = [Decimal(2) ** ((Decimal(q) + Decimal("0.5")) / 8) for q in range(LEVELS)]
    found, level = [], 0
    for error in range(SMALL):
        while edges[level] <= error:
            level += 1
        found.append(Decimal(level))
    return found


def _octaves() -> list[Decimal]:
    """Logarithms to base 2 of the errors, in grey levels, plus one half."""
    return [Decimal(q) / 8 - 4 + Decimal("0.5") for q in range(LEVELS)]


def _floor(value: Decimal) -> Decimal:
    return value.to_integral_value("ROUND_FLOOR")


def _phase(octave: Decimal) -> Decimal:
    """Where an error lies within its octave (0 to 3), or below one grey level (4 to 7)."""
    whole = _floor(octave)
    if whole > 0:
        return _floor(4 * (octave - whole))
    return min(Decimal(7), max(Decimal(4), 7 + whole))


def _logistic(place: Decimal) -> Decimal:
    return 1 / (1 + (-place).exp())


def _logit(step: int) -> Decimal:
    chance = (Decimal(step) + Decimal("0.5")) / (1 << LOGIT_BITS)
    return (chance / (1 - chance)).ln() * STRETCH


_MAKERS = {
    "LEVEL": _level,
    "RECIPROCAL": lambda: [2**24 / (e + 1) for e in _errors()],
    "UNIT": lambda: [16 * e for e in _errors()],
    "WIDTH": lambda: [max(Decimal(0), _floor(o)) for o in _octaves()],
    "PHASE": lambda: [_phase(o) for o in _octaves()],
    # a logistic curve whose scale is half the mean error
    "SLOPE": lambda: [2**23 / (e / 32 + Decimal("0.05")) for e in _errors()],
    "BASE": lambda: [(e / 16 * Decimal("0.55") + Decimal("0.02")).ln() * SLOPES for e in _errors()],
    "LOGISTIC": lambda: [
        _logistic(Decimal(i) / CELLS) * 2**HEIGHT for i in range(-SPAN * CELLS, SPAN * CELLS + 1)
    ],
    "EXPONENTIAL": lambda: [(-Decimal(i) / GROUND).exp() * 4096 for i in range(SHARES)],
    "STEEP": lambda: [(-(Decimal(i) / SLOPES + LOWEST)).exp() * 2**23 for i in range(SCALES)],
    "LOGIT": lambda: [_logit(i) for i in range(1 << LOGIT_BITS)],
    "CHANCE": lambda: [
        min(max(65536 * _logistic(Decimal(i) / STRETCH), Decimal(1)), Decimal(65535))
        for i in range(-LOGITS, LOGITS + 1)
    ],
}
