"""What every Keras auto-encoder of the book has in common: two halves, and variables by name.

An auto-encoder here is a model whose layers ``encoder`` and ``decoder`` are models too.
"""

import math

from helpers.keras_setup import keras

HALVES = ("encoder", "decoder")


def count_parameters(model: keras.Model) -> int:
    """Number of trainable values of a network.

    The moving averages of BatchNorm are no parameters: nothing is learnt into them by
    gradients, and the paper does not count them either.
    """
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def state(model: keras.Model) -> dict:
    """All variables of an auto-encoder by name, as float32 arrays.

    Parameters
    ----------
    model : keras.Model
        With the layers ``encoder`` and ``decoder``.

    Returns
    -------
    dict of str to numpy.ndarray
        Keys such as ``"decoder/conv0/kernel"`` or ``"encoder/norm1/moving_mean"``.
    """
    return {
        f"{part}/{layer.name}/{variable.name}": keras.ops.convert_to_numpy(variable)
        for part in HALVES
        for layer in model.get_layer(part).layers
        for variable in layer.weights
    }


def restore(model: keras.Model, values: dict) -> None:
    """Put variables back that `state` took out.

    Parameters
    ----------
    model : keras.Model
    values : dict of str to array
    """
    for part in HALVES:
        for layer in model.get_layer(part).layers:
            for variable in layer.weights:
                variable.assign(values[f"{part}/{layer.name}/{variable.name}"])
