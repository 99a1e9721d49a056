"""Symbols of the lossy codec: any value under any scale, at the price that was promised."""

import numpy as np
import pytest

from helpers.codecs.hyperprior import symbols
from helpers.codecs.hyperprior.integers import SCALES
from helpers.codecs.rangecoder import STOPPED, as_buffer, finish, start_decoder, start_encoder


def coded(values, scales, trust=20, chances=None):
    chances = symbols.normal_chances() if chances is None else chances
    coder, data = start_encoder(), np.zeros(1024, np.uint8)
    data = symbols.code_symbols(
        coder, data, symbols.counters(chances, trust), values.copy(), scales
    )
    data = np.concatenate([data, np.zeros(16, np.uint8)])
    return data[: finish(coder, data)].tobytes()


def decoded(data, scales, trust=20):
    buffer = as_buffer(data)
    coder, found = start_decoder(buffer), np.zeros(scales.size, np.int64)
    counters = symbols.counters(symbols.normal_chances(), trust)
    symbols.code_symbols(coder, buffer, counters, found, scales)
    return found, bool(coder[STOPPED])


def test_every_value_under_every_scale():
    values = np.array([0, 1, -1, 2, 15, -16, 17, 100, -1000, 32767, -(2**20)], np.int64)
    scales = np.repeat(np.arange(SCALES), values.size)
    values = np.tile(values, SCALES)
    found, stopped = decoded(coded(values, scales), scales)
    assert not stopped and np.array_equal(found, values)


@pytest.mark.parametrize("width", [0.1, 0.5, 2.0, 6.0, 40.0, 300.0])
def test_normal_symbols_cost_their_entropy(width):
    rng = np.random.default_rng(0)
    values = np.rint(rng.normal(0, width, 40_000)).astype(np.int64)
    scale = round(8 * (np.log2(width) + 4))
    size = len(coded(values, np.full(values.size, scale)))
    counts = np.unique_counts(values).counts / values.size
    entropy = -(counts * np.log2(counts)).sum() * values.size / 8
    assert 0.98 * entropy - 4 < size < 1.02 * entropy + 10


def test_counters_follow_the_picture():
    """Symbols half as wide as their scale says: chances that trust it less learn it sooner."""
    rng = np.random.default_rng(0)
    values = np.rint(rng.normal(0, 0.5, 20_000)).astype(np.int64)
    scales = np.full(values.size, 8 * 4)  # says 1
    fixed, adaptive = (len(coded(values, scales, trust)) for trust in (symbols._PATIENCE, 20))
    promised = symbols.costs(symbols.normal_chances())[32, np.abs(values)].sum() / 8
    assert adaptive < fixed < promised


def test_costs_are_what_coding_costs():
    chances = symbols.normal_chances()
    rng = np.random.default_rng(0)
    values = np.rint(rng.normal(0, 1, 20_000)).astype(np.int64)
    scales = np.full(values.size, 32)
    promised = symbols.costs(chances)[32, np.abs(values)].sum() / 8
    assert np.isclose(len(coded(values, scales)), promised, rtol=0.01)


def test_data_that_end_stop_the_decoder():
    values = np.arange(-50, 50)
    scales = np.full(values.size, 70)
    data = coded(values, scales)
    for cut in range(len(data) - 1):
        _, stopped = decoded(data[:cut], scales)
        assert stopped
