"""Weights of an untrained counterpart of HiFiC: the codec's own synthesis at one level."""

import numpy as np
import torch

from helpers import weights
from helpers.codecs.hific import BASE
from helpers.codecs.hyperprior.model import trained
from helpers.experiments.beyond import hific

LEVEL = 20


def network(seed=0):
    """The book's synthesis at `LEVEL`, with one more block that does nothing much."""
    torch.manual_seed(seed)
    return hific.painter(trained(BASE).network.synthesis, LEVEL)


def save(path, **changes):
    """Write a weights file of `network`."""
    return weights.save(
        hific.arrays(network(), LEVEL) | changes, path, {"name": path.stem, "paper": "none"}
    )


def latents(seed=0, shape=(4, 5)):
    """Latents in 2**-8 steps, larger in the low bands."""
    rng = np.random.default_rng(seed)
    scale = 2400 / (1 + np.arange(256))
    return np.rint(rng.normal(size=(*shape, 256)) * scale)
