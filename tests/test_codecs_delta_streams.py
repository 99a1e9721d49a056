"""Streams of the auto-encoder and delta codec: fixed, proven elsewhere, damaged and forged."""

import hashlib
import os
import subprocess
import sys
import time
import tracemalloc
import warnings

import numpy as np
import pytest
from codec_images import make, phantom
from delta_networks import TINY, TINY_DENSE, draw, rewrite, save, two_stages

from helpers.codecs import delta, residual
from helpers.codecs.container import Header, pack
from helpers.codecs.delta import MAX_PIXELS, SIDE, DeltaCodec
from helpers.codecs.streams import unwrap
from helpers.errors import BitstreamError, DataError
from helpers.lossless import exact_elsewhere, proves_lossless
from helpers.models.integer import IntegerAutoencoder

pytestmark = pytest.mark.usefixtures("tiny_networks")
LATENTS = ("int8", "float32")
GOLDEN = {  # SHA-256 of payloads, which do not hold the hash of the weights file
    ("tiny", "int8"): "a7a3122ce7b5d1b0",
    ("tiny", "float32"): "a12035e949e2e742",
    ("tiny-dense", "int8"): "e3d900b3f58a8100",
    ("tiny-dense", "float32"): "c1a487abb279bffc",
    ("tiny-two", "int8"): "4c14085ac12e1d75",
    ("tiny-two", "float32"): "0249159d63a92d03",
}


@pytest.fixture
def own_weights(tmp_path, monkeypatch):
    """Return a function that saves a network under a name, in a folder of its own."""
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    return lambda name, arrays: save(tmp_path, name, arrays)


def forge(codec, shape, payload):
    header = Header("ae-delta", np.dtype("uint8"), shape, 8, codec.model, codec.weights_hash)
    return pack(header, payload)


@pytest.mark.parametrize("latent", LATENTS)
@pytest.mark.parametrize("model", ["tiny", "tiny-dense", "tiny-two"])
def test_golden_payloads(model, latent):
    """Fixed weights, a fixed image: the same bytes on every machine.

    Those of the coders, that is, which keep no table by zlib or Brotli: other versions of these
    may pack a table into other bytes.
    """
    image, digest = phantom(64), hashlib.sha256()
    for coder in ("adaptive", "context", "dct"):
        for convention in ("exact", "float8"):
            digest.update(DeltaCodec(model, coder, latent, convention).compress(image))
    assert digest.hexdigest()[:16] == GOLDEN[model, latent]


def test_another_process_with_other_threads_decodes_exactly():
    noise = make("noise", np.dtype("uint8"), (1, 1), np.random.default_rng(0))
    pictures = [phantom(256), phantom(300)[:40], noise]
    codec = DeltaCodec("tiny-two")
    streams = [codec.encode(picture) for picture in pictures]
    streams[1] = codec.encode(phantom(300)[:41])  # another film's
    exact = exact_elsewhere(codec, pictures, 3, streams)
    assert exact.dtype == bool and exact.tolist() == [True, False, True]
    assert proves_lossless(DeltaCodec("tiny", "huffman", "float32"), pictures[1])
    assert not proves_lossless(DeltaCodec("tiny", delta="float8"), pictures[1])


ALONE = """
import sys
for name in ("keras", "tensorflow", "torch", "jax"):
    sys.modules[name] = None  # importing it fails
import numpy as np
from helpers import codecs
codec = codecs.get("ae-delta", model="tiny-two")
image = (np.arange(256 * 70) % 251).astype(np.uint8).reshape(256, 70)
assert np.array_equal(codec.decode(codec.encode(image)), image)
"""


def test_no_framework_is_needed():
    subprocess.run([sys.executable, "-c", ALONE], env=dict(os.environ), check=True)


def test_a_forged_header_is_refused():
    stream = DeltaCodec("tiny").encode(phantom(30))
    for fields in (
        {"shape": (30, 31)},
        {"shape": (300, 30)},
        {"pixel_crc": 7},
        {"dtype": np.dtype("int16"), "bit_depth": 16},
        {"model": ""},
        {"model": "tiny-two"},
        {"weights": b"\0\0\0\0"},
        {"codec": "cae"},
    ):
        with pytest.raises(BitstreamError):
            DeltaCodec("tiny").decode(rewrite(stream, **fields))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "cannot be decoded"),
        (bytes([64]) + bytes(99), "a coder this release does not know"),
        (bytes([6]) + bytes(99), "a coder this release does not know"),
        (bytes([16]) + bytes(5), "ends inside its latents"),
        (bytes(20), "ends inside its latents"),
        (bytes(1) + np.full(5, np.nan, "<f4").tobytes() + bytes(99), "not finite"),
        (bytes(1) + np.full(5, -np.inf, "<f4").tobytes() + bytes(99), "not finite"),
        (bytes(1) + b"\1\0\x80\x7f" * 5 + bytes(99), "not finite"),  # a signalling NaN
        (bytes([16]) + bytes(6), "cannot be decoded"),
        (bytes([17]) + bytes(6) + b"\xff" * 50, "cannot be decoded"),
    ],
)
def test_forged_fields_are_refused(payload, reason):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one clear error, no warnings of arithmetic before it
        with pytest.raises(BitstreamError, match=reason):
            DeltaCodec("tiny").decode(forge(DeltaCodec("tiny"), (30, 30), payload))


@pytest.mark.parametrize("latents", [b"\xff" + b"\x7f\x80" * 2 + b"\x7f", b"\xff\xff\x7f\x7f" * 5])
def test_huge_latents_give_an_image(latents):
    flags = 16 if len(latents) == 6 else 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rest = residual.encode(phantom(30), "huffman")
        image = DeltaCodec("tiny").decode(
            forge(DeltaCodec("tiny"), (30, 30), bytes([flags]) + latents + rest)
        )
    assert image.shape == (30, 30)


@pytest.mark.parametrize("shape", [(8192, 8192), (1, MAX_PIXELS), (2**25, 2)])
def test_a_header_that_asks_for_many_tiles_is_refused_before_any_work(shape, monkeypatch):
    codec = DeltaCodec("tiny")
    codec.encode(phantom(9))  # the weights are loaded
    monkeypatch.setattr(IntegerAutoencoder, "decode", lambda *_: pytest.fail("it began to work"))
    payloads = [bytes([16]) + bytes(1000)]
    if min(shape) < SIDE:  # filled up it is enormous, so the latents of all tiles do not help
        payloads.append(bytes([16]) + bytes(6 * MAX_PIXELS // SIDE))
    for payload in payloads:
        forged, started = forge(codec, shape, payload), time.monotonic()
        tracemalloc.start()
        with pytest.raises(BitstreamError, match=r"inside its latents|padding included"):
            codec.decode(forged)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1e6 + 4 * len(forged)
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("shape", [(1, 2**18 + 1), (2**25, 2)])
def test_an_image_that_grows_too_large_when_filled_up_is_refused(shape):
    with pytest.raises(ValueError, match=f"more than {MAX_PIXELS} pixels .* cut it into several"):
        DeltaCodec("tiny").encode(np.zeros(shape, np.uint8))


def test_streams_of_other_weights_are_refused_by_name(own_weights):
    own_weights("own", draw(TINY, 1))
    own_weights("other", draw(TINY, 2))
    image, first = phantom(32), delta.weights.sha256("own")[:4].hex()
    stream = DeltaCodec("own").encode(image)
    with pytest.raises(BitstreamError, match=f"the weights own {first}, this codec holds other"):
        DeltaCodec("other").decode(stream)
    own_weights("own", draw(TINY, 3))  # the same name, another network
    with pytest.raises(BitstreamError, match=f"the weights own {first}, this codec holds own"):
        DeltaCodec("own").decode(stream)
    with pytest.raises(BitstreamError, match=first):
        unwrap(stream)
    own_weights("own", draw(TINY, 1))
    assert np.array_equal(unwrap(stream)[1], image)


def test_weights_that_change_are_loaded_anew(own_weights):
    found = []
    for seed in (1, 2):
        own_weights("own", draw(TINY, seed))
        network = IntegerAutoencoder(draw(TINY, seed))
        found.append(DeltaCodec("own", latent="float32").predict(phantom(256))[1])
        assert np.array_equal(found[-1], network.decode(network.encode(phantom(256))))
    assert not np.array_equal(*found)


def test_weights_that_do_not_fit_are_explained(own_weights, tmp_path):
    half = {name: values for name, values in two_stages().items() if name.startswith("stage1/")}
    parts = {name: values for name, values in draw(TINY).items() if name != "decoder/norm3/beta"}
    for name, arrays in (("other", {"w": np.zeros(2)}), ("half", half), ("parts", parts)):
        own_weights(name, arrays)
        with pytest.raises(DataError, match=f"'{name}' are those of another network"):
            DeltaCodec(name).encode(phantom(9))
    with pytest.raises(DataError, match="no weights named 'nobody'"):
        DeltaCodec("nobody").encode(phantom(9))
    own_weights("own", draw(TINY_DENSE))
    stream = DeltaCodec("own").encode(phantom(9))
    (tmp_path / "own.safetensors").write_bytes(b"half a file")
    digest = hashlib.sha256(b"half a file").digest()[:4]
    with pytest.raises(DataError, match=r"own\.safetensors cannot be read"):
        DeltaCodec("own").decode(rewrite(stream, weights=digest))
