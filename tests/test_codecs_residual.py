import doctest
import hashlib
import struct
import time
import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.codecs import adaptive, huffman, residual
from helpers.codecs.adaptive import decode_adaptive, encode_adaptive
from helpers.codecs.entropy import entropy
from helpers.codecs.huffman import canonical_codes, code_lengths, decode_huffman, encode_huffman
from helpers.codecs.residual import CODERS, decode, encode

NAMES = list(CODERS)
KINDS = ("constant", "noise", "laplace", "sparse", "wrapped")


def laplacian(shape, scale, seed=0):
    values = np.random.default_rng(seed).laplace(0, scale, shape)
    return (np.rint(values).astype(int) + 128).astype(np.uint8)


def make(kind, shape, seed):
    rng = np.random.default_rng(seed)
    if kind == "constant":
        return np.full(shape, rng.integers(256), np.uint8)
    if kind == "laplace":
        return laplacian(shape, rng.uniform(0.2, 30), seed)
    if kind == "sparse":
        return np.where(rng.random(shape) < 0.03, rng.integers(256), 128).astype(np.uint8)
    if kind == "wrapped":
        return rng.choice([0, 255], shape).astype(np.uint8)
    return rng.integers(0, 256, shape).astype(np.uint8)


def varying(side=256):
    """A residual that is quiet on the left and loud on the right, as lung and bone are."""
    scale = np.geomspace(0.8, 25, side)[None, :]
    return laplacian((side, side), np.broadcast_to(scale, (side, side)))


def test_the_order_of_the_coders_is_that_of_the_streams():
    assert NAMES == ["huffman", "range", "adaptive", "context", "png", "dct"]
    assert all(coder.name == name and coder.label for name, coder in CODERS.items())


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 2**32 - 1),
)
def test_residuals_come_back(name, kind, shape, seed):
    image = make(kind, shape, seed)
    kept = image.copy()
    back = decode(encode(image, name), shape, name)
    assert back.dtype == np.uint8 and back.shape == shape
    assert np.array_equal(back, kept) and np.array_equal(image, kept)


@pytest.mark.parametrize("name", NAMES)
def test_any_layout_in_memory_and_a_large_image(name):
    image = laplacian((300, 411), 6)
    for view in (image, image[::2, ::-3], image.T, np.asfortranarray(image)):
        assert np.array_equal(decode(encode(view, name), view.shape, name), view)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_residual_is_refused(name):
    for wrong in (np.zeros((4, 4), np.int16), np.zeros(9, np.uint8), np.zeros((0, 3), np.uint8)):
        with pytest.raises(ValueError, match="residual image"):
            encode(wrong, name)


def test_unknown_coders_and_classes_are_refused():
    image = laplacian((8, 8), 3)
    with pytest.raises(ValueError, match="huffman, range, adaptive"):
        encode(image, "zip")
    with pytest.raises(ValueError, match="no residual coder"):
        decode(b"", (8, 8), "zip")
    with pytest.raises(ValueError, match="1 to 12"):
        encode_adaptive(image, 13)
    with pytest.raises(ValueError, match="1 to 12"):
        decode_adaptive(b"", (8, 8), 0)


# Sizes


def test_the_coders_stand_in_order_of_the_entropy():
    image = laplacian((256, 256), 6)
    ideal = entropy(image) * image.size / 8
    size = {name: len(encode(image, name)) / ideal for name in NAMES}
    assert 1 <= size["range"] < 1.01
    assert size["range"] < size["huffman"] < 1.03
    assert 0.99 < size["adaptive"] < 1.03
    assert 0.99 < size["context"] < 1.05  # nothing to gain here, and more to learn
    assert 1 < size["dct"] < 1.1
    assert 1 < size["png"] < 1.25


def test_contexts_pay_where_the_scale_varies():
    image = varying()
    sizes = {name: len(encode(image, name)) for name in NAMES}
    assert sizes["context"] < 0.95 * sizes["adaptive"]
    assert sizes["context"] == min(sizes.values())
    assert len(encode_adaptive(image, 12)) == sizes["context"]


def test_what_never_differs_costs_next_to_nothing():
    image = np.full((256, 256), 128, np.uint8)
    assert all(len(encode(image, name)) < 400 for name in NAMES)


# Huffman


def test_the_textbook_example_is_optimal():
    # Cormen, Leiserson, Rivest and Stein, "Introduction to Algorithms", section on Huffman codes
    counts = np.array([45, 13, 12, 16, 9, 5])
    assert (counts * code_lengths(counts)).sum() == 224


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 1000), min_size=2, max_size=256).filter(lambda c: sum(map(bool, c)) > 1)
)
def test_code_words_are_short_and_free_of_prefixes(counts):
    counts = np.array(counts)
    lengths = code_lengths(counts)
    assert ((lengths > 0) == (counts > 0)).all()
    used = lengths[lengths > 0].astype(float)
    assert (2.0**-used).sum() == 1  # Kraft: a full tree
    mean = (counts * lengths).sum() / counts.sum()
    bits = entropy(np.repeat(np.arange(counts.size), counts))
    assert bits - 1e-9 <= mean < bits + 1
    codes = canonical_codes(lengths)
    words = sorted(f"{codes[k]:0{lengths[k]}b}" for k in np.flatnonzero(lengths))
    assert not any(b.startswith(a) for a, b in pairwise(words))


def test_the_longest_possible_code_words():
    """Fibonacci counts are the worst case; what `encode_huffman` admits fits its table."""
    counts = [1, 1]
    while sum(counts) + counts[-1] + counts[-2] < huffman._TOO_MANY:
        counts.append(counts[-1] + counts[-2])
    lengths = code_lengths(counts)
    assert lengths.max() == huffman._LONGEST
    codes = canonical_codes(lengths)
    assert codes.max() == 2**huffman._LONGEST - 1 and codes.min() == 0
    raw = np.repeat(np.arange(24, dtype=np.uint8), counts[:24])
    raw = np.random.default_rng(0).permutation(raw).tobytes()
    assert code_lengths(counts[:24]).max() == 23
    assert decode_huffman(encode_huffman(raw), len(raw)) == raw


@pytest.mark.parametrize("raw", [b"", b"a", b"a" * 999, b"ab", bytes(range(256)) * 3])
def test_small_alphabets(raw):
    code = encode_huffman(raw)
    assert decode_huffman(code, len(raw)) == raw
    with pytest.raises(ValueError):
        decode_huffman(code + b"\0", len(raw))
    if raw and set(raw) != set(b"a"):
        for count in (len(raw) - 1, len(raw) + 9, 10**15):
            with pytest.raises(ValueError, match=r"holds more|in the middle|cannot hold"):
                decode_huffman(code, count)
    with pytest.raises(ValueError):
        decode_huffman(code, 0 if raw else 1)


def test_tables_of_no_huffman_code_are_refused():
    import brotli

    def stream(lengths, words=b"\0" * 8):
        table = brotli.compress(bytes(lengths).ljust(256, b"\0"))
        return len(table).to_bytes(2, "little") + table + words

    assert decode_huffman(stream([1, 1], b"\x50"), 8) == bytes([0, 1, 0, 1, 0, 0, 0, 0])
    for lengths in ([1, 1, 1], [1, 2], [2, 2, 2], [2], [47]):
        with pytest.raises(ValueError, match=r"no Huffman code|has length 1"):
            decode_huffman(stream(lengths), 8)
    with pytest.raises(ValueError, match="cut or altered"):
        decode_huffman(stream([1, *range(2, 49), 48]), 8)
    with pytest.raises(ValueError, match="cut or altered"):
        decode_huffman(stream([1, 1] + [0] * 300), 8)
    with pytest.raises(ValueError, match="holds more"):
        decode_huffman(stream([1, 1], b"\x51"), 7)  # the last bit is none of a code word


# Damage


def _damage(code, other, rng):
    """One other byte, a cut, a splice, or bytes put in or taken out."""
    at, some = int(rng.integers(len(code))), int(rng.integers(1, 5))
    changed = (code[at] + int(rng.integers(1, 256))) % 256
    return [
        code[:at] + bytes([changed]) + code[at + 1 :],
        code[:at],
        code[:at] + other[at:],
        code[:at] + rng.bytes(some) + code[at:],
        code[:at] + code[at + some :],
    ][rng.integers(5)]


@pytest.mark.parametrize("name", NAMES)
def test_damage_is_refused_or_gives_the_right_shape(name):
    shape = (23, 17)
    codes = [encode(make(kind, shape, k), name) for k, kind in enumerate(KINDS)]
    decode(codes[0], shape, name)  # compiled
    rng, refused, started = np.random.default_rng(1), 0, time.monotonic()
    for k in range(500):
        damaged = _damage(codes[k % len(codes)], codes[rng.integers(len(codes))], rng)
        try:
            image = decode(damaged, shape, name)
        except ValueError as error:
            assert str(error).endswith((".", ").")), error
            refused += 1
            continue
        assert image.shape == shape and image.dtype == np.uint8
    assert 50 < refused < 500
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("name", NAMES)
def test_cut_and_lengthened_codes(name):
    """A cut code is refused, or its end was not needed; so are bytes too many.

    A range decoder looks up to four bytes ahead and cannot tell fewer of them from its own.
    """
    image = laplacian((9, 14), 4)
    code = encode(image, name)
    for length in range(len(code)):
        try:
            assert np.array_equal(decode(code[:length], image.shape, name), image)
        except ValueError:
            continue
    for more in (b"\0", b"abc"):
        try:
            assert np.array_equal(decode(code + more, image.shape, name), image)
            assert name in ("adaptive", "context", "dct")
        except ValueError:
            continue
    for more in (b"\0\0\0\0", b"abcd", b"\xff" * 9):
        with pytest.raises(ValueError):
            decode(code + more, image.shape, name)
    with pytest.raises(ValueError):
        decode(b"", image.shape, name)


@pytest.mark.parametrize("name", NAMES)
def test_another_shape_is_refused(name):
    image = laplacian((40, 40), 4)
    code = encode(image, name)
    for shape in ((80, 80), (8192, 8192), (8, 8)):
        with pytest.raises(ValueError):
            decode(code, shape, name)


def test_random_bytes_end_quickly():
    rng = np.random.default_rng(3)
    for name in NAMES:
        for data in (bytes(300), b"\xff" * 300, *(rng.bytes(300) for _ in range(20))):
            started = time.monotonic()
            with pytest.raises(ValueError):
                decode(data, (2048, 2048), name)
            assert time.monotonic() - started < 2


def test_a_png_that_claims_to_be_larger_never_reaches_the_library(monkeypatch):
    code = bytearray(encode(laplacian((16, 16), 3), "png"))
    code[16:24] = struct.pack(">II", 2**31 - 1, 2**31 - 1)
    code[29:33] = zlib.crc32(code[12:29]).to_bytes(4, "big")
    reached = []
    monkeypatch.setattr(residual.Png, "decode", lambda self, data: reached.append(data))
    with pytest.raises(ValueError, match="no whole 8-bit grey PNG of 16 x 16"):
        decode(bytes(code), (16, 16), "png")
    assert not reached


def test_the_format_is_stable():
    """Integer arithmetic: the same bytes on every machine and in every release."""
    row, column = np.mgrid[:50, :70]
    image = (128 + (row * column // 7 % 23 - 11) * (1 + row // 9)).astype(np.uint8)
    digests = {1: "f97ce10ab70a5e61", 4: "e23f8cbb2ba31f16", 12: "f14a53caccc7d8aa"}
    for classes, digest in digests.items():
        code = encode_adaptive(image, classes)
        assert hashlib.sha256(code).hexdigest()[:16] == digest
        assert np.array_equal(decode_adaptive(code, image.shape, classes), image)


@pytest.mark.parametrize("module", [adaptive, huffman, residual])
def test_the_examples_hold(module):
    assert doctest.testmod(module).failed == 0
