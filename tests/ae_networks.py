"""Small auto-encoders of whole films for tests, in the layout of `helpers.models.halves.state`.

NumPy alone draws them, so that a test that only needs a file need not wait for Keras. A 16 x 16
network of `helpers.models.ae` has 60,000 weights.
"""

from math import prod

import numpy as np

from helpers import weights

SIDE, LATENT = 16, 3
FILTERS = (32, 64)


def shapes(side=SIDE, latent=LATENT, variational=False):
    """Shapes of all variables of a network."""
    found = {}

    def layer(name, *kernel, bias):
        found[f"{name}/kernel"], found[f"{name}/bias"] = kernel, (bias,)

    def norm(name, width):
        for field in ("gamma", "beta", "moving_mean", "moving_variance"):
            found[f"{name}/{field}"] = (width,)

    first, second = FILTERS
    flat = (side // 4) ** 2 * second
    for step, (before, width) in enumerate(((1, first), (first, second))):
        layer(f"encoder/conv{step}", 3, 3, before, width, bias=width)
        norm(f"encoder/norm{step}", width)
    layer("encoder/dense", flat, latent, bias=latent)
    for name in ("mean", "log_variance") * variational:
        layer(f"encoder/{name}", latent, latent, bias=latent)
    layer("decoder/dense", latent, flat, bias=flat)
    for step, (before, width) in enumerate(((second, second), (second, first))):
        layer(f"decoder/conv{step}", 3, 3, width, before, bias=width)  # transposed
        norm(f"decoder/norm{step}", width)
    layer("decoder/last", 3, 3, 1, first, bias=1)
    return found


def draw(side=SIDE, latent=LATENT, variational=False, seed=0):
    """Draw weights whose latents differ from image to image and whose drawings have contrast."""
    rng, arrays = np.random.default_rng(seed), {}
    for name, shape in shapes(side, latent, variational).items():
        if name.endswith(("gamma", "moving_variance")):
            arrays[name] = rng.uniform(0.5, 1.5, shape)
        elif name.endswith("kernel"):
            arrays[name] = rng.normal(0, 1.5 / np.sqrt(prod(shape[:-1])), shape)
        else:
            arrays[name] = rng.normal(0, 0.1, shape)
    return {name: values.astype(np.float32) for name, values in arrays.items()}


def save(folder, name, arrays, **options):
    """Store weights under a name, with a bare card."""
    return weights.save(arrays, folder / f"{name}.safetensors", {"name": name}, **options)


def save_all(folder):
    """One network of each kind, and one with as many numbers as the paper's: ``tiny-16``."""
    save(folder, "tiny-ae", draw())
    save(folder, "tiny-vae", draw(variational=True, seed=1))
    save(folder, "tiny-16", draw(latent=16, seed=2))
