import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.codecs.rangecoder import decode_bits, encode_bits


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 300), st.floats(0, 1), st.integers(1, 5))
def test_decisions_come_back(seed, count, share, kinds):
    rng = np.random.default_rng(seed)
    bits = (rng.random(count) < share).astype(np.uint8)
    contexts = rng.integers(0, kinds, count)
    assert np.array_equal(decode_bits(encode_bits(bits, contexts), count, contexts), bits)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 1.0])
def test_the_code_is_close_to_the_entropy(share):
    count = 100_000
    bits = (np.random.default_rng(1).random(count) < share).astype(np.uint8)
    p = bits.mean()
    ideal = sum(-count * q * np.log2(q) for q in (p, 1 - p) if q > 0)
    size = 8 * len(encode_bits(bits))
    assert ideal <= size + 16
    assert size <= 1.03 * ideal + 600


def test_contexts_pay():
    contexts = np.arange(20_000) % 2
    bits = (np.random.default_rng(2).random(20_000) < np.where(contexts, 0.95, 0.05)).astype(int)
    assert len(encode_bits(bits, contexts)) < 0.4 * len(encode_bits(bits))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 120))
def test_a_cut_code_never_lies(seed, count):
    """A prefix either still determines every decision or is refused; bytes after it are idle."""
    rng = np.random.default_rng(seed)
    bits = (rng.random(count) < rng.random()).astype(np.uint8)
    code = encode_bits(bits)
    assert np.array_equal(decode_bits(code + rng.bytes(5), count), bits)
    for length in range(len(code)):
        try:
            assert np.array_equal(decode_bits(code[:length], count), bits)
        except ValueError as error:
            assert "pass the whole code" in str(error)
    with pytest.raises(ValueError):
        decode_bits(code, 400_000)


def test_contexts_are_checked():
    with pytest.raises(ValueError, match="context numbers"):
        encode_bits(np.ones(3), np.zeros(2, int))
    with pytest.raises(ValueError, match="context numbers"):
        decode_bits(b"", 1, np.array([-1]))


def test_the_format_is_stable():
    """Integer arithmetic: the same bytes on every machine and in every release."""
    index = np.arange(5000)
    bits = (index * index // 7 % 11 < 3).astype(np.uint8)
    code = encode_bits(bits, index % 4)
    assert hashlib.sha256(code).hexdigest()[:16] == "416485a7371d3a7c"
