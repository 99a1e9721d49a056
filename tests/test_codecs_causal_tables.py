"""Tables of the lossless codec: fixed to the last digit, and what their names say."""

import hashlib

import numpy as np
import pytest

from helpers.codecs.causal import tables as t
from helpers.codecs.causal.tables import tables

# SHA-256 of all entries as little-endian int64. It changes only where every stream changes.
GOLDEN = "7e05f360961a589daa214a3359da472ea8933e4da3b432d34d37ca921da28e31"
ERRORS = 2.0 ** (np.arange(t.LEVELS) / 8)  # in 1/16 grey levels


def part(name):
    start = getattr(t, name)
    return tables()[start : start + t._SIZES[name]]


def test_the_tables_are_the_same_everywhere():
    data = tables().astype("<i8").tobytes()
    assert tables().dtype == np.int64 and tables().shape == (sum(t._SIZES.values()),)
    assert hashlib.sha256(data).hexdigest() == GOLDEN


def test_the_tables_lie_end_to_end():
    starts = [getattr(t, name) for name in t._SIZES]
    assert starts == np.cumsum([0, *list(t._SIZES.values())[:-1]]).tolist()


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        *((name, 1) for name in ("LEVEL", "UNIT", "WIDTH", "BASE", "LOGISTIC", "LOGIT", "CHANCE")),
        *((name, -1) for name in ("RECIPROCAL", "SLOPE", "EXPONENTIAL", "STEEP")),
    ],
)
def test_each_table_rises_or_falls(name, direction):
    assert (direction * np.diff(part(name)) >= 0).all()


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("LEVEL", 0, 96),  # 12 octaves: where the shifts of `scene.level` begin
        ("RECIPROCAL", 2**23, 17),
        ("WIDTH", 0, 16),
        ("PHASE", 4, 1),
        ("LOGISTIC", 103, 2**24 - 103),
        ("EXPONENTIAL", 4096, 0),
        ("LOGIT", -2662, 2662),
        ("CHANCE", 1, 65535),
    ],
)
def test_the_ends_of_each_table(name, first, last):
    assert (part(name)[0], part(name)[-1]) == (first, last)


def test_the_tables_are_the_functions_rounded():
    """As near to what floats give as rounding to whole numbers lets them be."""

    def logistic(x):
        return 1 / (1 + np.exp(-x))

    chances = (np.arange(1 << t.LOGIT_BITS) + 0.5) / (1 << t.LOGIT_BITS)
    expected = {
        "RECIPROCAL": 2.0**24 / (ERRORS + 1),
        "UNIT": 16 * ERRORS,
        "SLOPE": 2.0**23 / (ERRORS / 32 + 0.05),
        "BASE": np.log(ERRORS / 16 * 0.55 + 0.02) * t.SLOPES,
        "LOGISTIC": logistic(np.arange(-384, 385) / t.CELLS) * 2.0**t.HEIGHT,
        "EXPONENTIAL": 4096 * np.exp(-np.arange(t.SHARES) / t.GROUND),
        "STEEP": 2.0**23 * np.exp(-(np.arange(t.SCALES) / t.SLOPES + t.LOWEST)),
        "LOGIT": t.STRETCH * np.log(chances / (1 - chances)),
        "CHANCE": (65536 * logistic(np.arange(-t.LOGITS, t.LOGITS + 1) / t.STRETCH)).clip(1, 65535),
    }
    for name, values in expected.items():
        assert np.abs(part(name) - values).max() <= 0.5 + 1e-6, name


def test_the_level_of_an_error_is_its_nearest():
    errors = np.arange(1, t.SMALL)
    assert np.abs(part("LEVEL")[1:] - 8 * np.log2(errors)).max() <= 0.5 + 1e-9
    assert part("LEVEL")[0] == 0


def test_curves_are_symmetric():
    curve, logits, chances = part("LOGISTIC"), part("LOGIT"), part("CHANCE")
    assert (curve + curve[::-1] == 2**t.HEIGHT).all()
    assert (logits + logits[::-1] == 0).all()
    assert (chances + chances[::-1] == 2**16).all()


def test_a_logit_and_back_is_the_chance():
    middle = part("CHANCE")[part("LOGIT") + t.LOGITS]
    chances = (np.arange(1 << t.LOGIT_BITS) + 0.5) * 4
    step = chances * (1 - chances / 65536) / t.STRETCH  # of a chance, by rounding its logit
    assert (np.abs(middle - chances) <= 0.5 * step + 0.5 + 1e-6).all()


def test_a_phase_is_a_quarter_octave_or_a_small_error():
    phases, octaves = part("PHASE"), np.arange(t.LEVELS) / 8 - 3.5
    assert set(phases) == set(range(8))
    assert (phases[octaves >= 1] == (octaves[octaves >= 1] * 4 % 4).astype(int)).all()
    assert (np.diff(phases[octaves < 1]) >= 0).all() and phases[octaves < 1].min() == 4
    assert (part("WIDTH") == np.maximum(0, np.floor(octaves))).all()
