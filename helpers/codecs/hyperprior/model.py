"""A trained model of the lossy codec: network, context model in whole numbers, tables."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from helpers import weights
from helpers.codecs.hyperprior.integers import IntegerContext
from helpers.errors import DataError


class Trained(NamedTuple):
    """A model, ready to code.

    Parameters
    ----------
    network : helpers.models.hyperprior.network.Hyperprior
    context : IntegerContext
    chances : (112, 16) int64 array
    side : (2, 16) int64 array
        Mean and scale of each channel of the hyper-latent.
    """

    network: object
    context: IntegerContext
    chances: np.ndarray
    side: np.ndarray


def trained(name: str) -> Trained:
    """Model of some weights.

    Parameters
    ----------
    name : str
        Of the weights.

    Raises
    ------
    DataError
        If they are not on this machine, or are those of another network.
    """
    return _loaded(name, weights.sha256(name))


@lru_cache(maxsize=3)
def _loaded(name: str, version: bytes) -> Trained:
    try:
        return assembled(weights.arrays(name))
    except (RuntimeError, KeyError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"The weights '{name}' are those of another network; choose others with model=."
        ) from error


def assembled(arrays: Mapping[str, np.ndarray]) -> Trained:
    """Model of arrays as a weights file holds them.

    Parameters
    ----------
    arrays : mapping of str to array
        The network's state; ``steps`` and ``octaves`` (see `IntegerContext`); ``chances``
        (112, 16) and ``side`` (2, 16).

    Raises
    ------
    KeyError, RuntimeError
        If they are those of another network.
    """
    import torch

    from helpers.models.hyperprior.network import Hyperprior

    network = Hyperprior()
    state = {key: torch.from_numpy(np.asarray(arrays[key])) for key in network.state_dict()}
    network.load_state_dict(state)
    network = network.eval().to(memory_format=torch.channels_last)
    tables = (np.asarray(arrays[key]).astype(np.int64) for key in ("chances", "side"))
    return Trained(network, IntegerContext(arrays), *tables)
