import numpy as np
import pytest
import pywt

from helpers.codecs.lifting import forward, inverse


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (8, 1), (2, 2), (3, 5), (17, 34), (64, 64)])
@pytest.mark.parametrize("levels", [0, 1, 3, 6])
def test_the_transform_comes_back(shape, levels):
    image = np.random.default_rng(0).integers(-32768, 32768, shape)
    coefficients = forward(image, levels)
    assert coefficients.shape == shape
    assert np.abs(inverse(coefficients, levels) - image).max() < 0.1


def test_it_is_the_filter_bank_of_pywavelets():
    row = np.random.default_rng(1).normal(size=(1, 64))
    ours = forward(row, 1)[0]
    low, high = pywt.dwt(row[0], "bior4.4", "periodization")
    # Away from the ends, where one wraps and the other mirrors, both are the same filters.
    assert np.allclose(np.abs(ours[4:28]), np.abs(low[4:28]), atol=1e-5)
    assert any(
        np.allclose(np.abs(ours[36:60]), np.abs(np.roll(high, k)[4:28]), atol=1e-5)
        for k in (-1, 0, 1)
    )


def test_energy_is_nearly_kept():
    image = np.random.default_rng(2).normal(size=(128, 128))
    assert (forward(image, 5) ** 2).sum() == pytest.approx((image**2).sum(), rel=0.1)


def test_a_smooth_image_ends_up_in_the_corner():
    image = np.add.outer(np.arange(64.0), np.arange(64.0))
    coefficients = forward(image, 3)
    assert (coefficients[:8, :8] ** 2).sum() > 0.999 * (coefficients**2).sum()
