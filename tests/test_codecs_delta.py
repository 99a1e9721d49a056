"""The codec of auto-encoder and delta: exact images, honest streams, and what it refuses."""

import argparse

import numcodecs
import numpy as np
import pytest
from codec_images import images, make, phantom
from delta_networks import TINY, draw, two_stages
from hypothesis import HealthCheck, given, settings

from helpers import codecs, weights
from helpers.codecs import commands, delta, residual
from helpers.codecs.container import Header, pack, unpack
from helpers.codecs.delta import DeltaCodec
from helpers.codecs.residual import difference, undo_difference
from helpers.codecs.streams import unwrap, wrap
from helpers.data.readers import read_image, write_image
from helpers.errors import BitstreamError
from helpers.models.integer import IntegerAutoencoder

pytestmark = pytest.mark.usefixtures("tiny_networks")
QUICK = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LATENTS = ("int8", "float32")
SETTINGS = [(coder, latent) for coder in residual.CODERS for latent in LATENTS]


def forge(codec, shape, payload, dtype="uint8"):
    header = Header("ae-delta", np.dtype(dtype), shape, 8, codec.model, codec.weights_hash)
    return pack(header, payload)


@pytest.mark.parametrize(("coder", "latent"), SETTINGS)
def test_every_image_comes_back(coder, latent):
    codec = DeltaCodec("tiny", coder, latent)

    @QUICK
    @given(images(("uint8",)))
    def check(image):
        stream = codec.encode(image)
        header, payload = unpack(stream)
        assert (header.shape, header.codec, header.model) == (image.shape, "ae-delta", "tiny")
        assert header.weights == weights.sha256("tiny")[:4]
        assert header.pixel_crc is not None and stream == pack(header, payload)
        assert np.array_equal(codec.decode(stream), image)

    check()
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (256, 256), (257, 300)):
        for kind in ("noise", "constant"):
            image = make(kind, np.dtype("uint8"), shape, rng)
            assert np.array_equal(codec.decode(codec.encode(image)), image)


@pytest.mark.parametrize("latent", LATENTS)
@pytest.mark.parametrize("model", ["tiny", "tiny-dense", "tiny-two"])
def test_streams_say_how_they_decode(model, latent):
    """Any codec with the same weights decodes a stream of any setting."""
    image, out = phantom(300)[:, 3:290], np.zeros((300, 287), np.uint8)
    for coder in residual.CODERS:
        stream = DeltaCodec(model, coder, latent).encode(image)
        assert np.array_equal(DeltaCodec(model).decode(stream), image)
    assert np.array_equal(unwrap(stream)[1], image)
    assert DeltaCodec(model).decode(stream, out) is out and np.array_equal(out, image)


def test_any_layout_in_memory_is_coded():
    image = phantom(64)
    for view in (image[::2, ::-3], image.T, np.asfortranarray(image)):
        assert np.array_equal(DeltaCodec("tiny").decode(DeltaCodec("tiny").encode(view)), view)


@pytest.mark.parametrize("coder", residual.CODERS)
@pytest.mark.parametrize("kind", ["noise", "extreme", "constant", "smooth"])
@pytest.mark.parametrize("model", ["tiny", "tiny-two"])
def test_the_papers_float_delta_errs_by_one_at_most(model, kind, coder):
    image = make(kind, np.dtype("uint8"), (31, 290), np.random.default_rng(4))
    codec = DeltaCodec(model, coder, "float32", "float8")
    stream = codec.encode(image)
    decoded = codec.decode(stream).astype(int)
    assert not codec.lossless and unpack(stream)[0].pixel_crc is None
    assert np.abs(decoded - image).max() <= 1
    if kind != "constant":
        assert np.abs(decoded - image).max() == 1
    assert np.array_equal(DeltaCodec(model).decode(stream), decoded)


@pytest.mark.parametrize("prediction", [-255, -1, 0, 77, 128, 255, 400, 510])
def test_a_delta_is_undone_for_every_grey_value(prediction):
    image = np.arange(256, dtype=np.uint8)[None]
    guess = np.full(image.shape, prediction)
    assert np.array_equal(undo_difference(difference(image, guess), guess), image)
    coarse = undo_difference(difference(image, guess, "float8"), guess, "float8").astype(int)
    assert np.abs(coarse - image).max() == 1
    assert difference(guess % 256, guess % 256).tolist() == [[128] * 256]


def test_sizes_are_those_of_the_table():
    image, two_tiles = phantom(256), phantom(300)[:256]
    sizes = {}
    for model, latent in (("tiny", "int8"), ("tiny", "float32"), ("tiny-two", "int8")):
        codec = DeltaCodec(model, latent=latent)
        latents, prediction = codec.predict(image)
        sizes[model, latent] = len(latents)
        rest = residual.encode(difference(image, prediction), codec.coder)
        payload = unpack(codec.encode(image))[1]
        assert payload[1:] == latents + rest
        assert codec.wrap(image, codec.payload(image, latents, prediction)) == codec.encode(image)
    assert list(sizes.values()) == [1 + 5, 4 * 5, 2 * (1 + 5)]
    assert len(DeltaCodec("tiny").predict(two_tiles)[0]) == 2 * (1 + 5)


def test_tiles_are_predicted_one_by_one():
    """A tile is coded the same whatever lies beside it, and filled up with its edge."""
    image = phantom(300)
    for model in ("tiny", "tiny-two"):
        whole = DeltaCodec(model).predict(image)[1]
        corner = np.pad(image[256:, 256:], ((0, 212), (0, 212)), mode="edge")
        assert np.array_equal(whole[:256, :256], DeltaCodec(model).predict(image[:256, :256])[1])
        assert np.array_equal(whole[256:, 256:], DeltaCodec(model).predict(corner)[1][:44, :44])


def test_the_prediction_is_the_networks():
    image = phantom(256)
    network = IntegerAutoencoder(draw(TINY))
    by_hand = network.decode(network.encode(image))
    assert np.array_equal(DeltaCodec("tiny", latent="float32").predict(image)[1], by_hand)
    stacked = delta.reconstruct("tiny", image[None].repeat(2, axis=0))
    assert stacked.dtype == np.int16 and np.array_equal(stacked, np.stack([by_hand] * 2))
    arrays = two_stages()
    stages = [
        IntegerAutoencoder({k[7:]: v for k, v in arrays.items() if k.startswith(stage)}, levels)
        for stage, levels in (("stage1/", 255), ("stage2/", 510))
    ]
    first = stages[0].decode(stages[0].encode(image))
    both = first + stages[1].decode(stages[1].encode(image - first + 255)) - 255
    assert np.array_equal(DeltaCodec("tiny-two", latent="float32").predict(image)[1], both)


def test_an_8_bit_latent_is_as_near_as_its_step():
    rng = np.random.default_rng(6)
    for size in (0, 1, 100, 127, 128, 1e5, 2**24):
        latent = np.rint(size * rng.uniform(-1, 1, 40))
        kept = delta._restore(delta._store(latent, "int8"), "int8")
        assert np.abs(kept - latent).max() <= max(size / 127, 0.5)
        assert np.array_equal(delta._restore(delta._store(latent, "float32"), "float32"), latent)


@pytest.mark.parametrize("dtype", ["uint16", "int16"])
def test_other_pixels_are_refused(dtype):
    advice = f"this image is {dtype}; window it to 8 bits, or use one of .*jpeg2000"
    with pytest.raises(ValueError, match=advice):
        DeltaCodec("tiny").encode(phantom(16, dtype))
    payload = unpack(DeltaCodec("tiny").encode(phantom(16)))[1]
    with pytest.raises(BitstreamError, match="8-bit images only"):
        DeltaCodec("tiny").decode(forge(DeltaCodec("tiny"), (16, 16), payload, dtype))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"latent": "int4"}, "latent is 'int8' or 'float32'"),
        ({"delta": "near"}, "delta is 'exact' or 'float8'"),
        ({"coder": "zip"}, "one of huffman, .*, not 'zip'"),
        ({"colour": 1}, "'ae-delta' does not take these options"),
    ],
)
def test_impossible_options_are_refused(options, reason):
    with pytest.raises(ValueError, match=reason):
        codecs.get("ae-delta", **options)


@pytest.mark.parametrize("convention", ["exact", "float8"])
@pytest.mark.parametrize(("coder", "latent"), SETTINGS)
def test_a_config_builds_the_same_codec(coder, latent, convention):
    codec = codecs.get("ae-delta", model="tiny", coder=coder, latent=latent, delta=convention)
    config = codec.get_config()
    assert config == {
        **{"id": "ae-delta", "model": "tiny", "coder": coder},
        **{"latent": latent, "delta": convention},
    }
    twin = numcodecs.get_codec(config)
    assert twin.get_config() == config and twin.lossless == (convention == "exact")
    assert twin.encode(phantom(24)) == codec.encode(phantom(24))
    del config["id"]
    assert DeltaCodec.from_config(config).encode(phantom(24)) == codec.encode(phantom(24))


def test_the_catalogue_has_it():
    assert "ae-delta" in codecs.names(lossless=True)
    assert "ae-delta" not in codecs.names(lossless=False)
    assert "ae-delta" in codecs.fitting("uint8") and "ae-delta" not in codecs.fitting("uint16")
    image, codec = phantom(40), codecs.get("ae-delta", model="tiny-two")
    stream = wrap("ae-delta", codec, image)
    header, decoded = unwrap(stream)  # nobody told it which model
    assert stream == codec.encode(image) and header.model == "tiny-two"
    assert np.array_equal(decoded, image)


def test_the_command_line_takes_a_model(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    commands.add_arguments(parser.add_subparsers(required=True))
    source, stream, back = (tmp_path / name for name in ("in.png", "s.mic", "out.png"))
    write_image(source, phantom(50))
    options = ["--option", "model=tiny-dense", "--option", "coder=huffman"]
    for words in (
        ["encode", "--codec", "ae-delta", *options, source, stream],
        ["info", stream],
        ["decode", stream, back],
    ):
        args = parser.parse_args([str(word) for word in words])
        assert args.run(args) == 0
    assert np.array_equal(read_image(back), phantom(50))
    said = capsys.readouterr().out
    assert "weights   tiny-dense" in said and "proven equal by CRC-32" in said
