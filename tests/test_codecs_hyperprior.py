"""The lossy codec that learns, with the book's own weights: streams, sizes, types, errors."""

import json
import subprocess
import sys

import numpy as np
import pytest
from codec_images import make, phantom
from numcodecs import get_codec

from helpers import codecs, weights
from helpers.codecs.container import Header, pack, unpack
from helpers.codecs.hyperprior import stream
from helpers.codecs.hyperprior.codec import MAX_PIXELS, HyperCodec
from helpers.codecs.hyperprior.floats import analysed, blocks, synthesised
from helpers.codecs.hyperprior.integers import LEVELS
from helpers.codecs.hyperprior.model import assembled, trained
from helpers.errors import BitstreamError, DataError
from helpers.models.hyperprior.layout import BANDS

MODEL = "hyper-mse"
ELSEWHERE = """
import sys, numpy as np, torch
torch.set_num_threads(2)
from helpers import codecs
image = codecs.get("hyper").decode(sys.stdin.buffer.read())
sys.stdout.buffer.write(image.tobytes())
"""


@pytest.fixture(autouse=True)
def only_the_books(monkeypatch):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(weights.FOLDER))


def psnr(image, decoded):
    error = np.mean((image.astype(float) - decoded) ** 2)
    return 10 * np.log10(255**2 / error) if error else np.inf


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (17, 16), (16, 16), (33, 70), (100, 129)])
def test_any_size(shape):
    image = make("smooth", np.dtype("uint8"), shape, np.random.default_rng(0))
    codec = HyperCodec(50)
    decoded = codec.decode(codec.encode(image))
    assert decoded.shape == shape and decoded.dtype == np.uint8
    assert psnr(image, decoded) > 35


def test_more_bits_are_a_better_picture():
    image = phantom(128)
    found = []
    for level in range(0, LEVELS, 9):
        coded = HyperCodec(level).encode(image)
        found.append((len(coded), psnr(image, HyperCodec().decode(coded))))
    sizes, quality = zip(*found, strict=True)
    assert list(sizes) == sorted(sizes) and sizes[-1] > 4 * sizes[0]
    assert list(quality) == sorted(quality) and quality[-1] > quality[0] + 10


@pytest.mark.parametrize("dtype", ["uint16", "int16"])
def test_more_than_eight_bits_by_a_window(dtype):
    image = (phantom(96).astype(np.int32) * 16 - (500 if dtype == "int16" else 0)).astype(dtype)
    codec = HyperCodec(LEVELS - 1)
    decoded = codec.decode(codec.encode(image))
    assert decoded.dtype == image.dtype
    error = np.abs(decoded.astype(int) - image)
    assert error.mean() < 0.01 * (int(image.max()) - int(image.min()))
    flat = np.full((20, 20), -7 if dtype == "int16" else 7000, dtype)
    assert np.array_equal(codec.decode(codec.encode(flat)), flat)


def test_other_processes_and_threads_decode_the_same_symbols():
    image = phantom(96)
    coded = codecs.get("hyper", level=40).encode(image)
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], input=coded, capture_output=True)
    assert done.returncode == 0, done.stderr
    there = np.frombuffer(done.stdout, np.uint8).reshape(image.shape)
    here = codecs.get("hyper").decode(coded)
    assert np.abs(there.astype(int) - here).max() <= 1  # floats: a rounding may differ
    assert np.mean(there != here) < 0.01


def test_symbols_survive_a_foreign_arithmetic(monkeypatch):
    """Sums in another order, as another machine may add them, change no symbol."""
    image = phantom(96)
    coded = HyperCodec(40).encode(image)
    model = trained(MODEL)
    _, payload = unpack(coded)
    shape = blocks(image.shape)
    here = stream.decode(model, payload[1:], shape, 40)

    def backwards(a, b):
        return a[:, ::-1] @ b[::-1]

    monkeypatch.setattr(np, "matmul", backwards)
    there = stream.decode(model, payload[1:], shape, 40)
    assert np.array_equal(here, there)


def test_tiles_do_not_show():
    model = trained(MODEL)
    rng = np.random.default_rng(0)
    shape = (3, 90)  # wider than a tile
    latents = (rng.standard_normal((*shape, BANDS)) * 20).astype(np.float32)
    whole = synthesised(model, latents, 30)
    import torch

    with torch.inference_mode():
        at_once = model.network.synthesise(
            torch.from_numpy(latents.transpose(2, 0, 1)[None]), torch.tensor([30 / 63])
        )[0, 0].numpy()
    assert np.abs(whole - at_once).max() < 1e-2
    picture = np.clip(whole, -128, 127)
    found, side = analysed(model, picture, 30)
    assert found.shape == (*shape, BANDS) and side.shape == (1, 23, 16)


def test_a_stream_names_its_rate_and_weights():
    image = phantom(64)
    header, payload = unpack(HyperCodec(11).encode(image))
    assert (header.codec, header.model, payload[0]) == ("hyper", MODEL, 11)
    config = HyperCodec(11).get_config()
    assert config == {"id": "hyper", "level": 11, "model": MODEL, "rounds": 2, "margin": 2.0}
    assert get_codec(config).encode(image) == HyperCodec(11).encode(image)


def test_what_cannot_be_is_refused():
    for level in (-1, 64, 3.5):
        with pytest.raises(ValueError, match="whole number from 0 to 63"):
            HyperCodec(level)
    with pytest.raises(ValueError, match="cut the image"):
        HyperCodec().encode(np.zeros((4097, 4097), np.uint8))
    with pytest.raises(DataError, match="no weights named 'none'"):
        HyperCodec(model="none").encode(phantom(32))
    with pytest.raises(DataError, match="those of another network"):
        HyperCodec(model="superres").encode(phantom(32))
    with pytest.raises(KeyError):
        assembled({})


def forged(shape, payload):
    codec = HyperCodec()
    header = Header("hyper", np.dtype("uint8"), shape, 8, MODEL, codec.weights_hash)
    return pack(header, payload)


def test_forged_streams_are_refused():
    codec = HyperCodec()
    _, payload = unpack(codec.encode(phantom(48)))
    for shape, bytes_, words in (
        ((48, 48), payload[:-3], "ends before the picture does"),
        ((48, 48), payload + b"\x01\x02\x03\x04\x05", "more bytes than the picture needs"),
        ((48, 48), b"", "does not name a rate"),
        ((48, 48), b"\x40" + payload[1:], "does not name a rate"),
        ((8000, 8000), payload, f"more than {MAX_PIXELS} pixels"),
        ((4000, 4000), payload, "ends before the picture does"),
    ):
        with pytest.raises(BitstreamError, match=words):
            codec.decode(forged(shape, bytes_))


def test_mutated_payloads_raise_or_decode_to_the_announced_shape():
    """Checksums are made to fit; whatever the bytes, the answer is an image or a clear error."""
    rng = np.random.default_rng(1)
    codec, raised = HyperCodec(), 0
    _, payload = unpack(HyperCodec(20).encode(phantom(32)))
    for _ in range(200):
        data = bytearray(payload)
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            data[at] = rng.integers(256)
        if rng.random() < 0.3:
            data = data[: rng.integers(1, len(data))]
        try:
            assert codec.decode(forged((32, 32), bytes(data))).shape == (32, 32)
        except BitstreamError:
            raised += 1
    assert raised > 20


def test_a_changed_stream_is_noticed():
    coded = HyperCodec(20).encode(phantom(32))
    rng = np.random.default_rng(2)
    for _ in range(2000):
        data = bytearray(coded)
        at = rng.integers(len(data))
        data[at] ^= 1 << rng.integers(8)
        with pytest.raises(BitstreamError):
            HyperCodec().decode(bytes(data))


def test_the_card_says_what_the_weights_are():
    card = weights.card(MODEL)
    assert card["bytes"] == weights.path(MODEL).stat().st_size < 16 * 2**20
    for key in ("lambda", "loss", "steps", "device", "trained_on", "held_out", "history"):
        assert card[key], key
    assert json.dumps(card)
