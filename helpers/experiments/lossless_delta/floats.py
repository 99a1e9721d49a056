"""Why a float decoder cannot be part of a lossless codec: the same weights, other last bits."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from helpers import weights
from helpers.keras_setup import keras
from helpers.models.delta import PLANS, build
from helpers.models.halves import restore
from helpers.models.integer import IntegerAutoencoder
from helpers.train_keras import grey_to_unit


def network(model: str) -> keras.Model:
    """Keras network with shipped weights.

    Parameters
    ----------
    model : str
        Name of the weights of one network, for example ``"delta-cnn1"``.
    """
    built = build(PLANS[weights.card(model)["network"]])
    restore(built, weights.arrays(model))
    return built


def ways(built: keras.Model) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Ways to run one decoder on latents, each of them correct.

    Parameters
    ----------
    built : keras.Model
        From `network`.

    Returns
    -------
    dict of str to callable
        Each maps (N, L) float32 latents to (N, 256, 256) float32 reconstructions in [0, 1].
    """
    decoder = built.get_layer("decoder")

    def run(latents: np.ndarray, batch: int, compiled: bool) -> np.ndarray:
        decoder.compile(jit_compile=compiled)
        return decoder.predict(latents, batch_size=batch, verbose=0)[..., 0]

    return {
        "all films at once": lambda latents: run(latents, len(latents), False),
        "film by film": lambda latents: run(latents, 1, False),
        "all at once, fused kernels": lambda latents: run(latents, len(latents), True),
    }


def disagreement(model: str, films: np.ndarray) -> pd.DataFrame:
    """Decode the same latents in several ways and count what differs from the first.

    Parameters
    ----------
    model : str
    films : (N, 256, 256) uint8

    Returns
    -------
    pandas.DataFrame
        One row a way: way, values (share of floats that differ), largest (difference, in grey
        levels), pixels (number of grey values that differ after rounding), films (number of
        films with such a pixel: each would be decoded wrongly).
    """
    built = network(model)
    latents = built.get_layer("encoder").predict(grey_to_unit(films), verbose=0)
    rebuilt = {name: run(latents) for name, run in ways(built).items()}
    first = next(iter(rebuilt.values()))
    rows = []
    for name, values in rebuilt.items():
        flipped = np.rint(255 * values) != np.rint(255 * first)
        rows.append(
            {
                "way": name,
                "values": float(np.mean(values != first)),
                "largest": float(255 * np.abs(values.astype(float) - first).max()),
                "pixels": int(flipped.sum()),
                "films": int(flipped.any(axis=(1, 2)).sum()),
            }
        )
    return pd.DataFrame(rows)


def integer_disagreement(model: str, films: np.ndarray) -> pd.DataFrame:
    """Run the whole-number decoder with other matrix products and count what differs: nothing.

    Parameters
    ----------
    model : str
    films : (N, 256, 256) uint8

    Returns
    -------
    pandas.DataFrame
        The columns of `disagreement`.
    """
    arrays = weights.arrays(model)
    latents = [IntegerAutoencoder(arrays).encode(film) for film in films]
    rebuilt = {
        name: np.stack([IntegerAutoencoder(arrays, matmul=product).decode(z) for z in latents])
        for name, product in PRODUCTS.items()
    }
    first = next(iter(rebuilt.values()))
    return pd.DataFrame(
        {
            "way": name,
            "values": float(np.mean(values != first)),
            "largest": float(np.abs(values - first).max()),
            "pixels": int((values != first).sum()),
            "films": int((values != first).any(axis=(1, 2)).sum()),
        }
        for name, values in rebuilt.items()
    )


def _keras_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    product = keras.ops.convert_to_numpy(keras.ops.matmul(a, b))
    if product.dtype != np.float64:
        raise ValueError(
            f"Keras' backend {keras.backend.backend()} multiplies in {product.dtype} here, which "
            "whole numbers do not fit into; let it have float64 (JAX: JAX_ENABLE_X64=1)."
        )
    return product


def _backwards(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(a[:, ::-1]) @ np.ascontiguousarray(b[::-1])


def _one_thread(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with threadpool_limits(1, user_api="blas"):
        return a @ b


PRODUCTS = {
    "NumPy": np.matmul,
    "NumPy, one thread": _one_thread,
    "Keras": _keras_product,
    "NumPy, sums in reverse order": _backwards,
}
