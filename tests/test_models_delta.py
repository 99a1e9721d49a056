"""The auto-encoders of the lossless-delta chapter: the paper's counts, shapes, state."""

from itertools import pairwise

import numpy as np
import pytest

from helpers import weights
from helpers.keras_setup import keras
from helpers.models import losses
from helpers.models.delta import (
    PLANS,
    SIDE,
    SLOPE,
    Plan,
    build,
    count,
)
from helpers.models.halves import count_parameters, restore, state

PAPER = {"dense": 135_466_112, "cnn1": 1_008_449, "cnn2": 1_795_265, "stage2": 583_265}
LATENTS = {"dense": 128, "cnn1": 128, "cnn2": 512, "stage2": 256}
TINY = Plan((4,) * 6, 8, (4,) * 6, 0)
TINY_DENSE = Plan((6, 5), 3, (5, 6), 0, dense=True)
TINIES = pytest.mark.parametrize("plan", [TINY, TINY_DENSE], ids=["cnn", "dense"])
RNG = np.random.default_rng(2)
FILMS = RNG.random((3, SIDE, SIDE, 1), np.float32)


def make(plan, seed=0):
    keras.utils.set_random_seed(seed)
    return build(plan)


def rebuilt(model, images=FILMS):
    return keras.ops.convert_to_numpy(model(images, training=False))


@pytest.fixture(scope="module")
def trained():
    """Give a tiny network whose BatchNorm has seen images: nothing in it is as it began."""
    model = make(TINY)
    model.compile(keras.optimizers.Adam(1e-2), losses.mse_loss, run_eagerly=True)
    model.fit(FILMS, FILMS, batch_size=2, verbose=0)
    return model


def test_the_plans_state_the_papers_figures():
    assert {name: plan.parameters for name, plan in PLANS.items()} == PAPER
    assert {name: plan.latent for name, plan in PLANS.items()} == LATENTS
    assert [name for name, plan in PLANS.items() if plan.dense] == ["dense"]


@pytest.mark.parametrize("name", ["cnn1", "cnn2", "stage2"])
def test_a_built_network_has_as_many_parameters_as_the_paper_says(name):
    model = build(PLANS[name])
    assert count_parameters(model) == PAPER[name]
    assert model.get_layer("encoder").output_shape == (None, LATENTS[name])
    assert model.output_shape == (None, SIDE, SIDE, 1)


def test_the_dense_network_has_as_many_parameters_as_the_paper_says():
    plan = PLANS["dense"]
    widths = (SIDE * SIDE, *plan.encoder, plan.latent, *plan.decoder, SIDE * SIDE)
    assert sum((before + 1) * after for before, after in pairwise(widths)) == PAPER["dense"]
    assert count(plan) == PAPER["dense"]


def test_averages_of_batch_norm_are_no_parameters():
    model = build(TINY)
    every = sum(values.size for values in state(model).values())
    assert every - count_parameters(model) == 2 * 4 * 12  # a mean and a variance a channel


@TINIES
def test_films_go_to_a_latent_vector_and_back(plan):
    model = make(plan)
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    latent = rebuilt(encoder)
    assert latent.shape == (3, plan.latent) and latent.dtype == np.float32
    assert latent.std() > 0
    images = rebuilt(model)
    assert images.shape == FILMS.shape and images.dtype == np.float32
    np.testing.assert_allclose(rebuilt(decoder, latent), images, atol=1e-5)


@TINIES
@pytest.mark.parametrize("size", [1.0, 1e3, 1e6])
def test_reconstructions_stay_between_0_and_1(plan, size):
    decoder = make(plan).get_layer("decoder")
    images = rebuilt(decoder, (size * RNG.normal(size=(2, plan.latent))).astype(np.float32))
    assert np.isfinite(images).all()
    assert images.min() >= 0 and images.max() <= 1
    if size == 1.0:
        assert 0.05 < images.mean() < 0.95


def test_the_layers_are_in_the_papers_order():
    encoder, decoder = (build(TINY).get_layer(part) for part in ("encoder", "decoder"))

    def kinds(part):
        names = [type(layer).__name__ for layer in part.layers]
        return [name for name in names if name != "InputLayer"]

    step = ["Conv2D", "BatchNormalization", "LeakyReLU"]  # norm between linear and non-linear
    assert kinds(encoder) == [*step, "MaxPooling2D"] * 6 + ["Flatten", "Dense"]
    assert kinds(decoder) == ["Dense", "Reshape", *["UpSampling2D", *step] * 6, "Conv2D"]
    slopes = {
        layer.negative_slope
        for part in (encoder, decoder)
        for layer in part.layers
        if isinstance(layer, keras.layers.LeakyReLU)
    }
    assert slopes == {SLOPE}
    dense = build(TINY_DENSE)
    assert kinds(dense.get_layer("encoder")) == ["Flatten", *["Dense", "LeakyReLU"] * 2, "Dense"]
    assert kinds(dense.get_layer("decoder")) == [*["Dense", "LeakyReLU"] * 2, "Dense", "Reshape"]


def test_a_network_is_restored_from_its_state(trained):
    kept = state(trained)
    assert {values.dtype for values in kept.values()} == {np.dtype(np.float32)}
    assert {"encoder/conv0/kernel", "encoder/norm5/moving_mean", "decoder/last/bias"} <= set(kept)
    assert sum(values.size for values in kept.values()) == trained.count_params()
    assert np.abs(kept["decoder/norm1/moving_mean"]).max() > 0
    other = make(TINY, seed=1)
    assert np.abs(rebuilt(other) - rebuilt(trained)).max() > 1e-3
    restore(other, kept)
    for name, values in state(other).items():
        np.testing.assert_array_equal(values, kept[name])
    np.testing.assert_array_equal(rebuilt(other), rebuilt(trained))


def test_a_state_is_a_copy():
    model = make(TINY)
    kept = state(model)
    before = {name: values.copy() for name, values in kept.items()}
    restore(model, {name: np.zeros_like(values) for name, values in kept.items()})
    for name, values in kept.items():
        np.testing.assert_array_equal(values, before[name])


@TINIES
def test_a_dense_state_fits_a_dense_network_only(plan):
    model = make(plan)
    values = state(make(plan, seed=1))
    restore(model, values)
    name = sorted(values)[0]
    with pytest.raises(KeyError, match=name):
        restore(model, {key: array for key, array in values.items() if key != name})
    with pytest.raises(ValueError, match="shape"):
        restore(model, {**values, name: np.zeros(99, np.float32)})


def test_weights_travel_as_half_precision(trained, tmp_path, monkeypatch):
    card = weights.save(state(trained), tmp_path / "tiny.safetensors", {"network": "tiny"})
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    assert weights.card("tiny") == card and card["bytes"] == weights.path("tiny").stat().st_size
    arrays = weights.arrays("tiny")
    assert {values.dtype for values in arrays.values()} == {np.dtype(np.float32)}
    for name, values in state(trained).items():
        np.testing.assert_array_equal(arrays[name], values.astype(np.float16))
    other = make(TINY, seed=1)
    restore(other, arrays)
    np.testing.assert_allclose(rebuilt(other), rebuilt(trained), atol=0.02)


def test_the_seed_decides_the_first_weights():
    first, same, other = (state(make(TINY, seed)) for seed in (3, 3, 4))
    assert all(np.array_equal(first[name], same[name]) for name in first)
    assert not np.array_equal(first["encoder/conv0/kernel"], other["encoder/conv0/kernel"])
