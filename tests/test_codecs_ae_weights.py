"""The weights of the codecs of a latent alone: loud, broken, others', changed, in 8 bits."""

import numpy as np
import pytest
from ae_networks import draw, save
from codec_images import phantom

from helpers import weights
from helpers.codecs.ae import LATENTS, LatentCodec
from helpers.codecs.streams import unwrap
from helpers.errors import BitstreamError, DataError


@pytest.fixture
def own_weights(tmp_path, monkeypatch):
    """Return a function that saves a network under a name, in a folder of its own."""
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    return lambda name, arrays, **options: save(tmp_path, name, arrays, **options)


def loud(by):
    """A network whose latents are that much larger."""
    arrays = draw()
    arrays["encoder/dense/kernel"] = np.zeros((1024, 3), np.float32)
    arrays["encoder/dense/bias"] = np.array([0.5, 1, -1], np.float32) * np.float32(60_000)
    arrays["encoder/norm1/beta"] += np.float32(by)
    arrays["encoder/dense/kernel"][0] = 60_000
    return arrays


def test_latents_beyond_float16_are_refused_in_that_setting_alone(own_weights):
    own_weights("loud", loud(3))
    image = phantom(20)
    assert np.abs(LatentCodec("loud").analyse(image[None])).max() > 65_520
    with pytest.raises(ValueError, match=r"float16 ends at 65,504; code it with latent='float32'"):
        LatentCodec("loud", "float16").encode(image)
    for latent in ("float32", "int8"):
        codec = LatentCodec("loud", latent)
        assert codec.decode(codec.encode(image)).shape == (20, 20)


def test_latents_that_are_not_finite_are_refused(own_weights):
    arrays = draw()
    arrays["encoder/norm1/moving_variance"][:] = -1  # its root is no number
    own_weights("broken", arrays)
    for latent in LATENTS:
        with pytest.raises(ValueError, match=r"not finite; choose other weights"):
            LatentCodec("broken", latent).encode(phantom(20))


def test_streams_of_other_weights_are_refused_by_name(own_weights):
    own_weights("one", draw(seed=5))
    own_weights("other", draw(seed=6))
    stream, first = LatentCodec("one").encode(phantom(20)), weights.sha256("one")[:4].hex()
    with pytest.raises(BitstreamError, match=f"weights one {first}, this codec holds other"):
        LatentCodec("other").decode(stream)
    before = LatentCodec("one").analyse(phantom(20)[None])
    own_weights("one", draw(seed=7))  # the same name, another network
    with pytest.raises(BitstreamError, match=f"one {first}, this codec holds one"):
        LatentCodec("one").decode(stream)
    with pytest.raises(BitstreamError, match=first):
        unwrap(stream)
    after = LatentCodec("one").analyse(phantom(20)[None])  # read anew
    assert not np.allclose(before, after, atol=1e-2)


def _without(name):
    return {key: values for key, values in draw().items() if key != name}


@pytest.mark.parametrize(
    "arrays",
    [
        {"w": np.zeros(2, np.float32)},
        _without("decoder/dense/kernel"),
        _without("encoder/norm0/gamma"),
        draw() | {"encoder/conv2/bias": np.zeros(2, np.float32)},
        draw() | {"encoder/dense/kernel": np.zeros((1024, 4), np.float32)},
        draw() | {"decoder/dense/kernel": np.zeros((3, 1024, 1), np.float32)},
        draw() | {"decoder/dense/kernel": np.zeros((3, 1025), np.float32)},
        draw() | {"decoder/dense/kernel": np.zeros((3, 63), np.float32)},
        draw() | {"decoder/dense/kernel": np.zeros((3, 64 * 25), np.float32)},
    ],
    ids=["none", "no-dense", "no-gamma", "more", "longer", "deeper", "odd", "small", "larger"],
)
def test_weights_of_another_network_are_one_sentence(own_weights, arrays):
    own_weights("other", arrays)
    for work in (lambda c: c.encode(phantom(20)), lambda c: c.side):
        with pytest.raises(DataError, match="'other' are those of another network; choose others"):
            work(LatentCodec("other"))


def test_weights_of_other_codecs_and_none_are_one_sentence():
    with pytest.raises(DataError, match="'delta-cnn1' are those of another network"):
        LatentCodec("delta-cnn1").encode(phantom(20))
    with pytest.raises(DataError, match="no weights named 'nobody'"):
        LatentCodec("nobody").encode(phantom(20))


def test_a_network_in_8_bits_draws_nearly_the_same(own_weights, monkeypatch):
    monkeypatch.setattr(weights, "LARGE", 1000)
    large = own_weights("fine", draw())["bytes"]
    assert own_weights("coarse", draw(), bits=8)["bytes"] < large - 4000
    films = np.stack([phantom(16, seed=seed) for seed in range(4)])
    fine, coarse = LatentCodec("fine"), LatentCodec("coarse")
    assert np.allclose(fine.analyse(films), coarse.analyse(films), atol=0.02)
    drawn = [codec.synthesise(fine.analyse(films)) for codec in (fine, coarse)]
    assert 0 < np.abs(drawn[0] - drawn[1]).max() < 0.05
