"""What the chapter and the reference run measure, so that both do it in the same way."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numcodecs.abc import Codec
from numpy.typing import ArrayLike

from helpers import codecs, measure, metrics
from helpers.codecs.ae import LatentCodec, network
from helpers.data import ImageSet
from helpers.keras_setup import keras
from helpers.measure import break_even as break_even
from helpers.models import ae
from helpers.progress import progress
from helpers.train_keras import grey_to_unit

MODELS = {"AE": "ae-mammo", "VAE": "vae-mammo"}
LATENTS = ("float32", "float16", "int8")
METRICS = ("psnr", "ssim", "ms_ssim")
JPEG_QUALITY = 85
ACTIVE = 0.01  # variance of a dimension that is in use, as Burda et al. (2016) draw the line
_BATCH = 16  # films at once through an encoder
_BLOCK = 2**14  # pixels of every film that are in memory as floats at once


def ours(
    images: ImageSet,
    models: Mapping[str, str] = MODELS,
    latents: Sequence[str] = LATENTS,
    metrics: Sequence[str] = METRICS,
) -> pd.DataFrame:
    """Evaluate the auto-encoders with each way of storing their latents.

    Parameters
    ----------
    images : ImageSet
        8-bit films.
    models : mapping of str to str
        Label, name of the weights.
    latents : sequence of {"float32", "float16", "int8"}
        Options of `helpers.codecs.ae.LatentCodec`.
    metrics : sequence of str
        As `helpers.measure.evaluate` takes them.

    Returns
    -------
    pandas.DataFrame
        The table of `helpers.measure.evaluate`, the label as ``codec``, and the column
        ``latent``.
    """
    jobs = [(label, latent) for label in models for latent in latents]
    parts = [
        measure.evaluate(
            LatentCodec(models[label], latent), images, name=label, metrics=metrics
        ).assign(latent=latent)
        for label, latent in progress(jobs, "network")
    ]
    return pd.concat(parts, ignore_index=True)


def jpeg(images: ImageSet, metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """Evaluate JPEG at the quality of the paper, 85.

    Parameters
    ----------
    images : ImageSet
        8-bit films.
    metrics : sequence of str

    Returns
    -------
    pandas.DataFrame
        The table of `helpers.measure.evaluate`.
    """
    codec = codecs.get("jpeg", level=JPEG_QUALITY)
    return measure.evaluate(codec, images, name="jpeg", metrics=metrics)


def efficiency(mse: ArrayLike, bits: ArrayLike, base: float) -> np.ndarray:
    """Efficiency of a codec, equation 3 of the paper as we read it.

    ``1 / (mse log_base(bits))``

    The equation itself was not at hand when this was written. Our notes on the paper describe
    it as a quality over the logarithm of the size; the quality is taken to be the inverse of
    the error. The base divides out of any comparison of two codecs.

    Parameters
    ----------
    mse : array_like
        Mean squared error of pixels in [0, 1], above 0: squared grey levels divided by 255².
    bits : array_like
        Size of the stream in bits, above 1; broadcast against `mse`.
    base : float
        Of the logarithm, above 1.

    Returns
    -------
    float array
        The larger, the better.

    Raises
    ------
    ValueError
        If a number is not above its limit: the efficiency would be infinite or negative.
    """
    mse, bits = np.asarray(mse, np.float64), np.asarray(bits, np.float64)
    if not (base > 1 and np.all(bits > 1) and np.all(mse > 0)):
        raise ValueError(
            "The efficiency needs a base above 1, sizes above 1 bit and errors above 0; leave "
            "out films that came back exactly."
        )
    return math.log(base) / (mse * np.log(bits))


def nearest(codec: Codec, images: ImageSet, training: ImageSet) -> pd.DataFrame:
    """Find the training film that each reconstruction resembles most.

    A codec that has learnt its training films by heart draws one of those whatever it is given.

    Parameters
    ----------
    codec : numcodecs.abc.Codec
    images : ImageSet
        Films to code and decode; training films or others.
    training : ImageSet
        Films of the same size, known by their ids.

    Returns
    -------
    pandas.DataFrame
        One row an image: image_id, patient_id, nearest_id, mse_own (of the reconstruction
        against its own original, in squared grey levels), mse_nearest (against the nearest
        training film), nearest_is_own.

    Raises
    ------
    ValueError
        If the films have several sizes.
    """
    rebuilt = [codec.decode(codec.encode(image)) for image in progress(images, "film", len(images))]
    if len({image.shape for image in (*rebuilt, *training)}) != 1:
        raise ValueError("Films of several sizes have no distances; resize them to one size.")
    distances = _distances(np.stack(rebuilt), training.stack())
    found = distances.argmin(axis=1)
    table = pd.DataFrame(
        {
            "image_id": images.ids,
            "patient_id": images.patients,
            "nearest_id": [training.ids[at] for at in found],
            "mse_own": [metrics.mse(*pair) for pair in zip(images, rebuilt, strict=True)],
            "mse_nearest": distances.min(axis=1),
        }
    )
    return table.assign(nearest_is_own=table["nearest_id"] == table["image_id"])


def _distances(ours: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Mean squared errors of all pairs, (N, H, W) and (M, H, W) to (N, M) float64.

    Every sum is a whole number below 2**53, so that nothing is lost where squares cancel.
    """
    ours, others = ours.reshape(len(ours), -1), others.reshape(len(others), -1)
    total = np.zeros((len(ours), len(others)))
    for at in range(0, ours.shape[1], _BLOCK):
        a, b = (part[:, at : at + _BLOCK].astype(np.float64) for part in (ours, others))
        total += (a**2).sum(axis=1)[:, None] - 2 * a @ b.T + (b**2).sum(axis=1)
    return total / ours.shape[1]


def divergences(model: str, images: ImageSet) -> pd.DataFrame:
    """What each number of a variational auto-encoder's latent carries.

    Parameters
    ----------
    model : str
        Name of the weights.
    images : ImageSet
        8-bit films as large as those of the training.

    Returns
    -------
    pandas.DataFrame
        One row a dimension: dimension, bits (Kullback-Leibler divergence of the posterior
        from the prior, mean over the films), variance (of the posterior's mean over the
        films), active (variance above 0.01; the others have collapsed onto the prior).

    Raises
    ------
    ValueError
        If the weights are not of a variational auto-encoder, or of one for other sizes.

    References
    ----------
    Burda, Y., Grosse, R. and Salakhutdinov, R. (2016), Importance weighted autoencoders,
    International Conference on Learning Representations.
    """
    mean, log_variance = _moments(model, images)
    bits = keras.ops.convert_to_numpy(ae.divergence(mean, log_variance)).mean(axis=0) / math.log(2)
    variance = mean.var(axis=0)
    return pd.DataFrame(
        {
            "dimension": np.arange(mean.shape[1]),
            "bits": bits,
            "variance": variance,
            "active": variance > ACTIVE,
        }
    )


def _moments(model: str, images: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means and log-variances, (N, L) float32 each."""
    encoder = network(model).get_layer("encoder")
    if len(encoder.outputs) != 2:
        raise ValueError(f"'{model}' is no variational auto-encoder; only those have a divergence.")
    films, side = images.stack(), encoder.input_shape[1]
    if films.shape[1:] != (side, side):
        raise ValueError(f"'{model}' knows films of {side} x {side}; load them at that size.")
    return tuple(encoder.predict(grey_to_unit(films), batch_size=_BATCH, verbose=0))


def traversal(
    codec: LatentCodec, latents: np.ndarray, dimension: int, values: Sequence[float]
) -> np.ndarray:
    """Draw a film while one number of its latent moves and the others stand still.

    Parameters
    ----------
    codec : LatentCodec
    latents : (L,) float32
        Where the others stand, for example a row of ``codec.analyse``.
    dimension : int
        Which one moves.
    values : sequence of float
        What it becomes.

    Returns
    -------
    (len(values), S, S) uint8
    """
    moved = np.tile(np.asarray(latents, np.float32), (len(values), 1))
    moved[:, dimension] = values
    return np.rint(255 * codec.synthesise(moved)).astype(np.uint8)
