"""The codecs of a latent alone: their pictures, their streams, and how they are found."""

import argparse
import subprocess
import sys

import numcodecs
import numpy as np
import pytest
from ae_networks import shapes
from codec_images import images, make, phantom
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers import codecs, figures, weights
from helpers.codecs import ae, commands, window
from helpers.codecs.ae import LATENTS, LatentCodec
from helpers.codecs.container import pack, unpack
from helpers.codecs.latents import to_int8
from helpers.codecs.streams import unwrap, wrap
from helpers.data.readers import read_image, write_image

pytestmark = pytest.mark.usefixtures("latent_networks")
QUICK = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MODELS = ("tiny-ae", "tiny-vae", "tiny-16")
BYTES = {"float32": 4, "float16": 2, "int8": 1}


def keras_model(name):
    from helpers.models import halves
    from helpers.models.ae import build

    values = weights.arrays(name)
    length = values["decoder/dense/kernel"].shape[0]
    network = build(16, variational="encoder/mean/bias" in values, latent=length)
    halves.restore(network, values)
    return network


def test_the_small_networks_are_those_of_the_book():
    from helpers.models import halves
    from helpers.models.ae import build

    for variational in (False, True):
        state = halves.state(build(16, variational=variational, latent=3))
        assert {k: v.shape for k, v in state.items()} == shapes(variational=variational)


@pytest.mark.parametrize("latent", LATENTS)
@pytest.mark.parametrize("model", MODELS)
def test_every_image_comes_back_in_its_shape(model, latent):
    codec, length = LatentCodec(model, latent), 16 if model == "tiny-16" else 3

    @QUICK
    @given(images(("uint8", "uint16", "int16")))
    def check(image):
        stream = codec.encode(image)
        header, payload = unpack(stream)
        assert (header.shape, header.dtype) == (image.shape, image.dtype)
        assert (header.codec, header.model) == ("ae-latent", model)
        assert header.weights == weights.sha256(model)[:4] and header.pixel_crc is None
        side = 8 * (image.dtype != np.uint8)
        assert len(payload) == 1 + side + (latent == "int8") + BYTES[latent] * length
        assert stream == pack(header, payload) == codec.encode(image)
        decoded = codec.decode(stream)
        assert decoded.shape == image.shape and decoded.dtype == image.dtype
        assert np.array_equal(decoded, codec.decode(stream))
        for other in LATENTS:  # streams say all
            assert np.array_equal(decoded, LatentCodec(model, other).decode(stream))
        if side:
            assert image.min() <= decoded.min() and decoded.max() <= image.max()

    check()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (16, 16), (17, 15), (301, 2), (130, 77)])
def test_every_size_is_drawn_and_resized(shape, dtype):
    codec, rng = LatentCodec("tiny-ae"), np.random.default_rng(0)
    image = make("smooth", np.dtype(dtype), shape, rng)
    decoded = codec.decode(codec.encode(image))
    drawing = Image.fromarray(codec.synthesise(codec.analyse(image[None]))[0])
    unit = np.asarray(drawing.resize(shape[::-1], Image.Resampling.BILINEAR), np.float64)
    low, high = (0, 255) if dtype == "uint8" else (int(image.min()), int(image.max()))
    assert np.abs(decoded - (low + unit * (high - low))).max() <= 0.51 + 1e-6 * (high - low)


def test_the_paper_counts_sixteen_floats_and_one_byte_says_so():
    image = phantom(40)
    sizes = {k: len(unpack(LatentCodec("tiny-16", k).encode(image))[1]) for k in LATENTS}
    assert sizes == {"float32": 1 + 64, "float16": 1 + 32, "int8": 1 + 1 + 16}
    payload = unpack(LatentCodec("tiny-16").encode(image))[1]
    latent = LatentCodec("tiny-16").analyse(image[None])[0]
    assert payload == b"\0" + latent.astype("<f4").tobytes()
    signed = unpack(LatentCodec("tiny-16", "float16").encode(phantom(40, np.int16) - 300))[1]
    assert signed[:1] == bytes([16 + 1]) and len(signed) == 1 + 8 + 32
    assert np.frombuffer(signed, "<i4", 2, 1).tolist() == [-300, phantom(40, np.int16).max() - 300]


@pytest.mark.parametrize("model", MODELS)
def test_the_pipeline_is_the_network(model):
    """Codec against the network called by hand on an image of its own size."""
    image, network = phantom(16), keras_model(model)
    code = network.get_layer("encoder")(image[None, ..., None] / np.float32(255), training=False)
    code = np.asarray(code[0] if model == "tiny-vae" else code)  # its mean, without noise
    unit = np.asarray(network.get_layer("decoder")(code, training=False))[0, ..., 0]
    codec = LatentCodec(model)
    assert np.allclose(codec.analyse(image[None]), code, atol=1e-5)
    assert np.allclose(codec.synthesise(code)[0], unit, atol=1e-5)
    decoded = codec.decode(codec.encode(image))
    assert np.abs(decoded - np.rint(255 * unit)).max() <= 1
    assert unit.std() > 0.1  # there is something to see


@pytest.mark.parametrize("latent", ["float16", "int8"])
def test_fewer_bytes_show_nearly_the_same_picture(latent):
    image = phantom(64)
    plain = LatentCodec("tiny-16").decode(LatentCodec("tiny-16").encode(image)).astype(int)
    codec = LatentCodec("tiny-16", latent)
    gap = np.abs(codec.decode(codec.encode(image)) - plain).mean()
    assert gap < (0.1 if latent == "float16" else 2)
    assert gap > 0 or latent == "float16"


def test_many_images_are_worked_on_in_batches():
    codec = LatentCodec("tiny-ae")
    assert codec.side == 16
    films = np.stack([phantom(24, seed=seed) for seed in range(37)])
    latents = codec.analyse(films)
    assert latents.shape == (37, 3) and latents.dtype == np.float32
    drawn = codec.synthesise(latents)
    assert drawn.shape == (37, 16, 16) and drawn.dtype == np.float32
    assert 0 <= drawn.min() < drawn.max() <= 1
    alone = [codec.analyse(film[None])[0] for film in films]
    assert np.allclose(latents, alone, atol=1e-5)
    assert np.allclose(drawn, [codec.synthesise(code[None])[0] for code in latents], atol=1e-5)
    mixed = codec.analyse([films[0], phantom(90, np.uint16)])  # sizes and types may differ
    assert np.allclose(mixed[0], latents[0], atol=1e-5)
    assert [len(part) for part in ae._batches(films, 16)] == [16, 16, 5]
    assert [len(part) for part in ae._batches(films[:9], 1024)] == [4, 4, 1]


def test_resizing_is_pillows_and_leaves_the_networks_own_size_alone(monkeypatch):
    rng = np.random.default_rng(0)
    image = rng.random((40, 23)).astype(np.float32)
    for shape in ((16, 16), (100, 7), (3, 300), (40, 23)):
        direct = Image.fromarray(image).resize(shape[::-1], Image.Resampling.BILINEAR)
        assert np.allclose(ae._resize(image, shape), np.asarray(direct), atol=1e-6)
    assert np.array_equal(ae._resize(image, image.shape), image)
    stripes = np.zeros((64, 64), np.float32)
    stripes[::4] = 1  # a filter that were not widened would miss them or see nothing else
    assert np.allclose(ae._resize(stripes, (16, 16))[1:-1], 0.25, atol=0.01)
    steps, resize = [], Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda self, size, how: steps.append(size) or resize(self, size, how)
    )
    for shape in ((1, 10_000), (10_000, 1)):  # not 16 x 10,000 in between
        ae._resize(ae._resize(np.zeros(shape, np.float32), (16, 16)), shape)
    assert max(width * height for width, height in steps) == 10_000


@pytest.mark.parametrize("dtype", ["uint16", "int16"])
@pytest.mark.parametrize("value", ["min", "max"])
def test_a_constant_image_with_a_window_is_exact(dtype, value):
    image = np.full((40, 70), getattr(np.iinfo(dtype), value), dtype)
    codec = LatentCodec("tiny-ae")
    assert np.array_equal(codec.decode(codec.encode(image)), image)


def test_windows_map_to_one_and_back():
    for dtype in ("uint8", "uint16", "int16"):
        image = make("noise", np.dtype(dtype), (9, 7), np.random.default_rng(0))
        unit, stored = window.to_unit(image), window.store(image)
        assert unit.dtype == np.float32
        assert 0 <= unit.min() <= unit.max() <= 1
        grey = window.read(b"x" + stored, 1) if stored else window.EIGHT_BITS
        assert grey == window.of(image) and len(stored) in (0, window.SIZE)
        assert np.array_equal(window.from_unit(unit, grey, image.dtype), image)
    two = np.array([[7, 8]], np.int16)
    assert window.to_unit(two).tolist() == [[0, 1]]
    assert window.to_unit(two[:, :1]).tolist() == [[0]]
    assert window.from_unit(np.array([0.0, 1.0]), (-9, 300), np.dtype("uint8")).tolist() == [0, 255]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-110, 100), st.sampled_from([-128, 0]))
def test_levels_lie_a_power_of_two_apart(seed, scale, lowest):
    drawn = np.random.default_rng(seed).standard_normal(16).astype(np.float32)
    latent = np.ldexp(drawn, scale)
    exponent, levels = to_int8(latent, lowest)
    assert levels.dtype == np.int8 and levels.min() >= -127 and exponent >= lowest
    error = np.abs(np.ldexp(levels.astype(np.float64), exponent) - latent)
    assert error.max() <= 2.0**exponent / 2
    assert exponent == lowest or np.abs(levels).max() >= 63  # no finer step would do


def test_levels_by_hand():
    assert to_int8(np.zeros(3, np.float32))[1].tolist() == [0, 0, 0]
    exponent, levels = to_int8(np.array([127, -64.4, 0.5], np.float32))
    assert (exponent, levels.tolist()) == (0, [127, -64, 0])
    exponent, levels = to_int8(np.array([128, -3], np.float32))
    assert (exponent, levels.tolist()) == (1, [64, -2])  # -1.5 to even


@pytest.mark.parametrize("latent", LATENTS)
def test_a_config_builds_the_same_codec(latent):
    codec = LatentCodec("tiny-vae", latent)
    assert codec.get_config() == {"id": "ae-latent", "model": "tiny-vae", "latent": latent}
    twin = numcodecs.get_codec(codec.get_config())
    assert isinstance(twin, LatentCodec) and twin.get_config() == codec.get_config()
    assert twin.encode(phantom(32)) == codec.encode(phantom(32))
    out = np.zeros((32, 32), np.uint8)
    assert codec.decode(codec.encode(phantom(32)), out) is out and out.any()


def test_impossible_options_are_refused():
    with pytest.raises(ValueError, match="one of float32, float16, int8, not 'int4'"):
        LatentCodec(latent="int4")
    with pytest.raises(ValueError, match="does not take these options"):
        codecs.get("ae", beta=2)
    with pytest.raises(ValueError, match="no parameter that trades"):
        codecs.at_rate("vae", 1)


@pytest.mark.parametrize("name", ["ae", "vae"])
def test_the_catalogue_has_both(name, tmp_path, capsys):
    entry = codecs.CATALOGUE[name]
    assert (entry.label, codecs.get(name).model) == (f"{name.upper()}, 16 numbers", f"{name}-mammo")
    assert codecs.get(name).get_config()["latent"] == "float32"
    assert figures.label(name) == figures.label(entry.label) == entry.label
    assert name in codecs.names(lossless=False) and name not in codecs.names(lossless=True)
    assert all(name in codecs.fitting(dtype) for dtype in ("uint8", "uint16", "int16"))
    codec = codecs.get(name, model="tiny-16")
    stream = wrap(name, codec, phantom(33))
    assert stream == codec.encode(phantom(33))
    header, decoded = unwrap(stream)  # which knows nothing but the stream
    assert header.codec == "ae-latent" and np.array_equal(decoded, codec.decode(stream))

    parser = argparse.ArgumentParser()
    commands.add_arguments(parser.add_subparsers(required=True))
    source, coded, back = (str(tmp_path / file) for file in ("in.png", "s.mic", "out.png"))
    write_image(source, phantom(33))
    for words in (
        ["encode", "--codec", name, "--option", "model=tiny-16", source, coded],
        ["info", coded],
        ["decode", coded, back],
    ):
        args = parser.parse_args(words)
        assert args.run(args) == 0
    assert "tiny-16" in capsys.readouterr().out
    assert np.array_equal(read_image(back), decoded)


ELSEWHERE = """
import sys
import numpy as np
from helpers.codecs.streams import unwrap
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        np.save(path, unwrap(file.read())[1])
"""


def test_another_process_draws_nearly_the_same(tmp_path, monkeypatch):
    pictures, files = [phantom(16), phantom(70)[:, 3:60]], []
    codec = LatentCodec("tiny-vae")
    for number, picture in enumerate(pictures):
        files.append(tmp_path / f"{number}.mic")
        files[-1].write_bytes(codec.encode(picture))
    for threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(threads, "1")
    subprocess.run([sys.executable, "-c", ELSEWHERE, *map(str, files)], check=True)
    for file in files:
        here = codec.decode(file.read_bytes()).astype(int)
        assert np.abs(here - np.load(f"{file}.npy")).max() <= 1  # floats; see the module
