import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.codecs.entropy import conditional_entropy, decode_bytes, encode_bytes, entropy


def test_entropy_of_known_distributions():
    assert entropy(np.zeros(9, int)) == 0
    assert entropy(np.arange(256).reshape(16, 16)) == pytest.approx(8)
    assert entropy(np.array([-5, -5, -5, 7])) == pytest.approx(0.8112781)
    with pytest.raises(ValueError, match="at least one"):
        entropy(np.array([]))


def test_context_can_only_help():
    rng = np.random.default_rng(0)
    contexts = rng.integers(0, 3, 5000)
    values = contexts + rng.integers(0, 2, 5000)
    assert conditional_entropy(values, contexts) == pytest.approx(1, abs=0.01)
    assert conditional_entropy(values, contexts) < entropy(values)
    assert conditional_entropy(values, np.zeros(5000, int)) == pytest.approx(entropy(values))
    with pytest.raises(ValueError, match="one context"):
        conditional_entropy(values, contexts[1:])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=600))
def test_bytes_come_back(raw):
    assert decode_bytes(encode_bytes(raw), len(raw)) == raw


def test_the_static_coder_is_close_to_the_entropy():
    values = np.random.default_rng(0).normal(128, 6, 200_000).astype(np.uint8)
    ideal = entropy(values) * values.size / 8
    assert ideal < len(encode_bytes(values.tobytes())) < 1.002 * ideal + 400


def test_damage_is_refused_or_decodes_to_the_right_length():
    raw = np.random.default_rng(1).normal(20, 3, 400).astype(np.uint8).tobytes()
    code = encode_bytes(raw)
    rng = np.random.default_rng(2)
    refused = 0
    for _ in range(2000):
        damaged = bytearray(code)
        damaged[rng.integers(len(code))] ^= rng.integers(1, 256)
        damaged = bytes(
            damaged[: rng.integers(1, len(code) + 1)] if rng.random() < 0.5 else damaged
        )
        try:
            assert len(decode_bytes(damaged, len(raw))) == len(raw)
        except ValueError:
            refused += 1
    assert refused > 500
    with pytest.raises(ValueError, match="were asked for"):
        decode_bytes(code, 399)
