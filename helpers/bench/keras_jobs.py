"""The Keras trainings that `bench train` times; see `helpers.bench.jobs`."""

from dataclasses import replace

import numpy as np

from helpers.bench.jobs import NEVER, STEPS, Job
from helpers.experiments.recipe import Recipe
from helpers.keras_setup import keras
from helpers.models.halves import count_parameters
from helpers.train_keras import delta_to_unit, fit, grey_to_unit

_BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def mammography(network: str, side: int | None = None, batch: int | None = None) -> Job:
    """The auto-encoders for mammograms: "ae" or "vae"."""
    from helpers.experiments.ae_vae.data import SIDE
    from helpers.experiments.ae_vae.training import RECIPES
    from helpers.models.ae import build

    model = build(side or SIDE, variational=network == "vae")
    return _fitted(model, RECIPES[network], batch)


def delta(network: str, batch: int | None = None) -> Job:
    """The auto-encoders whose deltas make films lossless: "cnn1", "cnn2", "stage2", "dense"."""
    from helpers.experiments.lossless_delta.training import RECIPES
    from helpers.models.delta import PLANS, build

    return _fitted(build(PLANS[network]), RECIPES[network], batch)


def _fitted(model: keras.Model, recipe: Recipe, batch: int | None) -> Job:
    batch = batch or recipe.schedule.batch
    schedule = replace(
        recipe.schedule, batch=batch, measure_every=NEVER, checkpoint_every=NEVER, minutes=None
    )
    shape = model.input_shape[1:3]
    chance = np.random.default_rng(0)
    if recipe.base:  # what another network leaves
        films = chance.integers(-255, 256, (STEPS * batch, *shape), np.int16)
    else:
        films = chance.integers(0, 256, (STEPS * batch, *shape), np.uint8)
    scale = delta_to_unit if recipe.base else grey_to_unit

    def seconds(count: int) -> list[float]:
        history = fit(model, films, replace(schedule, epochs=count), recipe.loss, scale=scale)
        return (history["seconds"] / STEPS).tolist()

    return Job(
        f"Keras, {_BACKENDS[keras.backend.backend()]}",
        "float32",
        (batch, 1, *shape),
        "images",
        count_parameters(model),
        STEPS,
        seconds,
        lambda: batch * operations(model),
    )


def operations(model: keras.Model) -> int:
    """Operations of a training step on one image: those of the forward pass, times three.

    A weight of a dense layer or a convolution is used once for each output value (for each input
    value, if it is transposed), at two operations. Going backward the same products are made twice
    more, for the slopes of weights and of inputs. The first layer's inputs need none. What losses
    and other layers compute is left out.

    Parameters
    ----------
    model : keras.Model
        Of dense layers, convolutions, layers without weights and models of these.
    """
    layers = _weighty(model)
    forward = [2 * _uses(layer) for layer in layers]
    return 3 * sum(forward) - forward[0]


def _weighty(model: keras.Model) -> list[keras.layers.Layer]:
    """Layers with products, in the order of the data."""
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += _weighty(layer)
        elif isinstance(
            layer, keras.layers.Dense | keras.layers.Conv2D | keras.layers.Conv2DTranspose
        ):
            found.append(layer)
    return found


def _uses(layer: keras.layers.Layer) -> int:
    """How many products a layer takes for one image."""
    weights = int(np.prod(layer.kernel.shape))
    if isinstance(layer, keras.layers.Dense):
        return weights
    # isinstance would not tell: one kind of convolution may inherit from the other
    places = layer.input if type(layer) is keras.layers.Conv2DTranspose else layer.output
    return weights * int(np.prod(places.shape[1:3]))
