"""Losses of the Keras chapters in ``keras.ops``: MS-SSIM, IoU, MSE, binary cross-entropy.

Written only with ``keras`` and ``keras.ops``: the same code trains under TensorFlow, JAX and
PyTorch. Taught in the chapter *Lossless by auto-encoder and delta*.
"""

from functools import lru_cache

import numpy as np

from helpers.keras_setup import keras

ops = keras.ops

WINDOW, SIGMA = 11, 1.5
POWERS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, from fine to coarse
_C1, _C2 = 0.01**2, 0.03**2
_LEAST = 1e-6  # a negative similarity has no power and a zero one no slope


@lru_cache(maxsize=16)
def _blur(side: int) -> np.ndarray:
    """Matrix that slides the Gaussian window over a line of pixels, "valid" positions only.

    A product with this banded matrix costs less than a convolution with the window in every
    framework we tried, and its gradient is again a product.
    """
    taps = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    matrix = np.zeros((side - WINDOW + 1, side), np.float32)
    for row in range(len(matrix)):
        matrix[row, row : row + WINDOW] = taps / taps.sum()
    return matrix


def _smooth(images):
    height, width = images.shape[1:]
    return ops.matmul(ops.matmul(_blur(height), images), _blur(width).T)


def _similarities(x, y):
    """Mean luminance similarity times contrast-structure similarity, and the latter alone."""
    mean_x, mean_y = _smooth(x), _smooth(y)
    power = mean_x * mean_x + mean_y * mean_y
    cross = mean_x * mean_y
    spread = _smooth(x * x) + _smooth(y * y) - power
    joint = _smooth(x * y) - cross
    contrast = (2 * joint + _C2) / (spread + _C2)
    luminance = (2 * cross + _C1) / (power + _C1)
    return (ops.mean(value, axis=(1, 2)) for value in (luminance * contrast, contrast))


def _halve(images):
    height, width = images.shape[1:]
    pairs = ops.reshape(
        images[:, : height // 2 * 2, : width // 2 * 2], (-1, height // 2, 2, width // 2, 2)
    )
    return ops.mean(pairs, axis=(2, 4))


def ms_ssim(y_true, y_pred):
    """Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003).

    Parameters
    ----------
    y_true, y_pred : (N, H, W, 1) float tensors in [0, 1]
        Sides of 176 pixels or more, so that the window fits the coarsest of five scales.

    Returns
    -------
    (N,) float tensor
        At most 1, which only equal images reach.

    Raises
    ------
    ValueError
        If the images are smaller.
    """
    least = WINDOW * 2 ** (len(POWERS) - 1)  # halving leaves an odd side's last pixel out
    if min(y_true.shape[1:3]) < least:
        raise ValueError(
            f"MS-SSIM of five scales needs sides of {least} pixels or more, not "
            f"{tuple(y_true.shape[1:3])}; enlarge the images or take SSIM."
        )
    x, y = (ops.squeeze(images, -1) for images in (y_true, y_pred))
    result = 1.0
    for scale, power in enumerate(POWERS):
        both, contrast = _similarities(x, y)
        last = scale == len(POWERS) - 1
        result = result * ops.power(ops.maximum(both if last else contrast, _LEAST), power)
        if not last:
            x, y = _halve(x), _halve(y)
    return result


def soft_iou(y_true, y_pred):
    """Intersection over union of two grey images, ``sum min(x, y) / sum max(x, y)``.

    The set measure carried over to numbers in [0, 1] (also called the Ruzicka similarity).
    Of the ways to do so this one is 1 for equal images and for no others; the product form
    ``sum x y / sum (x + y - x y)`` is not.

    Parameters
    ----------
    y_true, y_pred : (N, H, W, 1) float tensors in [0, 1]

    Returns
    -------
    (N,) float tensor
    """
    axes = (1, 2, 3)
    shared = ops.sum(ops.minimum(y_true, y_pred), axis=axes)
    either = ops.sum(ops.maximum(y_true, y_pred), axis=axes)
    return (shared + _LEAST) / (either + _LEAST)  # so that two black images are equal, too


@keras.saving.register_keras_serializable("helpers")
def ms_ssim_loss(y_true, y_pred):
    """``1 - MS-SSIM``, the loss of CNN 1.0; see `ms_ssim`."""
    return 1 - ms_ssim(y_true, y_pred)


@keras.saving.register_keras_serializable("helpers")
def mixed_loss(y_true, y_pred):
    """``0.5 MSE + 0.5 (1 - MS-SSIM)``, the loss of CNN 2.0."""
    error = ops.mean(ops.square(y_true - y_pred), axis=(1, 2, 3))
    return 0.5 * error + 0.5 * ms_ssim_loss(y_true, y_pred)


@keras.saving.register_keras_serializable("helpers")
def iou_loss(y_true, y_pred):
    """``1 - IoU``, the loss of the two-stage model's second network; see `soft_iou`."""
    return 1 - soft_iou(y_true, y_pred)


@keras.saving.register_keras_serializable("helpers")
def mse_loss(y_true, y_pred):
    """Mean squared error of each image, the loss of the dense auto-encoder."""
    return ops.mean(ops.square(y_true - y_pred), axis=(1, 2, 3))


@keras.saving.register_keras_serializable("helpers")
def bce_loss(y_true, y_pred):
    """Mean binary cross-entropy of the pixels of each image, in nats.

    Grey values are taken for probabilities of white. Its minimum is reached by an exact copy,
    but is not zero there: a grey pixel is as uncertain as a coin.
    """
    return ops.mean(keras.losses.binary_crossentropy(y_true, y_pred), axis=(1, 2))
