"""The auto-encoders in whole numbers: near their Keras originals, and within exact sums."""

from decimal import Context, Decimal, localcontext

import numpy as np
import pytest
from codec_images import phantom
from delta_networks import CNN1, TINY, TINY_DENSE, draw, shapes

from helpers.models import integer
from helpers.models.delta import PLANS, Plan, build
from helpers.models.halves import restore, state
from helpers.models.integer import FRACTION, LIMIT, WEIGHT_BITS, Affine, IntegerAutoencoder

EXACT = 2**53  # whole numbers up to here have a float64 each, so sums below it are exact
FILM = phantom(256)
SMALLEST = 2.0**-26  # what `Affine` takes for the largest weight of a channel without weights


def kept_as_half(plan, seed=0, loudness=2):
    """A Keras network with random weights that float16 holds, and its whole-number twin."""
    model = build(Plan(**vars(plan), parameters=0))
    arrays = draw(plan, seed, loudness)
    arrays = {name: values.astype(np.float16).astype(np.float32) for name, values in arrays.items()}
    restore(model, arrays)
    return model, arrays


@pytest.mark.parametrize("plan", [TINY, TINY_DENSE, CNN1], ids=["tiny", "dense", "cnn1"])
def test_drawn_weights_have_the_layout_of_a_state(plan):
    there = {name: values.shape for name, values in state(kept_as_half(plan)[0]).items()}
    assert there == shapes(plan)


@pytest.mark.parametrize(
    ("plan", "levels"),
    [(TINY, 255), (TINY, 510), (TINY_DENSE, 255), (CNN1, 255)],
    ids=["tiny", "tiny of deltas", "dense", "cnn1"],
)
def test_whole_numbers_follow_the_float_network(plan, levels):
    model, arrays = kept_as_half(plan)
    twin = IntegerAutoencoder(arrays, levels)
    rng = np.random.default_rng(0)
    image = FILM.astype(np.int64) + (levels - 255) * rng.integers(0, 2, FILM.shape)
    unit = (image / levels).astype(np.float32)[None, ..., None]
    right = model.get_layer("encoder").predict(unit, verbose=0)[0]
    latent = twin.encode(image)
    assert twin.latent == plan.latent and latent.shape == (plan.latent,)
    np.testing.assert_allclose(latent / 2**FRACTION, right, atol=0.002 * np.abs(right).max())
    kept = (latent / 2**FRACTION).astype(np.float32)
    rebuilt = model.get_layer("decoder").predict(kept[None], verbose=0)[0, ..., 0]
    grey = twin.decode(latent)
    assert grey.shape == (256, 256) and grey.dtype == np.int64
    difference = np.abs(grey - np.rint(levels * rebuilt))
    assert np.ptp(grey) > 30
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 0.05


def test_an_enlarged_image_is_convolved_without_enlarging_it():
    rng = np.random.default_rng(3)
    for height, width, channels, out in ((1, 1, 1, 1), (2, 5, 3, 2), (8, 8, 4, 6), (3, 7, 2, 1)):
        values = rng.integers(-(2**24), 2**24, (height, width, channels)).astype(float)
        kernel = rng.integers(-(2**13), 2**13, (3, 3, channels, out)).astype(float)
        large = values.repeat(2, axis=0).repeat(2, axis=1)
        plain = integer._slide(integer._lines(large), kernel, large.shape, np.matmul)
        assert plain.shape == (2 * height, 2 * width, out)
        assert np.array_equal(integer._convolve_enlarged(values, kernel, np.matmul), plain)
        for i, j in np.ndindex(large.shape[:2]):  # and that one is right, pixel by pixel
            patch = np.pad(large, ((1, 1), (1, 1), (0, 0)))[i : i + 3, j : j + 3]
            assert np.array_equal(plain[i, j], np.tensordot(patch, kernel, 3))


@pytest.mark.parametrize("levels", [1, 2, 255, 510])
def test_thresholds_are_where_the_sigmoid_passes_half_a_level(levels):
    """The sigmoid in 50 digits: half a step left of a threshold is below, half a step right not."""
    found = integer.thresholds(levels)
    assert found.shape == (levels,) and np.array_equal(found, np.rint(found))
    assert (np.diff(found) > 0).all()
    assert np.array_equal(found, -found[::-1])
    with localcontext(Context(prec=50)):
        for level, threshold in enumerate(found):
            wanted = (Decimal(level) + Decimal("0.5")) / levels
            at = [(Decimal(int(threshold)) + side) / 2**FRACTION for side in (-half(), half())]
            below, above = (1 / (1 + (-t).exp()) for t in at)
            assert below <= wanted <= above


def half():
    return Decimal("0.5")


def test_a_table_look_up_is_the_rounded_sigmoid():
    logits = np.arange(-(2**16), 2**16)
    unit = 255 / (1 + np.exp(-logits / 2**FRACTION))
    looked_up = np.searchsorted(integer.thresholds(255), logits, side="right")
    sure = np.abs(unit % 1 - 0.5) > 0.01  # elsewhere the threshold itself is rounded
    assert np.array_equal(looked_up[sure], np.rint(unit)[sure])
    assert looked_up.min() == 0 and looked_up.max() == 255


def test_leaky_and_pool_stay_whole():
    values = np.array([-9.0, -6, -5, -2, -1, 0, 3])
    assert integer.leaky(values).tolist() == [-2, -2, -1, 0, 0, 0, 3]  # halves go to even
    image = np.arange(48.0).reshape(4, 4, 3)
    assert integer.pool(image).tolist() == [
        [[15, 16, 17], [21, 22, 23]],
        [[39, 40, 41], [45, 46, 47]],
    ]


def test_weights_have_13_bits_for_their_channel_and_batch_norm_is_in_them():
    rng = np.random.default_rng(5)
    kernel = rng.normal(size=(3, 3, 4, 6)) * np.geomspace(1e-6, 1e4, 6)
    bias, gamma, beta, mean = rng.normal(size=(4, 6))
    variance = rng.random(6) * 10
    layer = Affine(kernel, bias, (gamma, beta, mean, variance), scale=1.0)
    largest = np.abs(layer.kernel).max(axis=(0, 1, 2))
    assert (largest >= 2 ** (WEIGHT_BITS - 1)).all() and (largest <= 2**WEIGHT_BITS).all()
    assert np.array_equal(layer.kernel, np.rint(layer.kernel))
    right = kernel * (gamma / np.sqrt(variance + 1e-3))
    step = np.ldexp(1.0, -layer.shift)
    assert (np.abs(layer.kernel * step - right) <= step / 2 * (1 + 1e-9)).all()
    shifted = (bias - mean) * gamma / np.sqrt(variance + 1e-3) + beta
    assert (np.abs(layer.bias * step - shifted) <= step / 2 * (1 + 1e-6)).all()


def fans(plan):
    """Products behind each sum: of the first layer, which sees grey values, and of the others."""
    first, *rest = (
        int(np.prod(shape[:-1])) for name, shape in shapes(plan).items() if "kernel" in name
    )
    return first, rest


@pytest.mark.parametrize("name", PLANS)
def test_no_sum_of_the_papers_networks_can_leave_the_exact_range(name):
    """The bound of the module's table, from the sizes of all layers."""
    first, rest = fans(PLANS[name])
    # a channel without weights is scaled as if its largest were SMALLEST: see below
    bias = 4096 * 2 ** (WEIGHT_BITS - int(np.frexp(SMALLEST)[1]))
    assert first * 510 * 2**WEIGHT_BITS + bias < EXACT
    assert max(rest) * LIMIT * 2**WEIGHT_BITS <= 2**48.2
    assert max(rest) * LIMIT * 2**WEIGHT_BITS + bias < EXACT
    assert first == (65536 if PLANS[name].dense else 9)
    assert first * 255 * 2**WEIGHT_BITS < 2**38
    assert max(rest) == (2304 if name in ("cnn1", "cnn2") else 1024)


@pytest.mark.parametrize("dense", [False, True])
def test_weights_of_another_network_are_refused(dense):
    arrays = draw(TINY_DENSE if dense else TINY)
    for name in ("encoder/dense/bias", "decoder/last/kernel"):
        with pytest.raises(KeyError, match=name.replace("/", ".")):
            IntegerAutoencoder({key: a for key, a in arrays.items() if key != name})
