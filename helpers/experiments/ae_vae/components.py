"""Principal components of the training films: the best that a linear auto-encoder can do.

A linear auto-encoder under squared error learns the space of the leading principal components
(Bourlard and Kamp 1988), which linear algebra finds without a training. What a network gains
by being deep, it must gain over these.
"""

import hashlib
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pandas as pd
import scipy.linalg

from helpers import measure
from helpers.codecs.base import ImageCodec
from helpers.codecs.container import Header
from helpers.data import ImageSet
from helpers.errors import BitstreamError
from helpers.experiments.ae_vae.measurements import METRICS
from helpers.models.ae import LATENT


def fit_components(training: np.ndarray, count: int = LATENT) -> tuple[np.ndarray, np.ndarray]:
    """Mean and leading principal components of films.

    There are far fewer films than pixels, so the films' N x N matrix of inner products is
    solved instead of the covariance of the pixels; both have the same leading components.

    Parameters
    ----------
    training : (N, H, W) uint8
    count : int
        Number of components, 1 to N.

    Returns
    -------
    mean : (H, W) float32
        Of pixels in [0, 1].
    components : (count, H, W) float32
        Orthonormal, the one of the largest variance first. N films span N - 1 dimensions
        around their mean; components beyond what they span are arbitrary.

    Raises
    ------
    ValueError
        If there are not as many films as components.
    """
    if not 1 <= count <= len(training):
        raise ValueError(
            f"{len(training)} films have 1 to {len(training)} components, not {count}; ask for "
            "fewer or give more films."
        )
    centred = training.reshape(len(training), -1).astype(np.float32) / 255
    mean = centred.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred -= mean
    inner = (centred @ centred.T).astype(np.float64)
    leading = scipy.linalg.eigh(inner, subset_by_index=(len(inner) - count, len(inner) - 1))[1]
    directions = leading[:, ::-1].T.astype(np.float32) @ centred
    components = np.linalg.qr(directions.T.astype(np.float64))[0].T  # orthonormal to the last bits
    shape = training.shape[1:]
    return mean.reshape(shape), components.reshape(count, *shape).astype(np.float32)


class ComponentsCodec(ImageCodec):
    """A film as its coordinates along principal components, 4 bytes each.

    It travels in the envelope that all codecs of the book share, but is in no catalogue: mean
    and components are this run's, and kept in 32 bits.

    Parameters
    ----------
    mean : (H, W) float32
    components : (L, H, W) float32
        From `fit_components`.
    """

    codec_id: ClassVar[str] = "ae-linear"
    model = "pc-mammo"

    def __init__(self, mean: np.ndarray, components: np.ndarray):
        self.mean, self.components = mean, components.reshape(len(components), -1)
        self._hash = hashlib.sha256(mean.tobytes() + components.tobytes()).digest()[:4]

    @property
    def weights_hash(self) -> bytes:
        """First four bytes of the SHA-256 of mean and components."""
        return self._hash

    def compress(self, image: np.ndarray) -> bytes:
        """Code a checked image as a float32 vector."""
        if image.dtype != np.uint8 or image.shape != self.mean.shape:
            raise ValueError(
                f"The components are of 8-bit films of {self.mean.shape}, this is {image.dtype} "
                f"of {image.shape}; prepare it as they were."
            )
        unit = image.astype(np.float32) / 255 - self.mean
        return (self.components @ unit.ravel()).astype("<f4").tobytes()

    def expand(self, payload: bytes, header: Header) -> np.ndarray:
        """Draw the film of a vector."""
        if header.dtype != np.uint8 or header.shape != self.mean.shape:
            raise BitstreamError(
                f"The header is of no 8-bit film of {self.mean.shape}, as all streams of this "
                "codec are; copy the stream again from where it was made."
            )
        latent = np.frombuffer(payload, "<f4")
        with np.errstate(over="ignore", invalid="ignore"):  # forged numbers; see below
            unit = self.mean + (latent @ self.components).reshape(self.mean.shape)
        if not np.isfinite(unit).all():
            raise BitstreamError("The vector holds numbers that are not finite.")
        return np.rint(255 * np.clip(unit, 0, 1)).astype(np.uint8)


def components_rows(
    images: ImageSet,
    mean: np.ndarray,
    components: np.ndarray,
    metrics: Sequence[str] = METRICS,
) -> pd.DataFrame:
    """Evaluate principal components as a codec.

    Parameters
    ----------
    images : ImageSet
        8-bit films of the components' size.
    mean, components
        From `fit_components`.
    metrics : sequence of str
        As `helpers.measure.evaluate` takes them.

    Returns
    -------
    pandas.DataFrame
        The table of `helpers.measure.evaluate`, ``"PCA"`` as ``codec``, and the column
        ``latent``, ``"float32"``.
    """
    codec = ComponentsCodec(mean, components)
    table = measure.evaluate(codec, images, name="PCA", metrics=metrics)
    return table.assign(latent="float32")
