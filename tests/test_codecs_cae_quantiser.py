"""The 8-bit quantiser of the auto-encoder codec, equations 2 and 3 of its paper."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.codecs.cae import dequantise, quantise

latents = st.builds(
    lambda seed, scale, shift: (
        (np.random.default_rng(seed).standard_normal((3, 2, 512)) + shift).astype(np.float32)
        * np.float32(scale)
    ),
    st.integers(0, 2**32 - 1),
    st.floats(1e-3, 1e4),
    st.floats(-20, 20),
)


@settings(deadline=None)
@given(latents)
def test_the_quantiser_is_equations_2_and_3(latent):
    levels, low, high = quantise(latent)
    assert levels.dtype == np.uint8 and (levels.min(), levels.max()) == (0, 255)
    assert (low.item(), high.item()) == (latent.min(), latent.max())
    step = (np.float64(high) - low).item() / 255
    rounding = 1e-6 * max(abs(low.item()), abs(high.item()))  # of float32 itself
    back = dequantise(levels, low, high)
    assert back.dtype == np.float32 and back.shape == latent.shape
    error = np.abs(back.astype(np.float64) - latent)
    assert error.max() <= step / 2 + 2 * rounding
    assert error.max() > step / 4  # 3072 numbers do not all fall on levels


@settings(deadline=None)
@given(latents, st.integers(0, 511))
def test_a_scale_a_channel_is_at_least_as_fine(latent, dull):
    latent[..., dull] = 7.0
    levels, low, high = quantise(latent, (0, 1))
    assert low.shape == high.shape == (1, 1, 512)
    back = dequantise(levels, low, high)
    assert np.array_equal(back[..., dull], latent[..., dull])
    steps = (high.astype(np.float64) - low) / 255
    rounding = 1e-6 * np.abs(latent).max()
    assert (np.abs(back.astype(np.float64) - latent) <= steps / 2 + 2 * rounding).all()


@pytest.mark.parametrize("value", [0.0, -3.5, 1e30])
def test_a_constant_latent_survives(value):
    latent = np.full((2, 2, 512), value, np.float32)
    with np.errstate(all="raise"):
        levels, low, high = quantise(latent)
    assert not levels.any()
    assert np.array_equal(dequantise(levels, low, high), latent)


def test_quantisation_by_hand():
    levels, low, high = quantise(np.array([-1.0, 0.0, 0.5, 4.0], np.float32))
    assert levels.tolist() == [0, 51, 76, 255]  # 255 / 5 = 51 levels a unit; 76.5 to even
    assert dequantise(levels, low, high).tolist() == pytest.approx([-1, 0, 76 / 51 - 1, 4])
