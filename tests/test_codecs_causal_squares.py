"""Local least squares: the same fit as a library's, from sums over the whole neighbourhood."""

import numpy as np
import pytest

from helpers.codecs.causal.scene import FAST, FEW, MANY, SLOW, offsets
from helpers.codecs.causal.squares import FLOOR, RIDGE, learn, new_squares, predict, start_row

BOTH = [(MANY, SLOW), (FEW, FAST)]


def samples(image, count):
    """Neighbours of each pixel, zero outside, and how restless it is about it."""
    margin = 5
    padded = np.pad(image, ((margin, 0), (margin, margin)))
    height, width = image.shape
    near = np.stack(
        [
            padded[margin + dy : margin + dy + height, margin + dx : margin + dx + width]
            for dy, dx in offsets(count)
        ],
        axis=-1,
    )
    restless = np.abs(near[..., 0] - near[..., 2]) + np.abs(near[..., 1] - near[..., 2])
    return near, restless


def run(image, count, decay, near, restless):
    """Predict and learn each pixel in turn."""
    sums, work = new_squares(count, image.shape[1])
    guesses = np.zeros(image.shape)
    for y in range(image.shape[0]):
        start_row(sums, decay)
        for x in range(image.shape[1]):
            guesses[y, x] = predict(sums, work, count, x, near[y, x])
            learn(sums, work, count, decay, x, near[y, x], image[y, x], restless[y, x])
    return guesses


def by_hand(image, count, decay, near, restless, y, x):
    """The same guess of one pixel from explicit sums over all pixels before it."""
    products, targets = np.zeros((count, count)), np.zeros(count)
    for row in range(y + 1):
        for column in range(image.shape[1] if row < y else x):
            aside = x - 1 - column if column < x else column - x
            share = decay ** (aside + y - row) / (restless[row, column] ** 2 + FLOOR)
            sample = near[row, column]
            products += share * np.outer(sample, sample)
            targets += share * sample * image[row, column]
    ridge = RIDGE * np.trace(products) / count + 1e-3
    return np.linalg.solve(products + ridge * np.eye(count), targets) @ near[y, x]


@pytest.mark.parametrize(("count", "decay"), BOTH)
@pytest.mark.parametrize("shape", [(7, 9), (1, 6), (6, 1)])
def test_the_guess_solves_the_weighted_sums(count, decay, shape):
    image = np.random.default_rng(0).normal(0, 30, shape)
    near, restless = samples(image, count)
    guesses = run(image, count, decay, near, restless)
    expected = np.array(
        [[by_hand(image, count, decay, near, restless, *at)] for at in np.ndindex(shape)]
    ).reshape(shape)
    assert np.abs(guesses - expected).max() <= 1e-9 * np.abs(expected).max()
    assert guesses[0, 0] == 0 and np.abs(guesses).max() > 1


@pytest.mark.parametrize(("count", "decay"), BOTH)
def test_a_linear_image_is_guessed_to_the_sixteenth(count, decay):
    """Relative to the same level, as the scene has it, all its samples are alike."""
    row, column = np.indices((12, 9))
    image = 500.0 + 7 * row - 4 * column
    near = image[..., None] + offsets(count) @ [7.0, -4.0]
    west, north, corner, east = near[..., :4].transpose(2, 0, 1)
    middle = (2 * west + 2 * north + east - corner) / 4
    relative = near - middle[..., None]
    found = run(image - middle, count, decay, relative, np.zeros(image.shape)) + middle
    assert np.array_equal(np.rint(16 * found)[1:], 16 * image[1:])


def test_a_flat_beginning_is_guessed_to_be_as_flat():
    sums, work = new_squares(FEW, 4)
    start_row(sums, FAST)
    for x in range(4):
        assert predict(sums, work, FEW, x, np.zeros(FEW)) == 0
        learn(sums, work, FEW, FAST, x, np.zeros(FEW), 0.0, 0.0)
    assert not sums.any()


def test_what_lies_far_off_is_forgotten():
    """A repeated pattern with another sign: soon the new one is what the fit believes."""
    rng = np.random.default_rng(1)
    signs = np.where(np.arange(60) < 20, 1, -1)[:, None]
    near = rng.normal(0, 50, (60, 8, FEW))
    image = signs * near[..., 0]
    guesses = run(image, FEW, FAST, near, np.zeros(image.shape))
    errors = np.abs(guesses - image).mean(1)
    assert errors[15:20].max() < 0.2 and errors[20] > 20 and errors[55:].max() < 1


def test_restless_samples_count_less():
    rng = np.random.default_rng(2)
    near = rng.normal(0, 50, (12, 12, FEW))
    image, restless = near[..., 0].copy(), np.zeros((12, 12))
    image[::2], restless[::2] = -image[::2], 1000.0  # a weight of 60 / 1,000,060
    guesses = run(image, FEW, FAST, near, restless)
    calm = np.abs(guesses - image)[5::2]
    assert calm.max() < 3
