import doctest
import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.fft import dctn

from helpers.codecs import intdct
from helpers.codecs.intdct import decode_dct, encode_dct, forward, inverse

BLOCKS = st.integers(0, 3).flatmap(lambda n: st.sampled_from([(8, 8), (n, 8, 8), (2, n, 8, 8)]))


def dct(blocks):
    return dctn(blocks.astype(float), axes=(-2, -1), norm="ortho")


@settings(max_examples=200, deadline=None)
@given(arrays(np.int32, BLOCKS, elements=st.integers(-255, 255)))
def test_blocks_come_back(blocks):
    kept = blocks.copy()
    coefficients = forward(blocks)
    assert coefficients.shape == blocks.shape and coefficients.dtype == np.int32
    assert np.array_equal(inverse(coefficients), blocks)
    assert np.array_equal(blocks, kept)


@settings(max_examples=100, deadline=None)
@given(arrays(np.int32, (2, 8, 8), elements=st.integers(-(2**31), 2**31 - 1)))
def test_even_an_overflow_comes_back(blocks):
    assert np.array_equal(inverse(forward(blocks)), blocks)
    assert np.array_equal(forward(inverse(blocks)), blocks)


@pytest.mark.parametrize("limit", [1, 30, 255])
def test_it_is_the_orthonormal_dct_but_for_rounding(limit):
    rng = np.random.default_rng(0)
    error = {}
    for kind, shape in {"noise": (8, 8), "rows": (8, 1), "columns": (1, 8), "flat": (1, 1)}.items():
        blocks = rng.integers(-limit, limit, (20_000, *shape), endpoint=True)
        blocks = np.broadcast_to(blocks, (20_000, 8, 8))
        error[kind] = forward(blocks) - dct(blocks)
    assert error["noise"].std() < 1 and np.abs(error["noise"]).max() < 6
    assert max(np.abs(each).max() for each in error.values()) < 10


def test_no_block_can_be_further_off_than_the_docstring_says():
    """Every lifting step rounds by half a unit at most; follow all the halves to the end."""
    exact, halves = np.eye(8), np.zeros((8, 0))
    for first, second, multipliers in intdct._REFLECTIONS:
        tangent, sine = (m / 2**14 for m in multipliers)
        for matrix in (exact, halves):
            a, b = matrix[first].copy(), matrix[second].copy()
            matrix[second] = sine * (a + tangent * b) - b
            matrix[first] = a + tangent * b - tangent * matrix[second]
        new = np.zeros((8, 3))
        new[first] = 0.5 * (1 - tangent * sine), -0.5 * tangent, 0.5
        new[second] = 0.5 * sine, 0.5, 0
        halves = np.hstack([halves, new])
    once, gain = (np.abs(matrix[intdct._PLACES]).sum(1) for matrix in (halves, exact))
    assert 10 < (np.outer(once, gain) + once).max() < 20.9


def test_the_multipliers_are_those_of_the_angles():
    for multipliers, sixteenths in (
        (intdct._QUARTER, 4),
        (intdct._EIGHTH, 2),
        (intdct._FIVE, 5),
        (intdct._SEVEN, 7),
    ):
        angle = sixteenths * math.pi / 16
        assert multipliers == (
            round(math.tan(angle / 2) * 2**14),
            round(math.sin(angle) * 2**14),
        )


def test_a_smooth_block_ends_up_in_the_corner():
    ramp = np.add.outer(np.arange(8), 2 * np.arange(8)) * 10 - 100
    energy = forward(ramp).astype(float) ** 2
    assert energy.sum() == pytest.approx((ramp.astype(float) ** 2).sum(), rel=0.02)
    assert energy[:2, :2].sum() > 0.98 * energy.sum()


def test_the_frequencies_are_in_zigzag_order():
    order = [divmod(int(k), 8) for k in intdct._zigzag()]
    assert order[:6] == [(0, 0), (0, 1), (1, 0), (2, 0), (1, 1), (0, 2)]
    assert order[-3:] == [(6, 7), (7, 6), (7, 7)]
    assert sorted(order) == [(i, j) for i in range(8) for j in range(8)]


def test_waves_are_cheaper_than_the_same_pixels_shuffled():
    row, column = np.mgrid[:128, :128]
    waves = np.rint(128 + 20 * np.sin(row / 5) * np.cos(column / 7)).astype(np.uint8)
    shuffled = np.random.default_rng(0).permutation(waves.ravel()).reshape(waves.shape)
    assert len(encode_dct(waves)) < 0.5 * len(encode_dct(shuffled))


def test_coefficients_of_no_residual_are_refused():
    outside = np.full((8, 8), 300, np.int32)
    coder, data = intdct.start_encoder(), np.zeros(4096, np.uint8)
    band = np.ascontiguousarray(forward(outside).reshape(1, 64)[:, intdct._zigzag()].T)
    data = intdct.code_band(
        coder, data, intdct.new_contexts(intdct.CONTEXTS), 0, band, intdct._NO_PARENT
    )
    with pytest.raises(ValueError, match="no residual image"):
        decode_dct(intdct.close_code(coder, data), (8, 8))


def test_the_format_is_stable():
    """Integer arithmetic: the same bytes on every machine and in every release."""
    row, column = np.mgrid[:50, :70]
    residual = (128 + row * column // 7 % 23 - 11 + row // 9).astype(np.uint8)
    code = encode_dct(residual)
    assert hashlib.sha256(code).hexdigest()[:16] == "0c9c19fcbedf1d23"
    assert np.array_equal(decode_dct(code, (50, 70)), residual)


def test_the_examples_hold():
    assert doctest.testmod(intdct).failed == 0
