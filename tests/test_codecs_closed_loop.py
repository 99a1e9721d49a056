"""The encoder that looks at what its decoder will show."""

import numpy as np
import pytest
from codec_images import phantom

from helpers import weights
from helpers.codecs.hyperprior import floats, stream
from helpers.codecs.hyperprior.closed_loop import ROUNDS, refined
from helpers.codecs.hyperprior.codec import MOST_ROUNDS, HyperCodec
from helpers.codecs.hyperprior.model import trained
from helpers.experiments.beyond.rates import padded, silenced
from helpers.models.hyperprior.layout import price


@pytest.fixture(autouse=True)
def only_the_books(monkeypatch):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(weights.FOLDER))


@pytest.fixture(scope="module")
def picture():
    image = phantom(160).astype(float) + np.random.default_rng(0).normal(0, 3, (160, 160))
    return padded(np.clip(np.rint(image), 0, 255).astype(np.uint8))


def test_the_cosine_transform_is_that_of_the_network(picture):
    model = silenced(trained("hyper-mse"))
    latents = floats.cosine_transform(model, picture)
    assert np.allclose(latents, floats.analysed(model, picture, 30)[0], atol=1e-2)
    assert np.allclose(floats.synthesised(model, latents, 30), picture, atol=1e-2)


@pytest.mark.parametrize("name", ["hyper-mse", "hyper-msssim"])
@pytest.mark.parametrize("level", [10, 30, 50])
def test_looking_lowers_the_cost(name, level, picture):
    model, cost = trained(name), []
    for rounds in (0, ROUNDS):
        latents, side = refined(model, picture, level, rounds, stream.AT_PRICE)
        payload, made = stream.encode(model, latents, side, level, margin=stream.AT_PRICE)
        error = np.mean((floats.synthesised(model, made, level) - picture) ** 2)
        cost.append(8 * len(payload) / picture.size + price(level / 63) * error)
    assert cost[1] < cost[0]


def test_without_networks_there_is_nothing_to_find(picture):
    model = silenced(trained("hyper-mse"))
    once, _ = refined(model, picture, 30, 0)
    twice, _ = refined(model, picture, 30, 1)
    assert np.allclose(once, twice, atol=1e-2)


def test_a_stream_does_not_tell_how_often_its_encoder_looked():
    image = phantom(64)
    streams = [HyperCodec(30, rounds=rounds).encode(image) for rounds in (0, 1, 2)]
    assert len(set(streams)) > 1
    for coded in streams:
        assert np.abs(HyperCodec().decode(coded).astype(int) - image).max() < 60


@pytest.mark.parametrize("rounds", [-1, MOST_ROUNDS + 1, 1.5, "two"])
def test_rounds_that_make_no_sense_are_refused(rounds):
    with pytest.raises(ValueError, match="rounds is a whole number from 0 to 16"):
        HyperCodec(rounds=rounds)


@pytest.mark.parametrize("margin", [0, -1.0, float("nan")])
def test_margins_that_make_no_sense_are_refused(margin):
    with pytest.raises(ValueError, match="margin is a number above 0"):
        HyperCodec(margin=margin)
