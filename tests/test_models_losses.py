"""The losses of the lossless-delta chapter, against two independent libraries and by hand."""

import numpy as np
import piq
import pytest
import torch
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from helpers.keras_setup import keras
from helpers.models import losses

SIDE = 256
RNG = np.random.default_rng(11)


def scene(side=SIDE):
    """Make structure at every scale: rings, an edge, fine texture; values in [0.05, 0.95]."""
    row, column = np.indices((side, side)) / side
    rings = np.sin(40 * np.hypot(row - 0.4, column - 0.6) ** 1.5)
    texture = RNG.normal(0, 0.3, (side, side))
    image = rings + 1.5 * (row + 0.3 * column > 0.7) + texture
    return (0.05 + 0.9 * (image - image.min()) / np.ptp(image)).astype(np.float32)[None, ..., None]


IMAGE = scene()
NOISES = (0.0, 0.01, 0.05, 0.2)
NOISY = [
    np.clip(IMAGE + RNG.normal(0, noise, IMAGE.shape), 0, 1).astype(np.float32) for noise in NOISES
]
OTHERS = [0.5 * IMAGE + 0.3, np.roll(IMAGE, 2, axis=1), np.full_like(IMAGE, 0.4)]
ALL_LOSSES = (losses.ms_ssim_loss, losses.mixed_loss, losses.iou_loss, losses.mse_loss)


def value(function, *images):
    """Evaluate a measure on numpy images."""
    return keras.ops.convert_to_numpy(
        function(*(keras.ops.convert_to_tensor(image) for image in images))
    )


class Held(keras.layers.Layer):
    """An image as the only weight: what a network's last step would be told to change."""

    def __init__(self, image):
        super().__init__()
        self.image = self.add_weight(shape=image.shape, name="image")
        self.image.assign(image)

    def call(self, inputs):
        return self.image + 0 * inputs


def slope(function, target, rebuilt, rate=100.0):
    """Derivative of the loss by each pixel of the reconstruction, in any framework."""
    layer = Held(rebuilt)
    model = keras.Sequential([keras.Input(target.shape[1:]), layer])
    model.compile(keras.optimizers.SGD(rate), function, run_eagerly=True)
    model.train_on_batch(target, target)
    return (rebuilt - keras.ops.convert_to_numpy(layer.image)) / rate


def torches(*images):
    return [torch.from_numpy(np.ascontiguousarray(image[..., 0][:, None])) for image in images]


@pytest.mark.parametrize("rebuilt", NOISY + OTHERS)
def test_ms_ssim_is_that_of_piq(rebuilt):
    ours = value(losses.ms_ssim, IMAGE, rebuilt)
    x, y = torches(IMAGE, rebuilt)
    assert ours.shape == (1,)
    assert ours[0] == pytest.approx(piq.multi_scale_ssim(y, x, data_range=1.0).item(), abs=1e-4)


@pytest.mark.parametrize("rebuilt", NOISY)
def test_ms_ssim_is_that_of_torchmetrics(rebuilt):
    # noise only: at the coarsest scale that library also averages over a reflected border,
    # which shows where a change of brightness, not of structure, sets the result
    x, y = torches(IMAGE, rebuilt)
    theirs = multiscale_structural_similarity_index_measure(y, x, data_range=1.0)
    assert value(losses.ms_ssim, IMAGE, rebuilt)[0] == pytest.approx(theirs.item(), abs=1e-4)


def test_ms_ssim_falls_with_noise_and_is_symmetric():
    batch = np.concatenate(NOISY)
    together = value(losses.ms_ssim, np.repeat(IMAGE, 4, 0), batch)
    assert together.shape == (4,) and (np.diff(together) < -0.001).all()
    np.testing.assert_allclose(
        together, value(losses.ms_ssim, batch, np.repeat(IMAGE, 4, 0)), atol=1e-6
    )
    alone = [value(losses.ms_ssim, IMAGE, rebuilt)[0] for rebuilt in NOISY]
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("image", [IMAGE, np.zeros_like(IMAGE), np.ones_like(IMAGE)])
def test_equal_images_are_one(image):
    assert value(losses.ms_ssim, image, image)[0] == pytest.approx(1, abs=1e-5)
    assert value(losses.soft_iou, image, image)[0] == pytest.approx(1, abs=1e-6)
    for loss in ALL_LOSSES:
        assert value(loss, image, image)[0] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("loss", ALL_LOSSES)
@pytest.mark.parametrize("rebuilt", [1 - IMAGE, NOISY[2], np.zeros_like(IMAGE), IMAGE])
def test_slopes_are_finite_even_where_structure_is_negative(loss, rebuilt):
    assert np.isfinite(value(loss, IMAGE, rebuilt)).all()
    assert np.isfinite(slope(loss, IMAGE, rebuilt)).all()


@pytest.mark.parametrize("loss", [losses.ms_ssim_loss, losses.mixed_loss, losses.iou_loss])
def test_a_small_step_downhill_lowers_the_loss(loss):
    rebuilt = NOISY[2]
    downhill = -slope(loss, IMAGE, rebuilt)
    step = (rebuilt + 0.02 * downhill / np.abs(downhill).max()).astype(np.float32)
    assert value(loss, IMAGE, step)[0] < value(loss, IMAGE, rebuilt)[0]


@pytest.mark.parametrize("shape", [(175, 256), (256, 175), (64, 64)])
def test_images_too_small_for_five_scales_are_refused(shape):
    image = np.zeros((1, *shape, 1), np.float32)
    with pytest.raises(ValueError, match="176 pixels or more"):
        losses.ms_ssim(image, image)


def test_the_smallest_image_and_odd_sides():
    image = scene(176)
    noisy = np.clip(image + RNG.normal(0, 0.05, image.shape), 0, 1).astype(np.float32)
    assert value(losses.ms_ssim, image, image)[0] == pytest.approx(1, abs=1e-5)
    assert 0.5 < value(losses.ms_ssim, image, noisy)[0] < 1
    odd, noisy = IMAGE[:, :255, :211], NOISY[2][:, :255, :211]
    theirs = multiscale_structural_similarity_index_measure(*torches(noisy, odd), data_range=1.0)
    assert value(losses.ms_ssim, odd, noisy)[0] == pytest.approx(theirs.item(), abs=1e-3)


def test_iou_by_hand():
    x = np.array([[0.0, 0.5], [1.0, 0.25]], np.float32)[None, ..., None]
    y = np.array([[0.5, 0.5], [0.5, 0.0]], np.float32)[None, ..., None]
    # least of each pair: 0 + 0.5 + 0.5 + 0; greatest: 0.5 + 0.5 + 1 + 0.25
    assert value(losses.soft_iou, x, y)[0] == pytest.approx(1 / 2.25, rel=1e-5)
    assert value(losses.iou_loss, x, y)[0] == pytest.approx(1 - 1 / 2.25, rel=1e-5)
    both = value(losses.soft_iou, np.concatenate([x, x]), np.concatenate([y, x]))
    np.testing.assert_allclose(both, [1 / 2.25, 1], rtol=1e-5)


def test_iou_is_that_of_sets_where_pixels_are_0_or_1():
    x, y = RNG.integers(0, 2, (2, 3, 8, 8, 1)).astype(bool)
    expected = (x & y).sum(axis=(1, 2, 3)) / (x | y).sum(axis=(1, 2, 3))
    found = value(losses.soft_iou, x.astype(np.float32), y.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_iou_is_one_for_equal_images_only():
    half = np.full((1, 8, 8, 1), 0.5, np.float32)  # the product form gives 1/3 for this pair
    assert value(losses.soft_iou, half, half)[0] == 1
    other = half.copy()
    other[0, 3, 3, 0] += 1 / 255
    assert value(losses.soft_iou, half, other)[0] < 1 - 1e-5
    black, white = np.zeros_like(half), np.ones_like(half)
    assert value(losses.soft_iou, black, white)[0] < 1e-6


def test_the_mixed_loss_is_half_of_each():
    for rebuilt in NOISY + OTHERS:
        mixed = value(losses.mixed_loss, IMAGE, rebuilt)[0]
        error = float(np.mean((IMAGE.astype(float) - rebuilt) ** 2))
        assert value(losses.mse_loss, IMAGE, rebuilt)[0] == pytest.approx(error, rel=1e-4)
        expected = 0.5 * error + 0.5 * (1 - value(losses.ms_ssim, IMAGE, rebuilt)[0])
        assert mixed == pytest.approx(expected, abs=1e-6)


def test_losses_are_values_an_image():
    batch = np.repeat(IMAGE, 3, 0)
    for loss in ALL_LOSSES:
        assert value(loss, batch, batch[::-1]).shape == (3,)


@pytest.mark.parametrize("loss", [losses.mixed_loss, losses.iou_loss])
def test_a_network_trains_with_them(loss):
    keras.utils.set_random_seed(0)
    images = scene(176)
    model = keras.Sequential(
        [keras.Input(images.shape[1:]), keras.layers.Conv2D(1, 3, padding="same")]
    )
    model.compile(keras.optimizers.Adam(0.05), loss)
    history = model.fit(images, images, epochs=4, verbose=0).history["loss"]
    assert history[-1] < history[0]
    registered = keras.saving.get_registered_object(f"helpers>{loss.__name__}")
    assert registered is loss  # so that a saved network finds it again
