"""The auto-encoders of Shanmukh (2022) in Keras 3: dense, CNN 1.0, CNN 2.0, second stage.

Each maps (N, 256, 256, 1) floats in [0, 1] to a latent vector and back. The paper's text gives
the kinds of layers, the latent sizes and the parameter counts; the widths below are the ones
that give exactly these counts. Taught in the chapter *Lossless by auto-encoder and delta*.
"""

from dataclasses import dataclass

from helpers.keras_setup import keras
from helpers.models.halves import count_parameters

layers = keras.layers

SIDE = 256
SLOPE = 0.25  # of LeakyReLU below zero: a power of two, so that integers can follow exactly


@dataclass(frozen=True)
class Plan:
    """Widths of an auto-encoder.

    Parameters
    ----------
    encoder, decoder : tuple of int
        Channels after each 3x3 convolution, or units of each dense layer.
    latent : int
        Length of the latent vector.
    parameters : int
        Trainable parameters, as the paper states them.
    dense : bool
        Whether the layers are dense.
    """

    encoder: tuple[int, ...]
    latent: int
    decoder: tuple[int, ...]
    parameters: int
    dense: bool = False


_CNN = {"encoder": (16, 64, 64, 64, 256, 64), "decoder": (256, 64, 64, 32, 32, 16)}
PLANS = {
    "dense": Plan((1024, 512), 128, (512, 1024), 135_466_112, dense=True),
    "cnn1": Plan(latent=128, parameters=1_008_449, **_CNN),
    "cnn2": Plan(latent=512, parameters=1_795_265, **_CNN),
    "stage2": Plan((16, 32, 16, 64, 8, 64), 256, (8, 64, 16, 32, 16, 8), 583_265),
}


def build(plan: Plan) -> keras.Model:
    """Build an auto-encoder with fresh weights.

    Parameters
    ----------
    plan : Plan
        One of `PLANS`, or a smaller one.

    Returns
    -------
    keras.Model
        Its layers ``encoder`` and ``decoder`` are models too.
    """
    parts = (_dense_encoder, _dense_decoder) if plan.dense else (_cnn_encoder, _cnn_decoder)
    image = keras.Input((SIDE, SIDE, 1), name="image")
    encoder, decoder = (part(plan) for part in parts)
    return keras.Model(image, decoder(encoder(image)), name="autoencoder")


def _cnn_encoder(plan: Plan) -> keras.Model:
    """3x3 convolution, BatchNorm, LeakyReLU, 2x2 max-pooling; then one dense layer."""
    image = value = keras.Input((SIDE, SIDE, 1))
    for step, width in enumerate(plan.encoder):
        value = layers.MaxPooling2D()(_convolve(value, step, width))
    value = layers.Dense(plan.latent, name="dense")(layers.Flatten()(value))
    return keras.Model(image, value, name="encoder")


def _cnn_decoder(plan: Plan) -> keras.Model:
    """One dense layer; then 2x up-sampling, 3x3 convolution, BatchNorm, LeakyReLU; sigmoid."""
    side = SIDE >> len(plan.decoder)
    latent = keras.Input((plan.latent,))
    value = layers.Dense(side * side * plan.encoder[-1], name="dense")(latent)
    value = layers.Reshape((side, side, plan.encoder[-1]))(value)
    for step, width in enumerate(plan.decoder):
        value = _convolve(layers.UpSampling2D()(value), step, width)
    value = layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="last")(value)
    return keras.Model(latent, value, name="decoder")


def _convolve(value, step: int, width: int):
    value = layers.Conv2D(width, 3, padding="same", name=f"conv{step}")(value)
    value = layers.BatchNormalization(name=f"norm{step}")(value)
    return layers.LeakyReLU(negative_slope=SLOPE)(value)


def _dense_encoder(plan: Plan) -> keras.Model:
    image = keras.Input((SIDE, SIDE, 1))
    value = layers.Flatten()(image)
    for step, width in enumerate(plan.encoder):
        value = layers.LeakyReLU(SLOPE)(layers.Dense(width, name=f"dense{step}")(value))
    return keras.Model(image, layers.Dense(plan.latent, name="dense")(value), name="encoder")


def _dense_decoder(plan: Plan) -> keras.Model:
    latent = value = keras.Input((plan.latent,))
    for step, width in enumerate(plan.decoder):
        value = layers.LeakyReLU(SLOPE)(layers.Dense(width, name=f"dense{step}")(value))
    value = layers.Dense(SIDE * SIDE, activation="sigmoid", name="last")(value)
    return keras.Model(latent, layers.Reshape((SIDE, SIDE, 1))(value), name="decoder")


def count(plan: Plan) -> int:
    """Trainable parameters of a plan's network, without memory for any of them.

    Parameters
    ----------
    plan : Plan
    """
    with keras.StatelessScope(initialize_variables=False):  # variables with shapes, no values
        return count_parameters(build(plan))
