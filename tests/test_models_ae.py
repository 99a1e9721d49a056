"""The auto-encoders with sixteen numbers: shapes, counts, and the divergence in the loss."""

import numpy as np
import pytest

from helpers.keras_setup import keras
from helpers.models import losses
from helpers.models.ae import FILTERS, LATENT, build, divergence
from helpers.models.halves import count_parameters, restore, state

RNG = np.random.default_rng(4)
IMAGES = RNG.random((3, 16, 16, 1), np.float32)
BOTH = pytest.mark.parametrize("variational", [False, True], ids=["ae", "vae"])


def arrays(*tensors):
    return [keras.ops.convert_to_numpy(tensor) for tensor in tensors]


def by_hand(side, latent):
    """Parameters of the plain network: convolutions, BatchNorms and dense layers."""
    one, two = FILTERS
    flat = (side // 4) ** 2 * two
    encoder = (9 + 1) * one + 2 * one + (9 * one + 1) * two + 2 * two + (flat + 1) * latent
    decoder = (latent + 1) * flat + (9 * two + 1) * two + 2 * two
    return encoder + decoder + (9 * two + 1) * one + 2 * one + 9 * one + 1


@BOTH
def test_a_film_becomes_sixteen_numbers_and_a_film_again(variational):
    model = build(16, variational=variational)
    code = model.get_layer("encoder")(IMAGES)
    mean = code[0] if variational else code
    assert mean.shape == (3, LATENT)
    drawn = arrays(model.get_layer("decoder")(mean))[0]
    assert drawn.shape == IMAGES.shape and 0 <= drawn.min() <= drawn.max() <= 1
    np.testing.assert_allclose(arrays(model(IMAGES, training=False))[0], drawn, atol=1e-6)


@pytest.mark.parametrize("side", [16, 64])
def test_parameters_are_those_of_the_papers_layers(side):
    assert count_parameters(build(side)) == by_hand(side, LATENT)
    more = 2 * (LATENT * LATENT + LATENT)  # the layers of mean and log-variance
    assert count_parameters(build(side, variational=True)) == by_hand(side, LATENT) + more


def test_at_the_papers_size_the_convolutions_leave_256_x_256_x_64():
    with keras.StatelessScope(initialize_variables=False):  # shapes, no memory for the values
        model = build(1024)
        assert model.get_layer("encoder").get_layer("norm1").output.shape == (None, 256, 256, 64)
        assert count_parameters(model) == by_hand(1024, LATENT) == 138_486_929


@pytest.mark.parametrize("side", [0, 2, 18])
def test_other_sides_are_refused(side):
    with pytest.raises(ValueError, match=f"multiple of 4, not {side}; resize"):
        build(side)


def test_the_divergence_is_that_of_two_gaussians():
    mean, variance = np.array([[0.0, 1.5, -2.0]]), np.array([[1.0, 0.3, 4.0]])
    draws = RNG.normal(size=(400_000, 1, 3)) * np.sqrt(variance) + mean
    densities = (draws**2 - (draws - mean) ** 2 / variance - np.log(variance)) / 2
    found = arrays(divergence(mean, np.log(variance)))[0]
    np.testing.assert_allclose(found, densities.mean(axis=0), atol=0.02)
    assert found[0, 0] == 0


def test_the_loss_is_cross_entropy_plus_the_weighted_divergence():
    def loss(beta):
        keras.utils.set_random_seed(1)
        model = build(16, variational=True, beta=beta)
        model.compile(loss=losses.bce_loss)
        return model, model.evaluate(IMAGES, IMAGES, verbose=0)

    model, with_it = loss(beta=7.0)
    _, without = loss(beta=0.0)
    cost = arrays(divergence(*model.get_layer("encoder")(IMAGES)))[0].sum(axis=1).mean()
    assert cost > 0
    assert with_it - without == pytest.approx(7 * cost / 256, rel=1e-3)
    drawn = arrays(model(IMAGES, training=False))[0].astype(np.float64)
    entropy = -(IMAGES * np.log(drawn) + (1 - IMAGES) * np.log(1 - drawn)).mean()
    assert without == pytest.approx(entropy, rel=1e-4)


def test_the_latent_is_drawn_while_training_and_is_the_mean_afterwards():
    keras.utils.set_random_seed(2)
    layer = build(16, variational=True).get_layer("sampling")
    mean = np.linspace(-1, 1, 5 * LATENT, dtype=np.float32).reshape(5, LATENT)
    log_variance = np.full_like(mean, np.log(0.25))
    still = arrays(layer([mean, log_variance], training=False))[0]
    np.testing.assert_array_equal(still, mean)
    rows = [np.repeat(part, 4000, axis=0) for part in (mean, log_variance)]
    drawn = arrays(layer(rows, training=True))[0].reshape(5, 4000, LATENT)
    np.testing.assert_allclose(drawn.mean(axis=1), mean, atol=0.04)
    np.testing.assert_allclose(drawn.std(axis=1), 0.5, atol=0.03)


@BOTH
def test_variables_by_name_make_the_network_again(variational):
    keras.utils.set_random_seed(3)
    first, second = (build(16, variational=variational) for _ in range(2))
    values = state(first)
    assert ("encoder/log_variance/kernel" in values) == variational
    assert sum(v.size for k, v in values.items() if "moving" not in k) == count_parameters(first)
    restore(second, values)
    outputs = (model(IMAGES, training=False) for model in (first, second))
    np.testing.assert_array_equal(*arrays(*outputs))


def test_a_saved_model_loads_with_its_sampling_layer(tmp_path):
    model = build(16, variational=True, beta=3.0)
    model.save(tmp_path / "vae.keras")
    again = keras.models.load_model(tmp_path / "vae.keras")
    assert again.get_layer("sampling").get_config()["beta"] == 3.0
    np.testing.assert_allclose(*arrays(model(IMAGES), again(IMAGES)), atol=1e-6)


def test_after_a_few_steps_a_network_is_used_as_it_was_trained():
    """BatchNorm's averages must have caught up with the batches, or the drawings are grey."""
    keras.utils.set_random_seed(1)
    model = build(16)
    films = np.concatenate([0.3 * IMAGES, 1 - 0.3 * IMAGES])
    model.compile(keras.optimizers.Adam(1e-3), loss=losses.mse_loss)
    model.fit(films, films, batch_size=6, epochs=150, verbose=0)
    learning, using = (
        float(np.mean((arrays(model(films, training=training))[0] - films) ** 2))
        for training in (True, False)
    )
    assert using < 2 * learning < 0.1 * films.var()
