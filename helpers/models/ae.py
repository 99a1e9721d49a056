"""The auto-encoder and the variational auto-encoder of Abdelrahman in Keras 3.

Both squeeze a whole film, (N, S, S, 1) floats in [0, 1], into 16 numbers and draw it again.
At the paper's S = 1024 the encoder's two convolutions leave 256 x 256 x 64 numbers, which one
dense layer turns into the latent. Taught in the chapter *Sixteen numbers for a mammogram*.
"""

from helpers.keras_setup import keras

layers, ops = keras.layers, keras.ops

LATENT = 16
FILTERS = (32, 64)  # channels of the two convolutions
SLOPE = 0.2  # of LeakyReLU below zero


def build(
    side: int, *, variational: bool = False, beta: float = 1.0, latent: int = LATENT
) -> keras.Model:
    """Build an auto-encoder with fresh weights.

    Parameters
    ----------
    side : int
        Height and width of the films, a multiple of 4; 1024 in the paper.
    variational : bool
        Give the encoder a mean and a log-variance, and draw the latent from them.
    beta : float
        Weight of the Kullback-Leibler term, see `Sampling`; variational models only.
    latent : int
        Length of the latent vector, 16 in the paper.

    Returns
    -------
    keras.Model
        Its layers ``encoder`` and ``decoder`` are models too.

    Raises
    ------
    ValueError
        If the side is no multiple of 4.
    """
    if side < 4 or side % 4:
        raise ValueError(f"The side of the films must be a multiple of 4, not {side}; resize them.")
    image = keras.Input((side, side, 1), name="image")
    code = _encoder(side, latent, variational)(image)
    if variational:
        code = Sampling(beta, side * side, name="sampling")(code)
    return keras.Model(image, _decoder(side, latent)(code), name="autoencoder")


def _encoder(side: int, latent: int, variational: bool) -> keras.Model:
    """Two 3x3 convolutions of stride 2, each with LeakyReLU and BatchNorm; a dense layer."""
    image = value = keras.Input((side, side, 1))
    for step, width in enumerate(FILTERS):
        value = layers.Conv2D(width, 3, strides=2, padding="same", name=f"conv{step}")(value)
        value = _normalise(layers.LeakyReLU(SLOPE)(value), step)
    value = layers.Dense(latent, name="dense")(layers.Flatten()(value))
    if variational:
        # a variance of 1 to begin with: a large one would overflow before anything is learnt
        calm = layers.Dense(latent, kernel_initializer="zeros", name="log_variance")
        value = [layers.Dense(latent, name="mean")(value), calm(value)]
    return keras.Model(image, value, name="encoder")


def _decoder(side: int, latent: int) -> keras.Model:
    """A dense layer; transposed convolutions that double the sides twice; a sigmoid."""
    code = keras.Input((latent,))
    value = layers.Dense((side // 4) ** 2 * FILTERS[-1], name="dense")(code)
    value = layers.Reshape((side // 4, side // 4, FILTERS[-1]))(value)
    for step, width in enumerate(reversed(FILTERS)):
        value = layers.Conv2DTranspose(width, 3, strides=2, padding="same", name=f"conv{step}")(
            value
        )
        value = _normalise(layers.LeakyReLU(SLOPE)(value), step)
    value = layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid", name="last")(value)
    return keras.Model(code, value, name="decoder")


def _normalise(value, step: int):
    """BatchNorm whose averages follow the last ten steps or so: short trainings have few."""
    return layers.BatchNormalization(momentum=0.9, name=f"norm{step}")(value)


def divergence(mean, log_variance):
    """Kullback-Leibler divergence of the encoder's Gaussian from the standard one.

    Parameters
    ----------
    mean, log_variance : (N, L) float tensors

    Returns
    -------
    (N, L) float tensor
        In nats, one number a dimension: what the code of that number costs beyond the prior.
    """
    return 0.5 * (ops.square(mean) + ops.exp(log_variance) - log_variance - 1)


@keras.saving.register_keras_serializable("helpers")
class Sampling(layers.Layer):
    """Draw the latent while training, take its mean afterwards; add the divergence to the loss.

    Equation 2 of the paper sums binary cross-entropy over the pixels. The losses of the book are
    means, so the divergence is divided by the number of pixels: both say the same.

    Parameters
    ----------
    beta : float
        Weight of the divergence; 1 gives the evidence lower bound (Kingma and Welling 2014).
    pixels : int
        Number of pixels of an image.
    """

    def __init__(self, beta: float, pixels: int, **options):
        super().__init__(**options)
        self.beta, self.pixels = beta, pixels
        self.noise = keras.random.SeedGenerator(0)

    def call(self, moments, training: bool = False):
        """Return a latent; `moments` are a mean and a log-variance, (N, L) each."""
        mean, log_variance = moments
        cost = ops.mean(ops.sum(divergence(mean, log_variance), axis=-1))
        self.add_loss(self.beta * cost / self.pixels)
        if not training:
            return mean
        noise = keras.random.normal(ops.shape(mean), seed=self.noise)
        return mean + ops.exp(0.5 * log_variance) * noise

    def get_config(self) -> dict:
        """Arguments that make this layer again."""
        return {**super().get_config(), "beta": self.beta, "pixels": self.pixels}
